"""``python -m benchmarks.quality [-m ""]``: run the tests, and write docs/quality.md.

The arguments are pytest's: `-m ""` runs the slow tests too. The page holds the figures that tests
record with `record_testsuite_property`.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from .__main__ import ROOT
from .page import Section, page

PAGE = ROOT / "docs" / "quality.md"
REPORT = ROOT / "build" / "quality.xml"
TEXT = (
    "Written by `python -m benchmarks.quality%s`: one run of the tests, and the figures that they"
    " record. A test fails where a figure is not what it must be. `make quality` runs the slow tests"
    " too."
)


def sections(report: Path) -> list[Section]:
    """Read a JUnit report of pytest: how the tests ended, and what they recorded."""
    root = ET.parse(report).getroot()  # noqa: S314 # written by pytest here
    rows = [
        [suite.get(name, "") for name in ("tests", "failures", "errors", "skipped", "time")]
        for suite in root.iter("testsuite")
    ]
    figures = [
        [f"`{one.get('name')}`", str(one.get("value"))]
        for one in root.findall("testsuite/properties/property")
    ]
    return [
        Section("Figures", "What tests counted and recorded.", ["Figure", "value"], figures),
        Section("Tests", "", ["Run", "failed", "errors", "skipped", "seconds"], rows),
    ]


def main() -> int:
    """Run the tests and write the page.

    Returns:
        The exit status of pytest.
    """
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    chosen = sys.argv[1:]
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={REPORT}", *chosen]
    done = subprocess.run(command, cwd=ROOT, check=False)
    PAGE.write_text(
        page("Quality", TEXT % shlex.join(["", *chosen]).removeprefix("''"), sections(REPORT)),
        encoding="utf-8",
    )
    print(f"Written to {PAGE}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
