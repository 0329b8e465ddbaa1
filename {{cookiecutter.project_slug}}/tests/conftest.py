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

from support import bicep, {{ 'fake_keys, ' if facts.key }}worker
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
    identities: dict[str, set[str | None]] = {}
    # Each secret: its value under None, and the fields of its JSON.
    found: dict[tuple[str, str, str], dict[str | None, str]] = {}
    parameters: dict[tuple[str, str], tuple[dict[str | None, str], str | None]] = {}
    fake_key_vault.identities.clear()
    for function, binding in worker.declarations(worker.declared_settings()).bindings:
        fake_key_vault.identities.add(binding.identity.resource_id)
        identities.setdefault(function, set()).add(binding.identity.resource_id)
{%- if facts.key %}
        fake_keys.add(fake_key_vault, binding)
{%- endif %}
        if not hasattr(binding, "secret_name"):
            continue
        vault = fake_key_vault.vault(binding.vault_url)
        vault.readers = (vault.readers or set()) | {binding.identity.resource_id}
        secret = binding.vault_url, binding.secret_name.lower(), binding.secret_version or ""
        texts = found.setdefault(secret, {})
        texts.setdefault(binding.json_field, f"value-{secrets.token_hex(16)}")
        parameters[function, binding.name] = texts, binding.json_field
    for (url, name, version), texts in found.items():
        if fields := {field: text for field, text in texts.items() if field}:
            texts[None] = json.dumps(fields)
        fake_key_vault.vault(url).set(name, texts[None], version=version)
    values = {parameter: texts[field] for parameter, (texts, field) in parameters.items()}
    return Declared(fake_key_vault, values, identities)


@pytest.fixture(scope="session")
def predicted() -> tuple[list[str], dict[str, Any]]:
    """Every warning of the Bicep compiler, and what a deployment with main.bicepparam creates."""
    if command := bicep.find_bicep():
        return bicep.predict(command)
    pytest.skip("no Bicep compiler: set BICEP, or install one with `az bicep install`")


@pytest.fixture(scope="session")
def snapshot(predicted: tuple[list[str], dict[str, Any]]) -> dict[str, Any]:
    """What a deployment creates."""
    assert predicted[1], predicted[0]
    return predicted[1]
