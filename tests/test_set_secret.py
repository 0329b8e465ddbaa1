"""scripts/set_secret.sh, of a private project with a vault of its own, against a recording `az`.

The stub writes down the exact arguments of every call, plays the answers that Key Vault gives while
its firewall opens, and fails where it is told to. However the script ends, the vault is closed.
"""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baking import Bake

VALUE = "s3cret 'value' with \"quotes\", $dollars and ümlauts"

STUB = f"""#!{sys.executable} -IS
import json, os, sys, time
from pathlib import Path

folder = Path(__file__).parent
name = Path(sys.argv[0]).name
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
plan = json.loads((folder / "plan").read_text())
if name == "sleep":
    sys.exit()
said = " ".join(sys.argv[1:])
for failing in plan["fails"]:
    if failing in said:
        sys.exit("ERROR: (Conflict) no")
if "secret set" in said:
    path = sys.argv[sys.argv.index("--file") + 1]
    (folder / "value").write_text(open(path).read())
    answer = plan["answers"].pop(0) if len(plan["answers"]) > 1 else plan["answers"][0]
    (folder / "plan").write_text(json.dumps(plan))
    if answer == "hang":
        (folder / "hanging").touch()
        time.sleep(60)
    elif answer:
        sys.exit(answer)
"""

# What `az` prints of Key Vault's answers.
CONNECTION = """ERROR: (Forbidden) Public network access is disabled and request is not from a trusted \
service nor via an approved private link.\r
Caller: appid=04b07795;oid=44444444;iss=https://sts.windows.net/\r
Vault: my-kv;location=westeurope
Code: Forbidden
Inner error: {
    "code": "ForbiddenByConnection"
}"""


def firewall(address: str) -> str:
    """Say what Key Vault says to somebody at an address that may not enter."""
    told = (
        "ERROR: (Forbidden) Client address is not authorized and caller is not a trusted service."
    )
    told += f"\r\nClient address: {address}\r\nCaller: appid=04b07795;oid=44444444\r\n"
    return f'{told}Code: Forbidden\nMessage: {told}Inner error: {{"code": "ForbiddenByFirewall"}}'


DENIED = """ERROR: (Forbidden) The user, group or application 'oid=44444444' does not have secrets \
set permission on key vault 'my-kv'.
Inner error: {"code": "AccessDenied"}"""

UPDATE = "az keyvault update --name my-kv "
OPEN = UPDATE + "--default-action Deny --public-network-access Enabled --output none"
SET = "az keyvault secret set --vault-name my-kv --name api-key --file /dev/stdin --output none"
LET_IN = "az keyvault network-rule add --name my-kv --ip-address 203.0.113.7 --output none"
WAIT = "sleep 10"
CLOSE = UPDATE + "--public-network-access Disabled --output none"
LET_OUT = "az keyvault network-rule remove --name my-kv --ip-address 203.0.113.7 --output none"


class Stage:
    """The script, and the stubs around it."""

    def __init__(self, script: Path, folder: Path) -> None:
        self.script, self.folder = script, folder
        for name in ("az", "sleep"):
            (folder / name).write_text(STUB, "utf-8")
            (folder / name).chmod(0o755)
        self.plan()

    def plan(self, *answers: str, fails: tuple[str, ...] = ()) -> None:
        """Say what `az keyvault secret set` answers, one after another, and which calls fail."""
        plan = {"answers": answers or ("",), "fails": fails}
        (self.folder / "plan").write_text(json.dumps(plan), "utf-8")

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        """Start the script."""
        return subprocess.Popen(
            [self.script, *(arguments or ("my-kv", "api-key"))],
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_hear_signals,
            **options,
        )

    def run(self, *arguments: str, value: str = VALUE) -> tuple[int, str]:
        """Run the script, and give how it ended and what it said."""
        script = self.start(*arguments, stdin=subprocess.PIPE)
        out, told = script.communicate(value.encode(), timeout=60)
        assert out == b""
        return script.returncode, told.decode()

    @property
    def calls(self) -> list[str]:
        """What was called, in order."""
        calls = self.folder / "calls"
        lines = calls.read_text("utf-8").splitlines() if calls.exists() else []
        return [" ".join(json.loads(line)) for line in lines]


