"""One vault: how it is addressed, and what each of its answers means."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from azure.core.exceptions import (
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ServiceResponseError,
)
from faults import CLOSED
from folders import IDENTITY
from support.fake_key_vault import FakeKeyVault

VALUE = "the-value-of-it"
DAY = 86_400


@pytest.fixture
def vaults() -> Any:
    return importlib.import_module("identity_bindings.vaults")


@pytest.fixture
def read(fake_key_vault: FakeKeyVault, vaults: Any) -> Callable[..., Any]:
    """Read a secret of the vault `contoso`: what was read, or why it was not."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    credentials = importlib.import_module("identity_bindings.credentials")
    errors = importlib.import_module("identity_bindings.errors")
    vault = vaults.Vault("https://contoso.vault.azure.net", credentials.Identity())

    def read(name: str = "api-key", version: str | None = None) -> Any:
        try:
            return vault.read_secret(name, version)
        except errors.ReadError as error:
            assert error.__cause__ is error.__context__ is None  # the SDK's hold what was sent
            assert str(error) == error.failure.reason
            return error.failure

    return read


PUBLIC = "vault.azure.net"
ADDRESSES = {
    "abc": f"https://abc.{PUBLIC}",
    "My-Vault-1": f"https://my-vault-1.{PUBLIC}",
    "a" * 24: f"https://{'a' * 24}.{PUBLIC}",
    "https://my-vault.vault.azure.net": f"https://my-vault.{PUBLIC}",
    "HTTPS://MY-VAULT.VAULT.AZURE.NET:443/": f"https://my-vault.{PUBLIC}",
    "https://my-vault.vault.azure.cn/": "https://my-vault.vault.azure.cn",
    "https://my-vault.vault.usgovcloudapi.net/": "https://my-vault.vault.usgovcloudapi.net",
    "https://my-vault.vault.sovcloud-api.fr/": "https://my-vault.vault.sovcloud-api.fr",
}


def test_a_vault_by_name_and_by_address(vaults: Any) -> None:
    for given, address in ADDRESSES.items():
        assert vaults.vault_url(given, {}) == address
        assert vaults.vault_name(address) == address[8:].split(".")[0]


@pytest.mark.parametrize("suffix", ["vault.azure.cn", " .Vault.Azure.CN. "])
def test_a_bare_name_is_of_the_apps_own_cloud(vaults: Any, suffix: str) -> None:
    settings = {"KEY_VAULT_DNS_SUFFIX": suffix}

    assert vaults.vault_url("my-vault", settings) == "https://my-vault.vault.azure.cn"
    assert vaults.vault_url("https://my-vault.vault.azure.net", settings).endswith(PUBLIC)


@pytest.mark.parametrize("suffix", [".example.com", "vault.azure.net.example.com", "azure.net"])
def test_a_suffix_of_no_cloud_is_an_error(vaults: Any, suffix: str) -> None:
    """Else the identity's token would go to whoever owns that name."""
    settings = {"KEY_VAULT_DNS_SUFFIX": suffix}

    with pytest.raises(ValueError, match="KEY_VAULT_DNS_SUFFIX") as caught:
        vaults.vault_url("my-vault", settings)

    assert suffix.strip(".") in str(caught.value)
    assert "vault.azure.net, vault.azure.cn" in str(caught.value)
    with pytest.raises(ValueError, match="its URI"):
        vaults.vault_url(f"https://my-vault.{suffix.strip('.')}/", settings)
    assert vaults.vault_url("https://my-vault.vault.azure.net/", settings).endswith(PUBLIC)


def test_no_address_of_anything_else_is_a_vaults(vaults: Any) -> None:
    hsm = "https://my-hsm.managedhsm.azure.net"
    for wrong in ("ab", "a" * 25, "a--b", "-ab", "ab-", "1ab", hsm, f"https://a.{PUBLIC}/"):
        with pytest.raises(ValueError, match="vault") as caught:
            vaults.vault_url(wrong, {})
        assert str(caught.value) == (
            "a managed HSM holds no secrets; name a vault"
            if wrong == hsm
            else "a vault's name (3 to 24 letters, digits and single hyphens, a letter first) or"
            " its URI, such as 'https://my-vault.vault.azure.net/'"
        )


