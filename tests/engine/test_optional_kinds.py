"""The kinds that a project has only if it asks for them: keys, and access tokens."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from apps import outcome
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient as AsyncClient
from folders import IDENTITY
from support.fake_key_vault import FakeKeyVault

DIGEST = hashlib.sha256(b"a document").digest()
VAULT = "https://contoso.vault.azure.net"
# The arguments of decorators.
SYSTEM, USER = {"identity": "system"}, {"identity": "user", "identity_id": IDENTITY}


def declare(**entry: Any) -> Any:
    """What a declaration becomes: the binding, or what is wrong with it."""
    declarations: Any = importlib.import_module("identity_bindings.declarations")
    entry = {"name": "it", "direction": "in", "identity": "system", **entry}
    binding, problems = declarations.declare(entry)
    return binding or problems


# Access tokens


SCOPES = (
    *("api://orders/.default", "https://orders.example/.default", "api://a/b/.default"),
    "api://00000000-0000-0000-0000-000000000001/.default",
)
NO_SCOPES = (
    *("orders", "api://orders", "api:///.default", "http://orders/.default", "api://a b/.default"),
    *("api://orders/.default/", "api://a?b/.default", "api://a#b/.default", "api://a'b/.default"),
    *("xapi://orders/.default", "api://a\\b/.default", 'api://a"b/.default', "API://a/.default"),
)


def test_the_scope_of_an_api() -> None:
    for scope in SCOPES:
        binding = declare(type="accessToken", scope=scope)
        assert (binding.scope, str(binding)) == (scope, f"access token for '{scope}'")

    ((prop, *_),) = declare(type="ACCESSTOKEN", scope=SCOPES[0], name="a b")
    assert prop == "accessToken.name"
    for scope in (*NO_SCOPES, None):
        ((prop, value, allowed),) = declare(type="accessToken", scope=scope)
        assert (prop, value) == ("it.scope", scope)
        assert allowed == "the scope of an API, such as 'api://<application id>/.default'"


def test_a_token_is_given_until_shortly_before_its_end(
    fake_key_vault: FakeKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_key_vault.identities, fake_key_vault.token_life = {None, IDENTITY}, 600.0
    module = importlib.import_module("identity_bindings.access_tokens")
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: 1000.0))

    for who in ({}, {"identity": "user", "identityId": IDENTITY}):
        reading = declare(type="accessToken", scope=SCOPES[0], **who).read()

        identity, resource, expires = fake_key_vault.tokens[reading.value]
        assert (identity, resource) == (who.get("identityId"), "api://orders")
        # 30 s are for the call that the token is for.
        assert (reading.lifetime, reading.pinned) == (int(expires) - 1000 - 30, False)


def test_a_function_gets_a_token_by_a_decorator(fake_key_vault: FakeKeyVault) -> None:
    access_token = importlib.import_module("identity_bindings.access_tokens").access_token
    for who, identity in ((SYSTEM, None), (USER, IDENTITY)):
        fake_key_vault.identities = {identity}

        @access_token("token", scope="api://orders/.default", **who)
        def call(token: str) -> str:
            return token

        assert fake_key_vault.tokens[call()][:2] == (identity, "api://orders")


# Keys


@pytest.fixture
def held(fake_key_vault: FakeKeyVault) -> Any:
    """The keys of a vault, on loopback."""
    held = importlib.import_module("support.fake_keys").keys_of(fake_key_vault, "contoso")
    held.create("signing")
    return held


def key(**changes: Any) -> Any:
    entry = {"type": "keyVaultKey", "keyName": "signing", "vaultName": "contoso"}
    return declare(**{**entry, **changes})


def test_a_key_by_its_name_and_its_place() -> None:
    assert str(key()) == f"key 'signing' of vault '{VAULT}'"
    assert str(key(keyVersion="1")) == f"key 'signing' (version 1) of vault '{VAULT}'"
    assert key().key == key(name="other", keyName="SIGNING").key
    for other in (
        *({"keyName": "other"}, {"keyVersion": "1"}, {"vaultName": "fabrikam"}),
        {"identity": "user", "identityId": IDENTITY},
    ):
        assert key().key != key(**other).key
    assert key().key != key().for_async().key
    for changes, allowed in (
        ({"keyName": "a_b"}, "a key's name: 1 to 127 letters, digits and hyphens"),
        ({"keyName": "a" * 128}, "a key's name: 1 to 127 letters, digits and hyphens"),
        ({"keyName": None}, "a key's name: 1 to 127 letters, digits and hyphens"),
        ({"keyVersion": "a-b"}, "a key's version"),
        ({"keyVersion": "a" * 65}, "a key's version"),
    ):
        (prop,) = changes
        assert key(**changes) == [(f"it.{prop}", changes[prop], allowed)]
    assert key(keyName="A-1", keyVersion="aZ" * 32).key_version == "aZ" * 32
    assert key(name="a b", type="KEYVAULTKEY")[0][0] == "keyVaultKey.name"


def test_a_client_signs_until_there_is_a_new_version(held: Any) -> None:
    first, again = key().read(), key(name="other").read()

    assert isinstance(first.value, CryptographyClient)
    assert again.value is first.value
    assert (first.pinned, first.note) == (False, "")
    signed = first.value.sign(SignatureAlgorithm.ps256, DIGEST)
    assert first.value.verify(signed.algorithm, DIGEST, signed.signature).is_valid
    old = first.value.key_id.rpartition("/")[2]

    version = held.create("signing")

    assert key().read().value.key_id.endswith(f"/{version}")
    pinned = key(keyVersion=old).read()
    assert (pinned.value.key_id.rpartition("/")[2], pinned.pinned) == (old, True)


def test_an_asynchronous_handler_gets_the_asynchronous_client(held: Any) -> None:
    client = key().for_async().read().value
    assert isinstance(client, AsyncClient)
    assert isinstance(key().read().value, CryptographyClient)
    assert key().for_async().read().value is client

    async def sign() -> bool:
        async with client:
            signed = await client.sign(SignatureAlgorithm.ps256, DIGEST)
            verified = await client.verify(signed.algorithm, DIGEST, signed.signature)
        return bool(verified.is_valid)

    assert asyncio.run(sign())


def test_no_request_of_a_client_waits_for_long(
    held: Any, monkeypatch: pytest.MonkeyPatch, fake_key_vault: FakeKeyVault
) -> None:
    timeouts = []
    original = requests.Session.request

    def request(self: requests.Session, *args: Any, **options: Any) -> Any:
        timeouts.append(options["timeout"])
        return original(self, *args, **options)

    monkeypatch.setattr(requests.Session, "request", request)
    client = key().read().value
    client.sign(SignatureAlgorithm.ps256, DIGEST)
    later = key().for_async().read().value

    async def sign() -> None:
        await later.sign(SignatureAlgorithm.ps256, DIGEST)
        fake_key_vault.fail("contoso", status=503)
        before = len(fake_key_vault.requests)
        with pytest.raises(Exception, match="ServiceUnavailable"):
            await later.sign(SignatureAlgorithm.ps256, DIGEST)
        assert len(fake_key_vault.requests) == before + 1  # it is the app's to try again
        await later.close()

    asyncio.run(sign())
    # The SDK's asynchronous transport has one timeout for both.
    assert set(timeouts) == {(3.0, 9.0), 3.0}


def test_a_refusal_names_the_key(held: Any, fake_key_vault: FakeKeyVault) -> None:
    missing = outcome(key(keyName="other").read)
    assert missing.reason == "the vault has no such key or version (HTTP 404 KeyNotFound)"
    assert "`az keyvault key recover --vault-name contoso --name other`" in missing.repair

    held.permissions.clear()
    denied = outcome(key().read)
    assert denied.kind == missing.kind == "denied"
    assert denied.reason.startswith(
        "no access policy of the vault allows the identity to read keys"
    )
    assert "permissions:{keys:['get','sign']}" in denied.repair

    fake_key_vault.vault("contoso").rbac, fake_key_vault.vault("contoso").readers = True, set()
    assert '--role "Key Vault Crypto User"' in outcome(key().read).repair


def test_a_function_gets_a_key_by_a_decorator(held: Any, fake_key_vault: FakeKeyVault) -> None:
    key_vault_key = importlib.import_module("identity_bindings.keys").key_vault_key
    place = {"key_name": "signing", "vault_name": "contoso"}
    version, newest = held.create("signing", "0a1"), held.create("signing")
    fake_key_vault.identities = {IDENTITY}

    @key_vault_key("key", key_version=version, **place, **USER)
    def pinned(key: Any) -> Any:
        return key

    @key_vault_key("key", **place, **SYSTEM)
    async def later(key: Any) -> Any:
        return key

    assert pinned().key_id.endswith("/signing/0a1")
    assert {identity for identity, *_ in fake_key_vault.tokens.values()} == {IDENTITY}
    fake_key_vault.identities = {None}
    client = asyncio.run(later())
    assert isinstance(client, AsyncClient)
    assert client.key_id.endswith(newest)
