"""What each answer of a vault and of the identity endpoint means, and whose token it is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from apps import VALUE, leave_azure, outcome
from faulty_key_vault import FaultyKeyVault
from folders import IDENTITY
from support.fake_key_vault import TENANT

Read = Callable[[], Any]
LONGEST = 6 * 3600.0


@pytest.fixture
def read(fake_key_vault: FaultyKeyVault, engine: Any) -> Callable[[], Any]:
    """Read a secret of the vault `contoso`: what was read, or why it was not."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    vault = engine.vaults.Vault("https://contoso.vault.azure.net", engine.credentials.Identity())
    return partial(outcome, vault.read_secret, "api-key", None)


PUBLIC = "vault.azure.net"
ADDRESSES = {
    "abc": f"https://abc.{PUBLIC}",
    "a" * 24: f"https://{'a' * 24}.{PUBLIC}",
    "https://my-vault.vault.azure.net": f"https://my-vault.{PUBLIC}",
    "HTTPS://MY-VAULT.VAULT.AZURE.NET:443/": f"https://my-vault.{PUBLIC}",
    "https://my-vault.vault.azure.cn/": "https://my-vault.vault.azure.cn",
    "https://my-vault.vault.usgovcloudapi.net/": "https://my-vault.vault.usgovcloudapi.net",
    "https://my-vault.vault.sovcloud-api.fr/": "https://my-vault.vault.sovcloud-api.fr",
}


def test_a_vault_by_name_and_by_address(engine: Any) -> None:
    for given, address in ADDRESSES.items():
        assert engine.vaults.vault_url(given) == address
        assert engine.vaults.vault_name(address) == address[8:].split(".")[0]


