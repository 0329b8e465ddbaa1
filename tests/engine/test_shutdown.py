"""Threads: none that stays, none that piles up, none that holds up the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from apps import ECHO, engine_threads, hasten
from folders import declare, key_vault
from support import worker
from support.fake_key_vault import FakeKeyVault

App = Callable[..., dict[str, Any]]


def test_loading_starts_nothing_where_there_is_no_identity(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "WEBSITE_SITE_NAME"):
        monkeypatch.delenv(name)
    declare(tmp_path, "echo", ECHO, key_vault())

    app()

    assert (engine_threads(), fake_key_vault.requests) == ([], [])


def test_threads_do_not_accumulate_in_an_outage(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty secrets of a vault that hangs, called all the time: the threads stay as many."""
    hasten(monkeypatch, 10, back_off=0.5)
    for number in range(20):
        fake_key_vault.vault("contoso").set(f"key-{number}", "the-value")
        declare(tmp_path, f"f{number}", ECHO, key_vault(secretName=f"key-{number}"))
    fake_key_vault.fail("contoso", how="hang")
    functions = [function.get_user_function() for function in app().values()]
    most, ends = 0, time.monotonic() + 3

    def run(handler: Callable[..., Any]) -> None:
        while time.monotonic() < ends:
            with pytest.raises(Exception, match="cannot be read"):
                handler(req=None)
            time.sleep(0.02)

    with ThreadPoolExecutor(20) as threads:
        runs = [threads.submit(run, handler) for handler in functions]
        while time.monotonic() < ends:
            most = max(most, len(engine_threads()))
            time.sleep(0.05)
        for one in runs:
            one.result()

    # A read that was given up may overlap with the next one of its secret, and no more than that.
    assert most <= 2 * 20 + 2


PATHS = (worker.SRC, worker.PROJECT / "tests", *Path(__file__).parents[:2])
HANGS = """
import os, sys, threading, time
sys.path[:0] = sys.argv[1:5]
from pathlib import Path
from faulty_key_vault import FaultyKeyVault
import folders
fake_key_vault = FaultyKeyVault().__enter__()
fake_key_vault.vault("contoso").set("api-key", "the-value")
fake_key_vault.fail("contoso", how='hang')
function = folders.load_folder(Path(sys.argv[5]))["echo"]
threading.Thread(target=lambda: folders.call(function), daemon=True).start()
time.sleep(0.3)
print("ends")
"""
FORKED = """
import os, sys, time
sys.path[:0] = sys.argv[1:5]
from pathlib import Path
from faulty_key_vault import FaultyKeyVault
import folders
os.environ["SECRET_REFRESH_SECONDS"] = "0.5"
fake_key_vault = FaultyKeyVault().__enter__()
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
        [sys.executable, "-B", "-c", script, *PATHS, folder],
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_is_forked_during_the_first_read_reads_and_refreshes(
    tmp_path: Path,
) -> None:
    """While the SDK is imported, while it asks, and after that."""
    assert run(FORKED, tmp_path)[0] == str([0] * 6)
