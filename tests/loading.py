"""Loading the apps of projects one after the other, as a Functions worker does, in a process that stays."""

import importlib
import logging
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest import mock

from expectation import App, Declared

# With one of these an app would not look at values of this machine only.
IN_AZURE = ("CONTAINER_NAME", "IDENTITY_ENDPOINT", "WEBSITE_POD_NAME", "WEBSITE_SITE_NAME")
# The property that names what a kind of declaration wants, and its type.
TYPES = {"secret_name": "keyVault", "key_name": "keyVaultKey", "scope": "accessToken"}


class Loader:
    """A process that loads apps."""

    def __init__(self) -> None:
        """Prepare it; the first app starts it."""
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, context, initializer=_begin)

    def close(self) -> None:
        """End it."""
        self._process.shutdown()

    def load(self, project: Path, settings: dict[str, str]) -> App:
        """Load a project's app with the settings that its deployment writes."""
        # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
        known = {name: value for name, value in settings.items() if not value.startswith("[")}
        return self._process.submit(_load, project, known).result()


def _begin() -> None:
    for variable in IN_AZURE:
        os.environ.pop(variable, None)
    logging.disable()  # the answer says what is wrong


def _load(project: Path, settings: dict[str, str]) -> App:
    """Load an app by its project's own tests/support/worker.py, and forget it again."""
    _forget_support()
    with mock.patch.object(sys, "path", [f"{project}/src", f"{project}/tests", *sys.path]):
        worker = importlib.import_module("support.worker")
        try:
            declarations = worker.declarations(settings)
            with mock.patch.dict(os.environ, settings):
                functions = {
                    name: [binding["type"] for binding in worker.bindings(function).values()]
                    for name, function in worker.load_app().items()
                }
        finally:
            worker.restart()
            _forget_support()
            importlib.invalidate_caches()
    declared = {
        Declared(kind, getattr(one, name), getattr(one, "vault_url", ""), identity)
        for _, one in declarations.bindings
        for identity in [one.identity.resource_id or "system"]
        for name, kind in TYPES.items()
        if hasattr(one, name)
    }
    return App(functions, declared, [str(problem) for problem in declarations.problems])


def _forget_support() -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "support"]:
        del sys.modules[name]