@pytest.mark.parametrize("suffix", ["vault.azure.cn", " .Vault.Azure.CN. "])
def test_a_bare_name_is_of_the_apps_own_cloud(
    engine: Any, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("KEY_VAULT_DNS_SUFFIX", suffix)

    assert engine.vaults.vault_url("my-vault") == "https://my-vault.vault.azure.cn"
    assert engine.vaults.vault_url("https://my-vault.vault.azure.net").endswith(PUBLIC)


@pytest.mark.parametrize("suffix", [".example.com", "vault.azure.net.example.com", "azure.net"])
def test_a_suffix_of_no_cloud_is_an_error(
    engine: Any, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Else the identity's token would go to whoever owns that name."""
    monkeypatch.setenv("KEY_VAULT_DNS_SUFFIX", suffix)
    vault_url = engine.vaults.vault_url

    # It reads well after "what the app setting 'NAME' holds must be", too.
    with pytest.raises(ValueError, match=r"^the full URI of a vault, or KEY_VAULT_DNS") as caught:
        vault_url("my-vault")

    assert suffix.strip(".") in str(caught.value)
    assert "vault.azure.net, vault.azure.cn" in str(caught.value)
    with pytest.raises(ValueError, match="its URI"):
        vault_url(f"https://my-vault.{suffix.strip('.')}/")
    assert vault_url("https://my-vault.vault.azure.net/").endswith(PUBLIC)


NO_ANSWER = "the vault gave no answer that can be used"
UNREADABLE = {
    "no value": b'{"id": "https://contoso.vault.azure.net/secrets/a/1"}',
    "empty": b"",
    "a page": b"<html>refused, timed out</html>",
    "no object": b"[]",
    "no time": b'{"value": "of-the-answer", "attributes": {"exp": "soon"}}',
    "no such time": b'{"value": "of-the-answer", "attributes": {"exp": 1e15}}',
    "no attributes": b'{"value": "of-the-answer", "attributes": "enabled"}',
    "too deep": b'{"value": "of-the-answer", "tags": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}


@pytest.mark.parametrize("answer", UNREADABLE)
@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_that_cannot_be_read_is_no_fault_of_the_connection(
    read: Read, fake_key_vault: FaultyKeyVault, answer: str, status: int
) -> None:
    fake_key_vault.fail("contoso/api-key", status=status, body=UNREADABLE[answer])

    failure = read()

    assert (failure.kind, failure.shared) == ("transient", False)
    said = "held no value" if (answer, status) == ("no value", 200) else "cannot be read: "
    assert failure.reason.startswith(f"{NO_ANSWER}: its answer {said}")
    assert "of-the-answer" not in failure.reason


CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/{}", {}'


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('resource="https://vault.azure.cn"', "its challenge names another service"),
        ('scope="https://storage.azure.com/.default"', "its challenge names another service"),
        ('scope="no-url"', "its answer cannot be read: ValueError"),
    ],
)
def test_a_wrong_challenge_is_no_refusal_of_a_token(
    read: Read, fake_key_vault: FaultyKeyVault, said: str, reason: str
) -> None:
    header = CHALLENGE.format(TENANT, said)
    fake_key_vault.fail("contoso", status=401, headers={"WWW-Authenticate": header})

    failure = read()

    assert failure.kind == "transient"
    assert failure.reason == f"{NO_ANSWER}: {reason}"
    assert "identity" not in [request.endpoint for request in fake_key_vault.requests]


def test_a_token_that_is_not_accepted_is_replaced_once(
    read: Read, fake_key_vault: FaultyKeyVault
) -> None:
    assert read().value == VALUE
    fake_key_vault.tokens.clear()  # revoked
    assert read().value == VALUE

    fake_key_vault.fail("contoso", status=401)
    before = len(fake_key_vault.requests)
    failure = read()

    assert failure.kind == "denied"
    assert failure.reason == (
        "the vault does not accept the identity's token (HTTP 401 Unauthorized)"
    )
    asked = [request.endpoint for request in fake_key_vault.requests[before:]]
    assert asked.count("identity") <= 2
    fake_key_vault.heal()
    before = len(fake_key_vault.requests)
    assert read().value == VALUE
    # The new token is kept: it was not the token.
    assert "identity" not in [request.endpoint for request in fake_key_vault.requests[before:]]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("7", 7.0), ("0", 0.0), ("999999", LONGEST), ("9" * 500, LONGEST), ("9" * 5000, 0.0)),
        *((no_number, 0.0) for no_number in ("soon", "-1", "nan", "")),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("a date in an hour", 3600),
    ],
)
def test_a_throttled_read_is_transient(
    read: Read, fake_key_vault: FaultyKeyVault, header: str, seconds: float
) -> None:
    if header == "a date in an hour":
        header = formatdate(time.time() + 3600, usegmt=True)
    fake_key_vault.fail("contoso", status=429, headers={"Retry-After": header})

    failure = read()

    assert (failure.kind, failure.shared) == ("transient", True)
    if seconds:
        assert failure.retry_after == pytest.approx(seconds, abs=60 if seconds == 3600 else 0.1)
    else:
        assert 0.5 <= failure.retry_after <= 1.0  # the vault's own back-off
    assert failure.reason == "the vault answered HTTP 429 Throttled"
    assert failure.repair == "the next read tries again; https://status.azure.com shows outages"
    assert len(fake_key_vault.requests) == 1  # sources repeat a read, the SDK does not


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>busy</html>", ""),
        (b"[]", ""),
        (b'{"error": {"code": "Busy", "innererror": {"code": "VeryBusy"}}}', " VeryBusy"),
        (b'{"error": {"code": "Busy", "innererror": {"code": null}}}', " Busy"),
        (b'{"error": {"code": "it is <busy>"}}', ""),
        (b'{"error": {"code": "' + b"a" * 65 + b'"}}', ""),
    ],
)
def test_of_an_answer_only_the_code_is_shown(
    read: Read, fake_key_vault: FaultyKeyVault, body: bytes, code: str
) -> None:
    fake_key_vault.fail("contoso", status=400, body=body)
    assert read().reason == f"the vault answered HTTP 400{code}"
    fake_key_vault.fail("contoso", status=503, body=body)
    assert read().reason == f"the vault answered HTTP 503{code}"


ENDPOINT = {"IDENTITY_ENDPOINT": "http://127.0.0.1/", "IDENTITY_HEADER": "a-header"}
SCOPE = "https://vault.azure.net/.default"


