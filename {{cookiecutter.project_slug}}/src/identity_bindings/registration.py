"""Declarations become functions of the app, through the library's own generic decorators."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import azure.functions as func

from . import masking, worker_rules
from .declarations import FOLDER, RETRY, FunctionDeclaration, is_trigger, read_declarations
from .errors import DeclarationError, Problem, logger
from .grammar import direction
from .injection import as_function, inject, injections_for
from .loading import load_handler, make_importable
from .report import report, tell_host
from .worker_rules import Bindings, Handler, present, signature_of, signature_with, without

App = func.FunctionApp | func.Blueprint

_GENERIC = ("name", "type", "direction", "dataType")


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
    masking.install()
    tell_host()
    make_importable(folder)
    if not folder.is_dir():
        logger.error("%s: there is no such folder, so it declares no function.", folder)
    taken = {str(one._function.get_function_name()).lower() for one in app._function_builders}
    for function in read_declarations(folder, os.environ):
        problems, name = function.problems, function.name.lower()
        if name in taken:
            allowed = "another function of the app has this name, in upper or lower case"
            problems.append(Problem(function.file, FOLDER, function.name, allowed))
        taken.add(name)
        if function.disabled:
            logger.warning("%s: the function is disabled, and not registered.", function.file)
        elif not problems:
            try:
                problems += _register(app, function)
            except DeclarationError as error:
                problems.append(Problem(function.file, *error.args))
            except Exception as error:  # whatever it is, its neighbours must run
                reason = f"it cannot be registered: {type(error).__name__}: {error}"
                problems.append(Problem(function.file, "bindings", function.name, reason))
        if problems:
            report.add_problems(function.name, problems)
            if not function.disabled:
                _refuse(app, function, problems)
    report.begin()


def _register(app: App, function: FunctionDeclaration) -> list[Problem]:
    """Register one function, or return why it cannot be."""
    handler = as_function(load_handler(function))
    signature = signature_of(handler)
    ours = {binding.name for binding in function.declared}
    bindings = [_as_worker_sees(one, signature.parameters) for one in function.bindings]
    wrong = list(worker_rules.mismatches(signature, bindings, ours))
    signature = without(signature, ours)
    if wrong:
        return [Problem(function.file, "name", name, allowed) for name, allowed in wrong]
    signature, refused = worker_rules.acceptable(signature, bindings)
    for name in refused:
        text = "%s: the annotation of '%s' does not fit its binding, and is ignored."
        logger.warning(text, function.file, name)
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


def _refuse(app: App, function: FunctionDeclaration, problems: Sequence[Problem]) -> None:
    """Let an HTTP function answer 500, with the access that it declares. Leave others out."""
    trigger = next(filter(is_trigger, function.bindings), {})
    nameless = any(problem.property == FOLDER for problem in problems)
    if nameless or str(trigger.get("type")).lower() != "httptrigger":
        logger.error("%s: the function is not registered.", function.file)
        return
    request: dict[str, Any] = {"type": "httpTrigger", "name": "req"}
    for prop, kind in (("methods", list), ("route", str)):
        request[prop] = trigger[prop] if isinstance(trigger.get(prop), kind) else None
    level = str(trigger.get("authLevel")).lower()
    # Never more open than what is declared.
    request["authLevel"] = level if level in ("anonymous", "admin") else "function"
    response = {"type": "http", "name": "$return", "direction": "out"}
    answer = present(report.refuse(function.name, problems), signature_with(["req"]))
    plain = FunctionDeclaration(function.name, function.folder)
    _decorate(app, plain, answer, [request, response])


def _decorate(app: App, function: FunctionDeclaration, handler: Handler, bindings: Bindings) -> Any:
    ways = {"in": app.generic_input_binding, "out": app.generic_output_binding}
    built: Any = app.function_name(function.name)(handler)
    for binding in bindings:
        decorator = app.generic_trigger if is_trigger(binding) else ways[direction(binding)]
        built = decorator(**_properties(binding))(built)
    if retry := function.settings.get("retry"):
        strategy, names = RETRY[retry["strategy"].lower()]
        # In snake case, as the library names them.
        times = {name.replace("I", "_i"): retry[name] for name in names}
        app.retry(strategy, str(retry["maxRetryCount"]), **times)(built)
    return built


def _properties(binding: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a binding, as the library takes them."""
    data_type = binding.get("dataType") or None
    common = {"arg_name": binding["name"], "type": binding["type"], "data_type": data_type}
    # The library carries words only, and the host's bindings have no others.
    words = [word for word in binding if re.fullmatch(r"[A-Za-z]+\d*", word)]
    others = {word: binding[word] for word in words if word not in _GENERIC}
    if binding["type"] == "httpTrigger":
        # In snake case: the library ignores `authLevel` and takes the app's default instead.
        others["auth_level"] = str(others.pop("authLevel", None) or "function").lower()
    return common | others


def _as_worker_sees(binding: Mapping[str, Any], parameters: Collection[str]) -> dict[str, Any]:
    """Spell the type as the worker does; an http output that is no parameter is what returns."""
    kind, name = worker_rules.worker_type(binding["type"]), binding["name"]
    if kind == "http" and direction(binding) == "out" and name not in parameters:
        name = "$return"
    return {**binding, "type": kind, "name": name}
