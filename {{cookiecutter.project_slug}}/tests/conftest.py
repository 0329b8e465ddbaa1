{%- set facts = cookiecutter | facts -%}
"""The fixtures of every test: an identity endpoint and vaults of its own, and a fresh worker."""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from support import {{ 'fake_keys, ' if facts.key }}worker
from support.fake_key_vault import Declared, FakeKeyVault

os.environ |= worker.declared_settings()  # modules read app settings while they are imported
sys.path.append(str(worker.FUNCTIONS))  # as in Azure: a function imports shared modules by name


@pytest.fixture(autouse=True)
def fresh_worker() -> Iterator[None]:
    """Let no test see what another one loaded, read, masked or set."""
    with mock.patch.dict(os.environ):
        worker.restart()
        yield
        worker.restart()


@pytest.fixture
def fake_key_vault(fresh_worker: None) -> Iterator[FakeKeyVault]:
    """Key Vault and the identity endpoint, with nothing in them but a system-assigned identity."""
    with FakeKeyVault() as fake_key_vault:
        yield fake_key_vault
        worker.restart()
    assert not fake_key_vault.strays, "the tests must not reach for other machines"


@pytest.fixture
def declared(fake_key_vault: FakeKeyVault) -> Declared:
    """Give the app exactly the identities, vaults and secrets that its functions declare."""
    readers: dict[tuple[str, str, str], list[tuple[str, Any]]] = {}  # of each secret
    fake_key_vault.identities.clear()
    for function, binding in worker.declarations(worker.declared_settings()).bindings:
        fake_key_vault.identities.add(binding.identity.resource_id)
{%- if facts.key %}
        fake_keys.add(fake_key_vault, binding)
{%- endif %}
        if hasattr(binding, "secret_name"):
            vault = fake_key_vault.vault(binding.vault_url)
            vault.readers = (vault.readers or set()) | {binding.identity.resource_id}
            secret = binding.vault_url, binding.secret_name.lower(), binding.secret_version or ""
            readers.setdefault(secret, []).append((function, binding))
    values: dict[tuple[str, str], str] = {}
    newest_last = sorted(readers.items(), key=lambda one: not one[0][2])
    for (url, name, version), declaring in newest_last:
        fields = {one.json_field: f"value-{secrets.token_hex(16)}" for _, one in declaring}
        whole = fields.pop(None, "")
        text = json.dumps(fields) if fields else whole
        fake_key_vault.vault(url).set(name, text, version=version)
        values |= {(of, one.name): fields.get(one.json_field, text) for of, one in declaring}
    return Declared(fake_key_vault, values)
