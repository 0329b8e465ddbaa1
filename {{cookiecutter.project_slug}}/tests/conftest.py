"""Every test has an identity endpoint and vaults of its own, and a worker that starts afresh."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import worker
from key_vault_double import Double


@pytest.fixture(autouse=True)
def fresh_worker() -> Iterator[None]:
    """Let no test see what another one loaded, read or masked."""
    worker.restart()
    yield
    worker.restart()


@pytest.fixture
def double(fresh_worker: None) -> Iterator[Double]:
    """Key Vault and the identity endpoint, with nothing in them but a system-assigned identity."""
    with Double() as double:
        yield double
        worker.restart()
    assert not double.strays, "the tests must not reach for other machines"


@dataclass(frozen=True)
class Declared:
    """What the project declares, made true in the double."""

    double: Double
    values: dict[tuple[str, str], str]  # (function, parameter) → the secret's value
    identities: dict[str, set[str | None]]  # function → whose identity it reads with


def _other_doubles() -> list[Any]:
    """What stands for things other than secrets: one module for each that the project has."""
    files = sorted(Path(__file__).parent.glob("double_of_*.py"))
    return [import_module(file.stem) for file in files]


@pytest.fixture
def declared(double: Double, monkeypatch: pytest.MonkeyPatch) -> Declared:
    """Give the app exactly the identities, vaults and secrets that its functions declare."""
    settings = worker.declared_settings()
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    values: dict[tuple[str, str], str] = {}
    identities: dict[str, set[str | None]] = {}
    double.identities.clear()
    for function, binding in worker.declarations(settings).bindings:
        double.identities.add(binding.identity.resource_id)
        identities.setdefault(function, set()).add(binding.identity.resource_id)
        for other in _other_doubles():
            other.add(double, binding)
        if not hasattr(binding, "secret_name"):
            continue
        vault = double.vault(binding.vault_url)
        vault.readers = (vault.readers or set()) | {binding.identity.resource_id}
        known = vault.find(binding.secret_name, binding.secret_version or "")
        if not known:
            value = f"value-{secrets.token_hex(16)}"
            vault.set(binding.secret_name, value, version=binding.secret_version or "")
            known = vault.find(binding.secret_name, binding.secret_version or "")
        values[function, binding.name] = known[-1].value
    return Declared(double, values, identities)
