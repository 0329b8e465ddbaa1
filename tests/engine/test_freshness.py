"""Values stay fresh in the background: nobody restarts the app, no caller waits, no thread stays."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from apps import ECHO, App, engine_threads, hasten, leave_azure, reads, wait_for
from faulty_key_vault import FaultyKeyVault
from folders import declare, key_vault
from support import worker
from support.fake_key_vault import Reply, Request

Handler = Callable[..., Any]
Echo = Callable[..., Handler]


class Inside(threading.Event):
    """Counts the requests that the fake Key Vault holds back at this moment, and the most so far."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return super().wait(timeout)
        finally:
            self.now -= 1


@pytest.fixture
def many(fake_key_vault: FaultyKeyVault, app: App) -> App:
    """An app with 24 secrets of one vault, each in a function of its own."""
    for number in range(24):
        fake_key_vault.vault("contoso").set(f"key-{number}", "a-value")
        app.declare(f"f{number}", ECHO, key_vault(secretName=f"key-{number}"))
    return app


@pytest.fixture
def echo(fake_key_vault: FaultyKeyVault, echo: Echo) -> Echo:
    """Return a loader of one function, which has been called once."""

    def load(*arguments: Any, **options: Any) -> Handler:
        handler = echo(*arguments, **{"value": "first-value"} | options)
        assert handler(req=None) == fake_key_vault.vault("contoso").secrets[-1].value
        return handler

    return load


def test_a_rotated_secret_is_seen_within_one_interval(
    fake_key_vault: FaultyKeyVault, echo: Echo
) -> None:
    handler = echo(0.4)

    for value in ("second-value", "third-value"):
        before = reads(fake_key_vault)
        fake_key_vault.vault("contoso").set("api-key", value)
        wait_for(lambda value=value: handler(req=None) == value)  # type: ignore[misc]
        # One read may have been on its way, and the next one brings the new value.
        assert reads(fake_key_vault) <= before + 2


