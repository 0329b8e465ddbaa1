"""The network as it misbehaves: how long a caller waits, what is sent, and what is left afterwards."""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import os
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import folders
import pytest
import urllib3.util.connection
from apps import ECHO, VALUE, App, attempt, engine_threads, hasten, wait_for
from faults import ROWS, Row
from faulty_key_vault import FaultyKeyVault
from folders import call, declare, key_vault
from support import worker
from support.fake_key_vault import TENANT

IN_TIME = 15.0
"""A caller has its error within 10 s; a busy machine may add some. Without a limit it is a minute."""
# What a server does on a connection that has asked it something, until the event is set.
Misbehave = Callable[[socket.socket, threading.Event], None]


def _drip(text: bytes) -> Misbehave:
    def misbehave(connection: socket.socket, ends: threading.Event) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            if ends.wait(0.3):
                return
        ends.wait(60)

    return misbehave


def _flood(head: bytes) -> Misbehave:
    def misbehave(connection: socket.socket, ends: threading.Event) -> None:
        connection.sendall(head)
        while not ends.is_set():
            connection.sendall(b"a" * 65_536)

    return misbehave


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LATE, LARGE = "it did not answer in time", "its answer is too large"
# What a service does, and what the engine says of a vault that does so.
FAULTS: dict[str, tuple[Misbehave, str]] = {
    "silent": (_drip(b""), LATE),
    "header-drips": (_drip(HEAD), LATE),
    # http.client has a limit of its own.
    "header-without-end": (_flood(HEAD + b"X-Header: "), "the connection failed"),
    "body-drips": (_drip(HEAD + b"Content-Length: 10000\r\n\r\n" + b" " * 10_000), LATE),
    "chunks-drip": (
        _drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1000),
        LATE,
    ),
    "body-of-500-mb": (_flood(HEAD + b"Content-Length: 500000000\r\n\r\n"), LARGE),
    "body-without-end": (_flood(HEAD + b"\r\n"), LARGE),
}
# A TLS record that never ends. The identity endpoint has no TLS.
HANDSHAKE, drip_handshake = (
    "handshake",
    _drip(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" + b"a" * 1000),
)
SOCKETS = [
    *(Row(name, False, says, fault={"raw": raw}) for name, (raw, says) in FAULTS.items()),
    *(Row(f"of-{name}", False, "", "identity", {"raw": raw}) for name, (raw, _) in FAULTS.items()),
    Row(HANDSHAKE, False, LATE),
]
# What goes wrong with 20 secrets of one vault.
SECRETS, SECONDS, MOST_REQUESTS = 20, 10.0, 20
MOST_OF_ONE = 5 * 3  # a cold read is three attempts, and is repeated after back-offs of 1, 2, 4 s
COMMON = ("identity-500", "throttled", "throttled-1-s", "vault-503", "reset", "hangs")
CROWDED = [row for row in ROWS if row.name in COMMON]
CROWDED += [
    Row(f"throttled-{asked}", False, "", fault={"status": 429, "headers": {"Retry-After": asked}})
    for asked in ("0", "86400")
]


class _Server(socketserver.ThreadingTCPServer):
    """A server that misbehaves before it has spoken TLS."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, misbehave: Misbehave = drip_handshake) -> None:
        self.misbehave, self.ends = misbehave, threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None: ...

    @contextmanager
    def running(self) -> Iterator[int]:
        with self:
            threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
            yield self.server_address[1]
            self.ends.set()
            self.shutdown()


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.request.recv(65_536)
        self.server.misbehave(self.request, self.server.ends)


class _Diverted(FaultyKeyVault):
    """The vault `handshake` is the server that misbehaves."""

    misbehaving_port = 0

    def connect(self, connect: Any, address: tuple[str, int], *rest: Any, **how: Any) -> Any:
        if address[0].partition(".")[0] == HANDSHAKE:
            address = ("127.0.0.1", self.misbehaving_port)
        return super().connect(connect, address, *rest, **how)


def at_once(functions: dict[str, Any]) -> dict[str, tuple[str, str, float]]:
    """Call all functions at the same moment."""
    with ThreadPoolExecutor(len(functions)) as threads:
        return dict(zip(functions, threads.map(attempt, functions.values()), strict=True))


def threads_end() -> list[str]:
    """End the worker; return which of its threads last longer than a read may."""
    importlib.import_module("identity_bindings.sources").pool.close()
    ends = time.monotonic() + IN_TIME
    while (left := engine_threads()) and time.monotonic() < ends:
        time.sleep(0.05)
    return left


class Seen:
    """What all callers saw, how often each service was asked within 10 s, and what was left."""

    def __init__(self, folder: Path) -> None:
        with _Diverted() as fake_key_vault, _Server().running() as port:
            fake_key_vault.misbehaving_port = port
            for row in [*SOCKETS, *CROWDED]:
                fake_key_vault.vault(row.name)
                row.strike(fake_key_vault)
                reader = {"identity": "user", "identityId": row.identity}
                for number in range(SECRETS if row in CROWDED else 1):
                    entry = key_vault(vaultName=row.name, secretName=f"key-{number}", **reader)
                    declare(folder, f"{row.function}_{number}", ECHO, entry)
            functions = folders.load_folder(folder)
            began = time.monotonic()
            self._answers = at_once(functions)
            time.sleep(max(0.0, began + SECONDS - time.monotonic()))
            self._requests = Counter(
                one.query.get("mi_res_id", one.endpoint).rpartition("/")[2].partition(".")[0]
                for one in fake_key_vault.requests
            )
            self.threads = threads_end()

    def of(self, row: Row) -> tuple[list[str], float, int]:
        """The errors of a row's callers, how long the slowest waited, and the requests."""
        names = [name for name in self._answers if name.rpartition("_")[0] == row.function]
        _, failed, seconds = zip(*(self._answers[name] for name in names), strict=True)
        asked = row.name if row.where == "vault" else f"id-{row.name}"
        return [*failed], max(seconds), self._requests[asked]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Every fault at the same time, because each takes as long as a caller may wait."""
    worker.restart()
    yield Seen(tmp_path_factory.mktemp("functions"))
    worker.restart()


@pytest.mark.parametrize("row", SOCKETS, ids=lambda row: row.name)
def test_a_socket_that_misbehaves(seen: Seen, row: Row) -> None:
    """The caller knows in time, and nothing is hammered."""
    (failed,), seconds, requests = seen.of(row)

    assert "cannot be read by" in failed
    assert row.says in failed
    assert seconds < IN_TIME
    assert requests <= MOST_OF_ONE
    assert requests or row.name == HANDSHAKE  # which is over before a request


@pytest.mark.parametrize("row", CROWDED, ids=lambda row: row.name)
def test_a_vault_in_trouble_is_not_hammered(seen: Seen, row: Row) -> None:
    failed, seconds, requests = seen.of(row)

    assert len(failed) == SECRETS
    assert all(failed)
    assert seconds < IN_TIME
    assert 1 <= requests <= MOST_REQUESTS


def test_no_thread_outlives_a_read(seen: Seen) -> None:
    assert seen.threads == []


@pytest.fixture
def read(echo: Callable[..., Any]) -> Callable[[], str]:
    """Return what reads the secret of a vault that has it: the value, or the error's text."""

    def read() -> str:
        try:
            return str(echo()(req=None))
        except Exception as error:
            return str(error)

    return read


Read = Callable[[], str]


def test_a_redirect_is_not_followed(fake_key_vault: FaultyKeyVault, read: Read) -> None:
    fake_key_vault.vault("other").set("api-key", "the-value-of-another")
    address = "https://other.vault.azure.net/secrets/api-key?api-version=7.6"
    fake_key_vault.fail("contoso", status=302, headers={"Location": address})

    assert "it redirects to another address" in read()
    asked = {request.endpoint for request in fake_key_vault.requests}
    assert asked <= {"contoso.vault.azure.net", "identity"}


def test_answers_are_not_encoded(fake_key_vault: FaultyKeyVault, read: Read) -> None:
    bomb = gzip.compress(b'{"value": "' + b"a" * 50_000_000)
    assert len(bomb) < 100_000
    headers = {"Content-Encoding": "gzip"}
    fake_key_vault.fail("contoso/api-key", status=500, body=bomb, headers=headers)

    assert "its answer is encoded" in read()
    asked = {request.headers["accept-encoding"] for request in fake_key_vault.requests}
    assert asked == {"identity"}


def test_netrc_replaces_no_token(
    fake_key_vault: FaultyKeyVault, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    hosts = ("contoso.vault.azure.net", "127.0.0.1")
    file.write_text("\n".join(f"machine {host} login me password mine" for host in hosts))
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))

    assert read() == VALUE
    sent = [request.headers.get("authorization", "") for request in fake_key_vault.requests]
    assert not any(header.startswith("Basic") for header in sent)


