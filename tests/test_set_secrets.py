"""scripts/set_secrets.py sets the exact value, and leaves the vault as closed as it found it.

fake_azure_cli.py plays Azure. In the slow tier the real Azure CLI carries the request, to see that it
changes no byte of a value.
"""

import fcntl
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import fake_azure_cli
import pexpect
import pytest
from baking import Bake, change

SECRET = "my-application-secret"
ID = "/subscriptions/0/resourceGroups/rg (test)/providers/Microsoft.KeyVault/vaults/my-kv"
TAGS = {"owner": "us", "project": "secure-function-app"}
DENY, ALLOW = ({"defaultAction": action, "bypass": "None"} for action in ("Deny", "Allow"))
CLOSED = {"publicNetworkAccess": "Disabled", "networkAcls": DENY}
VALUES = {
    "quotes": "s3cret 'value' with \"quotes\", $dollars, `ticks`, \\backslashes and ümlauts",
    "Windows lines": "s3cret\r\ntwo\r\n",
    "newline at the end": "s3cret\n",
    "no newline": "s3cret",
    "blanks around": "  \ts3cret \n\n",
    "starts with @": "@/etc/s3cret",
    "JSON": '{"s3cret": "\\u0000", "b": [1.0, 1e3]}',
    "astral": "s3cret\U0001f511\u2028\ufeff",
    "byte-order mark": "\ufeffs3cret",
}
FROM_STDIN = ("--vault", "my-kv", SECRET, "--file", "-")
# Runs a script without its pauses.
CODE = (
    "import os, runpy, signal, sys, time; time.sleep = lambda _: None;"
    # A test run in the background hands on that these are ignored.
    "[signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGHUP)];"
    "sys.argv = sys.argv[1:]; sys.path.insert(0, os.path.dirname(sys.argv[0]));"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


class Azure:
    """The vault that `az` plays, and the script that is run against it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.folder, self.script = folder, project / "scripts" / "set_secrets.py"
        self.command("az", f'exec {sys.executable} -IS {fake_azure_cli.__file__} {folder} "$@"')
        self.state: dict[str, Any] = {
            "vault": {"id": ID, "tags": TAGS, "properties": {}},
            "values": {},
            "clients": ["203.0.113.7"],
            "slow": 0,
            "hangs": False,
            "says": "",
            "deleted": [],
            "patches": 1000,  # so many changes are accepted
        }
        self.set()

    def command(self, name: str, script: str) -> None:
        """Put a command on the path of the script."""
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (self.folder / name).chmod(0o755)

    def set(self, **state: Any) -> None:
        """Change Azure."""
        self.state |= state
        (self.folder / "azure").write_text(json.dumps(self.state), "utf-8")

    def change(self, **state: Any) -> None:
        """Change Azure as it is now; `is_as_before` still means what `set` has set."""
        (self.folder / "azure").write_text(json.dumps({**self.now, **state}), "utf-8")

    def set_network(self, **properties: Any) -> None:
        """Change who reaches the vault."""
        self.state["vault"]["properties"] = properties
        self.set()

    @property
    def now(self) -> dict[str, Any]:
        """Azure as it is now."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return dict(json.loads((self.folder / "azure").read_text("utf-8")))

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text("utf-8")

    def is_as_before(self) -> bool:
        """Whether the vault has the network and the tags that it had."""
        return _network(self.now["vault"]) == _network(self.state["vault"])

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}

    def run(self, *arguments: str, given: bytes = b"") -> tuple[int, str]:
        """Run the script, and give how it ended and what it said."""
        script = self.start(*arguments)
        printed, _ = script.communicate(given, timeout=120)
        return script.returncode, printed.decode()

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-c", CODE, self.script, *arguments],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def start_and_hang(self) -> "subprocess.Popen[bytes]":
        """Start the script, and wait until it sets the secret, which does not end."""
        self.set(hangs=True)
        script = self.start(*FROM_STDIN)
        assert script.stdin
        script.stdin.write(b"value")
        script.stdin.close()
        for _ in range(3000):
            if (self.folder / "hanging").exists():
                return script
            time.sleep(0.01)
        pytest.fail("it took too long")


