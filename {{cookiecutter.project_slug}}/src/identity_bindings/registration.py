"""Declarations become functions of the app: those of a folder, and those of decorators."""

import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import azure.functions as func

from . import host_adapter, masking
from .declarations import (
    FOLDER,
    RETRY,
    FunctionDeclaration,
    PropertyProblem,
    declare,
    direction,
    is_trigger,
    read_declarations,
)
from .errors import Problem, logger
from .host_adapter import Bindings, durable_from, durable_function, is_registered
from .indexing import described, harmless, import_problem, watch
from .injection import filled, injections_for
from .report import Declared, attach, declared_of, refusal, report
from .signatures import (
    Handler,
    name_of,
    place_of,
    present,
    signature_of,
    without,
)

_GENERIC = ("name", "type", "direction", "dataType")


def register_functions(app: func.FunctionApp, folder: Path) -> None:
    """Register every function that ``<folder>/<name>/function.json`` declares.

    A function with a problem in its declaration, or whose module cannot be loaded, is logged and
    does not harm the others. With an HTTP trigger it answers 500, and with an activity trigger it
    raises the reason; with any other trigger it is not registered, so that no message is consumed
    and lost.

    Args:
        app: The app of ``function_app.py``.
        folder: The folder of the functions. It is also the package ``__app__``, and on ``sys.path``,
            as the app's root is on the platform.
    """
    watch()
    make_importable(folder)
    if not folder.is_dir():
        logger.error("%s: there is no such folder, so it declares no function.", folder)
    functions = read_declarations(folder)
    # Every module first: any of them may turn HTTP streams on, for all functions of the app.
    fit = [one for one in functions if not (one.disabled or one.problems)]
    loaded = {one.name: load_handler(one) for one in fit}
    masking.install()  # on the streams that a module has replaced
    for function in functions:
        if handler := loaded.get(function.name):
            _register(app, function, handler)
        if function.disabled:
            logger.warning("%s: the function is disabled, and not registered.", function.file)
        if function.problems:
            report.add_problems(function.name, function.problems)
            if not function.disabled:
                _refuse(app, function)


def _register(app: func.FunctionApp, function: FunctionDeclaration, handler: Handler) -> None:
    """Register one function. Its signature is judged when the worker asks for the functions."""

    def refuse(error: BaseException) -> None:
        reason = f"it cannot be registered: {described(error)}"
        function.problems.append(Problem(function.file, "bindings", function.name, reason))

    with harmless(refuse):
        # What `create` of Durable Functions got is what takes the declared parameters.
        known = Declared(
            durable_function(handler),
            hidden=frozenset(binding.name for binding in function.declared),
            place=function.file,
            folder=str(function.folder),
        )
        made = with_values(known, function.name, function.declared)
        _decorate(app, function, durable_from(handler, made), function.bindings)


def with_values(known: Declared, function: str, declared: Sequence[Any]) -> Handler:
    """Return what takes a handler's place, with the values of `declared` beside those before."""
    injections = injections_for(function, declared, known.handler)
    report.injections += injections
    known = replace(known, injections=(*known.injections, *injections))
    outer = filled(known.handler, known.injections)
    if known.problems:
        outer = functools.wraps(known.handler)(refusal(function, known.problems))
    visible = without(signature_of(known.handler), known.hidden)
    return attach(present(outer, visible), known)


def _refuse(app: func.FunctionApp, function: FunctionDeclaration) -> None:
    """Register what answers 500 or raises, with the access that is declared. Leave others out."""
    trigger = next(filter(is_trigger, function.bindings), {})
    kind = host_adapter.worker_type(str(trigger.get("type")))
    nameless = any(problem.property == FOLDER for problem in function.problems)
    if nameless or kind not in ("httpTrigger", "activityTrigger"):
        logger.error("%s: the function is not registered.", function.file)
        return
    bindings: list[dict[str, Any]] = [{"type": kind, "name": "req"}]
    if kind == "httpTrigger":
        for prop, accepted in (("methods", list), ("route", str)):
            bindings[0][prop] = trigger[prop] if isinstance(trigger.get(prop), accepted) else None
        level = str(trigger.get("authLevel")).lower()
        # Never more open than what is declared.
        bindings[0]["authLevel"] = level if level in ("anonymous", "admin") else "function"
        bindings.append({"type": "http", "name": "$return", "direction": "out"})
    answer = refusal(function.name, function.problems)
    known = Declared(answer, problems=tuple(function.problems), place=function.file)
    plain = FunctionDeclaration(function.name, function.folder)
    _decorate(app, plain, attach(answer, known), bindings)


