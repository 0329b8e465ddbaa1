"""What the worker gets when it asks for the functions of the app: each one judged, none harmful.

The worker asks once, after it has imported the app. Only then is it known which decorators a function
has, and whether HTTP requests are streams.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import azure.functions as func
from azure.functions.decorators.function_app import Function

from . import host_adapter, masking
from .declarations import is_parameter
from .errors import Problem, logger, printable
from .host_adapter import bindings_of, durable_function, handler_of, set_handler
from .injection import Injection, bounded, wrong_secrets
from .masking import mask
from .report import Declared, declared_of, refusal, report, write_to_stderr
from .signatures import globals_of, place_of, present, signature_of, signature_with

_EXTENSION = "azurefunctions.extensions.http.fastapi"
_CLASSIC = f"the app uses HTTP streams: take the request and response types of {_EXTENSION}"
_NO_STREAMS = f"HTTP streams are off: set the app setting {host_adapter.STREAMS_SETTING} to 1"


def watch() -> None:
    """Install the masks, and judge the functions of an app when the worker asks for them."""
    masking.install()
    write_to_stderr()
    host_adapter.before_indexing(_judge, lambda one, why: _leave_out(one, "bindings", str(why)))


def _leave_out(function: Function, prop: str, allowed: str) -> None:
    name, place = function.get_function_name(), _place(function)
    report.add_problems(str(name), [Problem(place, prop, name, allowed)])
    logger.error("%s: the function is not registered.", printable(place))


def _judge(functions: list[Function]) -> list[Function]:
    """Leave out what must not be registered, and make the rest fit for the worker."""
    masking.install()  # on the streams that the app has replaced
    if host_adapter.streams_hang():
        allowed = f"'1': the app imports {_EXTENSION}, and its requests hang without the setting"
        problem = Problem("app settings", host_adapter.STREAMS_SETTING, None, allowed)
        report.add_problems("app", [problem])
    fit = [function for function in _named(functions) if _is_fit(function)]
    report.complete()
    return fit


def _named(functions: list[Function]) -> list[Function]:
    """Leave out a function whose name is no text, or that of an earlier one."""
    first: dict[str, Function] = {}
    for function in functions:
        name: Any = function.get_function_name()
        # The worker cannot send another name to the host.
        if not isinstance(name, str) or name.encode(errors="ignore").decode() != name:
            _leave_out(function, "function name", "a text without lone surrogates")
            continue
        earlier = first.setdefault(name.lower(), function)
        if earlier is not function:
            allowed = f"another name: {_place(earlier)} has it, in upper or lower case"
            _leave_out(function, "function name", allowed)
    return [*first.values()]


def _known(function: Function) -> Declared:
    """What is known of a function. One that declares nothing is not `wrapped`."""
    handler = durable_function(handler_of(function))
    return declared_of(handler) or Declared(handler)


def _place(function: Function) -> str:
    """Where a function is declared, as messages show it."""
    declared = _known(function)
    return declared.place or place_of(declared.handler)


def _is_fit(function: Function) -> bool:
    """Whether the worker may be given a function. One that is in error is made fit."""
    declared = _known(function)
    if declared.wrapped is None:  # it is the worker's to refuse
        if report.injections:
            with suppress(Exception):  # one without a signature
                _bound(function, declared)
        return True
    name, problems = str(function.get_function_name()), declared.problems
    for injection in declared.injections:
        injection.function = name
    if not problems:
        try:
            problems = tuple(_problems(function, declared))
            if not problems:
                _bound(function, declared)
        except Exception as error:  # whatever it is, its neighbours must run
            problems = (Problem(declared.place, "signature", name, described(error)),)
        report.add_problems(name, problems)
    if not problems:
        return True
    names = [one["name"] for one in bindings_of(function) if one["name"] != "$return"]
    # A caller of an activity that is not registered would wait for good.
    awaited = function.is_http_function() or host_adapter.trigger_of(function) == "activityTrigger"
    if not awaited or not all(map(is_parameter, names)):
        logger.error("Function '%s' is in error, and not registered.", name)
        return False
    set_handler(function, present(refusal(name, problems), signature_with(names)))
    return True


def _problems(function: Function, declared: Declared) -> list[Problem]:
    """What the worker would refuse, or do wrong, now that the whole app is known."""
    if declared.hidden and host_adapter.trigger_of(function) == "orchestrationTrigger":
        allowed = "a replay would see a rotated secret: declare it in an activity instead"
        names = sorted(declared.hidden)
        return [Problem(declared.place, name, "orchestrationTrigger", allowed) for name in names]
    signature, bindings = signature_of(handler_of(function)), bindings_of(function)
    found = [*host_adapter.mismatches(signature, bindings)]
    found += host_adapter.unfillable(signature_of(declared.handler), declared.hidden)
    found += wrong_secrets([one.binding for one in declared.injections], declared.handler)
    if not found and function.is_http_function():
        allowed = _CLASSIC if host_adapter.streams_on() else _NO_STREAMS
        unfit = host_adapter.unfit_hints(signature)
        found = [("annotation", name, allowed) for name in unfit]
    return [Problem(declared.place, *one) for one in found]


def _bound(function: Function, declared: Declared) -> None:
    """Put the boundary around a function, outside of the owner's own decorators."""
    handler, bindings = handler_of(function), bindings_of(function)
    signature = signature_of(handler)
    if declared.wrapped:
        signature = host_adapter.shown(signature, bindings)
    file = globals_of(declared.handler).get("__file__") or ""
    folder = declared.folder or os.path.dirname(file)
    if "context" not in signature.parameters or "context" in [one["name"] for one in bindings]:
        folder = ""
    change: Callable[[Any], Any] | None = _CHANGES.get(host_adapter.trigger_of(function))
    if function.is_http_function() and host_adapter.streams_on():
        change = _no_classic_response(str(function.get_function_name()))
    values: Sequence[Injection] = ()
    if handler is declared.wrapped and declared.injections:  # no decorator of the owner is between
        handler, values = declared.handler, declared.injections
    set_handler(function, present(bounded(handler, values, folder, change), signature))


