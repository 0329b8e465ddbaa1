"""Apps as people write them, each in a folder of its own, loaded and called as by the worker."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import azure.functions as func
import folders
import pytest
from runtime import Host
from support import worker
from support.fake_key_vault import FakeKeyVault

AZURE = ("WEBSITE_SITE_NAME", "WEBSITE_POD_NAME", "CONTAINER_NAME")  # set where the app is hosted
FUNCTION_APP = """
from pathlib import Path
import azure.functions as func
from identity_bindings import isolated, key_vault_secret, register_functions

app = func.FunctionApp()
register_functions(app, Path(__file__).parent / "functions")
"""
HTTP = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "function"}
RES = {"type": "http", "direction": "out", "name": "res"}
VALUE = "the-value-of-it"
ECHO = "def main(req, mySecret):\n    return mySecret\n"


def secret(name: Any = "api_key", **changed: Any) -> str:
    """The decorator as it is written; None leaves an argument out."""
    arguments = {"secret_name": "api-key", "vault_name": "contoso", "identity": "system"} | changed
    rest = [f"{key}={value!r}" for key, value in arguments.items() if value is not None]
    return f"@key_vault_secret({', '.join([repr(name), *rest])})"


SECRET = secret()


def decorated(
    name: str,
    body: str = "return api_key",
    decorators: str = SECRET,
    parameters: str = "api_key: str",
    way: str = "def",
    app: str = "app",
) -> str:
    """An HTTP function of the v2 model, which gets its secret."""
    return f"""
@{app}.route("{name}")
{decorators}
{way} {name}(req: func.HttpRequest, {parameters}) -> str:
    {body}
"""


needs_runtime = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime: Python 3.13 on"
)


class Project:
    """A project's folder. What is imported from it is forgotten when the test ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("function_app.py", FUNCTION_APP)

    def __enter__(self) -> Project:
        self._path, self._byte_code = list(sys.path), sys.dont_write_bytecode
        sys.dont_write_bytecode = True  # files change within one tick of the clock
        sys.path.insert(0, str(self.folder))
        self.forget()
        return self

    def __exit__(self, *_: object) -> None:
        worker.restart()
        self.forget()
        sys.path[:], sys.dont_write_bytecode = self._path, self._byte_code

    def forget(self) -> None:
        """Drop every module of this project, and what the importing system knows of its files."""
        modules = list(sys.modules.items())
        for name in [name for name, module in modules if self._is_from_here(name, module)]:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def _is_from_here(self, name: str, module: Any) -> bool:
        places = [str(getattr(module, "__file__", "")), *getattr(module, "__path__", ())]
        return name == "function_app" or any(str(self.folder) in place for place in places)

    def write(self, file: str, content: str | bytes) -> None:
        """Write a file of the project."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def function(
        self, name: str, *bindings: Any, source: str | None = ECHO, text: str = "", **top: Any
    ) -> None:
        """Write a function's folder: its function.json of these bindings, and its module."""
        content = text or json.dumps({"bindings": bindings, **top})
        self.write(f"functions/{name}/function.json", content)
        if source is not None:
            self.write(f"functions/{name}/__init__.py", source)

    def app(self, *texts: str) -> None:
        """Write function_app.py: the folder's functions, and these."""
        self.write("function_app.py", "\n\n".join([FUNCTION_APP, *texts]))

    def load(self) -> dict[str, Any]:
        """Import function_app.py, and return its functions by name."""
        return worker.load_app()

    @contextmanager
    def host(self) -> Iterator[Host]:
        """Start Microsoft's runtime with this project."""
        host = Host()
        try:
            host.start(self.folder)
            yield host
        finally:
            host.close()

    @contextmanager
    def served(self) -> Iterator[dict[str, Callable[[], tuple[str, str]]]]:
        """Start the app in Microsoft's runtime where Python has it, else in the projects' driver.

        Yields:
            By name, what calls an HTTP function: its status and text, or "exception" and the text.
        """
        if sys.version_info >= (3, 13):
            with self.host() as host:
                yield {name: partial(host.get, name) for name in host.index()}
        else:
            yield {name: partial(_get, function) for name, function in self.load().items()}


def _get(function: Any) -> tuple[str, str]:
    taken = inspect.signature(function.get_user_function()).parameters
    outs = {name: worker.Output() for name in worker.bindings(function) if name in taken}
    del outs[function.get_trigger().name]
    try:
        answer = worker.call(function, **outs)
    except Exception as error:
        return "exception", f"{type(error).__name__}: {error}"
    answer = outs["res"].get() if "res" in outs else answer
    return str(getattr(answer, "status_code", 200)), body(answer)


