"""The engine's promises, each once: a declared secret arrives, and says nothing on its way."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bicep
import pytest
from folders import IDENTITY, call, declare, key_vault, load_folder
from support import worker
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


def failure(functions: Path) -> str:
    """Load the folder and return the one line in which its function's call fails."""
    function = load_folder(functions)["echo"]
    from identity_bindings.errors import IdentityBindingError

    with pytest.raises(IdentityBindingError) as caught:
        call(function)
    assert "\n" not in str(caught.value)
    assert VALUE not in repr(caught.value)
    return str(caught.value)


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

    report = importlib.import_module("identity_bindings.report").report
    assert [one.source.reading for one in report.injections] == [None] * 4


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


def test_a_version_is_pinned(fake_key_vault: FakeKeyVault, tmp_path: Path) -> None:
    version = fake_key_vault.vault("contoso").set("api-key", VALUE)
    fake_key_vault.vault("contoso").set("api-key", "a-later-value")
    declare(tmp_path, "echo", ECHO, key_vault(secretVersion=version))

    assert answer(tmp_path) == VALUE


def test_vaults_identities_and_secrets_stand_side_by_side(
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


def test_any_trigger_and_other_bindings_stand_beside_it(
    fake_key_vault: FakeKeyVault, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    source = "def main(timer, out, mySecret):\n    out.set(mySecret)\n"
    declare(tmp_path, "echo", source, key_vault())
    declaration = tmp_path / "echo" / "function.json"
    text = declaration.read_text(encoding="utf-8")
    text = text.replace('"httpTrigger"', '"timerTrigger"').replace('"req"', '"timer"')
    text = text.replace('"http"', '"queue"').replace('"res"', '"out"')
    declaration.write_text(text, encoding="utf-8")
    kept: list[str] = []

    handler = load_folder(tmp_path)["echo"].get_user_function()
    handler(timer=None, out=type("Out", (), {"set": staticmethod(kept.append)}))

    assert kept == [VALUE]


@pytest.mark.parametrize(
    ("vault", "attributes", "repair"),
    [
        ({"readers": set()}, {}, "az keyvault show --name contoso"),
        ({"readers": set(), "rbac": True}, {}, "az role assignment create"),
        ({"firewall": True}, {}, "service endpoint Microsoft.KeyVault"),
        ({}, {"enabled": False}, "az keyvault secret set-attributes"),
        ({"secrets": []}, {}, "az keyvault secret recover --vault-name contoso --name api-key"),
    ],
    ids=["policy", "role", "firewall", "disabled", "missing"],
)
def test_a_denial_says_who_what_where_and_the_repair(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    vault: dict[str, Any],
    attributes: dict[str, Any],
    repair: str,
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE, **attributes)
    vars(fake_key_vault.vault("contoso")).update(vault)
    declare(tmp_path, "echo", ECHO, key_vault())

    text = failure(tmp_path)

    for part in ("echo", "mySecret", "api-key", "contoso", "system-assigned", repair):
        assert part in text


def test_an_identity_that_is_not_assigned(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "echo", ECHO, key_vault(identity="user", identityId=IDENTITY))

    text = failure(tmp_path)

    assert "az functionapp identity assign --name func-tests" in text
    assert IDENTITY in text
    worker.restart()
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    assert "az functionapp identity assign" in failure(tmp_path)


def test_the_alert_hears_a_denial_and_no_outage(
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

    told, deadline = "", time.monotonic() + 20
    while told.count("The last value is kept") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        told += capsys.readouterr().err
    sources: Any = importlib.import_module("identity_bindings.sources")
    assert bicep.alert_words() == sources.ALERT_TEXT
    (heard,) = (line for line in told.splitlines() if sources.ALERT_TEXT in line)
    assert heard.startswith("WARNING identity_bindings: secret 'api-key' of vault 'https://contoso")
    assert "Repair: az keyvault show --name contoso" in heard


def test_one_read_serves_many_callers(fake_key_vault: FakeKeyVault, tmp_path: Path) -> None:
    fake_key_vault.latency = 0.02
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "echo", ECHO, key_vault())
    function = load_folder(tmp_path)["echo"]

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: call(function).get_body(), range(200)))

    assert set(answers) == {VALUE.encode()}
    assert [request.status for request in fake_key_vault.requests] == [401, 200, 200]


LEAKY = """
import logging, sys, traceback

def main(req, mySecret):
    logging.getLogger("some.library").error("value %s", mySecret, extra={"field": mySecret})
    logging.error("state %r", {"key": [mySecret]}, stack_info=True)
    print(mySecret)
    print(mySecret, file=sys.stderr)
    try:
        raise ValueError(mySecret)
    except ValueError as error:
        logging.exception("it failed")
        raise KeyError(mySecret) from error
"""


def test_a_handler_that_tells_its_secret_tells_nothing(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import traceback

    caplog.set_level(logging.DEBUG)
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "echo", LEAKY, key_vault())

    with pytest.raises(Exception, match=r"\*\*\*") as caught:
        call(load_folder(tmp_path)["echo"])

    print("the masks stay on", VALUE)
    sys.stderr.write(VALUE)
    logging.info("also for %s", VALUE)
    extras = [repr(vars(record)) for record in caplog.records]
    shown = [*traceback.format_exception(caught.value), caplog.text, *extras, *capsys.readouterr()]
    assert any("***" in text for text in shown)
    for secret in (VALUE, *fake_key_vault.tokens):
        assert not any(secret in text for text in shown)


def test_a_mistake_is_told_in_one_line_and_its_neighbours_run(
    fake_key_vault: FakeKeyVault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "echo", ECHO, key_vault())
    declare(tmp_path, "wrong", ECHO, key_vault(vaultName="no_vault!", identity="sytem"))
    declare(tmp_path, "broken", "import a_package_that_is_not_there", key_vault())

    functions = load_folder(tmp_path)

    assert call(functions["echo"]).get_body().decode() == VALUE
    assert call(functions["wrong"]).status_code == 500
    assert call(functions["broken"]).status_code == 500
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    for words in (
        ("wrong", "vaultName", "no_vault!"),
        ("wrong", "identity", "sytem", "system", "user"),
        ("broken", "a_package_that_is_not_there"),
    ):
        assert any(all(word in line for word in words) for line in told), words
    assert not any("\n" in line for line in told)
