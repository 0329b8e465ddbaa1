"""One read serves all who wait for it, whatever it brings, and blocks nobody else."""

from __future__ import annotations

import asyncio
import builtins
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from apps import ECHO, VALUE, App, hasten, leave_azure, storm, wait_for
from faulty_key_vault import FaultyKeyVault
from folders import IDENTITY, key_vault
from support import worker

ASYNC_ECHO = f"async {ECHO}"
Handlers = dict[str, Callable[..., Any]]


@pytest.fixture
def both(fake_key_vault: FaultyKeyVault, app: App) -> Handlers:
    """A function for threads and one for coroutines, of the same secret, which takes a while."""
    fake_key_vault.latency = 0.3
    app.declare("sync", ECHO, key_vault())
    app.declare("other", ASYNC_ECHO, key_vault(vaultName="https://Contoso.vault.azure.net/"))
    return app.handlers()


def test_a_thousand_cold_callers_make_three_requests(
    fake_key_vault: FaultyKeyVault, both: Handlers
) -> None:
    answers = storm(both["sync"], both["other"], 500)

    assert Counter(answers) == {VALUE: 1000}
    assert [(request.endpoint, request.status) for request in fake_key_vault.requests] == [
        ("contoso.vault.azure.net", 401),
        ("identity", 200),
        ("contoso.vault.azure.net", 200),
    ]


SPELLINGS = (
    *("contoso", "CONTOSO", " contoso ", "https://contoso.vault.azure.net"),
    *("HTTPS://Contoso.Vault.Azure.Net/", "https://contoso.vault.azure.net:443/", "%VAULT%"),
)


def test_one_secret_in_every_spelling_is_read_once(
    engine: Any,
    fake_key_vault: FaultyKeyVault,
    app: App,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By all functions, by an event, and in the local secrets file. Resource ids have no case."""
    monkeypatch.setenv("VAULT", "https://CONTOSO.vault.azure.net:443")
    fake_key_vault.identities = {IDENTITY}
    ids = cycle((IDENTITY, IDENTITY.upper(), IDENTITY.lower()))
    for number, vault in enumerate(SPELLINGS):
        secret = "api-key" if number % 2 else "API-Key"
        entry = key_vault(secretName=secret, vaultName=vault, identity="user", identityId=next(ids))
        app.declare(f"f{number}", ECHO, entry)

    answers = [handler(req=None) for handler in app.handlers().values()]

    assert answers == [VALUE] * len(SPELLINGS)
    assert len(fake_key_vault.requests) == 3
    assert engine.refresh_secret("HTTPS://Contoso.vault.azure.net:443/secrets/API-KEY/0123")
    wait_for(lambda: len(fake_key_vault.requests) == 4)
    for kind in ("keys/api-key", "certificates/api-key/0123", "secrets/other", "secrets", ""):
        assert not engine.refresh_secret(f"https://contoso.vault.azure.net/{kind}")
    assert not engine.refresh_secret("api-key")

    leave_azure(monkeypatch)
    (tmp_path / "local.json").write_text('{"Contoso/Api-Key": "of-the-file"}')
    monkeypatch.setenv("LOCAL_SECRETS_FILE", str(tmp_path / "local.json"))
    worker.restart()
    answers = [handler(req=None) for handler in app.handlers().values()]
    assert answers == ["of-the-file"] * len(SPELLINGS)


def test_a_cold_read_never_blocks_the_event_loop(both: Handlers) -> None:
    """A caller that is cancelled cancels only itself."""

    async def run() -> int:
        first, second = (asyncio.ensure_future(both["other"](req=None)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        turns = 0
        while not second.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert await second == VALUE
        assert first.cancelled()
        return turns

    assert asyncio.run(run()) > 10  # a blocking read would leave one


def test_a_vault_that_hangs_delays_no_other(
    fake_key_vault: FaultyKeyVault, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do secrets that hang hold up another one of their vault."""
    hasten(monkeypatch, 4, back_off=5.0)
    fake_key_vault.vault("broken")
    fake_key_vault.vault("contoso").set("last-key", VALUE)
    fake_key_vault.fail("broken", how="hang")
    for number in range(20):
        vault = "broken" if number % 2 else "contoso"
        fake_key_vault.fail(f"contoso/key-{number}", how="hang")
        entry = key_vault(vaultName=vault, secretName=f"key-{number}")
        app.declare(f"f{number}", ECHO, entry)
    for name, secret in {"echo": "api-key", "last": "last-key"}.items():
        app.declare(name, ECHO, key_vault(secretName=secret))
    functions = app.handlers()
    order = []

    def wait(name: str) -> None:
        with suppress(Exception):
            functions[name](req=None)
        order.append(name)

    assert functions["echo"](req=None) == VALUE
    with ThreadPoolExecutor(21) as threads:
        for number in range(20):
            threads.submit(wait, f"f{number}")
        assert functions["last"](req=None) == VALUE
        order.append("last")

    assert len(order) == 21
    assert order.index("last") < 10  # each that hangs takes more than twice as long


NEWEST = """
from identity_bindings import Secret

def main(req, one: Secret, two: Secret):
    hang()
    return one.newest() + two.newest()
"""
ASYNC_NEWEST = NEWEST.replace("def main", "async def main").replace(
    "one.newest() + two.newest()", "await one.newest_async() + await two.newest_async()"
)


@pytest.mark.parametrize("source", [NEWEST, ASYNC_NEWEST], ids=["sync", "async"])
@pytest.mark.parametrize("hangs", ["from the start", "after the first read"])
def test_one_deadline_is_for_all_that_a_call_waits_for(
    fake_key_vault: FaultyKeyVault,
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    hangs: str,
) -> None:
    """Two secrets of two vaults, read for the first time and then read again."""

    def hang() -> None:
        for name in ("one", "two"):
            fake_key_vault.fail(name, how="hang")

    wait = hasten(monkeypatch, 6, back_off=1.0)["wait"]
    monkeypatch.setattr(builtins, "hang", hang, raising=False)
    for name in ("one", "two"):
        fake_key_vault.vault(name).set("api-key", name)
    secrets = [key_vault(name, vaultName=name) for name in ("one", "two")]
    app.declare("newest", source, *secrets)
    fake_key_vault.latency = 0.1  # of each of the three requests of a first read
    if hangs == "from the start":
        hang()
    handler = app.handlers()["newest"]
    began = time.monotonic()

    try:
        answer = handler(req=None)
        found = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
    except Exception as error:
        found = type(error).__name__

    assert time.monotonic() - began < 1.9 * wait
    expected = {"from the start": "BindingUnavailableError", "after the first read": "onetwo"}
    assert found == expected[hangs]
