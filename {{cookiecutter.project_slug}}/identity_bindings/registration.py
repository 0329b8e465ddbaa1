"""Declarations become functions of the app, through the library's own generic decorators."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import azure.functions as func

from . import redaction
from .declarations import FOLDER, FunctionDeclaration, is_trigger, read_declarations
from .errors import DeclarationError, Problem
from .grammar import direction
from .injection import (
    Handler,
    as_function,
    inject,
    injections_for,
    present,
    signature_of,
    signature_with,
    without,
)
from .loading import load_handler, make_importable
from .report import report
from .worker_rules import acceptable, mismatches, worker_type

Binding = dict[str, Any]

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
    make_importable(folder)
    if not folder.is_dir():
        _logger.error("%s: there is no such folder, so it declares no function.", folder)
    declarations = read_declarations(folder, os.environ)
    taken = {str(one._function.get_function_name()).lower() for one in app._function_builders}
    for function in declarations.functions:
        problems = list(declarations.problems_of(function))
        if function.name.lower() in taken:
            allowed = "another function of the app has this name"
            problems.append(Problem(function.file, FOLDER, function.name, allowed))
        if function.disabled:
            _logger.warning("%s: the function is disabled, and not registered.", function.file)
        elif not problems:
            try:
                problems += _register(app, function)
            except DeclarationError as error:
                problems.append(Problem(function.file, error.property, error.value, error.allowed))
            except Exception as error:  # whatever it is, its neighbours must run
                reason = f"it cannot be registered: {type(error).__name__}: {error}"
                problems.append(Problem(function.file, "bindings", function.name, reason))
        if problems:
            report.add_problems(function.name, problems)
            if not function.disabled:
                _register_in_error(app, function, problems)
    report.begin()


def _register(app: func.FunctionApp, function: FunctionDeclaration) -> list[Problem]:
    """Register one function, or return why it cannot be."""
    handler = as_function(load_handler(function))
    signature = signature_of(handler)
    ours = {binding.name for binding in function.declared}
    bindings = _as_worker_sees(function.bindings, signature.parameters)
    wrong = list(mismatches(signature, bindings, ours))
    signature = without(signature, ours)
    if wrong:
        return [Problem(function.file, "name", name, allowed) for name, allowed in wrong]
    signature, refused = acceptable(signature, bindings)
    for name in refused:
        text = "%s: the annotation of '%s' does not fit its binding, and is ignored."
        _logger.warning(text, function.file, name)
    injections = injections_for(function.name, function.declared, handler)
    if injections:
        named = {binding["name"] for binding in bindings}
        wants_context = "context" in signature.parameters and "context" not in named
        handler = inject(handler, injections, function.folder if wants_context else None)
    present(handler, signature)
    # By itself first: an error while indexing would take the whole app down.
    trial = func.Blueprint()  # type: ignore[no-untyped-call]
    _decorate(trial, function, handler, bindings).build().get_raw_bindings()
    _decorate(app, function, handler, bindings)
    report.injections += injections
    return []


def _register_in_error(
    app: func.FunctionApp, function: FunctionDeclaration, problems: Sequence[Problem]
) -> None:
    """Let an HTTP function answer 500, with the access that it declares. Leave others out."""
    trigger = function.trigger or {}
    nameless = any(problem.property == FOLDER for problem in problems)
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
    plain = FunctionDeclaration(function.name, function.folder)
    answer = present(report.refuse(function.name, problems), signature_with(["req"]))
    _decorate(app, plain, answer, bindings)


def _decorate(
    app: func.FunctionApp | func.Blueprint,
    function: FunctionDeclaration,
    handler: Handler,
    bindings: Sequence[Binding],
) -> Any:
    built: Any = app.function_name(function.name)(handler)
    for binding in bindings:
        common = {
            "arg_name": binding["name"],
            "type": binding["type"],
            "data_type": (binding.get("dataType") or "").lower() or None,
        }
        if is_trigger(binding):
            decorator = app.generic_trigger
        elif direction(binding) == "out":
            decorator = app.generic_output_binding
        else:
            decorator = app.generic_input_binding
        built = decorator(**common, **_properties(binding))(built)
    retry = function.settings.get("retry")
    if retry:
        app.retry(
            strategy=_STRATEGIES[retry["strategy"].lower()],
            max_retry_count=str(retry["maxRetryCount"]),
            delay_interval=retry.get("delayInterval"),
            minimum_interval=retry.get("minimumInterval"),
            maximum_interval=retry.get("maximumInterval"),
        )(built)
    return built


def _properties(binding: Binding) -> Binding:
    """The other properties of a binding, as the library takes them."""
    # The library carries words only, and the host's bindings have no others.
    properties = {
        name: value
        for name, value in binding.items()
        if name not in ("name", "type", "direction", "dataType")
        and re.fullmatch(r"[A-Za-z]+\d*", name)
    }
    if binding["type"] == "httpTrigger":
        # In snake case: the library ignores `authLevel` and takes the app's default instead.
        level = properties.pop("authLevel", None) or "function"
        properties["auth_level"] = str(level).lower()
    return properties


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
