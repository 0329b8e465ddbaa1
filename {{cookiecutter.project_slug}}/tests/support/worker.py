"""What the Functions worker does with an app, in a few lines: start, index, load, call, restart."""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import azure.functions as func

PROJECT = Path(__file__).resolve().parents[2]
SRC = PROJECT / "src"
FUNCTIONS = SRC / "functions"
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-tests/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/id-tests"
)
# What stands in the tests for an app setting, by the property that names it.
STAND_INS = {
    "vaultName": "vault-of-tests",
    "identityId": IDENTITY,
    "secretName": "secret-of-tests",
    "secretVersion": "0123456789abcdef0123456789abcdef",
    "jsonField": "field-of-tests",
    "keyName": "key-of-tests",
    "keyVersion": "0123456789abcdef0123456789abcdef",
    "scope": "api://api-of-tests/.default",
}


class Declarations(NamedTuple):
    """What the app declares, in function.json files and by decorators alike."""

    bindings: list[tuple[str, Any]]  # a function's name, and one of the bindings filled in for it
    mistakes: list[Any]


def declarations(settings: Mapping[str, str]) -> Declarations:
    """Load the app with these settings, and return what it declares. Nothing is read."""
    restart()
    report = importlib.import_module("identity_bindings.report").report
    report.begin = lambda: None
    with mock.patch.dict(os.environ, settings):
        importlib.import_module("function_app")
        bindings = [(one.function, one.binding) for one in report.injections]
        # A function that is disabled is not registered, and keeps its rights.
        reader = importlib.import_module("identity_bindings.declarations")
        for function in reader.read_declarations(FUNCTIONS, os.environ):
            bindings += [(function.name, own) for own in function.declared if function.disabled]
    restart()
    return Declarations(bindings, [one for found in report.problems.values() for one in found])


@functools.cache
def declared_settings() -> dict[str, str]:
    """Return a value for every app setting that the declarations name as %SETTING%."""
    # Where a setting is missing, that is a mistake, and tells the property and its value.
    return {
        setting: STAND_INS[name]
        for mistake in declarations({}).mistakes
        if (name := mistake.property.rpartition(".")[2]) in STAND_INS
        for setting in re.findall(r"%([^%]+)%", str(mistake.value))
    }


def restart() -> None:
    """Leave the process as it was before the app was loaded, as a new worker would be."""
    for name, module in list(sys.modules.items()):
        if name == "identity_bindings.sources":
            module.pool.close()
        if name == "identity_bindings.masking":
            module.uninstall()
        if name.endswith("._shared.http_challenge_cache") and name.startswith("azure.keyvault."):
            module.clear()
    logging.getLogger("identity_bindings").handlers.clear()
    modules = list(sys.modules.items())  # a thread that still reads may import meanwhile
    for name in [name for name, module in modules if _is_of_the_app(name, module)]:
        sys.modules.pop(name, None)


def _is_of_the_app(name: str, module: Any) -> bool:
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    beside = place.startswith(str(PROJECT / "tests")) or "site-packages" in place
    by_name = name.partition(".")[0] in ("__app__", "function_app")
    return by_name or (place.startswith(str(PROJECT)) and not beside)


def load_app() -> dict[str, Any]:
    """Import the project's function_app.py and return its functions by name."""
    return index(importlib.import_module("function_app").app)


def load_folder(functions: Path) -> dict[str, Any]:
    """Register a folder's declarations in an app of its own and return its functions by name."""
    app = func.FunctionApp()
    importlib.import_module("identity_bindings").register_functions(app, functions)
    return index(app)


def index(app: func.FunctionApp) -> dict[str, Any]:
    """Return the functions of an app by name, as the worker sees them."""
    return {function.get_function_name(): function for function in app.get_functions()}


def bindings(function: Any) -> dict[str, dict[str, Any]]:
    """Return a function's bindings by name, as the worker sends them to the host."""
    sent = [json.loads(binding) for binding in function.get_raw_bindings()]
    return {binding["name"]: binding for binding in sent}


