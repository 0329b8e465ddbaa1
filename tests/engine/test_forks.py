"""A child process that is forked at any moment of the first read reads for itself, and refreshes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILDREN = 12
# The first import of the SDK takes the most time of a read, so it needs a new process.
SCRIPT = """
import conftest
import os, sys, tempfile, time
from pathlib import Path
from faulty_key_vault import FaultyKeyVault
from folders import declare, key_vault, load_folder

def until(answers, seconds):
    ends = time.monotonic() + seconds
    while (value := answers()) is not True and time.monotonic() < ends:
        time.sleep(0.05)
    return value is True

with FaultyKeyVault() as fake_key_vault:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    fake_key_vault.latency = 0.05
    folder = Path(tempfile.mkdtemp())
    declare(folder, "echo", "def main(req, mySecret): return mySecret", key_vault())
    call = load_folder(folder)["echo"].get_user_function()
    children = []
    for _ in range(int(sys.argv[1])):
        time.sleep(0.04)
        child = os.fork()
        if child == 0:
            first = call(req=None) in ("first-value", "second-value")
            os._exit(0 if first and until(lambda: call(req=None) == "second-value", 8) else 1)
        children.append(child)
    fake_key_vault.vault("contoso").set("api-key", "second-value")
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    refreshed = until(lambda: call(req=None) == "second-value", 8)
    sys.exit(0 if refreshed and not any(ended) else f"{refreshed} {ended}")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_is_forked_during_the_first_read_reads_and_refreshes() -> None:
    environment = {**os.environ, "SECRET_REFRESH_SECONDS": "1", "PYTHONWARNINGS": "ignore"}
    script = [sys.executable, "-B", "-c", SCRIPT, str(CHILDREN)]

    ended = subprocess.run(
        script,
        cwd=Path(__file__).parent,
        env=environment | {"PYTHONPATH": f"{Path(__file__).parents[1]}"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stderr