def _network(vault: dict[str, Any]) -> list[Any]:
    properties = vault["properties"]
    rules = {"ipRules": [], **properties.get("networkAcls", {})}
    return [vault["tags"], properties.get("publicNetworkAccess"), rules]


@pytest.fixture
def azure(bake: Bake, tmp_path: Path) -> Azure:
    return Azure(bake(), tmp_path)


@pytest.fixture
def private(bake: Bake, tmp_path: Path) -> Azure:
    return Azure(bake(network="private"), tmp_path)


@pytest.fixture
def closed(private: Azure) -> Azure:
    private.set_network(**CLOSED)
    return private


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_byte_arrives_and_no_program_is_given_the_value(
    azure: Azure, tmp_path: Path, value: str
) -> None:
    file = tmp_path / "value"
    file.write_bytes(value.encode())

    for path, given in ((str(file), b""), ("-", value.encode())):
        azure.set(values={})
        status, printed = azure.run("--vault", "my-kv", SECRET, "--file", path, given=given)

        assert status == 0, printed
        assert azure.now["values"] == {SECRET: value}
        assert "s3cret" not in azure.calls + printed


def test_on_a_terminal_it_asks_for_what_has_no_value(azure: Azure) -> None:
    azure.set(values={"another": "x", "one-more": "y"})
    words = ["-c", CODE, str(azure.script), "--vault", "my-kv"]
    terminal = pexpect.spawn(sys.executable, words, env=azure.environment, encoding="utf-8")

    terminal.expect_exact(f"{SECRET}  has no value")
    terminal.expect_exact(f"{SECRET}: ")
    terminal.sendline("s3cret value")
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0
    assert "s3cret" not in str(terminal.before)
    assert azure.now["values"][SECRET] == "s3cret value"


@pytest.mark.parametrize(
    "answers",
    [
        {"network": "private"},
        {"programming_model": "decorators", "secrets": "one,Two-2", "key": "k"},
    ],
)
def test_where_everything_has_a_value_it_says_so_and_asks_nothing(
    bake: Bake, tmp_path: Path, answers: dict[str, str]
) -> None:
    azure = Azure(bake(**answers), tmp_path)
    azure.set_network(**CLOSED)
    secrets = sorted(answers.get("secrets", SECRET).split(","))
    azure.set(values={name.upper(): "x" for name in secrets} | {"more": "y"})  # names have no case

    status, printed = azure.run("--vault", "my-kv")

    lines = [f"my-kv.vault.azure.net  {name}  has a value\n" for name in secrets]
    assert (status, printed) == (0, "".join(lines))
    assert azure.is_as_before()


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (("--vault", "my-kv"), b"", "There is no terminal to ask on"),
        (("other",), b"", "No function declares other. To set it anyway, add --vault"),
        ((SECRET,), b"", "Name the vault: --vault NAME"),
        (FROM_STDIN, b"", "The value is empty."),
        (FROM_STDIN, b"\xff\xfe", "- is not UTF-8 text"),
        (("--vault", "my_kv", *FROM_STDIN[2:]), b"x", "'my_kv' is neither a vault's name nor its"),
        (("--vault", "my-kv", "--file", "-"), b"x", "--file needs exactly one NAME"),
        (("a_b",), b"", "'a_b' is not a secret name"),
        ((*FROM_STDIN[:-1], "/not/there"), b"", "No such file or directory: '/not/there'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_opened(
    closed: Azure, arguments: tuple[str, ...], given: bytes, sentence: str
) -> None:
    status, printed = closed.run(*arguments, given=given)

    assert status in (1, 2)
    assert sentence in printed
    assert "Traceback" not in printed
    assert closed.is_as_before()


def test_what_app_settings_name_is_not_set_elsewhere(azure: Azure, bake: Bake) -> None:
    project = Path(shutil.copytree(bake(), azure.folder / "app"))
    azure.script = project / "scripts" / "set_secrets.py"
    functions = project / "src/functions"
    for name, old in {"other_vault": "%KEY_VAULT_NAME%", "other_name": SECRET}.items():
        folder = shutil.copytree(functions / "read_secret", functions / name)
        change(folder / "function.json", old, f"%{name.upper()}%")
    azure.set(values={SECRET: "x"})

    status, printed = azure.run("--vault", "my-kv")

    assert status == 0
    assert f"secret {SECRET} or its vault %OTHER_VAULT%: set it with NAME --vault" in printed
    assert "secret %OTHER_NAME% or its vault my-kv: set it with NAME --vault" in printed
    assert printed.endswith(f"\nmy-kv.vault.azure.net  {SECRET}  has a value\n")