def _no_classic_response(function: str) -> Callable[[Any], Any]:
    """The worker would answer 200 to whatever is no response of the extension."""

    def change(result: Any) -> Any:
        if not isinstance(result, func.HttpResponse):
            return result
        logger.error("Function '%s' returned a func.HttpResponse: %s.", function, _CLASSIC)
        return host_adapter.error_response("This function is in error. Its log says why.")

    return change


def _without_errors(result: Any) -> Any:
    """An entity's answer. It holds the texts of the exceptions of its operations."""
    with suppress(ValueError, TypeError, KeyError):
        answer = json.loads(result)
        for one in answer["results"]:
            if one["isError"]:
                one["result"] = masking.mask(one["result"])
        return json.dumps(answer)
    return result


_CHANGES = {"activityTrigger": host_adapter.encodable, "entityTrigger": _without_errors}


def described(error: BaseException) -> str:
    """The class and the text of an exception on one line, without values."""
    try:
        return mask(" ".join(f"{type(error).__name__}: {error}".split()))
    except BaseException:  # its own methods may raise anything
        return "an exception without a text"


def import_problem(file: str, error: BaseException) -> Problem:
    """Return the problem of a module whose import raised `error`."""
    is_missing = isinstance(error, ModuleNotFoundError)
    missing = "; add its package to the app's dependencies" if is_missing else ""
    return Problem(file, "import", described(error), f"the module must load{missing}", error)


@contextmanager
def isolated(file: str) -> Iterator[None]:
    """Import and register a blueprint so that its faults harm no other function::

        with isolated("blueprints/orders.py"):
            from blueprints.orders import blueprint as orders

            app.register_functions(orders)

    What it raises is logged with the file's name, and its functions are not registered.

    Args:
        file: The blueprint's file, as the log shall name it.
    """
    watch()
    with harmless(lambda error: report.add_problems(file, [import_problem(file, error)])):
        yield


@contextmanager
def harmless(note: Callable[[BaseException], object]) -> Iterator[None]:
    """Pass what is raised to `note`, SystemExit included: the app's other functions must run."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        note(error)