class App:
    """The functions of a folder, loaded with the refresh and grace that a test needs."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch

    def declare(self, name: str, source: str, *entries: dict[str, Any]) -> None:
        """Write an HTTP function with further bindings."""
        folders.declare(self.folder, name, source, *entries)

    def __call__(self, refresh: float = 300, grace: float = 900) -> dict[str, Any]:
        """Load the functions, and return them by name."""
        self._patch.setenv("SECRET_REFRESH_SECONDS", str(refresh))
        self._patch.setenv("SECRET_GRACE_SECONDS", str(grace))
        return folders.load_folder(self.folder)

    def handlers(self, *timing: float) -> dict[str, Callable[..., Any]]:
        """Load the functions, and return what the worker calls of each."""
        return {name: function.get_user_function() for name, function in self(*timing).items()}


def leave_azure(patch: pytest.MonkeyPatch) -> None:
    """Leave Azure: no identity endpoint, no site, and no CLI with a login."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", *AZURE):
        patch.delenv(name, raising=False)
    patch.setenv("PATH", "/bin:/usr/bin")


def hasten(patch: pytest.MonkeyPatch, times: float, back_off: float) -> dict[str, float]:
    """Make the engine's limits that many times shorter; all else is as in production.

    Args:
        patch: What undoes it.
        times: How many times.
        back_off: The longest pause after a failure.

    Returns:
        What callers feel of it: how late a refresh may be, how long they wait, the longest pause.
    """
    rooms = ("injection", "report", "sources", "timing", "vaults")
    for room in [importlib.import_module(f"identity_bindings.{name}") for name in rooms]:
        for seconds in ("LATE", "READ", "WAIT", "_COLD_BUDGET", "_HOLD"):
            if hasattr(room, seconds):  # a name that a room imports is one of its own
                patch.setattr(room, seconds, getattr(room, seconds) / times)
    timing = importlib.import_module("identity_bindings.timing")
    patch.setattr(timing, "LONGEST_BACK_OFF", back_off)
    return {"late": timing.LATE, "wait": timing.WAIT, "back_off": back_off}


def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something holds. The limit is for what never happens, not for a busy machine."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.005)


def storm(sync: Callable[..., Any], other: Callable[..., Any], count: int) -> list[Any]:
    """Call `count` times from threads and as often from coroutines, all at the same moment.

    Returns:
        The answers, and the exceptions.
    """
    start = threading.Barrier(count + 1)

    def one(_: int) -> Any:
        start.wait(20)
        try:
            return sync(req=None)
        except Exception as error:
            return error

    async def many() -> list[Any]:
        tasks = [asyncio.ensure_future(other(req=None)) for _ in range(count)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    with ThreadPoolExecutor(count) as threads:
        answers = threads.map(one, range(count))
        start.wait(20)
        return [*asyncio.run(many()), *answers]


def attempt(function: Any) -> tuple[str, str, float]:
    """Call a function once: the answer, or the failure's text, and the seconds that it took."""
    began = time.monotonic()
    try:
        answer, failed = str(folders.call(function)), ""
    except Exception as error:
        answer, failed = "", str(error)
    return answer, failed, time.monotonic() - began


def outcome(read: Callable[..., Any], *arguments: Any) -> Any:
    """What a read brings: what it returns, or its failure."""
    errors: Any = importlib.import_module("identity_bindings.errors")
    try:
        return read(*arguments)
    except errors.ReadError as error:
        assert error.__cause__ is error.__context__ is None  # the SDK's hold what was sent
        assert str(error) == error.failure.reason
        return error.failure


def reads(fake_key_vault: FakeKeyVault) -> int:
    """How many secrets the fake Key Vault has given."""
    return sum(one.status == 200 and bool(one.secret) for one in fake_key_vault.requests)


def engine_threads() -> list[str]:
    """The names of the engine's threads that run now."""
    return [one.name for one in threading.enumerate() if one.name.startswith("identity")]


def logged(caplog: pytest.LogCaptureFixture, function: str = "", level: int = logging.ERROR) -> Any:
    """What the engine has logged from `level` on, about a function or in all."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "identity_bindings"
        and record.levelno >= level
        and (not function or f"/{function}/" in record.getMessage())
    ]


def body(answer: Any) -> str:
    """The text of an answer: of a response, or of a handler that returned a text."""
    if isinstance(answer, func.HttpResponse):
        return answer.get_body().decode()
    return str.__str__(answer)
