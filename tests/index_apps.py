"""Load one app after the other, as a Functions worker does, in a process that stays.

A line on stdin names a project's folder and its app settings; a line on stdout lists the app's
functions. The project's own tests/support/worker.py loads the app, and forgets it again.
"""

import importlib
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

# With one of these an app would not look at values of this machine only.
IN_AZURE = ("CONTAINER_NAME", "IDENTITY_ENDPOINT", "WEBSITE_POD_NAME", "WEBSITE_SITE_NAME")


# The property that names what a kind of declaration wants, and its type.
TYPES = {"secret_name": "keyVault", "key_name": "keyVaultKey", "scope": "accessToken"}


def load(settings: dict[str, str]) -> tuple[Any, dict[str, Any]]:
    """Load an app with these settings: what it declares, and its functions by name."""
    worker = importlib.import_module("support.worker")
    declarations = worker.declarations(settings)
    with mock.patch.dict(os.environ, settings):
        return declarations, worker.load_app()


def what_it_is(declarations: Any, functions: dict[str, Any]) -> dict[str, Any]:
    """List an app's functions and what they declare."""
    worker = importlib.import_module("support.worker")
    return {
        "functions": {
            name: [binding["type"] for binding in worker.bindings(function).values()]
            for name, function in functions.items()
        },
        "declared": [
            {
                "function": function,
                "type": kind,
                "what": getattr(one, name),
                "vault": getattr(one, "vault_url", ""),
                "identity": one.identity.resource_id or "system",
            }
            for function, one in declarations.bindings
            for name, kind in TYPES.items()
            if hasattr(one, name)
        ],
        "problems": [str(problem) for problem in declarations.problems],
    }


def main() -> None:
    """Answer until stdin ends."""
    for variable in IN_AZURE:
        os.environ.pop(variable, None)
    logging.disable()  # the answer says what is wrong
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # an app may print; only answers go out
    for line in sys.stdin:
        asked = json.loads(line)
        project = Path(asked["project"])
        sys.path[:0] = [str(project / "src"), str(project / "tests")]
        try:
            answer = what_it_is(*load(asked["settings"]))
        except BaseException:  # SystemExit too: this process stays
            answer = {"error": traceback.format_exc()}
        finally:
            if worker := sys.modules.get("support.worker"):
                worker.restart()
            for name in [one for one in sys.modules if one.partition(".")[0] == "support"]:
                del sys.modules[name]
            del sys.path[:2]
            importlib.invalidate_caches()
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