def declare(functions: Path, name: str, source: str, *entries: dict[str, Any], **top: Any) -> Path:
    """Write an HTTP function with further bindings, as a person would, and return its folder."""
    folder = functions / name
    folder.mkdir(parents=True, exist_ok=True)
    trigger = {"name": "req", "type": "httpTrigger", "direction": "in", "methods": ["get", "post"]}
    bindings = [trigger, {"name": "res", "type": "http", "direction": "out"}, *entries]
    text = json.dumps({"bindings": bindings, **top}, indent=2)
    (folder / "function.json").write_text(text, encoding="utf-8")
    (folder / "__init__.py").write_text(source, encoding="utf-8")
    return folder


def key_vault(name: str = "mySecret", **properties: Any) -> dict[str, Any]:
    """Return a keyVault entry of a function.json; None leaves a property out."""
    entry = {"name": name, "type": "keyVault", "direction": "in", "secretName": "api-key"}
    entry |= {"vaultName": "contoso", "identity": "system"} | properties
    return {key: value for key, value in entry.items() if value is not None}


def call(
    function: Any,
    body: bytes = b"",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    **others: Any,
) -> Any:
    """Call an HTTP function as the worker does, a coroutine in a loop of its own."""
    handler = function.get_user_function()
    url = f"https://localhost/api/{function.get_function_name()}"
    request = func.HttpRequest(method, url, body=body, headers=headers)
    others[function.get_trigger().name] = request
    answer = handler(**others)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


class _Message(SimpleNamespace):
    """A protocol message: what it was made with, and the name of the one field that is set."""

    def WhichOneof(self, _group: str) -> str | None:
        return next(iter(vars(self)), None)


class _Protos:
    """The messages that pass between host and worker, as far as the runtime makes them."""

    class StatusResult(_Message):
        Failure, Success = 0, 1

    class BindingInfo(_Message):
        undefined = 0
        inout = 2
        out = 1

    def __getattr__(self, name: str) -> type[_Message]:
        return type(name, (_Message,), {})


class Runtime:
    """Microsoft's own runtime for Python 3.13 and later, driven through its request handlers."""

    def __init__(self) -> None:
        self._runtime = importlib.import_module("azure_functions_runtime")
        self._loop = asyncio.new_event_loop()
        self._runtime.start_threadpool_executor()

    def close(self) -> None:
        """Stop its thread pool and its loop."""
        self._runtime.stop_threadpool_executor()
        self._loop.close()

    def _ask(self, request: str, **content: Any) -> Any:
        message = _Message(
            request=_Message(**{request: _Message(**content)}),
            properties={"host": "127.0.0.1", "protos": _Protos()},
        )
        handler = getattr(self._runtime, request.removeprefix("worker_init_request") or request)
        return self._loop.run_until_complete(handler(message))

    def start(self, project: Path = SRC) -> Any:
        """Start the worker: it imports and indexes the app."""
        return self._ask(
            "worker_init_request", capabilities={}, function_app_directory=str(project)
        )

    def index(self) -> dict[str, Any]:
        """Return what it tells the host about each function, by name."""
        answer = self._ask("functions_metadata_request")
        return {one.name: one for one in answer.function_metadata_results or ()}

    def load(self, function_id: str) -> Any:
        """Load a function."""
        return self._ask("function_load_request", function_id=function_id)

    def call(self, function_id: str, trigger: str, body: bytes = b"") -> Any:
        """Call an HTTP function."""
        http = _Message(
            method="POST",
            url="https://localhost/api",
            headers={},
            params={},
            query={},
            body=_Message(bytes=body),
        )
        return self._ask(
            "invocation_request",
            invocation_id="a0b1",
            function_id=function_id,
            trace_context=_Message(trace_parent="", trace_state="", attributes={}),
            retry_context=_Message(retry_count=0, max_retry_count=0, exception=None),
            trigger_metadata=None,
            input_data=[_Input(name=trigger, data=_Message(http=http))],
        )


class _Input(_Message):
    def WhichOneof(self, _group: str) -> str:
        return "data"