RULES = {
    **{"defaultAction": "Deny", "bypass": "None", "virtualNetworkRules": [{"id": "/subnet"}]},
    "ipRules": [{"value": "198.51.100.1/32"}],
}


@pytest.mark.parametrize(
    "network",
    [
        CLOSED,
        {"publicNetworkAccess": "Disabled"},
        {"publicNetworkAccess": "Disabled", "networkAcls": ALLOW},
        {"publicNetworkAccess": "Enabled", "networkAcls": RULES},
    ],
)
@pytest.mark.parametrize("clients", [["203.0.113.7"], ["203.0.113.7", "203.0.113.8"]])
def test_a_closed_vault_is_opened_for_this_machine_and_closed_again(
    private: Azure, network: dict[str, Any], clients: list[str]
) -> None:
    """Behind some networks a machine has several addresses."""
    private.set_network(**network)
    private.set(clients=2 * clients, slow=3)

    status, printed = private.run(*FROM_STDIN, given=b"value")

    assert status == 0, printed
    assert private.now["values"] == {SECRET: "value"}
    assert private.is_as_before() or "networkAcls" not in network
    access = network["publicNetworkAccess"]
    assert printed.endswith(f"my-kv is as before: public network access is {access}.\n")
    # It was open for this machine alone: the firewall refused everybody else all the time.
    bodies = [json.loads(body) for body in (private.folder / "bodies").read_text().splitlines()]
    opened = [one["properties"] for one in bodies if "opened-for-set-secrets" in one["tags"]]
    assert opened
    assert {one["networkAcls"]["defaultAction"] for one in opened} == {"Deny"}
    if "networkAcls" not in network:
        assert {one["networkAcls"]["bypass"] for one in opened} == {"None"}


def test_a_vault_of_others_is_not_opened(closed: Azure) -> None:
    closed.state["vault"]["tags"] = {"owner": "us", "opened-for-set-secrets": "Enabled/Allow"}
    closed.set()

    status, printed = closed.run(*FROM_STDIN, given=b"value")

    assert status == 1
    assert "This project did not create my-kv" in printed
    assert "run this from a network that has access" in printed
    assert "patch" not in closed.calls


@pytest.mark.parametrize("answers", [{"vault": "My-kv"}, {}], ids=["named", "deployed"])
def test_its_own_vault_needs_no_tag(bake: Bake, tmp_path: Path, answers: dict[str, str]) -> None:
    azure = Azure(bake(network="private", **answers), tmp_path)
    azure.state["vault"]["tags"] = {}
    azure.set_network(**CLOSED)
    azure.command("azd", "echo my-kv")

    status, printed = azure.run(SECRET, "--file", "-", given=b"value")

    assert status == 0, printed
    assert azure.is_as_before()


def test_in_the_network_nothing_is_opened(private: Azure) -> None:
    rules = {"defaultAction": "Deny", "ipRules": [{"value": "203.0.113.7/32"}]}
    private.set_network(publicNetworkAccess="Enabled", networkAcls=rules)

    assert private.run(*FROM_STDIN, given=b"value")[0] == 0
    assert "patch" not in private.calls
    assert private.is_as_before()


NO_RIGHT = "This login has no right to set secrets in my-kv."


