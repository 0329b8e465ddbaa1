"""How the Azure SDK's clients use the network: one policy for the vaults and the identity endpoint.

A read has one deadline and one size limit for all of its requests. They hold on the socket, so that
a handshake, a header or a body that arrives byte by byte ends in time and leaves no thread. Only
name resolution cannot be interrupted. Redirects and encoded answers are refused, and ``.netrc`` is
not read: requests would replace the bearer token with what it finds there.
"""

import logging
import re
import socket
import ssl
from contextlib import suppress
from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry
from urllib3.util.ssl_ import create_urllib3_context

from .errors import AnswerRefused
from .timing import READ, budget

with suppress(ImportError):  # else the first answer imports it, and a fork would not wait
    import azure.core.rest._requests_basic  # noqa: F401

LARGEST_READ = 1 << 20
"""How many bytes the answers to one read may have; a secret has 25 kB at most."""

# The SDK makes this logger with its first client, which is too late for `quiet`.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
_SDK = re.compile(r"(azure\.(core|identity|keyvault)|msal|urllib3|requests)\b")
_LONGEST_WAIT = 21_600.0  # seconds, whatever a service asks for
_CONNECT = 3.0  # seconds for a connection


class _Socket(socket.socket):
    """A socket that keeps to the budget of the read that uses it."""

    def recv(self, size: int = 65_536, *_: Any) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, *args: Any) -> int:
        self.settimeout(budget.seconds_left())
        received = super().recv_into(*args)
        budget.received += received
        if budget.received > LARGEST_READ:
            raise AnswerRefused("its answer is too large")
        return received

    def sendall(self, *args: Any) -> None:
        self.settimeout(budget.seconds_left())
        super().sendall(*args)


class _TlsSocket(_Socket, ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(budget.seconds_left())
        super().do_handshake(block)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        self.timeout = min(_CONNECT, budget.seconds_left())
        limited = _Socket(fileno=super()._new_conn().detach())
        limited.settimeout(self.timeout)
        return limited


class _TlsConnection(_Connection, HTTPSConnection): ...


_LIMITED = {HTTPConnection: _Connection, HTTPSConnection: _TlsConnection}


class _Adapter(HTTPAdapter):
    """What sends a session's requests, within the limits of the read that makes them."""

    def __init__(self) -> None:
        self._context = create_urllib3_context()
        self._context.sslsocket_class = _TlsSocket
        super().__init__(max_retries=Retry(total=False, redirect=False, raise_on_status=False))

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        options["ssl_context"] = self._context
        if proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **options)

    def cert_verify(self, conn: Any, *args: Any, **options: Any) -> None:
        """Prepare a pool of connections before each request."""
        super().cert_verify(conn, *args, **options)
        # Not those of a SOCKS proxy, which open connections of their own.
        conn.ConnectionCls = _LIMITED.get(conn.ConnectionCls, conn.ConnectionCls)
        if conn.proxy and conn.proxy.scheme == "https":
            # urllib3 trusts such a proxy by this context alone, and not by the pool's authorities.
            self._context.load_verify_locations(conn.ca_certs, conn.ca_cert_dir)

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request and read its answer, both within the limits of the read."""
        with budget.of_read():
            budget.answer = None
            with super().send(*args, **options) as response:
                if 300 <= response.status_code < 400:
                    raise AnswerRefused("it redirects to another address")
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise AnswerRefused("its answer is encoded")
                response.content  # noqa: B018 - it is read here
                budget.answer = response
        return response


def retry_after(response: requests.Response) -> float:
    """Return the seconds that a service asks to wait, as a number or an HTTP date, or 0."""
    asked = response.headers.get("Retry-After", "")
    with suppress(InvalidHeader, ValueError):
        return min(Retry().parse_retry_after(asked), _LONGEST_WAIT)
    return 0.0


def quiet() -> None:
    """Keep what the SDK logs of the engine's reads out of the app's log."""
    for name in filter(_SDK.match, [*logging.root.manager.loggerDict]):
        logging.getLogger(name).addFilter(budget)


def client_options(proxied: bool, transport: Any = RequestsTransport) -> dict[str, Any]:
    """Return the options of an Azure SDK client by this policy. It never retries: sources do."""
    quiet()
    session = requests.Session()
    session.trust_env = proxied  # HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE
    session.auth = lambda request: request  # the SDK has set the token: not what .netrc names
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    timeouts = {"connection_timeout": _CONNECT, "read_timeout": READ}
    return {"transport": transport(session=session, **timeouts), "retry_total": 0}