def _hear_signals() -> None:
    """Undo what a test run in the background, or by nohup, hands on: that signals are ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def stage(bake: Bake, tmp_path: Path) -> Stage:
    return Stage(bake(network="private") / "scripts" / "set_secret.sh", tmp_path)


def test_it_opens_sets_and_closes(stage: Stage) -> None:
    stage.plan(CONNECTION, firewall("203.0.113.7"), firewall("203.0.113.7"), "")

    status, told = stage.run(value=VALUE + "\n")

    assert status == 0
    assert stage.calls == [
        OPEN,
        *(SET, WAIT),
        *(SET, LET_IN, WAIT),
        *(SET, WAIT),
        SET,
        *(CLOSE, LET_OUT),
    ]
    assert (stage.folder / "value").read_text("utf-8") == VALUE
    assert told.endswith("api-key is set.\nClosing my-kv.\n")


def test_nobody_sees_the_value(stage: Stage) -> None:
    stage.plan(firewall("203.0.113.7"), "")

    _, told = stage.run()

    assert "s3cret" not in told + "".join(stage.calls)


def test_every_address_that_it_lets_in_is_let_out(stage: Stage) -> None:
    """Behind some networks a machine has several addresses."""
    stage.plan(firewall("203.0.113.7"), firewall("203.0.113.8"), CONNECTION, "")

    assert stage.run()[0] == 0

    assert LET_IN.replace(".7", ".8") in stage.calls
    assert stage.calls[-2:] == [CLOSE, LET_OUT.replace("113.7", "113.7 203.0.113.8")]


def test_who_may_not_set_secrets_is_told_at_once(stage: Stage) -> None:
    stage.plan(firewall("203.0.113.7"), DENIED)

    status, told = stage.run()

    assert status == 1
    assert "does not have secrets set permission" in told
    assert stage.calls == [OPEN, SET, LET_IN, WAIT, SET, CLOSE, LET_OUT]


def test_it_gives_up_after_ten_minutes(stage: Stage) -> None:
    stage.plan(CONNECTION)

    status, told = stage.run()

    assert status == 1
    assert "ForbiddenByConnection" in told
    assert stage.calls == [OPEN, *(60 * [SET, WAIT]), SET, CLOSE]


@pytest.mark.parametrize(
    ("failing", "calls"),
    [
        ("Enabled", [OPEN, CLOSE]),
        ("rule add", [OPEN, SET, LET_IN, CLOSE, LET_OUT]),
    ],
)
def test_what_fails_to_open_is_closed(stage: Stage, failing: str, calls: list[str]) -> None:
    stage.plan(firewall("203.0.113.7"), "", fails=(failing,))

    status, told = stage.run()

    assert status == 1
    assert stage.calls == calls
    assert "(Conflict)" in told


@pytest.mark.parametrize("failing", ["Disabled", "rule remove"])
def test_what_fails_to_close_is_told_loudly(stage: Stage, failing: str) -> None:
    stage.plan(firewall("203.0.113.7"), "", fails=(failing,))

    status, told = stage.run()

    assert status == 1
    assert stage.calls[-2:] == [CLOSE, LET_OUT]
    assert "my-kv MAY STILL BE OPEN for this machine's address. Close it with" in told
    assert told.endswith("  az keyvault update --name my-kv --public-network-access Disabled\n")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interruption_closes(stage: Stage, number: signal.Signals, status: int) -> None:
    stage.plan(firewall("203.0.113.7"), "hang")
    script = stage.start(stdin=subprocess.PIPE)
    assert script.stdin
    script.stdin.write(VALUE.encode())
    script.stdin.close()
    until((stage.folder / "hanging").exists)

    os.killpg(script.pid, number)  # As a terminal does.

    assert script.wait(30) == status
    assert stage.calls == [OPEN, SET, LET_IN, WAIT, SET, CLOSE, LET_OUT]


def test_without_a_value_nothing_is_opened(stage: Stage) -> None:
    assert stage.run(value="\n") == (2, "There is no value to set.\n")
    assert stage.calls == []


@pytest.mark.parametrize("arguments", [("my-kv",), ("my-kv", "api-key", VALUE)])
def test_a_value_is_no_argument(stage: Stage, arguments: tuple[str, ...]) -> None:
    status, told = stage.run(*arguments)

    assert status == 2
    assert told.endswith("set_secret.sh VAULT SECRET\n")
    assert stage.calls == []


def test_on_a_terminal_it_asks_and_shows_nothing(stage: Stage) -> None:
    terminal, inside = pty.openpty()
    script = stage.start(stdin=inside)
    os.close(inside)
    assert script.stderr
    asked = os.read(script.stderr.fileno(), 100).decode()
    assert asked == "Value of api-key: "
    until(lambda: "-echo " in stty(terminal))

    os.write(terminal, f"{VALUE}\n".encode())

    assert script.wait(30) == 0
    assert "-echo " not in stty(terminal)
    assert stage.calls == [OPEN, SET, CLOSE]
    assert (stage.folder / "value").read_text("utf-8") == VALUE
    os.close(terminal)


def stty(terminal: int) -> str:
    """Tell how a terminal is set."""
    shown = subprocess.run(["stty", "-a"], stdin=terminal, capture_output=True, text=True)
    return shown.stdout


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it took too long")


def test_it_stands_only_where_there_is_something_to_open(bake: Bake) -> None:
    existing = {"vault_source": "existing", "vault": "contoso-vault"}
    for answers in ({}, existing, {"network": "private", **existing}):
        assert not (bake(**answers) / "scripts" / "set_secret.sh").exists()
    assert os.access(bake(network="private") / "scripts" / "set_secret.sh", os.X_OK)
