"""The engine under load and faults, against the fake Key Vault that every generated project carries."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
# The engine and the tests' tools hold no Jinja: they are imported from the template. Byte code must
# not be left there: it would be rendered into every project.
sys.pycache_prefix = str(Path(tempfile.gettempdir(), "identity-bindings-pycache"))
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "tests")]

import folders  # noqa: E402
from apps import ECHO, VALUE, App, Project, engine_threads  # noqa: E402
from faulty_key_vault import FaultyKeyVault  # noqa: E402
from support import worker  # noqa: E402


def _process() -> dict[str, Any]:
    """What of this process a test must leave as it was."""
    root, ours = logging.getLogger(), logging.getLogger("identity_bindings")
    return {
        "logging": [logging.Logger.handle, logging.Handler.format, logging.getLogRecordFactory()],
        "handlers": [
            one for one in root.handlers if not type(one).__module__.startswith("_pytest")
        ],
        "levels": [root.level, ours.level],
        "filters": [*root.filters, *ours.filters],
        "masked streams": [one for one in (sys.stdout, sys.stderr) if "write" in vars(one)],
        "threads": engine_threads(),
        "modules": [name for name, one in [*sys.modules.items()] if _is_temporary(one)],
    }


def _is_temporary(module: Any) -> bool:
    file = str(getattr(module, "__file__", ""))
    # This repository may be in the folder for temporary files, too.
    return file.startswith(tempfile.gettempdir()) and not file.startswith(str(PROJECT.parent))


@pytest.fixture(autouse=True)
def fresh_worker() -> Iterator[None]:
    """Let no test see what another one loaded, read, masked or set, and say which one leaves it."""
    with mock.patch.dict(os.environ), mock.patch.object(sys, "path", [*sys.path]):
        worker.restart()
        before = _process()
        yield
        worker.restart()
    after = _process()
    left = {name: after[name] for name in before if after[name] != before[name]}
    assert not left, f"this test leaves behind: {left}"


@pytest.fixture
def engine(fresh_worker: None) -> Any:
    """The engine, imported anew: a package whose attributes are its modules."""
    return importlib.import_module("identity_bindings")


@pytest.fixture
def fake_key_vault(fresh_worker: None) -> Iterator[FaultyKeyVault]:
    """Key Vault and the identity endpoint, with nothing but a system-assigned identity."""
    with FaultyKeyVault() as fake_key_vault:
        yield fake_key_vault
        worker.restart()
    assert not fake_key_vault.strays, "the tests must not reach for other machines"


@pytest.fixture
def project(fake_key_vault: FaultyKeyVault, tmp_path: Path) -> Iterator[Project]:
    """An app in a folder of its own, and the secret that its functions declare."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    with Project(tmp_path) as project:
        (tmp_path / "functions").mkdir()
        yield project


@pytest.fixture
def app(fake_key_vault: FaultyKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app in tmp_path; the secret that its functions declare has a value."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    return App(tmp_path, monkeypatch)


@pytest.fixture
def echo(fake_key_vault: FaultyKeyVault, app: App) -> Any:
    """Return a loader of the handler of a function that returns its secret."""

    def load(refresh: float = 300, grace: float = 900, value: str = VALUE, **entry: Any) -> Any:
        vault = fake_key_vault.vault("contoso")
        if value not in [one.value for one in vault.secrets]:
            vault.set("api-key", value)
        app.declare("echo", ECHO, folders.key_vault(**entry))
        return app(refresh, grace)["echo"].get_user_function()

    return load
