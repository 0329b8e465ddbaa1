"""``python -m identity_bindings check``: can this app's identity read what is declared?"""

import argparse
import importlib
import io
import json
import logging
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from . import host_adapter, masking
from .declarations import read_json
from .report import as_table, report

ROOT = Path(__file__).parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Read every declared value once and print how it went. Values are never printed.

    Returns:
        0 if all can be read, 1 if not, 2 if the app cannot be loaded or declares nothing.
    """
    parser = argparse.ArgumentParser(prog="python -m identity_bindings", description=__doc__)
    parser.add_argument("command", choices=["check"], help="read every declared value, print none")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args(arguments)

    for stream in (sys.stdout, sys.stderr):
        # A character that it cannot encode must not end the report.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    # The rows say what the engine would log.
    logging.getLogger("identity_bindings").setLevel(logging.CRITICAL)
    _use_local_settings(ROOT / "local.settings.json")
    sys.path.insert(0, str(ROOT))
    try:
        with redirect_stdout(sys.stderr):  # keep what the app prints out of the table
            host_adapter.app_of(importlib.import_module("function_app")).get_functions()
    except (Exception, SystemExit) as error:
        print(f"function_app.py cannot be loaded: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    masking.install()
    if sys.stderr.isatty() and report.injections:
        print(f"Reading {len(report.injections)} values …", file=sys.stderr)
    rows = report.rows()
    data = [{**row._asdict(), "ok": row.ok} for row in rows]
    table = as_table(rows) if rows else "There is nothing to check: no function declares a value."
    print(json.dumps(data, indent=2) if options.json else table)
    return int(not all(row.ok for row in rows)) if rows else 2


def _use_local_settings(file: Path) -> None:
    """Set the app settings that ``func start`` would set, unless they are set."""
    try:
        values = read_json(file).get("Values") if file.exists() else None
    except ValueError as error:
        print(f"{file.name}: {error}", file=sys.stderr)
        return
    for name, value in values.items() if isinstance(values, dict) else ():
        os.environ.setdefault(name, value if isinstance(value, str) else json.dumps(value))


if __name__ == "__main__":
    sys.exit(main())
