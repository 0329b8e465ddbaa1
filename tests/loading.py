"""Loading the app of a project, in a process of its own, as a worker does."""

import json
import os
import subprocess
import sys
from pathlib import Path

from expectation import App, Declared

# The project's own tests/worker.py loads the app, and knows where its declarations are.
SCRIPT = """
import json, os, sys

sys.path[:0] = [os.getcwd(), "tests"]
import worker

settings = json.load(sys.stdin)
found = worker.declarations(settings)
os.environ.update(settings)
functions = worker.load_app()
types = {"secret_name": "keyVault", "key_name": "keyVaultKey", "scope": "accessToken"}
declared = [
    (kind, getattr(one, name), getattr(one, "vault_url", ""), one.identity.resource_id or "system")
    for _, one in found.bindings
    for name, kind in types.items()
    if hasattr(one, name)
]
app = {
    "functions": {
        name: [binding["type"] for binding in worker.bindings(function).values()]
        for name, function in functions.items()
    },
    "declared": declared,
    "mistakes": list(map(str, found.mistakes)),
}
worker.restart()
print(json.dumps(app))
"""
# With one of these an app would begin to read, or look for an identity.
IN_AZURE = ("CONTAINER_NAME", "IDENTITY_ENDPOINT", "WEBSITE_POD_NAME", "WEBSITE_SITE_NAME")


def load_app(project: Path, settings: dict[str, str]) -> App:
    """Load a project's app with the settings that its deployment writes."""
    # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
    known = {name: value for name, value in settings.items() if not value.startswith("[")}
    inherited = {name: value for name, value in os.environ.items() if name not in IN_AZURE}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=project,
        input=json.dumps(known),
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    app = json.loads(done.stdout)
    app["declared"] = {Declared(*one) for one in app["declared"]}
    return App(**app)
