"""Load one app after the other, as a Functions worker would, in a process that stays.

A project's folder comes in on a line; what its functions are goes out on one. The project's own
tests/support/worker.py loads it, and forgets it again. Without settings, it gets those that it comes with,
and is called too.
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


def what_it_does(project: Path) -> dict[str, Any]:
    """Index an app with the settings that it comes with, and call its first function.

    Its secrets get values of this machine only, as its example says.
    """
    settings = json.loads((project / "src/local.settings.json").read_text("utf-8"))["Values"]
    example = json.loads((project / "secrets.local.example.json").read_text("utf-8"))
    values = {name: f"value of {name}" for name in example}
    (project / "secrets.local.json").write_text(json.dumps(values), "utf-8")
    declarations, functions = load(settings)
    app = what_it_is(declarations, functions)
    first = next(one["function"] for one in app["declared"] if one["type"] == "keyVault")
    worker = importlib.import_module("support.worker")
    answer = json.loads(worker.call(functions[first]).get_body())
    return app | {"names_its_secrets": answer == {"arrived": [*values]}}


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
            settings = asked["settings"]
            answer = what_it_does(project) if settings is None else what_it_is(*load(settings))
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
