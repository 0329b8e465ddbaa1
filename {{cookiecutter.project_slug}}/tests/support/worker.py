"""What the Functions worker does with an app: load it, index it, call it, restart."""

import asyncio
import contextlib
import functools
import importlib
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import urlencode

import azure.functions as func
from azure.functions.blob import InputStream
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

PROJECT = Path(__file__).resolve().parents[2]
SRC = PROJECT / "src"
FUNCTIONS = SRC / "functions"
# Settings of the engine and of the system: tests leave them as they are.
OWN = {"KEY_VAULT_DNS_SUFFIX", "SECRET_REFRESH_SECONDS", "SECRET_GRACE_SECONDS", "PATH"}
# Where a setting's name does not do as its value, by the property of a declaration.
STAND_INS = {
    "identityId": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-tests"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{}",
    "scope": "api://{}/.default",
}
# A key of an object in Bicep, and its value where that is a plain text.
KEY = r"(?:^|[{,])[ \t]*(?:'([^'\n]+)'|(\w+)):[ \t]*(?:'([^'$\n]*)'[ \t]*(?:$|[,}]))?"


class Declarations(NamedTuple):
    bindings: list[tuple[str, Any]]  # a function's name, and one of the bindings filled in for it
    problems: list[Any]


def declarations(app_settings: Mapping[str, str]) -> Declarations:
    """Load the app with these settings, and return what it declares. Nothing is read."""
    restart()
    report = importlib.import_module("identity_bindings.report").report
    sources = importlib.import_module("identity_bindings.sources")
    sources.pool.start = report.complete = lambda: None
    with mock.patch.dict(os.environ, app_settings):
        load_app()  # some problems show only then
        bindings = [(one.function, one.binding) for one in report.injections]
        # A function that is disabled is not registered, and keeps its rights.
        reader = importlib.import_module("identity_bindings.declarations")
        for function in reader.read_declarations(FUNCTIONS):
            bindings += [(function.name, own) for own in function.declared if function.disabled]
    restart()
    return Declarations(bindings, [one for found in report.problems.values() for one in found])


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON file of the project as the host does. An error names the file."""
    try:
        return dict(importlib.import_module("identity_bindings.declarations").read_json(file))
    except ValueError as error:
        raise ValueError(f"{file.relative_to(PROJECT)}: {error}") from None


@functools.cache
def declared_settings() -> dict[str, str]:
    """Return a value for every app setting that infra/ or local.settings.json defines."""
    found: dict[str, str] = {}
    if (file := SRC / "local.settings.json").exists():
        values = read_json(file).get("Values", {})
        found |= {name: str(value) for name, value in values.items() if value}
    for file in sorted((PROJECT / "infra").rglob("*.bicep*")):
        for quoted, plain, text in re.findall(KEY, file.read_text("utf-8"), re.MULTILINE):
            name = quoted or plain
            # Valid for a vault, a secret, a key and a version.
            found[name] = text or ("s" + re.sub("[^a-z0-9]", "", name.lower()))[:24]
    found = {name: value for name, value in found.items() if name.upper() not in OWN}
    with contextlib.suppress(Exception):  # tests/contract says why the app cannot be loaded
        for problem in declarations(found).problems:
            stand_in = STAND_INS.get(problem.property.rpartition(".")[2], "")
            for name in re.findall(r"%([^%]+)%", str(problem.value)):
                if stand_in and name in found:
                    found[name] = stand_in.format(name)
    return found


def restart() -> None:
    """Leave the process as it was before the app was loaded, as a new worker would be."""
    for name, module in list(sys.modules.items()):
        if name == "identity_bindings.sources":
            module.pool.close()
        if name == "identity_bindings.masking":
            module.uninstall()
        if name.endswith("._shared.http_challenge_cache") and name.startswith("azure.keyvault."):
            module.clear()
    for thread in threading.enumerate():  # what still reads would ask the next test's services
        if thread.name.startswith("identity-"):
            thread.join(10)  # a read that hangs ends before
    logging.getLogger("identity_bindings").handlers.clear()
    # All are found first: the path of a folder without __init__.py needs its parent.
    for name in [name for name, one in list(sys.modules.items()) if _is_of_the_app(name, one)]:
        del sys.modules[name]


def _is_of_the_app(name: str, module: Any) -> bool:
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    beside = place.startswith(str(PROJECT / "tests")) or "site-packages" in place
    by_name = name.partition(".")[0] in ("__app__", "function_app")
    return by_name or (place.startswith(str(PROJECT)) and not beside)


def load_app() -> dict[str, Any]:
    """Import the project's function_app.py and return its functions by name."""
    adapter = importlib.import_module("identity_bindings.host_adapter")
    return index(adapter.app_of(importlib.import_module("function_app")))


def index(app: func.FunctionApp) -> dict[str, Any]:
    """Return the functions of an app by name, as the worker sees them."""
    return {str(function.get_function_name()): function for function in app.get_functions()}


def bindings(function: Any) -> dict[str, dict[str, Any]]:
    """Return a function's bindings by name, as the worker sends them to the host."""
    return {one["name"]: one for one in map(json.loads, function.get_raw_bindings())}


def http_request(
    method: str = "GET",
    body: bytes = b"",
    *,
    query: Mapping[str, str] = {},
    route: Mapping[str, str] = {},
    headers: Mapping[str, str] = {},
) -> func.HttpRequest:
    """Make an HTTP request; `route` has the values of the route's parameters."""
    url = f"https://localhost/api?{urlencode(query)}".rstrip("?")
    sent = {"params": query, "route_params": route, "headers": headers}
    return func.HttpRequest(method, url, body=body, **sent)


def timer(*, past_due: bool = False) -> TimerRequest:
    return TimerRequest(past_due=past_due)


def queue_message(body: str | bytes, *, id: str = "1", dequeue_count: int = 1) -> QueueMessage:
    return QueueMessage(body=body, id=id, dequeue_count=dequeue_count)


def blob(content: bytes, path: str = "container/blob") -> InputStream:
    uri = f"https://account.blob.core.windows.net/{path}"
    return InputStream(data=content, name=path, uri=uri, length=len(content))


class Output(func.Out[Any]):
    """What a handler gets for an output that is a parameter."""

    value: Any = None

    def set(self, val: Any) -> None:
        self.value = val

    def get(self) -> Any:
        return self.value


def call(function: Any, trigger: Any = None, **others: Any) -> Any:
    """Call a function of `load_app()` with what arrives: by default, an HTTP request.

    `others` are its other parameters: a value for an input, an `Output()` for an output.
    """
    sent = http_request() if trigger is None else trigger
    answer = function.get_user_function()(**{function.get_trigger().name: sent}, **others)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
