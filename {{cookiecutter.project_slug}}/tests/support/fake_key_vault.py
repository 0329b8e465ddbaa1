"""A fake Key Vault and identity endpoint on loopback. The Azure SDK that talks to them is real.

So are its TLS and its check of the vault's challenge: REQUESTS_CA_BUNDLE trusts a certificate with
the vaults' names, and sockets are opened to loopback. Any other address is refused and noted.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import secrets
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import trustme
import urllib3.util.connection

CLOUDS = ("azure.net", "azure.cn", "usgovcloudapi.net", "sovcloud-api.fr")
SUFFIXES = tuple(f"vault.{one}" for one in CLOUDS)
TENANT = "7b0a3f6e-2a4d-4c1f-9d52-0f6a5c1b7e11"
Reply = tuple[int, dict[str, Any], dict[str, str]]  # status, JSON body, headers


class Secret(NamedTuple):
    name: str
    version: str
    value: str
    attributes: dict[str, Any]


@dataclass
class Vault:
    host: str
    # Resource ids of identities, and None for the system-assigned one; without a set, everybody.
    readers: set[str | None] | None = None
    secrets: list[Secret] = field(default_factory=list)  # newer versions after older ones

    def set(self, name: str, value: str, *, version: str = "", **attributes: Any) -> str:
        """Add a version of a secret (attributes: enabled, exp, nbf) and return the version."""
        version = version or secrets.token_hex(16)
        self.secrets.append(Secret(name, version, value, {"enabled": True} | attributes))
        return version

    def find(self, name: str, version: str = "") -> list[Secret]:
        """Return all versions of a secret, or one of them. Case does not matter in names."""
        same = [one for one in self.secrets if one.name.lower() == name.lower()]
        return [one for one in same if version in ("", one.version)]


@dataclass(frozen=True)
class Request:
    endpoint: str  # "identity" or the vault's host
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = b""
    status: int = 0  # of its answer; 0: none

    @property
    def secret(self) -> str:
        return self.path.split("/")[2] if self.path.startswith("/secrets/") else ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, fake_key_vault: FakeKeyVault, *arguments: Any) -> None:
        self.fake_key_vault = fake_key_vault
        super().__init__(*arguments)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host", "").partition(":")[0].lower()
        endpoint = host if isinstance(self.connection, ssl.SSLSocket) else "identity"
        body = self.rfile.read(int(headers.get("content-length", 0)))
        query = dict(parse_qsl(url.query))
        self.reply(Request(endpoint, url.path, query, headers, self.command, body))

    do_POST = do_GET

    def reply(self, request: Request) -> None:
        status, answer, headers = self.fake_key_vault.serve(request)
        self.fake_key_vault.requests.append(replace(request, status=status))
        content = json.dumps(answer).encode()
        self.send_response(status)
        length = {"Content-Length": str(len(content))}
        for name, value in ({"Content-Type": "application/json"} | headers | length).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None: ...


class FakeKeyVault(contextlib.ExitStack):
    """The identities and vaults that exist, and every request that arrived."""

    server: type[ThreadingHTTPServer] = ThreadingHTTPServer
    handler: type[Handler] = Handler

    def __init__(self) -> None:
        super().__init__()
        self.identities: set[str | None] = {None}  # the app's: resource ids, None is the system's
        self.vaults: dict[str, Vault] = {}
        # Hosts below "contoso.example", and collections of a vault, "contoso.vault.azure.net/keys".
        self.others: dict[str, Callable[[Request], Reply]] = {}
        self.requests: list[Request] = []
        self.strays: list[str] = []
        self.tokens: dict[str, tuple[str | None, str, float]] = {}  # → identity, resource, expiry
        self.token_life = 86_400.0
        self._header = secrets.token_hex(16)

    def vault(self, name: str, suffix: str = SUFFIXES[0]) -> Vault:
        """Return the vault of that name, host or URI; it exists from then on."""
        host = urlsplit(name).netloc if "://" in name else name
        host = (host if "." in host else f"{host}.{suffix}").lower()
        return self.vaults.setdefault(host, Vault(host))

    def __enter__(self) -> Self:
        """Start both services, and redirect this process to them."""
        ca_file = Path(self.enter_context(tempfile.TemporaryDirectory()), "authority.pem")
        certificate_authority().cert_pem.write_to_path(ca_file)
        self.vault_port, self.identity_port = self._start(self.tls_context()), self._start()
        endpoint = f"http://127.0.0.1:{self.identity_port}/msi/token"
        variables = {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": self._header}
        variables |= {"WEBSITE_SITE_NAME": "func-tests", "WEBSITE_SKU": "FlexConsumption"}
        variables |= {"REQUESTS_CA_BUNDLE": str(ca_file), "NO_PROXY": "*", "no_proxy": "*"}
        self.enter_context(mock.patch.dict(os.environ, variables))
        sockets = urllib3.util.connection
        redirect = functools.partial(self.connect, sockets.create_connection)
        self.enter_context(mock.patch.object(sockets, "create_connection", redirect))
        return super().__enter__()

    def _start(self, context: ssl.SSLContext | None = None) -> int:
        server = self.server(("127.0.0.1", 0), functools.partial(self.handler, self))
        if context:  # each handshake in its connection's own thread, not in the accepting one
            wrap = functools.partial(context.wrap_socket, do_handshake_on_connect=False)
            server.socket = wrap(server.socket, server_side=True)
        self.callback(server.server_close)
        self.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server.server_port

    def tls_context(self) -> ssl.SSLContext:
        """Return a TLS context with the names of all vaults."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = ["localhost", *(f"*.{suffix}" for suffix in (*SUFFIXES, "contoso.example"))]
        certificate_authority().issue_cert(*names).configure_cert(context)
        return context

    def connect(self, connect: Any, address: tuple[str, int], *rest: Any, **how: Any) -> Any:
        """Open a socket to loopback instead of a vault, and to nowhere else."""
        host = address[0]
        if host in self.vaults or host in self.others:
            address = ("127.0.0.1", self.vault_port)
        elif host != "127.0.0.1":
            self.strays.append(host)
            raise OSError(errno.ENETUNREACH, f"no test leaves this machine, not for {host}")
        return connect(address, *rest, **how)

    def serve(self, request: Request) -> Reply:
        """Answer as the service that was asked."""
        service = self._identity if request.endpoint == "identity" else self._vault
        return self.others.get(request.endpoint, service)(request)

    def _identity(self, request: Request) -> Reply:
        resource, wanted = request.query["resource"], request.query.get("mi_res_id", "").lower()
        found = [one for one in self.identities if (one or "").lower() == wanted]
        if not found or request.headers.get("x-identity-header") != self._header:
            return 400, {"statusCode": 400, "message": "No Managed Identity found"}, {}
        token, expires = f"eyJ0.{secrets.token_urlsafe(96)}", time.time() + self.token_life
        self.tokens[token] = (found[0], resource, expires)
        body = {"access_token": token, "expires_on": str(int(expires)), "token_type": "Bearer"}
        return 200, body | {"resource": resource, "client_id": TENANT.upper()}, {}

    def _vault(self, request: Request) -> Reply:
        vault, suffix = self.vaults[request.endpoint], request.endpoint.partition(".")[2]
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        identity, resource, expires = self.tokens.get(token, (None, "", 0.0))
        if resource == f"https://{suffix}" and time.time() < expires:
            return self.read(vault, identity, request)
        where = f'authorization="https://login.windows.net/{TENANT}", resource="https://{suffix}"'
        return *refusal(401, "Unauthorized")[:2], {"WWW-Authenticate": f"Bearer {where}"}

    def read(self, vault: Vault, identity: str | None, request: Request) -> Reply:
        """Answer an identity that has shown a valid token."""
        if vault.readers is not None and identity not in vault.readers:
            return refusal(403, "ForbiddenByPolicy")
        if other := self.others.get(f"{request.endpoint}/{request.path.split('/')[1]}"):
            return other(request)
        version = "".join(request.path.split("/")[3:])  # /secrets/NAME/VERSION
        if not (found := vault.find(request.secret, version)):
            return refusal(404, "SecretNotFound")
        name, version, value, attributes = found[-1]
        url = f"https://{vault.host}/secrets/{name}/{version}"
        return 200, {"value": value, "id": url, "attributes": attributes}, {}


def refusal(status: int, code: str) -> Reply:
    """Make an error in Key Vault's form."""
    return status, {"error": {"code": code, "message": code, "innererror": {"code": code}}}, {}


certificate_authority = functools.cache(trustme.CA)


class Declared(NamedTuple):
    """What the functions declare, as it is in the fake Key Vault."""

    fake_key_vault: FakeKeyVault
    values: dict[tuple[str, str], str]  # (function, parameter) → the secret's value

    def given(self, function: str) -> dict[str, str]:
        """Return the value of each secret that a function declares, by parameter."""
        return {name: value for (of, name), value in self.values.items() if of == function}
