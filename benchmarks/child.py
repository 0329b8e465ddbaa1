"""What is measured in a process of its own: a start, and a thousand callers at once.

    python child.py start PROJECT WAY PAUSE      WAY: direct | runtime
    python child.py callers PROJECT WHO          WHO: engine | sdk

It imports no more than it must before the clock matters: the start of this process is measured.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

CALLERS = 1_000
VAULT_URL = "https://contoso.vault.azure.net"
SECRET = "my-application-secret"  # noqa: S105 - its name
_resolve = socket.getaddrinfo


def _to_loopback(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
    """Lead whoever asks for a vault to the fake Key Vault of the process that started this one."""
    if isinstance(host, str) and host.endswith(".vault.azure.net"):
        host, port = "127.0.0.1", int(os.environ["VAULT_PORT"])
    return _resolve(host, port, *rest, **options)


def start(way: str, pause: str) -> None:
    """Start the app and call it once; print when it was indexed and when it answered."""
    # What both ways have in common is imported in both, so that they differ by the app alone.
    if way == "direct":
        function_app = importlib.import_module("function_app")
        (function,) = function_app.app.get_functions()
        indexed = time.monotonic()
        time.sleep(float(pause))
        import azure.functions as func

        request = func.HttpRequest("POST", "https://localhost/api", body=b"amount=100")
        answer = function.get_user_function()(req=request)
        answered = time.monotonic()
        status = str(answer.status_code)
    else:
        from runtime import Host

        runtime = Host()
        runtime.start()
        (function,) = runtime.index().values()
        indexed = time.monotonic()
        time.sleep(float(pause))
        runtime.load(function.function_id)
        answer = runtime.call(function.function_id, "req", b"amount=100")
        answered = time.monotonic()
        status = answer.return_value.http.status_code
    if status != "200":
        sys.exit(f"the app answered {status}")
    print(indexed, answered)


def callers(who: str) -> None:
    """Let half of the callers be threads and half coroutines, all cold, all at the same moment.

    Prints the seconds until the last of them has the value.
    """
    import asyncio
    import threading
    from concurrent.futures import ThreadPoolExecutor

    in_thread, in_coroutine, close = _engine() if who == "engine" else _sdk()
    begin = threading.Barrier(CALLERS // 2 + 1)

    def one(_: int) -> Any:
        begin.wait()
        return in_thread()

    async def many() -> list[Any]:
        try:
            return await asyncio.gather(*(in_coroutine() for _ in range(CALLERS // 2)))
        finally:
            await close()

    with ThreadPoolExecutor(CALLERS // 2) as threads:
        answers = threads.map(one, range(CALLERS // 2))
        began = time.monotonic()
        begin.wait()
        got = [*asyncio.run(many()), *answers]
    took = time.monotonic() - began
    if set(map(str, got)) != {os.environ["VALUE"]}:
        sys.exit("a caller got something else")
    print(took)


Callers = tuple[Callable[[], Any], Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]]]


def _engine() -> Callers:
    from pathlib import Path
    from tempfile import mkdtemp
    from unittest import mock

    import folders

    folder = Path(mkdtemp(dir=os.environ["SCRATCH"]))
    entry = folders.key_vault(vaultName="contoso", secretName=SECRET)
    folders.declare(folder, "plain", "def main(req, mySecret):\n    return mySecret\n", entry)
    folders.declare(folder, "other", "async def main(req, mySecret):\n    return mySecret\n", entry)
    # Outside of Azure nothing is read in the background: the callers shall be the first.
    with mock.patch.dict(os.environ, clear=True):
        functions = folders.load_folder(folder)
    plain, other = (functions[name].get_user_function() for name in ("plain", "other"))

    async def close() -> None: ...

    return lambda: plain(req=None), lambda: other(req=None), close


def _sdk() -> Callers:
    """The SDK as its documentation shows it: one client of each kind, for everybody."""
    from azure.identity import ManagedIdentityCredential
    from azure.identity.aio import ManagedIdentityCredential as AsyncCredential
    from azure.keyvault.secrets import SecretClient
    from azure.keyvault.secrets.aio import SecretClient as AsyncClient

    trust = os.environ["REQUESTS_CA_BUNDLE"]
    plain = SecretClient(VAULT_URL, ManagedIdentityCredential())
    other = AsyncClient(VAULT_URL, AsyncCredential(), connection_verify=trust)

    async def get() -> Any:
        return (await other.get_secret(SECRET)).value

    return lambda: plain.get_secret(SECRET).value, get, other.close


if __name__ == "__main__":
    socket.getaddrinfo = _to_loopback
    project = sys.argv[2]
    here = os.path.dirname(os.path.abspath(__file__))
    own = os.path.join(here, os.pardir, "tests")
    tests = (os.path.join(project, "tests"), own, os.path.join(own, "engine"))
    sys.path[:0] = [os.path.join(project, "src"), *tests]
    measured: dict[str, Callable[..., None]] = {"start": start, "callers": callers}
    measured[sys.argv[1]](*sys.argv[3:])
    sys.stdout.flush()
    os._exit(0)  # what comes after the last moment is not measured