def test_what_is_read(read: Any, fake_key_vault: FakeKeyVault) -> None:
    old = fake_key_vault.vault("contoso").set("api-key", "an-older-value")
    fake_key_vault.vault("contoso").set("api-key", VALUE)

    newest, pinned = read(), read(version=old)

    assert (newest.value, newest.note, newest.expires, newest.pinned) == (VALUE, "", None, False)
    assert (pinned.value, pinned.pinned) == ("an-older-value", True)
    assert len(fake_key_vault.requests) == 4  # a challenge, a token, and then the values


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ({"exp": 1_000_000_000}, "expired on 2001-09-09"),
        ({"nbf": 4_000_000_000}, "is not valid before 2096-10-02"),
        ({"exp": 4_000_000_000, "nbf": 1_000_000_000}, ""),
        ({"exp": 1_000_000_000, "nbf": 4_000_000_000}, "expired on 2001-09-09"),
    ],
)
def test_when_it_is_valid_is_noted(
    read: Any, fake_key_vault: FakeKeyVault, attributes: dict[str, int], note: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE, **attributes)

    reading = read()

    assert (reading.value, reading.note) == (VALUE, note)
    assert reading.expires == attributes.get("exp")


def test_the_moment_of_its_end_is_over(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = vaults.datetime.fromtimestamp(2_000_000_000, vaults.UTC)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)

    def note(**properties: Any) -> str:
        known = {"expires_on": None, "not_before": None, **properties}
        secret = SimpleNamespace(value=VALUE, properties=SimpleNamespace(**known))
        return str(vaults._reading(secret, False).note)

    assert note(expires_on=moment) == "expired on 2033-05-18"
    assert note(not_before=moment) == ""


# How the vault refuses, the reason, and which repair that is; test_repairs.py has their texts.
REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "policy": (
        {"readers": set()},
        "no access policy of the vault allows the identity to read secrets (HTTP 403 ForbiddenByPolicy)",
        "403",
    ),
    "role": (
        {"readers": set(), "rbac": True},
        "the identity has no role for the vault's secrets (HTTP 403 ForbiddenByRbac)",
        "ForbiddenByRbac",
    ),
    "firewall": (
        {"firewall": True},
        "the vault's firewall denies the app's network (HTTP 403 ForbiddenByFirewall)",
        "ForbiddenByFirewall",
    ),
    "missing": (
        {"secrets": []},
        "the vault has no such secret or version (HTTP 404 SecretNotFound)",
        "404",
    ),
}


def repair_of(kind: str, identity_id: str | None = None) -> str:
    """The repair of a denial of `api-key`, as test_repairs.py tests it."""
    repairs = importlib.import_module("identity_bindings.errors")
    read = repairs.Read("secret", "contoso", "api-key", None, identity_id, True, "203.0.113.7")
    return str(repairs.repair_of_denial(kind, read))


@pytest.mark.parametrize("how", REFUSALS)
def test_each_refusal_has_its_reason_and_its_repair(
    read: Any, fake_key_vault: FakeKeyVault, how: str
) -> None:
    changes, reason, kind = REFUSALS[how]
    vars(fake_key_vault.vault("contoso")).update(changes)

    failure = read()

    assert (failure.kind, failure.reason) == ("denied", reason)
    assert failure.repair == repair_of(kind)
    assert failure.retry_after == 0
    assert len(fake_key_vault.requests) == 3


def test_a_vault_without_public_access(read: Any, fake_key_vault: FakeKeyVault) -> None:
    fake_key_vault.fail("contoso", status=403, body=CLOSED)

    failure = read()

    assert (failure.kind, failure.reason) == (
        "denied",
        "the vault accepts connections through its private endpoints only"
        " (HTTP 403 ForbiddenByConnection)",
    )
    assert failure.repair == repair_of("ForbiddenByConnection")


def test_a_disabled_secret(read: Any, fake_key_vault: FakeKeyVault) -> None:
    fake_key_vault.vault("contoso").secrets[-1].attributes["enabled"] = False

    failure = read()

    assert (failure.kind, failure.reason) == (
        "denied",
        "the secret is disabled (HTTP 403 SecretDisabled)",
    )
    assert failure.repair == repair_of("Disabled")


def test_a_user_assigned_reader_is_found_by_its_own_command(
    fake_key_vault: FakeKeyVault, vaults: Any
) -> None:
    fake_key_vault.identities, fake_key_vault.vault("contoso").readers = {IDENTITY}, set()
    credentials = importlib.import_module("identity_bindings.credentials")
    vault = vaults.Vault("https://contoso.vault.azure.net", credentials.Identity(IDENTITY))

    with pytest.raises(Exception, match="no access policy") as caught:
        vault.read_secret("api-key", None)

    assert caught.value.failure.repair == repair_of("403", IDENTITY)
    assert f"az identity show --ids {IDENTITY}" in repair_of("403", IDENTITY)


