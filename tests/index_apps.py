"""Load one app after the other, as a Functions worker would, in a process that stays.

A project's folder comes in on a line; what its functions are goes out on one. The project's own
tests/worker.py loads it, and forgets it again.
"""

import hashlib
import hmac
import importlib
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

BODY = b"amount=100"
# With one of these an app would not look at values of this machine only.
IN_AZURE = ("CONTAINER_NAME", "IDENTITY_ENDPOINT", "WEBSITE_POD_NAME", "WEBSITE_SITE_NAME")


def what_it_is(project: Path) -> dict[str, Any]:
    """Index an app, and call its first function with values of this machine only."""
    worker = importlib.import_module("worker")
    settings = worker.declared_settings()
    declared = worker.declarations(settings)
    kinds = ("secret_name", "key_name", "scope")
    names = {one.secret_name for _, one in declared.bindings if hasattr(one, "secret_name")}
    values = {name: f"value of {name}" for name in names}
    (project / "secrets.local.json").write_text(json.dumps(values), "utf-8")
    with mock.patch.dict(os.environ, settings):
        functions = worker.load_app()
        bindings = {name: worker.bindings(function) for name, function in functions.items()}
        first = next(name for name, one in declared.bindings if hasattr(one, "secret_name"))
        answer = json.loads(worker.call(functions[first], BODY).get_body())
    signatures = {
        name: hmac.new(value.encode(), BODY, hashlib.sha256).hexdigest()
        for name, value in values.items()
    }
    return {
        "signs_with_its_secrets": answer == {"signatures": signatures},
        "functions": {
            name: {one: binding["type"] for one, binding in found.items()}
            for name, found in bindings.items()
        },
        "receives": [
            [function, one.name, next(filter(None, (getattr(one, k, "") for k in kinds)))]
            for function, one in declared.bindings
        ],
        "mistakes": [str(mistake) for mistake in declared.mistakes],
    }


def main() -> None:
    """Answer until nobody asks any more."""
    for variable in IN_AZURE:
        os.environ.pop(variable, None)
    logging.disable()  # what is wrong stands in the answer
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # an app may print; only answers go out
    for line in sys.stdin:
        project = Path(json.loads(line))
        sys.path[:0] = [str(project), str(project / "tests")]
        try:
            answer = what_it_is(project)
        except BaseException:  # SystemExit too: this process stays
            answer = {"error": traceback.format_exc()}
        finally:
            if worker := sys.modules.pop("worker", None):
                worker.restart()
            del sys.path[:2]
            importlib.invalidate_caches()
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