def test_refreshes_are_spread(
    fake_key_vault: FaultyKeyVault, many: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, serve = defaultdict[str, list[float]](list), fake_key_vault.serve

    def note(request: Request) -> Reply:
        reply = serve(request)
        if reply[0] == 200:
            read[request.secret].append(time.monotonic())
        return reply

    monkeypatch.setattr(fake_key_vault, "serve", note)
    many(1.0)
    wait_for(lambda: reads(fake_key_vault) >= 4 * 24)

    # Before its first answer, a secret waits for its turn.
    pauses = [then - one for name in read if name for one, then in pairwise(read[name][1:])]
    assert min(pauses) < 0.8  # else all are read at the same moment


def test_a_pinned_version_is_never_read_again(fake_key_vault: FaultyKeyVault, echo: Echo) -> None:
    version = fake_key_vault.vault("contoso").set("api-key", "first-value")
    handler = echo(0.05, secretVersion=version)
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    time.sleep(0.5)

    assert handler(req=None) == "first-value"
    assert len(fake_key_vault.requests) == 3


def test_the_wall_clock_changes_nothing(
    fake_key_vault: FaultyKeyVault, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, real = echo(300), time.time
    before = len(fake_key_vault.requests)

    for offset in (10**6, -(10**6)):
        monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)
        assert handler(req=None) == "first-value"

    time.sleep(0.2)
    assert len(fake_key_vault.requests) == before


@pytest.mark.parametrize(
    ("attributes", "words"), [({"exp": 10**9}, "expired"), ({"nbf": 2 * 10**9}, "not valid before")]
)
def test_an_expired_secret_is_served_with_one_warning(
    fake_key_vault: FaultyKeyVault,
    echo: Echo,
    caplog: pytest.LogCaptureFixture,
    attributes: dict[str, int],
    words: str,
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value", **attributes)

    handler = echo(0.1)
    wait_for(lambda: reads(fake_key_vault) >= 4)

    assert handler(req=None) == "first-value"
    (warning,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert words in warning


def test_without_a_grace_a_denial_fails_the_next_call(
    fake_key_vault: FaultyKeyVault, echo: Echo
) -> None:
    handler = echo(0.2, grace=0)
    fake_key_vault.vault("contoso").readers = set()

    with pytest.raises(Exception, match="accessPolicies/add"):
        wait_for(lambda: handler(req=None) != "first-value")


def test_after_a_freeze_a_call_waits_for_a_new_value(
    fake_key_vault: FaultyKeyVault, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identity_bindings import injection, sources

    handler, real = echo(300), time.monotonic
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    for frozen, value in ((305.0, "first-value"), (311.0, "second-value")):
        # As after the platform has frozen the process: the threads have not run meanwhile.
        for module in (injection, sources):
            monkeypatch.setattr(module, "monotonic", lambda frozen=frozen: real() + frozen)
        assert handler(req=None) == value


def test_eight_secrets_of_a_vault_are_read_at_once(
    fake_key_vault: FaultyKeyVault, many: App
) -> None:
    inside = fake_key_vault.closing = Inside()
    fake_key_vault.latency = 0.2

    many()
    wait_for(lambda: reads(fake_key_vault) == 24)

    assert 2 <= inside.most <= 8


def test_loading_starts_nothing_where_there_is_no_identity(
    fake_key_vault: FaultyKeyVault, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_azure(monkeypatch)
    app.declare("echo", ECHO, key_vault())

    app()

    assert (engine_threads(), fake_key_vault.requests) == ([], [])


def test_threads_do_not_accumulate_in_an_outage(
    fake_key_vault: FaultyKeyVault, many: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secrets of a vault that hangs are called all the time: the threads stay as many."""
    hasten(monkeypatch, 10, back_off=0.5)
    fake_key_vault.fail("contoso", how="hang")
    handlers = many.handlers().values()
    most, ends = 0, time.monotonic() + 3

    def run(handler: Handler) -> None:
        while time.monotonic() < ends:
            with pytest.raises(Exception, match="cannot be read"):
                handler(req=None)
            time.sleep(0.02)

    with ThreadPoolExecutor(24) as threads:
        runs = [threads.submit(run, handler) for handler in handlers]
        while time.monotonic() < ends:
            most = max(most, len(engine_threads()))
            time.sleep(0.05)
        for one in runs:
            one.result()

    # A read that was given up may overlap with the next one of its secret, and no more than that.
    assert most <= 2 * 24 + 2


PATHS = (worker.SRC, worker.PROJECT / "tests", *Path(__file__).parents[:2])
HEAD = """
import os, sys, threading, time
sys.path[:0] = sys.argv[1:5]
from pathlib import Path
from faulty_key_vault import FaultyKeyVault
import folders
fake_key_vault = FaultyKeyVault().__enter__()
"""
HANGS = """
fake_key_vault.vault("contoso").set("api-key", "the-value")
fake_key_vault.fail("contoso", how='hang')
function = folders.load_folder(Path(sys.argv[5]))["echo"]
threading.Thread(target=lambda: folders.call(function), daemon=True).start()
time.sleep(0.3)
print("ends")
"""
LOGS = """
import logging
logging.basicConfig(level=logging.DEBUG, format="%(name)s", stream=sys.stdout)
fake_key_vault.vault("contoso").set("api-key", "the-value")
folders.call(folders.load_folder(Path(sys.argv[5]))["echo"])
logging.getLogger("of-the-app").debug("called")
"""
FORKED = """
os.environ["SECRET_REFRESH_SECONDS"] = "0.5"
fake_key_vault.vault("contoso").set("api-key", "first-value")
function = folders.load_folder(Path(sys.argv[5]))["echo"]
children = []
for _ in range(6):
    time.sleep(0.08)
    if (child := os.fork()) == 0:
        assert folders.call(function) in ("first-value", "second-value")
        ends = time.monotonic() + 20
        while folders.call(function) != "second-value" and time.monotonic() < ends:
            time.sleep(0.02)
        os._exit(time.monotonic() > ends)
    children.append(child)
fake_key_vault.vault("contoso").set("api-key", "second-value")
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def run(script: str, folder: Path) -> tuple[str, float]:
    """Run a script in a process of its own: what it prints, and how long it takes."""
    declare(folder, "echo", ECHO, key_vault())
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-B", "-c", HEAD + script, *PATHS, folder],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.strip(), time.monotonic() - started


def test_a_read_that_hangs_does_not_delay_the_end_of_the_process(tmp_path: Path) -> None:
    # The fake hangs for two minutes, and a read alone would take 9 s more than starting does.
    quick, baseline = run(HANGS.replace("'hang'", "None"), tmp_path)
    printed, seconds = run(HANGS, tmp_path)

    assert printed == quick == "ends"
    assert seconds < baseline + 6


def test_a_new_process_logs_nothing_of_the_sdk(tmp_path: Path) -> None:
    """Its loggers do not exist before the first read."""
    assert {*run(LOGS, tmp_path)[0].split()} - {"identity_bindings"} == {"of-the-app"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_is_forked_during_the_first_read_reads_and_refreshes(
    tmp_path: Path,
) -> None:
    """While the SDK is imported, while it asks, and after that."""
    assert run(FORKED, tmp_path)[0] == str([0] * 6)