@pytest.mark.parametrize(
    ("azure_is", "status", "says"),
    [
        ({"says": "Forbidden(ForbiddenByRbac)"}, 1, f"Forbidden(ForbiddenByRbac)\n{NO_RIGHT}"),
        ({"says": "Forbidden(ForbiddenByPolicy)"}, 1, f"Forbidden(ForbiddenByPolicy)\n{NO_RIGHT}"),
        ({"says": "Conflict"}, 1, "ERROR: Conflict\n"),
        ({"slow": 1000}, 1, "ForbiddenByFirewall"),  # it gives up
        # From outside of its network, `az keyvault secret recover` would be refused.
        ({"deleted": [SECRET]}, 0, f"{SECRET} was deleted. Recovering it"),
    ],
)
def test_however_it_ends_the_vault_is_closed(
    closed: Azure, azure_is: dict[str, Any], status: int, says: str
) -> None:
    closed.set(**azure_is)

    assert (ended := closed.run(*FROM_STDIN, given=b"value"))[0] == status, ended
    assert says in ended[1]
    assert closed.now["deleted"] == []
    assert closed.now["values"] == ({} if status else {SECRET: "value"})
    assert closed.is_as_before()


@pytest.mark.parametrize("arguments", [(SECRET,), (SECRET, "--file", "/not/there")])
def test_where_closing_fails_it_says_so_and_the_next_run_closes(
    closed: Azure, arguments: tuple[str, ...]
) -> None:
    """Also the one that has no terminal or does not find its file."""
    closed.set(patches=2)  # open, and give an address access

    status, printed = closed.run(*FROM_STDIN, given=b"value")

    assert status == 1
    assert closed.now["vault"]["properties"]["publicNetworkAccess"] == "Enabled"
    assert "my-kv MAY STILL BE OPEN for this machine's address. Run this script again" in printed
    assert "az keyvault update --name my-kv --public-network-access Disabled" in printed
    assert "az keyvault network-rule remove --name my-kv --ip-address 203.0.113.7/32" in printed

    closed.change(patches=1)
    assert closed.run("--vault", "my-kv", *arguments)[0] == status
    assert closed.is_as_before()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_closes(closed: Azure, number: signal.Signals) -> None:
    script = closed.start_and_hang()
    opened = closed.now["vault"]

    os.killpg(script.pid, number)  # as a terminal does

    assert script.wait(30) == 128 + number
    assert opened["properties"]["publicNetworkAccess"] == "Enabled"
    assert closed.is_as_before()


def test_after_a_run_was_killed_the_next_one_closes(closed: Azure) -> None:
    script = closed.start_and_hang()
    os.killpg(script.pid, signal.SIGKILL)
    script.wait(30)
    assert closed.now["vault"]["properties"]["publicNetworkAccess"] == "Enabled"

    closed.change(hangs=False)
    status, printed = closed.run(*FROM_STDIN, given=b"value")

    assert status == 0
    assert closed.is_as_before()
    assert printed.endswith("my-kv is as before: public network access is Disabled.\n")


def test_two_runs_at_the_same_time_leave_it_closed(closed: Azure) -> None:
    both = [closed.start("--vault", "my-kv", name, "--file", "-") for name in ("first", "second")]
    for script in both:
        script.communicate(b"value", timeout=120)

    assert [script.returncode for script in both] == [0, 0]
    assert closed.now["values"] == {"first": "value", "second": "value"}
    assert closed.is_as_before()


def test_the_network_of_an_existing_vault_is_not_touched(bake: Bake, tmp_path: Path) -> None:
    project = bake(vault_source="existing", vault="my-kv", network="private")
    assert not (project / "scripts/vault_firewall.py").exists()
    azure = Azure(project, tmp_path)
    azure.set_network(**CLOSED)

    status, printed = azure.run(SECRET, "--file", "-", given=b"value")

    assert status == 1
    assert "run this from a network that has access to it" in printed
    assert azure.is_as_before()


@pytest.mark.slow
def test_the_real_azure_cli_changes_no_byte(azure: Azure, azure_cli: Path) -> None:
    received: list[bytes] = []

    class Vault(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vault) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"--url http://127.0.0.1:{server.server_port}/ --skip-authorization-header"
        put = f'exec {azure_cli} "$@" {here}'  # of two URLs, it takes the last
        azure.command("az", f'case "$*" in *"--method put"*) {put} ;; *) exit 1 ;; esac')
        for value in VALUES.values():
            words = ("--vault", "https://my-kv.vault.azure.net/", *FROM_STDIN[2:])
            status, printed = azure.run(*words, given=value.encode())
            assert status == 0, printed
        server.shutdown()

    assert [json.loads(body)["value"] for body in received] == [*VALUES.values()]
