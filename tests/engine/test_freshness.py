"""Values stay fresh behind the callers' backs: nobody restarts, nobody waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from folders import declare, key_vault
from support.fake_key_vault import FakeKeyVault

ECHO = "def main(req, mySecret):\n    return mySecret\n"
App = Callable[..., dict[str, Any]]
SLACK = 1.0  # what a busy machine may add


def watch(handler: Callable[..., Any], until: Callable[[Any], bool], seconds: float) -> float:
    """Call until the answer is right; return the seconds that took. No call may wait."""
    began = time.monotonic()
    while True:
        started = time.monotonic()
        answer = handler(req=None)
        assert time.monotonic() - started < 0.5
        if until(answer):
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"still {answer}"
        time.sleep(0.005)


@pytest.fixture
def echo(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> Callable[..., Callable[..., Any]]:
    """Return a loader of one function, which has been called once."""

    def load(refresh: float, **entry: Any) -> Callable[..., Any]:
        if not fake_key_vault.vault("contoso").secrets:
            fake_key_vault.vault("contoso").set("api-key", "first-value")
        declare(tmp_path, "echo", ECHO, key_vault(**entry))
        handler: Callable[..., Any] = app(refresh)["echo"].get_user_function()
        assert handler(req=None) == fake_key_vault.vault("contoso").secrets[-1].value
        return handler

    return load


Echo = Callable[..., Callable[..., Any]]


def test_a_rotated_secret_is_seen_within_one_interval(
    fake_key_vault: FakeKeyVault, echo: Echo
) -> None:
    handler = echo(0.5)

    for value in ("second-value", "third-value"):
        fake_key_vault.vault("contoso").set("api-key", value)
        assert watch(handler, value.__eq__, 0.5 + SLACK) <= 0.5 + SLACK


def test_a_secret_that_nobody_uses_stays_fresh_too(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    declare(tmp_path, "echo", ECHO, key_vault())

    app(0.3)
    time.sleep(1.5)

    assert (
        sum(request.status == 200 and bool(request.secret) for request in fake_key_vault.requests)
        >= 4
    )


def test_refreshes_are_spread(fake_key_vault: FakeKeyVault, app: App, tmp_path: Path) -> None:
    times: dict[str, list[float]] = {}
    fake_key_vault.requests = _Timed(times)  # type: ignore[assignment]
    for number in range(10):
        fake_key_vault.vault("contoso").set(f"key-{number}", f"value-{number}")
        declare(tmp_path, f"f{number}", ECHO, key_vault(secretName=f"key-{number}"))

    app(0.6)
    time.sleep(2.0)

    pauses = [later - one for reads in times.values() for one, later in pairwise(reads)]
    assert len(pauses) >= 20
    assert min(pauses) >= 0.15  # 0.3, less what the machine was late before
    assert max(pauses) <= 0.6 + SLACK
    assert max(pauses) - min(pauses) > 0.1  # not in step


class _Timed(list[Any]):
    """A list that notes when each secret's value was sent."""

    def __init__(self, times: dict[str, list[float]]) -> None:
        super().__init__()
        self._times = times

    def append(self, request: Any) -> None:
        if request.secret and request.status == 200:
            self._times.setdefault(request.secret, []).append(time.monotonic())
        super().append(request)


def test_a_pinned_version_is_never_read_again(fake_key_vault: FakeKeyVault, echo: Echo) -> None:
    version = fake_key_vault.vault("contoso").set("api-key", "first-value")
    handler = echo(0.1, secretVersion=version)
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    time.sleep(1.0)

    assert handler(req=None) == "first-value"
    assert len(fake_key_vault.requests) == 3


def test_the_wall_clock_changes_nothing(
    fake_key_vault: FakeKeyVault, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, real = echo(300), time.time
    before = len(fake_key_vault.requests)

    for offset in (10**6, -(10**6)):
        monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)
        assert watch(handler, "first-value".__eq__, 1) < 1

    time.sleep(0.2)
    assert len(fake_key_vault.requests) == before


def test_tokens_end_and_are_replaced(
    fake_key_vault: FakeKeyVault, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    handler = echo(0.3)
    fake_key_vault.tokens.clear()  # revoked: the vault answers 401 until there is a new one
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    watch(handler, "second-value".__eq__, 0.3 + SLACK)

    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("attributes", "words"), [({"exp": 10**9}, "expired"), ({"nbf": 2 * 10**9}, "not valid before")]
)
def test_an_expired_secret_is_served_with_one_warning(
    fake_key_vault: FakeKeyVault,
    echo: Echo,
    caplog: pytest.LogCaptureFixture,
    attributes: dict[str, int],
    words: str,
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value", **attributes)

    handler = echo(0.1)
    time.sleep(0.6)

    assert handler(req=None) == "first-value"
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert words in warnings[0]


@pytest.mark.parametrize("wrong", ["soon", "-1", "nan", "inf", "0"])
def test_a_setting_that_is_no_number_is_told_and_not_used(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    wrong: str,
) -> None:
    import folders

    fake_key_vault.vault("contoso").set("api-key", "first-value")
    declare(tmp_path, "echo", ECHO, key_vault())
    monkeypatch.setenv("SECRET_REFRESH_SECONDS", wrong)

    assert folders.load_folder(tmp_path)["echo"].get_user_function()(req=None) == "first-value"

    assert any(
        "SECRET_REFRESH_SECONDS" in one.getMessage() and "300" in one.getMessage()
        for one in caplog.records
        if one.levelname == "ERROR"
    )


def test_the_grace_ends_only_what_is_denied(
    fake_key_vault: FakeKeyVault, echo: Echo, app: App
) -> None:
    handler = echo(0.2)
    fake_key_vault.fail("contoso", status=503)
    time.sleep(1.0)
    assert handler(req=None) == "first-value"

    fake_key_vault.heal()
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    # The back-off of a refresh is never longer than its interval, or than 5 s.
    watch(handler, "second-value".__eq__, 5.0 + SLACK)


def test_without_a_grace_a_denial_fails_the_next_call(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    declare(tmp_path, "echo", ECHO, key_vault())
    handler = app(0.3, grace=0)["echo"].get_user_function()
    assert handler(req=None) == "first-value"

    fake_key_vault.vault("contoso").readers = set()
    denied_at = time.monotonic()

    with pytest.raises(Exception, match="accessPolicies/add"):
        while time.monotonic() < denied_at + 0.3 + SLACK:
            assert handler(req=None) == "first-value"
            time.sleep(0.005)


def test_after_a_freeze_a_call_waits_for_a_new_value(
    fake_key_vault: FakeKeyVault, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identity_bindings import sources, wrappers

    handler, real = echo(300), time.monotonic
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    for frozen, value in ((305.0, "first-value"), (311.0, "second-value")):
        # As after the platform has frozen the process: the threads have not run meanwhile.
        for module in (sources, wrappers):
            monkeypatch.setattr(module, "monotonic", lambda frozen=frozen: real() + frozen)
        assert handler(req=None) == value


def test_retry_after_is_obeyed_at_refresh(fake_key_vault: FakeKeyVault, echo: Echo) -> None:
    handler = echo(0.2)
    fake_key_vault.fail("contoso", status=429, headers={"Retry-After": "2"})
    while not any(request.status == 429 for request in fake_key_vault.requests):
        time.sleep(0.01)
    refused_at = time.monotonic()
    fake_key_vault.heal()
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    watch(handler, "second-value".__eq__, 2 + SLACK)

    assert time.monotonic() - refused_at > 1.9
    assert sum(request.status == 429 for request in fake_key_vault.requests) == 1
