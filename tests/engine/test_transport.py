"""The network as it misbehaves: how long a caller waits, what is sent, and what is left afterwards."""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import os
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import urllib3.util.connection
from apps import engine_threads
from faulty_key_vault import FaultyKeyVault
from folders import declare, key_vault
from support.fake_key_vault import TENANT, FakeKeyVault

ECHO = "def main(req, mySecret):\n    return mySecret\n"
VALUE = "the-value-of-it"
LONGEST_COLD_CALL = 10.0
App = Callable[..., dict[str, Any]]
# What a server does on a connection that has asked it something.
Misbehave = Callable[[socket.socket], None]


def _drip(text: bytes) -> Misbehave:
    def misbehave(connection: socket.socket) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(0.3)
        time.sleep(60)

    return misbehave


def _flood(head: bytes) -> Misbehave:
    def misbehave(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"a" * 65_536)

    return misbehave


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FAULTS: dict[str, Misbehave] = {
    "hangs": lambda connection: time.sleep(60),
    "header-drips": _drip(HEAD),
    "header-without-end": _flood(HEAD + b"X-Header: "),
    "body-drips": _drip(HEAD + b"Content-Length: 10000\r\n\r\n" + b" " * 10_000),
    "chunks-drip": _drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 1000),
    "body-of-500-MB": _flood(HEAD + b"Content-Length: 500000000\r\n\r\n"),
    "body-without-end": _flood(HEAD + b"\r\n"),
}
SAYS = {
    "header-without-end": "the connection failed",  # http.client has a limit of its own
    "body-of-500-MB": "its answer is too large",
    "body-without-end": "its answer is too large",
}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, misbehave: Misbehave, context: ssl.SSLContext | None) -> None:
        self.misbehave, self.context, self.requests = misbehave, context, 0
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None: ...


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        threading.current_thread().name = "misbehaving-server"
        self.server.requests += 1
        connection = self.request
        with suppress(OSError):
            if self.server.context:
                connection = self.server.context.wrap_socket(connection, server_side=True)
            connection.recv(65_536)
            self.server.misbehave(connection)


@contextmanager
def misbehaving(misbehave: Misbehave, tls: bool) -> Iterator[_Server]:
    with _Server(misbehave, FakeKeyVault().tls_context() if tls else None) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def drips_handshake(connection: socket.socket) -> None:
    """A TLS record that never ends."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    _drip(b"\x02\x00\x3f\xfc" + b"a" * 1000)(connection)


def once(app: App, tmp_path: Path, vault: str = "contoso") -> tuple[str, float]:
    """Call a function that reads a secret: what came of it, and after how many seconds."""
    declare(tmp_path, "echo", ECHO, key_vault(vaultName=vault))
    handler = app()["echo"].get_user_function()
    began = time.monotonic()
    try:
        answer = handler(req=None)
    except Exception as error:
        answer = str(error)
    return answer, time.monotonic() - began


def threads_end() -> None:
    """Nothing that the engine has begun goes on for longer than a read may take."""
    for _ in range(110):
        left = [name for name in engine_threads() if name != "identity-refresh"]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} go on")


@pytest.mark.parametrize("where", ["vault", "identity"])
@pytest.mark.parametrize("fault", [*FAULTS, "handshake-drips"])
def test_a_socket_that_misbehaves(
    fake_key_vault: FaultyKeyVault,
    app: App,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_testsuite_property: Callable[[str, object], None],
    fault: str,
    where: str,
) -> None:
    """The caller knows in time, nothing is hammered, and no thread is left."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    handshake = fault == "handshake-drips"
    if handshake and where == "identity":
        pytest.skip("the identity endpoint has no TLS")
    misbehave = drips_handshake if handshake else FAULTS[fault]
    with misbehaving(misbehave, where == "vault" and not handshake) as server:
        port = server.server_address[1]
        if where == "vault":
            fake_key_vault.vault_port = port
        else:
            fake_key_vault.identity_port = port
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")

        answer, seconds = once(app, tmp_path)

        figures = f"{seconds:.1f} s until the caller's error, {server.requests} requests"
        record_testsuite_property(f"network.{where}.{fault}", figures)
        assert "cannot be read by" in answer
        if where == "vault":
            assert SAYS.get(fault, "it did not answer in time") in answer
        assert seconds < LONGEST_COLD_CALL
        assert server.requests <= 4
        importlib.import_module("identity_bindings.sources").pool.close()
        threads_end()


