"""Declarations become functions of the app, through the library's own generic decorators."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import azure.functions as func

from . import redaction
from .declarations import FunctionDeclaration, is_trigger, read_declarations
from .errors import Problem
from .grammar import direction
from .injection import Handler, Injection, inject, present, signature_of
from .report import report
from .sources import pool
from .worker_rules import acceptable, mismatches, worker_type

PACKAGE = "__app__"
"""The package under which the platform loads the functions of a folder."""

Binding = dict[str, Any]

_ONE_REQUEST = inspect.Signature([inspect.Parameter("req", inspect.Parameter.KEYWORD_ONLY)])
_STRATEGIES = {"fixeddelay": "fixed_delay", "exponentialbackoff": "exponential_backoff"}
_logger = logging.getLogger("identity_bindings")


def register_functions(app: func.FunctionApp, folder: Path) -> None:
    """Register every function that ``<folder>/<name>/function.json`` declares.

    A function with a mistake in its declaration, or whose module cannot be loaded, is logged and
    does not harm the others. With an HTTP trigger it answers 500; with any other trigger it is not
    registered, so that no message is taken and lost.

    Args:
        app: The app of ``function_app.py``.
        folder: The folder of the functions. It is also the package ``__app__``, and stands on
            ``sys.path``, as the app's root does on the platform.
    """
    redaction.install()
    _make_importable(folder)
    declarations = read_declarations(folder, os.environ)
    for function in declarations.functions:
        problems = list(declarations.problems_of(function))
        if function.disabled:
            _logger.warning("%s: the function is disabled, and not registered.", function.file)
        elif not problems:
            try:
                _try_to_register(app, function, problems)
            except Exception as error:  # whatever it is, its neighbours must run
                reason = f"it cannot be registered: {type(error).__name__}: {error}"
                problems.append(Problem(function.file, "function", function.name, reason))
        if problems:
            report.add_problems(function.name, problems)
            if not function.disabled:
                _register_in_error(app, function, problems)
    report.begin()


def _try_to_register(
    app: func.FunctionApp, function: FunctionDeclaration, problems: list[Problem]
) -> None:
    """Register one function, or add to `problems` why it cannot be."""
    handler = _load(function, problems)
    if handler is None:
        return
    signature = signature_of(handler)
    secrets = {secret.name for secret in function.secrets}
    for name in sorted(secrets - signature.parameters.keys()):
        allowed = "the handler has no such parameter; add it, or remove the binding"
        problems.append(Problem(function.file, "name", name, allowed))
    visible = [p for p in signature.parameters.values() if p.name not in secrets]
    signature = signature.replace(parameters=visible)
    bindings = _as_worker_sees(function.bindings, signature.parameters)
    for name, allowed in mismatches(signature, bindings):
        problems.append(Problem(function.file, "name", name, allowed))
    if problems:
        return
    signature, refused = acceptable(signature, bindings)
    for name in refused:
        text = "%s: the annotation of '%s' does not fit its binding, and is ignored."
        _logger.warning(text, function.file, name)
    injections = [Injection(function.name, s, pool.source(s)) for s in function.secrets]
    own_context = "context" in signature.parameters and all(
        b["name"] != "context" for b in bindings
    )
    wrapped = inject(handler, injections, function.folder if own_context else None)
    present(wrapped, signature)
    retry = function.settings.get("retry")
    try:
        # On an app of its own first: an error while indexing would take the whole app down.
        trial = func.FunctionApp()
        _decorate(trial, function.name, wrapped, bindings, retry)
        for built in trial.get_functions():
            built.get_raw_bindings()
    except Exception as error:
        problems.append(Problem(function.file, "bindings", function.name, str(error)))
        return
    _decorate(app, function.name, wrapped, bindings, retry)
    report.add_injections(injections)


def _register_in_error(
    app: func.FunctionApp, function: FunctionDeclaration, problems: Sequence[Problem]
) -> None:
    """Let an HTTP function answer 500, with the access that it declares. Leave others out."""
    trigger = function.trigger or {}
    nameless = any(p.property == "name" and p.value == function.name for p in problems)
    if nameless or str(trigger.get("type")).lower() != "httptrigger":
        _logger.error("%s: the function is not registered.", function.file)
        return
    level = str(trigger.get("authLevel", "")).lower()
    methods, route = trigger.get("methods"), trigger.get("route")
    bindings: list[Binding] = [
        {
            "type": "httpTrigger",
            "name": "req",
            # Never more open than what is declared.
            "authLevel": level if level in ("anonymous", "admin") else "function",
            "methods": methods if isinstance(methods, list) else None,
            "route": route if isinstance(route, str) else None,
        },
        {"type": "http", "name": "$return", "direction": "out"},
    ]
    answer = present(report.refuse(function.name), _ONE_REQUEST)
    _decorate(app, function.name, answer, bindings, None)


def _decorate(
    app: func.FunctionApp, name: str, handler: Handler, bindings: Sequence[Binding], retry: Any
) -> None:
    built: Any = app.function_name(name)(handler)
    for binding in bindings:
        built = _decorator(app, binding)(built)
    if retry:
        app.retry(
            strategy=_STRATEGIES[retry["strategy"].lower()],
            max_retry_count=str(retry["maxRetryCount"]),
            delay_interval=retry.get("delayInterval"),
            minimum_interval=retry.get("minimumInterval"),
            maximum_interval=retry.get("maximumInterval"),
        )(built)


def _decorator(app: func.FunctionApp, binding: Binding) -> Callable[[Any], Any]:
    properties = {
        name: value
        for name, value in binding.items()
        if name not in ("name", "type", "direction", "dataType", "authLevel")
        # The library carries no other names; the host's bindings have no others.
        and re.fullmatch(r"[A-Za-z]+\d*", name)
    }
    if binding["type"] == "httpTrigger":
        # In snake case: the library ignores `authLevel` and takes the app's default instead.
        properties["auth_level"] = str(binding.get("authLevel", "function")).lower()
    elif "authLevel" in binding:
        properties["authLevel"] = binding["authLevel"]
    data_type = binding.get("dataType")
    common = {
        "arg_name": binding["name"],
        "type": binding["type"],
        "data_type": data_type.lower() if data_type else None,
    }
    if is_trigger(binding):
        return app.generic_trigger(**common, **properties)
    if direction(binding) == "out":
        return app.generic_output_binding(**common, **properties)
    return app.generic_input_binding(**common, **properties)


def _as_worker_sees(
    bindings: Sequence[Mapping[str, Any]], parameters: Collection[str]
) -> list[Binding]:
    """Spell types as the worker does; an http output that is no parameter is the return value."""
    seen = []
    for binding in bindings:
        kind = worker_type(binding["type"])
        name = binding["name"]
        if kind == "http" and direction(binding) == "out" and name not in parameters:
            name = "$return"
        seen.append({**binding, "type": kind, "name": name})
    return seen


def _load(function: FunctionDeclaration, problems: list[Problem]) -> Handler | None:
    """Import the handler as the platform does: ``entryPoint`` of ``scriptFile``, in ``__app__``."""

    def problem(name: str, value: object, allowed: str) -> None:
        problems.append(Problem(function.file, name, value, allowed))

    root = function.folder.parent.resolve()
    script = _script(function)
    if script is None or not script.is_file() or script.suffix != ".py":
        declared = function.settings.get("scriptFile")
        problem("scriptFile", declared, "a Python file, or none: then __init__.py is expected")
        return None
    if not script.is_relative_to(root):
        problem("scriptFile", function.settings.get("scriptFile"), f"a file inside {root.name}/")
        return None
    parts = script.relative_to(root).with_suffix("").parts
    if parts[-1].lower() == "__init__":
        parts = parts[:-1]
    try:
        module = importlib.import_module(".".join((PACKAGE, *parts)))
    except (Exception, SystemExit) as error:
        clean = redaction.scrub(error)
        _logger.error("%s: %s cannot be loaded.", function.file, script.name, exc_info=clean)
        reason = f"the module must load; it raises {type(clean).__name__}: {clean}"
        problem("scriptFile", script.name, " ".join(reason.split()))
        return None
    entry_point = function.settings.get("entryPoint") or "main"
    handler = getattr(module, str(entry_point), None)
    if not callable(handler):
        problem("entryPoint", entry_point, f"the name of a function in {script.name}")
        return None
    return handler  # type: ignore[no-any-return]


def _script(function: FunctionDeclaration) -> Path | None:
    """The file of the handler, found as the host finds it.

    Source: HostFunctionMetadataProvider in github.com/Azure/azure-functions-host.
    """
    declared = function.settings.get("scriptFile")
    if declared:
        if not isinstance(declared, str):
            return None
        return (function.folder / declared.replace("\\", "/")).resolve()
    files = [f for f in function.folder.iterdir() if f.is_file() and f.name != "function.json"]
    runs = [file for file in files if file.stem.lower() == "run"]
    inits = [file for file in files if file.name.lower() == "__init__.py"]
    chosen = files if len(files) == 1 else [*runs, *inits]
    return chosen[0].resolve() if chosen else None


def _make_importable(folder: Path) -> None:
    """Let functions import each other as on the platform: ``__app__.x``, relative, or by name."""
    for path in (str(folder.parent.resolve()), str(folder.resolve())):
        # Last, so that a function named like a library does not hide it.
        if path not in sys.path:
            sys.path.append(path)
    if PACKAGE not in sys.modules:
        spec = ModuleSpec(PACKAGE, None, is_package=True)
        sys.modules[PACKAGE] = module_from_spec(spec)
    search: Any = sys.modules[PACKAGE].__path__
    if str(folder.resolve()) not in search:
        search.append(str(folder.resolve()))
