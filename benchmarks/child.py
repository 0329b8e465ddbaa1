"""What is measured in a process of its own: a start, and what an app costs that has started.

    python child.py PROJECT start WAY PAUSE      WAY: direct or runtime
    python child.py PROJECT warm

It imports no more than it must before the clock matters: the start of this process is measured.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

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


def warm() -> None:
    """Print the seconds of a warm call and of a log line, each the best of its rounds."""
    import logging

    import azure.functions as func

    (function,) = importlib.import_module("function_app").app.get_functions()
    handler = function.get_user_function()
    request = func.HttpRequest("POST", "https://localhost/api", body=b"amount=100")
    handler(req=request)
    logging.getLogger().setLevel(logging.INFO)

    def best(of: Callable[[int], Any]) -> float:
        rounds = []
        for _ in range(100):
            began = time.perf_counter()
            for number in range(500):
                of(number)
            rounds.append((time.perf_counter() - began) / 500)
        return min(rounds)

    call = best(lambda _: handler(req=request))
    line = best(lambda number: logging.info("Order %d of %s was accepted", number, "a customer"))
    print(call, line)


if __name__ == "__main__":
    socket.getaddrinfo = _to_loopback
    _, project, what, *how = sys.argv
    here = os.path.dirname(os.path.abspath(__file__))
    own = os.path.join(here, os.pardir, "tests")
    tests = (os.path.join(project, "tests"), own, os.path.join(own, "engine"))
    sys.path[:0] = [os.path.join(project, "src"), *tests]
    start(*how) if what == "start" else warm()
    sys.stdout.flush()
    os._exit(0)  # what comes after the last moment is not measured