class _Proxy(_Server):
    """A proxy that notes what it is asked for, and opens tunnels to the fake Key Vault."""

    def __init__(self, vault_port: int) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.vault_port = vault_port
        self.RequestHandlerClass = _ProxyHandler


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


class _ProxyHandler(_Handler):
    server: _Proxy

    def handle(self) -> None:
        self.server.asked.append(self.request.recv(65_536).decode("latin-1"))
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.server.vault_port)) as vault:
            for source, target in ((self.request, vault), (vault, self.request)):
                pump = threading.Thread(target=_pump, args=(source, target), daemon=True)
                pump.start()
            pump.join()


@pytest.fixture
def proxy(fake_key_vault: FaultyKeyVault, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Proxy]:
    """The proxy that the environment names for everything."""
    with (server := _Proxy(fake_key_vault.vault_port)).running() as port:
        connect = urllib3.util.connection.create_connection

        def create_connection(address: tuple[str, int], *rest: Any, **options: Any) -> Any:
            if address[1] == port:
                return socket.create_connection(("127.0.0.1", port))
            return connect(address, *rest, **options)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://user:word@127.0.0.1:{port}")
            monkeypatch.setenv(name.lower(), f"http://user:word@127.0.0.1:{port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield server


def test_the_vault_is_reached_by_the_proxy_and_the_identity_endpoint_is_not(
    fake_key_vault: FaultyKeyVault, read: Read, proxy: _Proxy
) -> None:
    assert read() == VALUE
    word = base64.b64encode(b"user:word").decode()
    for head in proxy.asked:
        assert head.startswith("CONNECT contoso.vault.azure.net:443 ")
        assert f"Proxy-Authorization: Basic {word}" in head
    assert proxy.asked
    assert [one.endpoint for one in fake_key_vault.requests].count("identity") == 1


class _TlsProxyHandler(_ProxyHandler):
    """The proxy, with a certificate for `localhost`."""

    def setup(self) -> None:
        context = FaultyKeyVault().tls_context()
        self.request = context.wrap_socket(self.request, server_side=True)


@pytest.fixture
def tls_proxy(proxy: _Proxy, monkeypatch: pytest.MonkeyPatch) -> _Proxy:
    """The proxy, by an address that begins with https."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"https://localhost:{proxy.server_address[1]}")
    proxy.RequestHandlerClass = _TlsProxyHandler
    return proxy


def test_a_proxy_with_tls_is_trusted_as_the_vault_is(read: Read, tls_proxy: _Proxy) -> None:
    assert read() == VALUE
    assert tls_proxy.asked[0].startswith("CONNECT contoso.vault.azure.net:443 ")


def test_an_answer_through_a_proxy_with_tls_has_the_same_limit(
    fake_key_vault: FaultyKeyVault, read: Read, tls_proxy: _Proxy
) -> None:
    fake_key_vault.fail("contoso/api-key", body=b" " * 2_000_000)

    assert "its answer is too large" in read()


def test_no_proxy_is_obeyed(read: Read, proxy: _Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.com,.vault.azure.net")

    assert read() == VALUE
    assert proxy.asked == []


DRIPS = _drip(b"HTTP/1.1 200 Connection established\r\n" + b"X: a\r\n" * 100)


@pytest.mark.parametrize(("scheme", "misbehave"), [("http", DRIPS), ("https", drip_handshake)])
def test_a_proxy_that_drips_ends_in_time(
    read: Read,
    proxy: _Proxy,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    misbehave: Misbehave,
) -> None:
    hasten(monkeypatch, 6, back_off=5.0)
    proxy.RequestHandlerClass, proxy.misbehave = _Handler, misbehave
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"{scheme}://127.0.0.1:{proxy.server_address[1]}")

    assert "cannot be read" in read()
    assert threads_end() == []


def test_only_the_named_authority_is_trusted(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch, 3, back_off=5.0)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    assert "its TLS certificate is not trusted" in read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUESTS_CA_BUNDLE", "missing.pem"),
        ("REQUESTS_CA_BUNDLE", __file__),
        ("HTTPS_PROXY", "http://["),
    ],
)
def test_a_setting_of_the_network_that_is_wrong_is_named(
    read: Read, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    hasten(monkeypatch, 6, back_off=5.0)
    for one in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(one)
    monkeypatch.setenv(name, value)

    assert name in read().partition("Repair: ")[2]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_name_that_the_certificate_does_not_have_is_refused(
    fake_key_vault: FaultyKeyVault, read: Read, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bundle = os.environ["REQUESTS_CA_BUNDLE"]
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(name, bundle)
    assert read() == VALUE

    host = "a.b.vault.azure.net"  # the certificate is for one label
    fake_key_vault.vault(host)
    transport: Any = importlib.import_module("identity_bindings.transport")
    session = transport.client_options(proxied=True)["transport"].session
    with pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED|Hostname mismatch"):
        session.get(f"https://{host}/", timeout=5)


@pytest.fixture
def many(fake_key_vault: FaultyKeyVault, app: App) -> Callable[..., dict[str, Any]]:
    """Return the loader of an app with 20 secrets of one vault."""
    for number in range(SECRETS):
        fake_key_vault.vault("contoso").set(f"key-{number}", f"value-number-{number}")
        app.declare(f"f{number}", ECHO, key_vault(secretName=f"key-{number}"))
    return app


RIGHT = {f"f{number}": f"value-number-{number}" for number in range(SECRETS)}


def texts(answers: dict[str, tuple[str, str, float]]) -> dict[str, str]:
    return {name: answer for name, (answer, *_) in answers.items()}


def test_callers_get_the_value_as_soon_as_the_vault_answers(
    fake_key_vault: FaultyKeyVault, many: App
) -> None:
    """One goes first, and its success releases all."""
    fake_key_vault.fail("contoso", status=429, times=2, headers={"Retry-After": "0.3"})

    assert texts(at_once(many())) == RIGHT
    asked = Counter(request.status for request in fake_key_vault.requests)
    assert asked[429] == 2
    assert asked[200] == SECRETS + 1  # and one token


def test_a_failure_of_one_secret_is_its_own(fake_key_vault: FaultyKeyVault, many: App) -> None:
    for number, status in enumerate((500, 403, 404, 400)):
        fake_key_vault.fail(f"contoso/key-{number}", status=status)

    answers = texts(at_once(many()))

    failed = {name for name, answer in answers.items() if not answer}
    assert failed == {"f0", "f1", "f2", "f3"}


def test_a_refresh_obeys_retry_after_for_one_interval(
    fake_key_vault: FaultyKeyVault, many: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A vault that asks for some seconds gets them, however short the interval is: not in this test.
    monkeypatch.setattr("identity_bindings.timing._SHORTEST_CAP", 0.0)
    functions = many(0.5)
    assert texts(at_once(functions)) == RIGHT

    fake_key_vault.fail("contoso", status=429, headers={"Retry-After": "86400"})
    time.sleep(1.0)
    before = len(fake_key_vault.requests)
    time.sleep(2.0)
    # One of 20 asks, once in each interval.
    assert len(fake_key_vault.requests) - before <= 6
    assert texts(at_once(functions)) == RIGHT

    fake_key_vault.heal()
    fake_key_vault.vault("contoso").set("key-7", "the-new-value")
    wait_for(lambda: call(functions["f7"]) == "the-new-value")


@pytest.mark.parametrize(
    "expires", ["1", "100000000000000000000", str(int(time.time()) - 60)], ids=["1", "far", "over"]
)
def test_a_token_whose_end_cannot_be_true_is_used_for_5_minutes(
    engine: Any, fake_key_vault: FaultyKeyVault, monkeypatch: pytest.MonkeyPatch, expires: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    accepted = (None, "https://vault.azure.net", time.time() + 3600)
    fake_key_vault.tokens["the-first-token"] = accepted
    vault = engine.vaults.Vault("https://contoso.vault.azure.net", engine.credentials.Identity())
    body = {"access_token": "the-first-token", "expires_on": expires, "token_type": "Bearer"}
    body |= {"resource": "https://vault.azure.net", "client_id": TENANT}
    fake_key_vault.fail("identity", body=json.dumps(body).encode(), times=1)

    def tokens_after(seconds: float) -> int:
        """How many tokens have been asked for after a read at that time of the SDK's clock."""
        with monkeypatch.context() as patch:
            now = time.time() + seconds
            patch.setattr(time, "time", lambda: now)
            assert vault.read_secret("api-key", None).value == VALUE
        return [one.endpoint for one in fake_key_vault.requests].count("identity")

    assert tokens_after(0) == 1
    assert tokens_after(290) == 1
    assert tokens_after(302) == 2


def test_a_token_that_comes_late_is_in_time_for_all_vaults(
    fake_key_vault: FaultyKeyVault, app: App
) -> None:
    """All wait for one request, even longer than a request keeps its place at the gate."""
    names = [f"vault{number}" for number in range(6)]
    for name in names:
        fake_key_vault.vault(name).set("api-key", VALUE)
        app.declare(name, ECHO, key_vault(vaultName=name))
    fake_key_vault.fail("identity", delay=6.0, times=1)

    assert texts(at_once(app())) == dict.fromkeys(names, VALUE)
    assert [one.endpoint for one in fake_key_vault.requests].count("identity") == 1