def test_azure_or_a_developers_machine(engine: Any) -> None:
    for environment, endpoint, azure in (
        ({}, False, False),
        (ENDPOINT, True, True),
        ({"IDENTITY_ENDPOINT": "http://127.0.0.1/"}, False, False),
        ({"IDENTITY_HEADER": "a-header"}, False, False),
        ({**ENDPOINT, "IDENTITY_HEADER": ""}, False, False),
        ({"WEBSITE_SITE_NAME": "my-app", "WEBSITE_SKU": "FlexConsumption"}, False, True),
        ({"WEBSITE_SITE_NAME": "my-app"}, False, False),
        ({"WEBSITE_SITE_NAME": "my-app", "WEBSITE_SKU": ""}, False, False),
        ({"WEBSITE_SKU": "FlexConsumption"}, False, False),
        ({"WEBSITE_POD_NAME": "a-pod", "CONTAINER_NAME": "a-container"}, False, False),
    ):
        with mock.patch.dict(os.environ, environment, clear=True):
            assert engine.credentials.has_endpoint() is endpoint, environment
            assert engine.credentials.in_azure() is azure, environment


def body(message: str) -> bytes:
    return json.dumps({"statusCode": 400, "message": message}).encode()


def token(text: Any) -> bytes:
    """An answer with a token that no header can have."""
    ends = int(time.time()) + 3600
    return json.dumps({"access_token": text, "expires_on": ends, "resource": SCOPE}).encode()


@pytest.mark.parametrize(
    ("fault", "denied", "said"),
    [
        ({"status": 400, "body": body("No User Assigned Identity found")}, True, ""),
        ({"status": 400, "body": body("there is no MSI")}, True, ""),
        ({"status": 400, "body": body("the resource is missing; msix")}, False, "HTTP 400"),
        ({"status": 500, "body": body("the identity is fine, I am not")}, False, "HTTP 500"),
        ({"status": 429, "body": body("too many")}, False, "HTTP 429"),
        ({"status": 403, "body": b""}, False, "HTTP 403"),  # just after a deployment
        ({"body": b"<html>identity</html>"}, False, "HTTP 200"),
        *(({"body": token(text)}, False, "HTTP 200") for text in ("a\nb", "\u20ac", "a b", "", 7)),
        ({"how": "refuse"}, False, "ServiceRequestError"),
    ],
)
def test_each_answer_of_the_endpoint_has_its_reason(
    engine: Any, fake_key_vault: FaultyKeyVault, fault: dict[str, Any], denied: bool, said: str
) -> None:
    identity = engine.credentials.Identity()
    fake_key_vault.fail("identity", **fault)

    failure = outcome(engine.credentials.Credential(identity).get_token_info, SCOPE)

    assert len(fake_key_vault.requests) <= 1  # sources repeat a read, the SDK does not
    if denied:
        assert failure == engine.credentials.not_assigned(identity)
        assert failure.reason.endswith("the app does not have the system-assigned identity")
    else:
        assert failure.kind == "transient"
        assert failure.reason == f"the identity endpoint gave no token ({said})"
        assert failure.repair == "the next read tries again; if it lasts, restart the app"
        assert failure.shared


@pytest.mark.parametrize("program", ["az", "azd"])
def test_on_a_developers_machine_it_is_the_developers_own_login(
    engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    leave_azure(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    credential = engine.credentials.Credential(engine.credentials.Identity(IDENTITY))
    expires = time.time() + 3600
    answer = {
        "az": {"accessToken": "the-token-of-az", "expires_on": int(expires)},
        "azd": {
            "token": "the-token-of-azd",
            "expiresOn": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)),
        },
    }[program]
    script = f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\necho '{json.dumps(answer)}'\n"
    (tmp_path / program).write_text(script)
    (tmp_path / program).chmod(0o755)

    info = credential.get_token_info(SCOPE, options={"tenant_id": TENANT})  # the vault's own

    assert info.token == f"the-token-of-{program}"
    assert TENANT in (tmp_path / "asked").read_text()
