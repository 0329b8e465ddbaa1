"""Every fault of the docs' table: cold, at refresh, and when it has passed.

All rows run at once, each with a vault and an identity of its own, because the slow ones take as
long as the engine lets a caller wait. Each row is then a test of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import bicep
import folders
import pytest
from apps import attempt, engine_threads, hasten
from faults import ROWS, Row
from faulty_key_vault import FaultyKeyVault
from folders import call, declare, key_vault
from support import worker

ECHO = "import azure.functions as func\ndef main(req, mySecret):\n    return mySecret\n"
# A call fails within 10 s, the next one at once, and at refresh no call waits for a read. A machine
# that is busy may add to it; without the limits the slow faults last 20 s and longer.
LONGEST_COLD_CALL, AT_ONCE = 15.0, 4.0
REFRESH, GRACE = 0.8, 2.5
FAULTY = 5.0  # seconds that the fault lasts at refresh: longer than the grace and one refresh


REASONS = {
    "no-policy": "no access policy of the vault allows the identity to read secrets (HTTP 403"
    " ForbiddenByPolicy)",
    "no-role": "the identity has no role for the vault's secrets (HTTP 403 ForbiddenByRbac)",
    "firewall": "the vault's firewall denies the app's network (HTTP 403 ForbiddenByFirewall)",
    "missing": "the vault has no such secret or version (HTTP 404 SecretNotFound)",
    "disabled": "the secret is disabled (HTTP 403 SecretDisabled)",
    "closed": "the vault accepts connections through its private endpoints only"
    " (HTTP 403 ForbiddenByConnection)",
}

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@dataclass
class Seen:
    """What callers of one row saw. Times are seconds since the fault began."""

    cold: str = ""
    cold_seconds: float = 0.0
    again: str = ""
    again_seconds: float = 0.0
    recovered: float | None = None
    longest_call: float = 0.0
    first_failure: float | None = None
    failure: str = ""
    warnings: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a function for every row."""
    functions = tmp_path_factory.mktemp("functions")
    for row in ROWS:
        entry = key_vault(vaultName=row.name, identity="user", identityId=row.identity)
        declare(functions, row.function, ECHO, entry)
    return functions


@contextmanager
def started(refresh: float, grace: float = GRACE) -> Iterator[tuple[Any, pytest.MonkeyPatch]]:
    """The fake Key Vault with each row's identity and vault, for an app with these settings."""
    worker.restart()
    with pytest.MonkeyPatch.context() as patch, FaultyKeyVault() as fake_key_vault:
        patch.setenv("SECRET_REFRESH_SECONDS", str(refresh))
        patch.setenv("SECRET_GRACE_SECONDS", str(grace))
        for row in ROWS:
            fake_key_vault.identities.add(row.identity)
            fake_key_vault.vault(row.name).set("api-key", f"first-value-of-{row.name}")
        yield fake_key_vault, patch
        worker.restart()


def all_at_once(run: Callable[[Row], None]) -> None:
    with ThreadPoolExecutor(len(ROWS)) as threads:
        list(threads.map(run, ROWS))


@pytest.fixture(scope="module")
def cold(prepared: Path) -> dict[str, Seen]:
    """Start while everything is broken, call each function twice, repair, and call again."""
    seen = {row.name: Seen() for row in ROWS}
    with started(refresh=300) as (fake_key_vault, _):
        for row in ROWS:
            row.strike(fake_key_vault)
        functions = folders.load_folder(prepared)

        def run(row: Row) -> None:
            function, one = functions[row.function], seen[row.name]
            _, one.cold, one.cold_seconds = attempt(function)
            _, one.again, one.again_seconds = attempt(function)
            row.heal(fake_key_vault, f"second-value-of-{row.name}")
            healed = time.monotonic()
            while one.recovered is None and time.monotonic() - healed < 35:
                if attempt(function)[0] == f"second-value-of-{row.name}":
                    one.recovered = time.monotonic() - healed
                time.sleep(0.1)

        all_at_once(run)
    return seen


