"""scripts/set_secrets.py sets the exact value, and leaves the vault as closed as it found it.

fake_azure_cli.py plays Azure. In the slow tier the real Azure CLI carries the request, to see that it
changes no byte of a value.
"""

import fcntl
import http.server
import importlib.util
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_azure_cli
import pytest
from baking import Bake, change

SECRET = "my-application-secret"
ID = "/subscriptions/0/resourceGroups/rg (test)/providers/Microsoft.KeyVault/vaults/my-kv"
TAGS = {"owner": "us", "project": "secure-function-app"}
DENY, ALLOW = ({"defaultAction": action, "bypass": "None"} for action in ("Deny", "Allow"))
CLOSED = {"publicNetworkAccess": "Disabled", "networkAcls": DENY}
VALUES = {
    "quotes": "s3cret 'value' with \"quotes\", $dollars, `ticks`, \\backslashes and ümlauts",
    "Windows lines": "one\r\ntwo\r\n",
    "newline at the end": "key\n",
    "no newline": "key",
    "blanks around": "  \tkey \n\n",
    "starts with @": "@/etc/passwd",
    "JSON": '{"a": "\\u0000", "b": [1.0, 1e3]}',
    "astral": "\U0001f511\u2028\ufeff",
    "byte-order mark": "\ufeffkey",
}