def declared(kind: str, arguments: dict[str, str]) -> Callable[[Handler], Handler]:
    """Make the decorator of a binding: its type, and its arguments.

    They are named as the properties in ``function.json``, but in snake case.
    """
    bare: Any = arguments["name"]
    if callable(bare):  # used without its arguments
        return declared(kind, {**arguments, "name": ""})(bare)
    camel_case = {re.sub("_(.)", lambda sign: sign[1].upper(), one): one for one in arguments}
    properties = {name: arguments[one] for name, one in camel_case.items()}

    def decorate(function: Handler) -> Handler:
        watch()
        handler = host_adapter.handler_of(function) if is_registered(function) else function
        name, shown = str(properties["name"]), name_of(handler)
        known, unreadable = _known(handler)
        binding, problems = declare({**properties, "type": kind})
        found = unreadable + problems
        if is_registered(function):
            right = f"put it below @app.…, next to 'def {shown}'"
            found.append(("order of decorators", f"@… of {name} above @app.…", right))
        elif name in known.hidden:
            found.append(("name", name, "names of bindings must differ"))
        new = [Problem(known.place, *one) for one in found]
        report.add_problems(shown, new)
        known = replace(known, hidden=known.hidden | {name}, problems=(*known.problems, *new))
        wrapped = with_values(known, shown, [] if new else [binding])
        wrapped.__name__ = shown
        if is_registered(function):
            # The worker must not see the parameter: it would refuse the whole app.
            host_adapter.set_handler(function, wrapped)
            return function
        return wrapped

    return decorate


def _known(handler: Handler) -> tuple[Declared, list[PropertyProblem]]:
    """What is known of a function, and why it cannot be read."""
    known = declared_of(handler)
    if known is not None and known.wrapped is handler:
        return known, []
    # The owner's own decorator is between, or there is none.
    place, problems = place_of(handler), known.problems if known else ()
    unreadable: list[PropertyProblem] = []
    try:
        signature_of(handler)
    except Exception as error:
        handler, unreadable = refusal(place, problems), [("signature", "", described(error))]
    return Declared(handler, problems=problems, place=place), unreadable


def _decorate(
    app: func.FunctionApp, function: FunctionDeclaration, handler: Handler, bindings: Bindings
) -> None:
    """Register a function all at once: nothing of it is left where the library refuses a part."""
    own = func.Blueprint()  # type: ignore[no-untyped-call]
    ways = {"in": own.generic_input_binding, "out": own.generic_output_binding}
    parameters = signature_of(handler).parameters
    built: Any = own.function_name(function.name)(handler)
    for binding in bindings:
        kind, name = host_adapter.worker_type(binding["type"]), binding["name"]
        if kind == "http" and direction(binding) == "out" and name not in parameters:
            name = "$return"  # the worker needs a parameter of any other name
        decorator = own.generic_trigger if is_trigger(binding) else ways[direction(binding)]
        built = decorator(**_properties({**binding, "type": kind, "name": name}))(built)
    if retry := function.settings.get("retry"):
        strategy, names = RETRY[retry["strategy"].lower()]
        # In snake case, as the library names them.
        times = {name.replace("I", "_i"): retry[name] for name in names}
        own.retry(strategy, str(retry["maxRetryCount"]), **times)(built)
    app.register_functions(own)


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


PACKAGE = "__app__"
"""The package under which the platform loads the functions of a folder."""


def make_importable(folder: Path) -> None:
    """Let functions import each other as on the platform: ``__app__.x``, relative, or by name."""
    folder = folder.resolve()
    # Last, so that a function named like a library does not hide it.
    sys.path += [path for path in (str(folder.parent), str(folder)) if path not in sys.path]
    package = module_from_spec(ModuleSpec(PACKAGE, None, is_package=True))
    search: Any = sys.modules.setdefault(PACKAGE, package).__path__
    if str(folder) not in search:
        search.append(str(folder))


def load_handler(function: FunctionDeclaration) -> Handler | None:
    """Import a function's handler. Where there is none, the function gets a problem."""
    root, settings = function.folder.parent.resolve(), function.settings
    add = function.problems.append
    script, handler = None, None
    with suppress(OSError, ValueError, RuntimeError):  # no path, or links in a circle
        script = _script(function.folder, settings.get("scriptFile"))
    if script is None or not script.is_relative_to(root):
        allowed = f"a Python file inside {root.name}/; without it, __init__.py"
        add(Problem(function.file, "scriptFile", settings.get("scriptFile"), allowed))
        return None
    file = script.relative_to(root)
    *parts, last = file.with_suffix("").parts
    if last.lower() != "__init__":
        parts.append(last)
    entry_point = settings.get("entryPoint") or "main"
    with harmless(lambda error: add(import_problem(f"{root.name}/{file.as_posix()}", error))):
        handler = getattr(import_module(".".join((PACKAGE, *parts))), str(entry_point), None)
        if not callable(handler):
            allowed = f"a function in {script.name}"
            add(Problem(function.file, "entryPoint", entry_point, allowed))
    return handler if callable(handler) else None


def _script(folder: Path, declared: Any) -> Path | None:
    """The file of the handler, found as the host finds it.

    Source: HostFunctionMetadataProvider in github.com/Azure/azure-functions-host.
    """
    files = [f for f in folder.iterdir() if f.is_file() and f.name != "function.json"]
    runs = [file for file in files if file.stem.lower() == "run"]
    inits = [file for file in files if file.name.lower() == "__init__.py"]
    chosen = files if len(files) == 1 else [*runs, *inits]
    if declared:
        chosen = [folder / str(declared).replace("\\", "/")]
    scripts = [file.resolve() for file in chosen[:1]]
    return next((one for one in scripts if one.suffix == ".py" and one.is_file()), None)
