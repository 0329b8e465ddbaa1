"""Key Vault and App Service's identity endpoint, on loopback, speaking as the real ones do.

The Azure SDK under test is the real one, and so are its TLS and its check that a challenge belongs
to the vault that was asked: the certificate is made for the vaults' real names, REQUESTS_CA_BUNDLE
trusts its authority, and only the last step, opening the socket, is led to loopback. Any other
address is refused and noted in `strays`, so that no test leaves this machine.

    with FakeKeyVault() as fake_key_vault:
        fake_key_vault.vault("contoso").set("billing-key", "s3cret-value")
        fake_key_vault.fail("contoso", status=503, times=2)
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import secrets
import socket
import ssl
import struct
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import trustme
import urllib3.util.connection

# Each cloud's vault suffix, with the host that its challenge names for signing in.
CLOUDS = {
    "vault.azure.net": "login.windows.net",
    "vault.azure.cn": "login.chinacloudapi.cn",
    "vault.usgovcloudapi.net": "login.microsoftonline.us",
    "vault.sovcloud-api.fr": "login.sovcloud-identity.fr",
}
TENANT = "7b0a3f6e-2a4d-4c1f-9d52-0f6a5c1b7e11"
CALLER = f"appid={TENANT};oid={TENANT};iss=https://sts.windows.net/{TENANT}/"
# How a vault refuses: status, code, inner code, message.
REFUSALS: dict[str, tuple[int, str, str, str]] = {
    "token": (401, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token."),
    "firewall": (
        *(403, "Forbidden", "ForbiddenByFirewall"),
        "Client address is not authorized and caller is not a trusted service.\r\n"
        "Client address: 203.0.113.7\r\nCaller: {caller}\r\nVault: {vault};location=westeurope",
    ),
    "policy": (
        *(403, "Forbidden", "ForbiddenByPolicy"),
        "The user, group or application '{caller}' does not have secrets get permission on key "
        "vault '{vault};location=westeurope'.",
    ),
    "role": (
        *(403, "Forbidden", "ForbiddenByRbac"),
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        "\r\nCaller: {caller}\r\nAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\n"
        "Assignment: (not found)\r\nVault: {vault};location=westeurope\r\n",
    ),
    "disabled": (
        *(403, "Forbidden", "SecretDisabled"),
        "Operation get is not allowed on a disabled secret.",
    ),
    "missing": (
        *(404, "SecretNotFound", ""),
        "A secret with (name/id) {secret} was not found in this key vault. If you recently deleted "
        "this secret you may be able to recover it using the correct recovery command.",
    ),
    "version": (400, "BadParameter", "", "api-version must be specified"),
    "429": (429, "Throttled", "", "Request was not processed because too many were received."),
    "503": (503, "ServiceUnavailable", "", "The service is unavailable."),
    "other": (500, "InternalServerError", "", "The service ran into an error."),
}
Reply = tuple[int, dict[str, Any], dict[str, str]]


@dataclass
class Fault:
    """What happens instead of the ordinary answer, to `times` requests or (None) until healed."""

    status: int | None = None
    body: bytes | None = None  # sent as it is: garbage
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before the answer
    how: str = ""  # hang, refuse, unresolved, untrusted, or in the answer's middle: reset, drip
    times: int | None = None


@dataclass(frozen=True)
class Secret:
    """A version of a secret."""

    name: str
    version: str
    value: str
    attributes: dict[str, Any]


@dataclass
class Vault:
    """A vault: who may read it, and what it holds, newer versions after older ones."""

    host: str
    rbac: bool = False
    firewall: bool = False  # True: the caller's network is not let in
    readers: set[str | None] | None = None  # the identities let in, None for all of them
    secrets: list[Secret] = field(default_factory=list)

    def set(self, name: str, value: str, *, version: str = "", **attributes: Any) -> str:
        """Add a version of a secret (attributes: enabled, exp, nbf) and return its identifier."""
        now = int(time.time())
        version = version or secrets.token_hex(16)
        known = {"enabled": True, "created": now, "updated": now, "recoverableDays": 90}
        known |= {"recoveryLevel": "Recoverable+Purgeable"} | attributes
        self.secrets.append(Secret(name, version, value, known))
        return version

    def find(self, name: str, version: str = "") -> list[Secret]:
        """Return all versions of a secret, or one of them. Names are equal in any case."""
        named = [one for one in self.secrets if one.name.lower() == name.lower()]
        return [one for one in named if version in ("", one.version)]


@dataclass(frozen=True)
class Request:
    """A request as it arrived, and the status of its answer (0: none)."""

    endpoint: str  # "identity" or the vault's host
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = b""
    status: int = 0

    @property
    def secret(self) -> str:
        """Return the name of the secret that was asked for."""
        return self.path.split("/")[2] if self.path.startswith("/secrets/") else ""


Answer = Callable[[Request], Reply]


class FakeKeyVault:
    """What the services know, what shall go wrong, and every request they got."""

    def __init__(self) -> None:
        self.identities: set[str | None] = {None}  # the app's: resource ids, None is the system's
        self.vaults: dict[str, Vault] = {}
        self.others: dict[str, Answer] = {}  # other hosts, and paths of vaults: "host/collection"
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.strays: list[str] = []
        self.tokens: dict[str, tuple[str | None, str, float]] = {}  # → identity, resource, expiry
        self.token_life = 86_400.0
        self.latency = 0.0  # seconds that every answer takes
        self.closing = threading.Event()
        self._header = secrets.token_hex(16)
        self._lock = threading.Lock()

    def vault(self, name: str, suffix: str = "vault.azure.net") -> Vault:
        """Return the vault of that name, host or URI; it exists from then on."""
        host = urllib.parse.urlsplit(name).netloc if "://" in name else name
        host = (host if "." in host else f"{host}.{suffix}").lower()
        return self.vaults.setdefault(host, Vault(host))

    def fail(self, where: str, **fault: Any) -> None:
        """Plan a fault for a vault's name, for "vault/secret", or for "identity".

        "identity/name" hits the user-assigned identity of that name only.
        """
        self.faults[where] = Fault(**fault)

    def heal(self) -> None:
        """End every fault."""
        self.faults.clear()

    def __enter__(self) -> FakeKeyVault:
        """Start both services, and lead this process to them."""
        context, certificate, _ = _authority()
        with contextlib.ExitStack() as stack:
            ca_file = Path(stack.enter_context(tempfile.TemporaryDirectory()), "authority.pem")
            ca_file.write_bytes(certificate)
            context.sni_callback = self._certificate
            self.vault_port = self._start(stack, context)
            self.identity_port = self._start(stack, None)
            stack.callback(self.closing.set)
            variables = {
                "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.identity_port}/msi/token",
                "IDENTITY_HEADER": self._header,
                "WEBSITE_SITE_NAME": "func-tests",
                "REQUESTS_CA_BUNDLE": str(ca_file),
                **dict.fromkeys(("NO_PROXY", "no_proxy"), "*"),
            }
            stack.enter_context(mock.patch.dict(os.environ, variables))
            sockets = urllib3.util.connection
            redirect = self._redirect(sockets.create_connection)
            stack.enter_context(mock.patch.object(sockets, "create_connection", redirect))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both services, and give the process its ways back."""
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack, context: ssl.SSLContext | None) -> int:
        server = _Server(self, context)
        stack.callback(server.stop)
        loop = functools.partial(server.serve_forever, poll_interval=0.01)
        threading.Thread(target=loop, name="fake-key-vault", daemon=True).start()
        return server.server_port

    def _certificate(self, connection: ssl.SSLObject, host: str, _: ssl.SSLContext) -> None:
        if host in self.others:
            connection.context = _authority()[2](host)
        if self.faults.get((host or "").partition(".")[0], Fault()).how == "untrusted":
            connection.context = _authority.__wrapped__()[0]

    def _redirect(self, connect: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
        def create_connection(
            address: tuple[str, int], *rest: Any, **options: Any
        ) -> socket.socket:
            host, port = address
            known = host in self.others or host.endswith(tuple(CLOUDS))
            if port != self.identity_port and not known:
                self.strays.append(host)
                raise OSError(errno.ENETUNREACH, f"no test leaves this machine, not for {host}")
            where = "identity" if port == self.identity_port else host.partition(".")[0]
            how = self.faults.get(where, Fault()).how
            known = where == "identity" or host in self.vaults or host in self.others
            if how == "unresolved" or not known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            if how == "refuse":
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            port = port if where == "identity" else self.vault_port
            return connect(("127.0.0.1", port), *rest, **options)

        return create_connection

    def answer(self, request: Request) -> tuple[Request, Reply, Fault]:
        """Return the recorded request with its answer and the fault that hits it."""
        with self._lock:
            fault = self._fault(request)
            service = {"identity": self._identity}.get(request.endpoint, self._vault)
            reply = self.others.get(request.endpoint, service)(request)
            if fault.status and (fault.status != 401 or request.endpoint == "identity"):
                kind = str(fault.status) if str(fault.status) in REFUSALS else "other"
                reply = fault.status, _refuse(kind, request)[1], {}
            elif fault.status:
                reply = _refuse("token", request)
            gone = fault.how in ("hang", "refuse", "unresolved", "untrusted")
            request = replace(request, status=0 if gone else reply[0])
            self.requests.append(request)
        return request, (reply[0], reply[1], reply[2] | fault.headers), fault

    def _fault(self, request: Request) -> Fault:
        where = request.endpoint.partition(".")[0]
        one = request.secret or request.query.get("mi_res_id", "").rpartition("/")[2]
        for key in (f"{where}/{one}", where):
            fault = self.faults.get(key)
            if fault and fault.times != 0:
                fault.times = fault.times and fault.times - 1
                return fault
        return Fault()

    def _identity(self, request: Request) -> Reply:
        query = request.query
        if request.headers.get("x-identity-header") != self._header:
            return 401, {"statusCode": 401, "message": "Unauthorized"}, {}
        if query.get("api-version") != "2019-08-01" or not query.get("resource"):
            return 400, {"statusCode": 400, "message": "api-version or resource is missing"}, {}
        wanted = query.get("mi_res_id", "").lower()
        for identity in self.identities:
            if (identity or "").lower() == wanted:
                break
        else:
            kind = "User Assigned or Delegated Managed Identity" if wanted else "Managed Identity"
            text = f"No {kind} found for specified ClientId/ResourceId/PrincipalId."
            return 400, {"statusCode": 400, "message": text, "correlationId": TENANT}, {}
        token = f"eyJ0eXAiOiJKV1QifQ.{secrets.token_urlsafe(96)}.{secrets.token_urlsafe(32)}"
        expires = time.time() + self.token_life
        self.tokens[token] = (identity, query["resource"], expires)
        body = {"access_token": token, "expires_on": str(int(expires)), "token_type": "Bearer"}
        return 200, body | {"resource": query["resource"], "client_id": TENANT.upper()}, {}

    def _vault(self, request: Request) -> Reply:
        vault = self.vaults[request.endpoint]
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        identity, resource, expires = self.tokens.get(token, (None, "", 0.0))
        if resource != f"https://{vault.host.partition('.')[2]}" or time.time() > expires:
            return _refuse("token", request)
        if "api-version" not in request.query:
            return _refuse("version", request)
        if vault.firewall:
            return _refuse("firewall", request)
        if vault.readers is not None and identity not in vault.readers:
            return _refuse("role" if vault.rbac else "policy", request)
        if other := self.others.get(f"{request.endpoint}/{request.path.split('/')[1]}"):
            return other(request)
        found = vault.find(
            request.secret, request.path.rstrip("/").partition(f"/{request.secret}/")[2]
        )
        if not found:
            return _refuse("missing", request)
        secret = found[-1]
        if not secret.attributes["enabled"]:
            return _refuse("disabled", request)
        url = f"https://{vault.host}/secrets/{secret.name}/{secret.version}"
        return 200, {"value": secret.value, "id": url, "attributes": secret.attributes}, {}


def _refuse(kind: str, request: Request) -> Reply:
    status, code, inner, text = REFUSALS[kind]
    vault, _, suffix = request.endpoint.partition(".")
    error: dict[str, Any] = {"code": code}
    error["message"] = text.format(caller=CALLER, vault=vault, secret=request.secret)
    if inner:
        error["innererror"] = {"code": inner}
    if kind != "token":
        return status, {"error": error}, {}
    challenge = f'Bearer authorization="https://{CLOUDS[suffix]}/{TENANT}", '
    challenge += f'resource="https://{suffix}"'
    return status, {"error": error}, {"WWW-Authenticate": challenge}


@functools.cache
def _authority() -> tuple[ssl.SSLContext, bytes, Callable[..., ssl.SSLContext]]:
    """Return the vaults' TLS context, the authority's certificate, and what makes more contexts."""
    ca = trustme.CA()

    @functools.cache
    def context_for(*hosts: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*hosts).configure_cert(context)
        return context

    return context_for(*(f"*.{suffix}" for suffix in CLOUDS)), ca.cert_pem.bytes(), context_for


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without these two, a request on a kept-alive connection waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        fake_key_vault, url = self.server.fake_key_vault, urllib.parse.urlsplit(self.path)
        host = self.headers.get("Host", "").partition(":")[0].lower()
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(urllib.parse.parse_qsl(url.query))
        body = self.rfile.read(int(headers.get("content-length", 0)))
        endpoint = host if self.server.secure else "identity"
        request, (status, told, extra), fault = fake_key_vault.answer(
            Request(endpoint, url.path, query, headers, self.command, body)
        )
        if request.status == 0:  # a service that went away keeps no connection either
            self.close_connection = True
            if fault.how == "hang":
                fake_key_vault.closing.wait(120)
            return
        fake_key_vault.closing.wait(fake_key_vault.latency + fault.delay)
        content = json.dumps(told).encode() if fault.body is None else fault.body
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **extra}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault.how == "reset":
            content = content[: len(content) // 2]
            self.close_connection = True
            self.server.resets.add(self.connection)
        if fault.how == "drip":  # each byte in time, but the whole never
            for position in range(len(content)):
                self.wfile.write(content[position : position + 1])
                self.wfile.flush()
                if fake_key_vault.closing.wait(0.5):
                    return
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: tests look through everything that is printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, fake_key_vault: FakeKeyVault, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake_key_vault, self.secure = fake_key_vault, context is not None
        self.connections: set[Any] = set()
        self.resets: set[Any] = set()
        if context:  # each handshake in its connection's own thread, not in the accepting one
            wrap = functools.partial(context.wrap_socket, server_side=True)
            self.socket = wrap(self.socket, do_handshake_on_connect=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        threading.current_thread().name = "fake-key-vault-connection"
        self.connections.add(request)
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        if request in self.resets:  # no lingering, no orderly end: the client sees a reset
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let clients go away or distrust the certificate without a word."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
