"""Function folders as people write them, loaded and called as the worker does."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import azure.functions as func
from support import worker

IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-tests/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/id-tests"
)


def declare(functions: Path, name: str, source: str, *entries: dict[str, Any], **top: Any) -> Path:
    """Write an HTTP function with further bindings, and return its folder."""
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


def load_folder(functions: Path) -> dict[str, Any]:
    """Register a folder's declarations in an app of its own and return its functions by name."""
    app = func.FunctionApp()
    importlib.import_module("identity_bindings").register_functions(app, functions)
    return worker.index(app)


def call(function: Any, body: bytes = b"", method: str = "POST", **others: Any) -> Any:
    """Call an HTTP function as the worker does, a coroutine in a loop of its own."""
    handler = function.get_user_function()
    url = f"https://localhost/api/{function.get_function_name()}"
    others[function.get_trigger().name] = func.HttpRequest(method, url, body=body)
    answer = handler(**others)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