@each_row
def test_cold_it_fails_in_time_with_the_repair_and_recovers(
    cold: dict[str, Seen], row: Row
) -> None:
    seen = cold[row.name]

    assert seen.cold_seconds <= LONGEST_COLD_CALL
    assert any(words in seen.cold for words in row.says.split("|")), seen.cold
    parts = (row.function, "mySecret", f"https://{row.name}.vault.azure.net", row.identity)
    for part in (*parts, REASONS.get(row.name, "")):
        assert part in seen.cold
    assert "value-of" not in seen.cold
    assert "half-a-sec" not in seen.cold
    assert seen.again, "the next call fails, and at once"
    assert seen.again_seconds < AT_ONCE
    assert seen.recovered is not None
    assert seen.recovered <= 30


@pytest.fixture(scope="module")
def refreshed(prepared: Path) -> dict[str, Seen]:
    """Start well, break everything, call on and on, repair, and call until the value is new."""
    seen = {row.name: Seen() for row in ROWS}
    keep = BufferingHandler(10_000)
    keep.setLevel(logging.WARNING)
    with started(REFRESH) as (fake_key_vault, patch):
        hasten(patch, 1.5, back_off=1.5)  # else a denial's repair may take 30 s
        fake_key_vault.token_life = 200  # too short to be kept: every refresh asks for a token
        functions = folders.load_folder(prepared)
        for row in ROWS:
            assert call(functions[row.function]) == f"first-value-of-{row.name}"
        logging.getLogger().addHandler(keep)
        for row in ROWS:
            row.strike(fake_key_vault)
        began = time.monotonic()

        def run(row: Row) -> None:
            one, healed, failed = seen[row.name], False, ""
            while one.recovered is None and time.monotonic() - began < FAULTY + 35:
                lasted = time.monotonic() - began
                if not healed and lasted > FAULTY and (failed or not row.denied):
                    row.heal(fake_key_vault, f"second-value-of-{row.name}")
                    healed = True
                answer, failed, took = attempt(functions[row.function])
                one.longest_call = max(one.longest_call, took)
                if failed and one.first_failure is None:
                    one.first_failure, one.failure = time.monotonic() - began, failed
                if answer.startswith("second"):
                    one.recovered = time.monotonic() - began
                time.sleep(0.05)

        all_at_once(run)
        logging.getLogger().removeHandler(keep)
    for row in ROWS:
        texts = [record.getMessage() for record in keep.buffer]
        seen[row.name].warnings = [one for one in texts if f"https://{row.name}.vault" in one]
    return seen


@each_row
def test_at_refresh_nobody_waits_and_the_last_value_is_kept_as_long_as_it_may(
    refreshed: dict[str, Seen], row: Row
) -> None:
    seen = refreshed[row.name]

    assert seen.longest_call < AT_ONCE
    assert seen.recovered is not None, "a repair is seen without a restart"
    assert (seen.first_failure is not None) == row.denied, seen.failure
    if seen.first_failure is not None:
        assert seen.first_failure >= GRACE
        assert row.says in seen.failure
    (warning,) = seen.warnings  # one for each episode
    assert any(words in warning for words in row.says.split("|")), warning
    assert "value-of" not in warning + seen.failure


@each_row
def test_at_refresh_the_alert_finds_denials_only(refreshed: dict[str, Seen], row: Row) -> None:
    (warning,) = refreshed[row.name].warnings

    assert (bicep.alert_words() in warning) == row.denied, warning


def test_no_thread_outlives_the_faults(cold: dict[str, Seen], refreshed: dict[str, Seen]) -> None:
    deadline = time.monotonic() + 15  # a read that hangs ends by its own timeout
    while time.monotonic() < deadline and (left := engine_threads()):
        time.sleep(0.1)
    assert left == []