def test_a_redirect_is_not_followed(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    fake_key_vault.vault("other").set("api-key", "the-value-of-another")
    address = "https://other.vault.azure.net/secrets/api-key?api-version=7.6"
    fake_key_vault.fail("contoso", status=302, headers={"Location": address})

    answer, _ = once(app, tmp_path)

    assert "it redirects to another address" in answer
    assert {request.endpoint for request in fake_key_vault.requests} <= {
        "contoso.vault.azure.net",
        "identity",
    }


def test_answers_are_not_encoded(fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    bomb = gzip.compress(b'{"value": "' + b"a" * 50_000_000)
    assert len(bomb) < 100_000
    fake_key_vault.fail(
        "contoso/api-key", status=500, body=bomb, headers={"Content-Encoding": "gzip"}
    )

    answer, _ = once(app, tmp_path)

    assert "its answer is encoded" in answer
    asked = {request.headers["accept-encoding"] for request in fake_key_vault.requests}
    assert asked == {"identity"}


def test_netrc_replaces_no_token(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    file = tmp_path / "netrc"
    hosts = ("contoso.vault.azure.net", "127.0.0.1")
    file.write_text("\n".join(f"machine {host} login me password mine" for host in hosts))
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))

    answer, _ = once(app, tmp_path)

    assert answer == VALUE
    sent = [request.headers.get("authorization", "") for request in fake_key_vault.requests]
    assert not any(header.startswith("Basic") for header in sent)


class _Proxy(_Server):
    """A proxy that notes what it is asked for, and opens tunnels to the fake Key Vault."""

    def __init__(self, vault_port: int) -> None:
        self.asked: list[str] = []

        def tunnel(connection: socket.socket) -> None:
            with socket.create_connection(("127.0.0.1", vault_port)) as vault:
                for source, target in ((connection, vault), (vault, connection)):
                    pump = threading.Thread(target=_pump, args=(source, target), daemon=True)
                    pump.start()
                pump.join()

        super().__init__(tunnel, None)
        self.RequestHandlerClass = _ProxyHandler


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


class _ProxyHandler(_Handler):
    server: _Proxy

    def handle(self) -> None:
        head = self.request.recv(65_536).decode("latin-1")
        self.server.asked.append(head)
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.server.misbehave(self.request)


@pytest.fixture
def proxy(fake_key_vault: FaultyKeyVault, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Proxy]:
    """The proxy that the environment names for everything."""
    with _Proxy(fake_key_vault.vault_port) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        port = server.server_address[1]
        connect = urllib3.util.connection.create_connection

        def create_connection(address: tuple[str, int], *rest: Any, **options: Any) -> Any:
            if address == ("127.0.0.1", port):
                return socket.create_connection(address)
            return connect(address, *rest, **options)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://user:word@127.0.0.1:{port}")
            monkeypatch.setenv(name.lower(), f"http://user:word@127.0.0.1:{port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield server
        server.shutdown()


def test_the_vault_is_reached_by_the_proxy_and_the_identity_endpoint_is_not(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path, proxy: _Proxy
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)

    answer, _ = once(app, tmp_path)

    assert answer == VALUE
    word = base64.b64encode(b"user:word").decode()
    for head in proxy.asked:
        assert head.startswith("CONNECT contoso.vault.azure.net:443 ")
        assert f"Proxy-Authorization: Basic {word}" in head
    assert proxy.asked
    assert [one.endpoint for one in fake_key_vault.requests].count("identity") == 1


def test_no_proxy_is_obeyed(
    fake_key_vault: FaultyKeyVault,
    app: App,
    tmp_path: Path,
    proxy: _Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    monkeypatch.setenv("NO_PROXY", "example.com,.vault.azure.net")

    assert once(app, tmp_path)[0] == VALUE
    assert proxy.asked == []


def test_a_proxy_that_drips_ends_in_time(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path, proxy: _Proxy
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    proxy.RequestHandlerClass = _Handler
    proxy.misbehave = _drip(b"HTTP/1.1 200 Connection established\r\n" + b"X: a\r\n" * 100)

    answer, seconds = once(app, tmp_path)

    assert "cannot be read" in answer
    assert seconds < LONGEST_COLD_CALL
    importlib.import_module("identity_bindings.sources").pool.close()
    threads_end()


def test_only_the_named_authority_is_trusted(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    assert "its TLS certificate is not trusted" in once(app, tmp_path)[0]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_name_that_the_certificate_does_not_have_is_refused(
    fake_key_vault: FaultyKeyVault,
    app: App,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    bundle = os.environ["REQUESTS_CA_BUNDLE"]
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(name, bundle)
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    assert once(app, tmp_path)[0] == VALUE

    fake_key_vault.vault("contoso.evil").set("api-key", VALUE)
    with pytest.MonkeyPatch.context() as patch:
        transport = importlib.import_module("identity_bindings.transport")
        session = transport.new_session(proxied=False)
        host = "a.b.vault.azure.net"  # the certificate is for one label
        fake_key_vault.vault(host)
        patch.setattr(fake_key_vault, "others", {})
        with pytest.raises(Exception, match=r"CERTIFICATE_VERIFY_FAILED|Hostname mismatch"):
            session.get(f"https://{host}/", timeout=5)


# 20 secrets in one vault. What goes wrong there, and how many requests 10 s may see.
SECRETS, SECONDS = 20, 10.0
OF_THE_VAULT: dict[str, dict[str, Any]] = {
    "429": {"status": 429},
    "429, wait 0 s": {"status": 429, "headers": {"Retry-After": "0"}},
    "429, wait 1 s": {"status": 429, "headers": {"Retry-After": "1"}},
    "429, wait a day": {"status": 429, "headers": {"Retry-After": "86400"}},
    "503": {"status": 503},
    "reset": {"how": "reset"},
    "hangs": {"how": "hang"},
}


def many(fake_key_vault: FaultyKeyVault, tmp_path: Path) -> None:
    for number in range(SECRETS):
        fake_key_vault.vault("contoso").set(f"key-{number}", f"value-number-{number}")
        declare(tmp_path, f"f{number}", ECHO, key_vault(secretName=f"key-{number}"))


def call_all(functions: dict[str, Any]) -> list[tuple[str, float]]:
    def one(number: int) -> tuple[str, float]:
        began = time.monotonic()
        try:
            answer = functions[f"f{number}"].get_user_function()(req=None)
        except Exception as error:
            answer = f"failed: {error}"
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(SECRETS) as threads:
        return list(threads.map(one, range(SECRETS)))


@pytest.mark.parametrize("fault", OF_THE_VAULT)
def test_a_vault_in_trouble_is_not_hammered(
    fake_key_vault: FaultyKeyVault,
    app: App,
    tmp_path: Path,
    record_testsuite_property: Callable[[str, object], None],
    fault: str,
) -> None:
    many(fake_key_vault, tmp_path)
    fake_key_vault.fail("contoso", **OF_THE_VAULT[fault])
    functions = app()
    began = time.monotonic()

    answers = call_all(functions)

    assert all(answer.startswith("failed") for answer, _ in answers)
    assert max(seconds for _, seconds in answers) < LONGEST_COLD_CALL
    time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))
    longest = max(seconds for _, seconds in answers)
    figures = f"{longest:.1f} s until the last error, {len(fake_key_vault.requests)} requests"
    record_testsuite_property(f"network.{SECRETS}-secrets.{fault}", figures)
    assert len(fake_key_vault.requests) <= 20
    importlib.import_module("identity_bindings.sources").pool.close()
    threads_end()


def test_an_identity_endpoint_in_trouble_is_not_hammered(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    many(fake_key_vault, tmp_path)
    fake_key_vault.fail("identity", status=500)

    answers = call_all(app())

    assert all(answer.startswith("failed") for answer, _ in answers)
    assert [one.endpoint for one in fake_key_vault.requests].count("identity") <= 20


def test_who_waits_gets_the_value_as_soon_as_the_vault_answers(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    """One goes first, and its success releases all."""
    many(fake_key_vault, tmp_path)
    fake_key_vault.fail("contoso", status=429, times=3, headers={"Retry-After": "1"})

    answers = call_all(app())

    assert [answer for answer, _ in answers] == [f"value-number-{n}" for n in range(SECRETS)]
    asked = Counter(request.status for request in fake_key_vault.requests)
    assert asked[429] == 3
    assert asked[200] == SECRETS + 1  # and one token


def test_a_failure_of_one_secret_is_its_own(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    many(fake_key_vault, tmp_path)
    for number, status in enumerate((500, 403, 404, 400)):
        fake_key_vault.fail(f"contoso/key-{number}", status=status)

    answers = call_all(app())

    assert [answer.startswith("failed") for answer, _ in answers] == [True] * 4 + [False] * 16


def test_a_refresh_obeys_who_asks_to_wait_until_the_next_one(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    many(fake_key_vault, tmp_path)
    refresh = 1.0
    functions = app(refresh)
    assert not any(answer.startswith("failed") for answer, _ in call_all(functions))

    fake_key_vault.fail("contoso", status=429, headers={"Retry-After": "86400"})
    time.sleep(2 * refresh)
    before = len(fake_key_vault.requests)
    time.sleep(4 * refresh)
    # One of 20 asks, once in each interval.
    assert len(fake_key_vault.requests) - before <= 6
    assert not any(answer.startswith("failed") for answer, _ in call_all(functions))

    fake_key_vault.heal()
    fake_key_vault.vault("contoso").set("key-7", "the-new-value")
    deadline = time.monotonic() + 10
    while functions["f7"].get_user_function()(req=None) != "the-new-value":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("expires", ["1", "100000000000000000000", str(int(time.time()) - 60)])
def test_a_token_whose_end_cannot_be_true_is_used_for_5_minutes(
    fake_key_vault: FaultyKeyVault, monkeypatch: pytest.MonkeyPatch, expires: str
) -> None:
    credentials = importlib.import_module("identity_bindings.credentials")
    credential = credentials.Credential(credentials.Identity())
    body = {"access_token": "the-first-token", "expires_on": expires, "token_type": "Bearer"}
    body |= {"resource": "https://vault.azure.net", "client_id": TENANT}
    fake_key_vault.fail("identity", body=json.dumps(body).encode(), times=1)
    scope = "https://vault.azure.net/.default"
    clock = time.monotonic()
    monkeypatch.setattr(credentials, "monotonic", lambda: clock)

    info = credential.get_token_info(scope)

    assert info.token == "the-first-token"
    assert info.expires_on - time.time() == pytest.approx(300, abs=5)
    clock += 299
    assert credential.get_token_info(scope, options={"enable_cae": True}).token == info.token
    assert len(fake_key_vault.requests) == 1
    clock += 2
    assert credential.get_token_info(scope).token in fake_key_vault.tokens
    assert len(fake_key_vault.requests) == 2


def test_a_secret_is_read_with_such_a_token(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    many(fake_key_vault, tmp_path)
    fake_key_vault.token_life = 10 * 86_400

    answers = call_all(app())

    assert [answer for answer, _ in answers] == [f"value-number-{n}" for n in range(SECRETS)]
    assert [one.endpoint for one in fake_key_vault.requests].count("identity") == 1


def test_just_after_a_deployment_the_identity_endpoint_is_asked_again(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path
) -> None:
    """It answers 403 with an empty body for some seconds."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    fake_key_vault.fail("identity", status=403, body=b"", times=3)

    answer, seconds = once(app, tmp_path)

    assert answer == VALUE
    assert seconds < LONGEST_COLD_CALL


def test_a_proxy_with_tls_is_spoken_to_within_the_limits(
    fake_key_vault: FaultyKeyVault, app: App, tmp_path: Path, proxy: _Proxy, monkeypatch: Any
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    port = proxy.server_address[1]
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"https://127.0.0.1:{port}")
    proxy.RequestHandlerClass = _Handler
    proxy.misbehave = drips_handshake

    answer, seconds = once(app, tmp_path)

    assert "cannot be read" in answer
    assert seconds < LONGEST_COLD_CALL
    importlib.import_module("identity_bindings.sources").pool.close()
    threads_end()
