"""The engine's promises, each once: a declared secret arrives, and says nothing on its way."""

from __future__ import annotations

import asyncio
import importlib
import time
from pathlib import Path
from typing import Any

import bicep
import pytest
from folders import IDENTITY, call, declare, key_vault, load_folder
from support.fake_key_vault import FakeKeyVault

VALUE = "p4ss-w0rd-of-tests"
ECHO = """
import azure.functions as func

def main(req: func.HttpRequest, mySecret: str) -> func.HttpResponse:
    return func.HttpResponse(mySecret)
"""
ASYNC_ECHO = ECHO.replace("def main", "async def main")


def answer(functions: Path, name: str = "echo") -> str:
    """Load the folder and return what its function answers."""
    return call(load_folder(functions)[name]).get_body().decode()


@pytest.mark.parametrize("source", [ECHO, ASYNC_ECHO], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("vault", "host"),
    [
        ("contoso", "contoso.vault.azure.net"),
        ("https://contoso.vault.azure.net/", "contoso.vault.azure.net"),
        ("https://contoso.vault.azure.cn", "contoso.vault.azure.cn"),
        ("%VAULT%", "fabrikam.vault.azure.net"),
    ],
)
def test_a_secret_arrives(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    vault: str,
    host: str,
) -> None:
    monkeypatch.setenv("VAULT", "https://fabrikam.vault.azure.net/")
    fake_key_vault.vault(host).set("api-key", VALUE)
    declare(tmp_path, "echo", source, key_vault(vaultName=vault))

    assert answer(tmp_path) == VALUE
    assert {request.endpoint for request in fake_key_vault.requests} == {host, "identity"}


PASSED = """
from identity_bindings.injection import Secret

def main(req, one: str, two: str, three: Secret, four: str):
    return f"{one} {two} {three} {four}"
"""


@pytest.mark.parametrize("source", [PASSED, PASSED.replace("def main", "async def main")])
def test_values_that_the_caller_passes_are_used_and_nothing_is_read(
    fresh_worker: None, tmp_path: Path, source: str
) -> None:
    """As a unit test does: the worker passes none of these parameters."""
    names = ("one", "two", "three", "four")
    declare(tmp_path, "echo", source, *(key_vault(name, secretName=name) for name in names))
    function = load_folder(tmp_path)["echo"]

    assert call(function, one="1", two="2", three="3", four="") == "1 2 3 "


@pytest.mark.parametrize("way", ["def", "async def"])
def test_a_caller_may_pass_the_other_parameters_by_position(
    fake_key_vault: FakeKeyVault, tmp_path: Path, way: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "last", f"{way} main(req, one): return req, one\n", key_vault("one"))
    declare(tmp_path, "first", f"{way} main(one, req): return req, one\n", key_vault("one"))

    for function in load_folder(tmp_path).values():
        answer = function.get_user_function()(7)
        assert (asyncio.run(answer) if way == "async def" else answer) == (7, VALUE)


def test_without_a_value_the_call_fails_in_one_line(
    fake_key_vault: FakeKeyVault, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").secrets.clear()
    declare(tmp_path, "echo", ECHO, key_vault())

    with pytest.raises(Exception, match="cannot be read") as caught:
        call(load_folder(tmp_path)["echo"])

    head, repair = str(caught.value).split(". Repair: ")
    assert head == (
        "Function 'echo', binding 'mySecret': secret 'api-key' of vault"
        " 'https://contoso.vault.azure.net' cannot be read by the system-assigned identity:"
        " the vault has no such secret or version (HTTP 404 SecretNotFound)"
    )
    assert "\n" not in repair
    assert type(caught.value).__name__ == "BindingUnavailableError"
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("declared", [IDENTITY, "%IDENTITY%"])
def test_a_user_assigned_identity_reads_by_its_resource_id(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    monkeypatch.setenv("IDENTITY", IDENTITY)
    fake_key_vault.identities = {IDENTITY}
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "echo", ECHO, key_vault(identity="user", identityId=declared))

    assert answer(tmp_path) == VALUE
    (asked,) = (request for request in fake_key_vault.requests if request.endpoint == "identity")
    assert asked.query["mi_res_id"] == IDENTITY


def test_one_function_reads_several_secrets_vaults_and_identities(
    fake_key_vault: FakeKeyVault, tmp_path: Path
) -> None:
    fake_key_vault.identities.add(IDENTITY)
    for vault, reader, secret in (
        ("contoso", None, "api-key"),
        ("contoso", None, "other-key"),
        ("fabrikam", IDENTITY, "api-key"),
    ):
        fake_key_vault.vault(vault).readers = {reader}
        fake_key_vault.vault(vault).set(secret, f"{vault}-{secret}")
    source = ECHO.replace("mySecret: str", "a: str, b: str, c: str").replace(
        "(mySecret)", "(' '.join([a, b, c]))"
    )
    declare(
        *(tmp_path, "echo", source, key_vault("a"), key_vault("b", secretName="other-key")),
        key_vault("c", vaultName="fabrikam", identity="user", identityId=IDENTITY),
    )

    assert answer(tmp_path) == "contoso-api-key contoso-other-key fabrikam-api-key"


def test_the_alert_finds_a_denial_and_no_outage(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the host finds on stderr is what the alert in infra/ searches."""
    monkeypatch.setenv("SECRET_REFRESH_SECONDS", "0.1")
    for vault in ("contoso", "fabrikam"):
        fake_key_vault.vault(vault).set("api-key", VALUE)
        declare(tmp_path, vault, ECHO, key_vault(vaultName=vault))
    functions = load_folder(tmp_path)
    assert {call(function).get_body() for function in functions.values()} == {VALUE.encode()}

    fake_key_vault.vault("contoso").readers = set()
    fake_key_vault.fail("fabrikam", status=503)

    log, deadline = "", time.monotonic() + 20
    while log.count("The last value is kept") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        log += capsys.readouterr().err
    sources: Any = importlib.import_module("identity_bindings.sources")
    assert bicep.alert_words() == sources.ALERT_TEXT
    (alert,) = (line for line in log.splitlines() if sources.ALERT_TEXT in line)
    assert alert.startswith("WARNING identity_bindings: secret 'api-key' of vault 'https://contoso")
    assert "Repair: az keyvault show --name contoso" in alert
