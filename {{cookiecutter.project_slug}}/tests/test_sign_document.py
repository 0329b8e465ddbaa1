"""The function that signs documents: adapt these tests as you change it."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import time
from typing import Any

import pytest
from support import worker
from azure.keyvault.keys.crypto import SignatureAlgorithm
from support.fixtures import Declared
from support.fake_keys import Keys, keys_of

DOCUMENT = "Zehn Stühle".encode()


def _keys(declared: Declared) -> Keys:
    (keys,) = [
        keys_of(declared.fake_key_vault, host)
        for host in declared.fake_key_vault.vaults
        if f"{host}/keys" in declared.fake_key_vault.others
    ]
    return keys


def test_what_it_signs_it_finds_valid(declared: Declared) -> None:
    function = worker.load_app()["sign_document"]

    signed = json.loads(worker.call(function, DOCUMENT).get_body())
    signature = {"x-signature": signed["signature"]}
    same = worker.call(function, DOCUMENT, headers=signature)
    other = worker.call(function, DOCUMENT + b"!", headers=signature)

    assert signed["algorithm"] == "PS256"
    assert json.loads(same.get_body()) == {"valid": True, "key": signed["key"]}
    assert json.loads(other.get_body())["valid"] is False


def test_the_vault_gets_a_hash_to_sign_and_nothing_to_verify(declared: Declared) -> None:
    function = worker.load_app()["sign_document"]
    assert _keys(declared).permissions == {"get", "sign"}, "what infra/ lets the app do"

    signed = json.loads(worker.call(function, DOCUMENT).get_body())
    worker.call(function, DOCUMENT, headers={"x-signature": signed["signature"]})

    posted = [request for request in declared.fake_key_vault.requests if request.method == "POST"]
    assert [request.path.rpartition("/")[2] for request in posted] == ["sign"]
    assert not any(DOCUMENT in request.body for request in posted)


@pytest.mark.parametrize("given", ["?!", "é", "="])
def test_a_signature_that_is_none_is_refused(declared: Declared, given: str) -> None:
    answer = worker.call(worker.load_app()["sign_document"], headers={"x-signature": given})

    assert answer.status_code == 400


def test_it_answers_anybody_with_a_function_key_only(declared: Declared) -> None:
    bindings = worker.bindings(worker.load_app()["sign_document"])

    assert bindings["req"]["authLevel"].lower() == "function"
    assert set(bindings) == {"req", "$return"}


def test_an_asynchronous_function_gets_the_asynchronous_client(declared: Declared) -> None:
    worker.load_app()
    report = importlib.import_module("identity_bindings.report").report
    (key,) = [one.binding for one in report.injections if one.function == "sign_document"]
    keys = importlib.import_module("identity_bindings.keys")

    @keys.key_vault_key(  # type: ignore[untyped-decorator]
        "key",
        key_name=key.key_name,
        vault_name=key.vault_url,
        identity="user" if key.identity.resource_id else "system",
        identity_id=key.identity.resource_id or "",
    )
    async def later(key: Any) -> bool:
        digest = hashlib.sha256(DOCUMENT).digest()
        signed = await key.sign(SignatureAlgorithm.ps256, digest)
        return bool((await key.verify(signed.algorithm, digest, signed.signature)).is_valid)

    assert asyncio.run(later()) is True
    assert asyncio.run(later()) is True, "in another event loop too"


def test_a_new_version_of_the_key_is_seen(
    declared: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_REFRESH_SECONDS", "0.2")
    function = worker.load_app()["sign_document"]
    first = json.loads(worker.call(function, DOCUMENT).get_body())["key"]
    (name,) = _keys(declared).versions

    version = _keys(declared).create(name)

    until = time.monotonic() + 8
    key = first
    while key == first and time.monotonic() < until:
        time.sleep(0.05)
        key = json.loads(worker.call(function, DOCUMENT).get_body())["key"]
    assert key.endswith(f"/{version}")
