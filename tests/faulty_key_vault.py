"""The fake Key Vault of generated projects, with everything that can go wrong with a real one.

fake_key_vault.fail("contoso", status=503, times=2)
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from typing import Any, Self

import trustme
from support.fake_key_vault import (
    SUFFIXES,
    TENANT,
    FakeKeyVault,
    Handler,
    Reply,
    Request,
    Vault,
)

# Why a vault refuses: status, code, inner code.
REFUSALS = {
    "firewall": (403, "Forbidden", "ForbiddenByFirewall"),
    "policy": (403, "Forbidden", "ForbiddenByPolicy"),
    "role": (403, "Forbidden", "ForbiddenByRbac"),
    "disabled": (403, "Forbidden", "SecretDisabled"),
    "missing": (404, "SecretNotFound", ""),
    "version": (400, "BadParameter", ""),
    "429": (429, "Throttled", ""),
    "503": (503, "ServiceUnavailable", ""),
    "other": (500, "InternalServerError", ""),
}
# A vault's message names who asked, and where from.
MESSAGE = (
    "Client address is not authorized and caller is not a trusted service.\r\n"
    f"Client address: 203.0.113.7\r\nCaller: appid={TENANT};oid={TENANT}\r\nVault: {{}}"
)


@dataclass
class Fault:
    """What happens instead of the ordinary answer, to `times` requests or (None) until healed."""

    status: int | None = None
    body: bytes | None = None  # sent as it is: garbage
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before the answer
    how: str = ""  # hang, refuse, unresolved, untrusted, or in the answer's middle: reset, drip
    # What happens on the connection instead of an answer, until the fake Key Vault stops.
    raw: Callable[[Any, threading.Event], None] | None = None
    times: int | None = None


class FaultyHandler(Handler):
    # Without these two, a request on a kept-alive connection waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    fake_key_vault: FaultyKeyVault

    def reply(self, request: Request) -> None:
        fake_key_vault = self.fake_key_vault
        (status, answer, headers), fault = fake_key_vault.answer_or_fail(request)
        if fault.raw:
            self.close_connection = True
            with contextlib.suppress(OSError):
                fault.raw(self.connection, fake_key_vault.closing)
            return
        if status == 0:  # a service that went away keeps no connection either
            self.close_connection = True
            if fault.how == "hang":
                fake_key_vault.closing.wait(120)
            return
        fake_key_vault.closing.wait(fake_key_vault.latency + fault.delay)
        content = json.dumps(answer).encode() if fault.body is None else fault.body
        self.send_response(status)
        length = {"Content-Length": str(len(content))}
        for name, value in ({"Content-Type": "application/json"} | headers | length).items():
            self.send_header(name, value)
        self.end_headers()
        if fault.how == "reset":
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            # No lingering, no orderly end: the client sees a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
            return
        step = 1 if fault.how == "drip" else len(content)  # each byte in time, but the whole never
        for position in range(0, len(content), step or 1):
            self.wfile.write(content[position : position + step])
            self.wfile.flush()
            if fault.how == "drip" and fake_key_vault.closing.wait(0.5):
                return


class FaultyServer(ThreadingHTTPServer):
    request_queue_size = 256

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections: set[Any] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        threading.current_thread().name = "fake-key-vault-connection"
        self.connections.add(request)
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None: ...

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class FaultyKeyVault(FakeKeyVault):
    """The fake, and what goes wrong. A vault may also have `rbac` or `firewall` set to True."""

    server, handler = FaultyServer, FaultyHandler

    def __init__(self) -> None:
        super().__init__()
        self.faults: dict[str, Fault] = {}
        self.latency = 0.0  # seconds that every answer takes
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def fail(self, where: str, **fault: Any) -> None:
        """Plan a fault for a vault's name, for "vault/secret", or for "identity".

        "identity/name" hits the user-assigned identity of that name only.
        """
        self.faults[where] = Fault(**fault)

    def heal(self) -> None:
        """End every fault."""
        self.faults.clear()

    def __enter__(self) -> Self:
        """Start; at the end, what hangs stops first."""
        super().__enter__()
        self.callback(self.closing.set)
        return self

    def tls_context(self) -> ssl.SSLContext:
        """Use a certificate that nobody trusts, where that is the fault."""
        trusted, untrusted = super().tls_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
            if self.faults.get((host or "").partition(".")[0], Fault()).how == "untrusted":
                trustme.CA().issue_cert(str(host)).configure_cert(untrusted)
                connection.context = untrusted

        trusted.sni_callback = choose
        return trusted

    def connect(self, connect: Any, address: tuple[str, int], *rest: Any, **how: Any) -> Any:
        """Open a socket, or fail as planned."""
        host, port = address
        where = "identity" if port == self.identity_port else host.partition(".")[0]
        fault = self.faults.get(where, Fault()).how
        if fault == "unresolved" or (host.endswith(SUFFIXES) and host not in self.vaults):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if fault == "refuse":
            raise ConnectionRefusedError("Connection refused")
        return super().connect(connect, address, *rest, **how)

    def answer_or_fail(self, request: Request) -> tuple[Reply, Fault]:
        """Return the answer to a request, and the fault that hits it. A status of 0 is none."""
        with self.lock:
            fault = self._fault(request)
            status, body, headers = self.serve(request)
            if fault.status and (fault.status != 401 or request.endpoint == "identity"):
                kind = str(fault.status) if str(fault.status) in REFUSALS else "other"
                status, body, headers = fault.status, refuse(kind, request)[1], {}
            elif fault.status:
                without = {**request.headers, "authorization": ""}
                status, body, headers = self.serve(replace(request, headers=without))
            if fault.how in ("hang", "refuse", "unresolved", "untrusted"):
                status = 0
            self.requests.append(replace(request, status=status))
        return (status, body, headers | fault.headers), fault

    def _fault(self, request: Request) -> Fault:
        where = request.endpoint.partition(".")[0]
        one = request.secret or request.query.get("mi_res_id", "").rpartition("/")[2]
        for key in (f"{where}/{one}", where):
            fault = self.faults.get(key)
            if fault and fault.times != 0:
                fault.times = fault.times and fault.times - 1
                return fault
        return Fault()

    def read(self, vault: Vault, identity: str | None, request: Request) -> Reply:
        """Refuse for more reasons than the projects' own tests need."""
        if "api-version" not in request.query:
            return refuse("version", request)
        if getattr(vault, "firewall", False):
            return refuse("firewall", request)
        if vault.readers is not None and identity not in vault.readers:
            return refuse("role" if getattr(vault, "rbac", False) else "policy", request)
        found = vault.find(request.secret, request.path.rstrip("/").rpartition("/")[2]) or (
            vault.find(request.secret)
        )
        if found and not found[-1].attributes["enabled"]:
            return refuse("disabled", request)
        reply = super().read(vault, identity, request)
        return refuse("missing", request) if reply[0] == 404 and request.secret else reply


def refuse(kind: str, request: Request) -> Reply:
    """Make the vault's refusal of a kind."""
    status, code, inner = REFUSALS[kind]
    error: dict[str, Any] = {"code": code, "message": MESSAGE.format(request.endpoint)}
    return status, {"error": error | ({"innererror": {"code": inner}} if inner else {})}, {}