class Azure:
    """The vault that `az` plays, and the script that is run against it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.folder = folder
        self.script = project / "scripts" / "set_secrets.py"
        fake = Path(fake_azure_cli.__file__)
        shim = f'#!/bin/sh\nexec {sys.executable} -IS {fake} {folder} "$@"\n'
        (folder / "az").write_text(shim, "utf-8")
        (folder / "az").chmod(0o755)
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
        now, before = self.now["vault"], self.state["vault"]
        network = {"ipRules": [], **now["properties"].get("networkAcls", {})}
        was = {"ipRules": [], **before["properties"].get("networkAcls", {})}
        access = now["properties"].get("publicNetworkAccess")
        return (
            network == was
            and access == before["properties"].get("publicNetworkAccess")
            and now["tags"] == before["tags"]
        )

    def run(self, *arguments: str, given: bytes = b"") -> tuple[int, str]:
        """Run the script without its pauses, and give how it ended and what it said."""
        script = self.start(*arguments, stdin=subprocess.PIPE)
        printed, _ = script.communicate(given, timeout=120)
        return script.returncode, printed.decode()

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        code = (
            "import os, runpy, signal, sys, time; time.sleep = lambda _: None;"
            # A test run in the background hands on that these are ignored.
            "[signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGHUP)];"
            "sys.argv = sys.argv[1:]; sys.path.insert(0, os.path.dirname(sys.argv[0])); runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, self.script, *arguments],
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )

    def start_and_hang(self) -> "subprocess.Popen[bytes]":
        """Start the script, and wait until it sets the secret, which does not end."""
        self.set(hangs=True)
        script = self.start(*FROM_STDIN, stdin=subprocess.PIPE)
        assert script.stdin
        script.stdin.write(b"value")
        script.stdin.close()
        _until((self.folder / "hanging").exists)
        return script


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


FROM_STDIN = ("--vault", "my-kv", SECRET, "--file", "-")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_every_byte_arrives(azure: Azure, tmp_path: Path, value: str) -> None:
    file = tmp_path / "value"
    file.write_bytes(value.encode())

    for path, given in ((str(file), b""), ("-", value.encode())):
        azure.set(values={})
        status, printed = azure.run("--vault", "my-kv", SECRET, "--file", path, given=given)

        assert status == 0, printed
        assert azure.now["values"] == {SECRET: value}


def test_no_program_is_given_the_value(azure: Azure) -> None:
    _, printed = azure.run(*FROM_STDIN, given=b"s3cret-value")

    assert azure.now["values"] == {SECRET: "s3cret-value"}
    assert "s3cret" not in azure.calls + printed


def test_on_a_terminal_it_asks_for_what_has_no_value(azure: Azure) -> None:
    azure.set(values={"another": "x", "one-more": "y"})
    terminal, inside = pty.openpty()
    # getpass asks on the controlling terminal, so the script needs one of its own.
    script = azure.start("--vault", "my-kv", stdin=inside, preexec_fn=lambda: _control(inside))
    os.close(inside)

    asked = _read_until(terminal, f"{SECRET}: ")
    os.write(terminal, b"s3cret value\n")
    assert script.stdout
    printed = script.stdout.read().decode() + asked

    assert script.wait(30) == 0, printed
    assert f"{SECRET}  has no value" in printed
    assert "s3cret" not in printed
    assert azure.now["values"][SECRET] == "s3cret value"


def _control(terminal: int) -> None:
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _read_until(terminal: int, text: str) -> str:
    read = ""
    while text not in read:
        read += os.read(terminal, 1000).decode()
    return read


def test_where_everything_has_a_value_it_says_so_and_asks_nothing(closed: Azure) -> None:
    closed.set(values={SECRET.upper(): "x", "another": "y"})  # names have no case

    status, printed = closed.run("--vault", "my-kv")

    assert (status, printed) == (0, f"my-kv.vault.azure.net  {SECRET}  has a value\n")
    assert closed.is_as_before()


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (("--vault", "my-kv"), b"", "There is no terminal to ask on"),
        (
            ("not-declared",),
            b"",
            "No function declares not-declared. To set it anyway, add --vault",
        ),
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
    for name, old in {"other_vault": "%KEY_VAULT_NAME%", "other_name": SECRET}.items():
        folder = shutil.copytree(
            project / "src/functions/read_secret", project / "src/functions" / name
        )
        change(folder / "function.json", old, f"%{name.upper()}%")
    azure.set(values={SECRET: "x"})

    status, printed = azure.run("--vault", "my-kv")

    assert status == 0
    assert f"secret {SECRET} or its vault %OTHER_VAULT%: set it with NAME --vault" in printed
    assert "secret %OTHER_NAME% or its vault my-kv: set it with NAME --vault" in printed
    assert printed.endswith(f"\nmy-kv.vault.azure.net  {SECRET}  has a value\n")


@pytest.mark.parametrize(
    "network",
    [
        CLOSED,
        {"publicNetworkAccess": "Disabled"},
        {"publicNetworkAccess": "Disabled", "networkAcls": ALLOW},
        {
            "publicNetworkAccess": "Enabled",
            "networkAcls": {
                "defaultAction": "Deny",
                "bypass": "None",
                "ipRules": [{"value": "198.51.100.1/32"}],
                "virtualNetworkRules": [{"id": "/subnet"}],
            },
        },
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
    (tmp_path / "azd").write_text("#!/bin/sh\necho my-kv\n")
    (tmp_path / "azd").chmod(0o755)

    status, printed = azure.run(SECRET, "--file", "-", given=b"value")

    assert status == 0, printed
    assert azure.is_as_before()


def test_in_the_network_nothing_is_opened(private: Azure) -> None:
    rules = {"defaultAction": "Deny", "ipRules": [{"value": "203.0.113.7/32"}]}
    private.set_network(publicNetworkAccess="Enabled", networkAcls=rules)

    assert private.run(*FROM_STDIN, given=b"value")[0] == 0
    assert "patch" not in private.calls
    assert private.is_as_before()


@pytest.mark.parametrize("says", ["ForbiddenByRbac", "ForbiddenByPolicy", "Conflict"])
def test_a_refusal_closes_the_vault(closed: Azure, says: str) -> None:
    closed.set(says=f"Forbidden({says})")

    status, printed = closed.run(*FROM_STDIN, given=b"value")

    assert status == 1
    assert f"ERROR: Forbidden({says})" in printed
    assert ("This login has no right to set secrets in my-kv." in printed) == (says != "Conflict")
    assert closed.is_as_before()


def test_a_deleted_secret_is_recovered_first(closed: Azure) -> None:
    """From outside of its network, `az keyvault secret recover` would be refused."""
    closed.set(deleted=[SECRET])

    status, printed = closed.run(*FROM_STDIN, given=b"value")

    assert status == 0, printed
    assert f"{SECRET} was deleted. Recovering it" in printed
    assert closed.now["deleted"] == []
    assert closed.now["values"] == {SECRET: "value"}
    assert closed.is_as_before()


def test_it_gives_up_and_closes(closed: Azure) -> None:
    closed.set(slow=1000)

    status, printed = closed.run(*FROM_STDIN, given=b"value")

    assert status == 1
    assert "ForbiddenByFirewall" in printed
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
    both = [
        closed.start("--vault", "my-kv", name, "--file", "-", stdin=subprocess.PIPE)
        for name in ("first", "second")
    ]
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


@pytest.mark.parametrize(
    "answers",
    [
        {"programming_model": "function.json"},
        {"programming_model": "decorators"},
        {"programming_model": "decorators", "secrets": "one,Two-2", "key": "k"},
    ],
)
def test_it_finds_what_is_declared(bake: Bake, answers: dict[str, str]) -> None:
    script = bake(**answers) / "scripts" / "set_secrets.py"
    spec = importlib.util.spec_from_file_location("set_secrets", script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    secrets = answers.get("secrets", SECRET).split(",")
    assert set(module.declared()) == {("%KEY_VAULT_NAME%", name) for name in secrets}


class _Vault(http.server.BaseHTTPRequestHandler):
    received: list[bytes]

    def do_PUT(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def vault_server() -> Iterator[type[_Vault]]:
    """A server that keeps what the Azure CLI sends."""
    _Vault.received = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Vault) as server:
        _Vault.port = server.server_port  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield _Vault
        server.shutdown()


@pytest.mark.slow
def test_the_real_azure_cli_changes_no_byte(
    azure: Azure, azure_cli: Path, vault_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "az").write_text(
        "#!/bin/sh\n"
        'case "$*" in *"--method put"*) ;; *) exit 1 ;; esac\n'
        f'exec {azure_cli} "$@" --skip-authorization-header\n'
    )
    code = "import sys; sys.path.insert(0, sys.argv[1]); import set_secrets; "
    code += "set_secrets.set_secret('127.0.0.1', 'n', sys.stdin.buffer.read().decode())"
    text = azure.script.read_text("utf-8")
    port = vault_server.port
    (tmp_path / "set_secrets.py").write_text(
        text.replace("https://{host}/", f"http://{{host}}:{port}/"), "utf-8"
    )
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "AZURE_CONFIG_DIR": str(tmp_path / "config"),
    }
    for value in VALUES.values():
        subprocess.run(
            [sys.executable, "-c", code, tmp_path],
            input=value.encode(),
            env=environment,
            check=True,
        )

    assert [json.loads(body) for body in vault_server.received] == [
        {"value": value} for value in VALUES.values()
    ]


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it took too long")