def test_a_token_that_is_not_accepted_is_replaced_once(
    read: Any, fake_key_vault: FakeKeyVault
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
    assert failure.repair == repair_of("401")
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
        *(("7", 7.0), ("0", 0.0), ("999999", 999999.0), ("9" * 500, inf), ("2.5", 2.5)),
        *(
            ("soon", 0.0),
            ("-1", 0.0),
            ("nan", 0.0),
            ("", 0.0),
            ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ),
        ("a date in an hour", 3600),
    ],
)
def test_what_may_pass_by_itself(
    read: Any, fake_key_vault: FakeKeyVault, header: str, seconds: float
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
def test_a_code_is_told_and_nothing_else_of_an_answer(
    read: Any, fake_key_vault: FakeKeyVault, body: bytes, code: str
) -> None:
    fake_key_vault.fail("contoso", status=400, body=body)
    assert read().reason == f"the vault answered HTTP 400{code}"
    fake_key_vault.fail("contoso", status=503, body=body)
    assert read().reason == f"the vault answered HTTP 503{code}"


@pytest.mark.parametrize(
    ("how", "said", "repair"),
    [
        ("unresolved", "its name does not resolve", "`az keyvault show --name contoso` shows"),
        ("untrusted", "its TLS certificate is not trusted", "a proxy that inspects TLS"),
        ("refuse", "it refused the connection", "check the vault's name, its network and DNS"),
    ],
)
def test_without_an_answer_what_is_known_is_told(
    read: Any, fake_key_vault: FakeKeyVault, how: str, said: str, repair: str
) -> None:
    fake_key_vault.fail("contoso", how=how)

    failure = read()

    assert (failure.kind, failure.reason) == ("transient", f"the vault gave no answer: {said}")
    assert repair in failure.repair


def test_what_nobody_foresaw_is_told_by_its_type(
    vaults: Any, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {
        KeyError(f"what was sent: {VALUE}"): "the connection failed: KeyError",
        ValueError("The challenge resource 'a' does not match"): (
            "its challenge names another service"
        ),
        TimeoutError("Read timed out. (read timeout=8)"): "it did not answer in time",
    }
    for error, said in errors.items():
        monkeypatch.setattr(vaults.Vault, "_open", lambda _, error=error: _raising(error))
        assert read().reason == f"the vault gave no answer: {said}"

    time.sleep(1.0)  # until the vault is asked again
    answer = SimpleNamespace(get_secret=lambda *_: SimpleNamespace(value=None))
    monkeypatch.setattr(vaults.Vault, "_open", lambda _: answer)
    assert read().reason == "the vault gave no answer: its answer held no value"


def _raising(error: Exception) -> Any:
    def get_secret(*_: Any) -> Any:
        raise error

    return SimpleNamespace(get_secret=get_secret)


def test_eight_read_at_once_and_who_hangs_holds_up_the_others_for_a_moment_only(
    vaults: Any, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most, go = [], [], threading.Event()

    def get_secret(name: str, version: str | None) -> Any:
        inside.append(name)
        most.append(len(inside))
        if name != "first":
            go.wait(5)
        inside.remove(name)
        properties = SimpleNamespace(expires_on=None, not_before=None)
        return SimpleNamespace(value=name, properties=properties)

    monkeypatch.setattr(vaults.Vault, "_open", lambda _: SimpleNamespace(get_secret=get_secret))
    monkeypatch.setattr(vaults, "_PATIENCE_SECONDS", 30.0)
    assert read("first").value == "first"
    names = [f"key-{number}" for number in range(12)]

    with ThreadPoolExecutor(12) as threads:
        reads = [threads.submit(read, name) for name in names]
        _wait_for(lambda: len(inside) == 8)
        time.sleep(0.1)
        assert len(inside) == 8  # the others wait for a slot
        go.set()
        assert [one.result().value for one in reads] == names
    assert max(most) == 8

    go.clear()
    monkeypatch.setattr(vaults, "_PATIENCE_SECONDS", 0.05)
    with ThreadPoolExecutor(12) as threads:
        reads = [threads.submit(read, name) for name in names]
        _wait_for(lambda: len(inside) == 12)  # they go on without a slot
        go.set()
        assert [one.result().value for one in reads] == names
    assert read("first").value == "first"


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def test_an_answer_that_breaks_off_concerns_the_whole_vault(vaults: Any) -> None:
    """However the SDK names it; a whole answer that makes no sense concerns one secret."""
    broken = requests.exceptions.ChunkedEncodingError("Connection broken")
    for kind in (HttpResponseError, IncompleteReadError, ServiceResponseError):
        assert vaults._is_of_network(kind(broken, error=broken))
    nonsense = ValueError("Expecting value")
    assert not vaults._is_of_network(DecodeError(nonsense, error=nonsense))
