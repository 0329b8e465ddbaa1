"""What the worker accepts, and what it reads that is private to azure.functions and its Durable.

One function that the worker refuses takes the whole app down, so each one is judged before.

Sources: ``functions.py`` and ``http_v2.py`` in github.com/Azure/azure-functions-python-worker. A test
compares the rules with Microsoft's own runtime.
"""

import os
import sys
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from inspect import Parameter, Signature, getclosurevars
from typing import Any, cast

import azure.functions as func
from azure.functions.decorators.function_app import Function, FunctionBuilder, FunctionRegister

from .declarations import PropertyProblem, direction
from .masking import replace
from .signatures import NO_HINT, Handler, annotated, attribute, hints_of, types_in

Bindings = Sequence[Mapping[str, Any]]

STREAMS_SETTING = "PYTHON_ENABLE_INIT_INDEXING"  # without it streams hang on Python 3.12 and older

NOT_BY_NAME = "the worker passes every parameter by its own name"
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_registry: Any = func.get_binding_registry


def unfillable(signature: Signature, names: Collection[str]) -> Iterator[PropertyProblem]:
    """Each of the parameters `names` that a value cannot be passed to."""
    for name in sorted(names):
        if name not in signature.parameters:
            yield "name", name, "the handler has no such parameter; add it, or remove the binding"
        elif signature.parameters[name].kind not in _BY_NAME:
            yield "name", name, NOT_BY_NAME


def mismatches(signature: Signature, bindings: Bindings) -> Iterator[PropertyProblem]:
    """Each parameter without a binding of the platform, or the reverse."""
    bound = [binding["name"] for binding in bindings]
    names = {*bound} - {"$return"}
    client = None
    for name, parameter in signature.parameters.items():
        if parameter.kind not in _BY_NAME:
            yield "name", name, NOT_BY_NAME
        elif name not in names and name != "context":
            if client is None and _is_settlement_client(parameter):
                client = name
            else:
                yield "name", name, "no binding has this name; declare one, or remove the parameter"
    if bound.count("$return") > 1:
        yield "name", "$return", "one output can be the return value; make the others parameters"
    yield from unfillable(signature, names - signature.parameters.keys())


def shown(signature: Signature, bindings: Bindings) -> Signature:
    """Leave out the annotations that change nothing: the worker would refuse some of them."""
    by_name = {binding["name"]: binding for binding in bindings}

    def kept(name: str, hint: Any) -> Any:
        if name in by_name:
            return hint if _decides(hint, by_name[name]) else NO_HINT
        # A settlement client is known by its annotation.
        return NO_HINT if name in ("context", "return") else hint

    return annotated(signature, kept)


def worker_type(kind: str) -> str:
    """Spell a binding type as the worker does. Unlike the host, it is case-sensitive."""
    known: Mapping[str, Any] = getattr(_registry(), "_bindings", {})
    return next((name for name in known if str(name).lower() == kind.lower()), kind)


def _decides(hint: Any, binding: Mapping[str, Any]) -> bool:
    """Whether the worker converts what a binding carries by an annotation, not by the type alone.

    It hands over, and takes, a plain text or bytes instead of the binding's own type, and hands
    over a type of an SDK.
    """
    kind, is_out = binding["type"], direction(binding) == "out"
    if is_out:
        (hint,) = typing.get_args(hint) if typing.get_origin(hint) is func.Out else (None,)
    if hint is str or hint is bytes:
        return not getattr(_registry().get(kind), "has_implicit_output", bool)()
    try:
        base: Any = None if is_out else _extensions()
        registry = base and base.get_binding_registry()
        of_sdk = registry and registry.check_supported_type(hint)
        return bool(of_sdk and registry.get(kind).check_input_type_annotation(hint))
    except Exception:
        return False


def _extensions() -> Any:
    """The base of SDK types and of streams, where the app has imported an extension."""
    return sys.modules.get("azurefunctions.extensions.base")


def _is_settlement_client(parameter: Parameter) -> bool:
    base = _extensions()
    check = base and getattr(base.get_binding_registry(), "check_supported_grpc_client_type", None)
    return bool(check and check(parameter.annotation))


def streams_on() -> bool:
    """Whether the worker passes HTTP requests as streams, to every HTTP function of the app."""
    off = os.environ.get(STREAMS_SETTING, "").strip().lower() in ("0", "false", "f", "no", "n")
    if _extensions() is None or (off and sys.version_info < (3, 13)):
        return False
    return bool(_extensions().HttpV2FeatureChecker.http_v2_enabled())


def streams_hang() -> bool:
    """Whether requests hang: the worker expects streams, and has started no server for them."""
    set_on = os.environ.get(STREAMS_SETTING, "").strip().lower() in ("1", "true", "t", "yes", "y")
    return streams_on() and not set_on and sys.version_info < (3, 13)


def unfit_hints(signature: Signature) -> list[str]:
    """The parameters, and ``return``, with a type of ``func`` where HTTP is streams, or the reverse."""
    unfit = (func.HttpRequest, func.HttpResponse) if streams_on() else _stream_types()
    hints = hints_of(signature).items()
    return [name for name, hint in hints if any(issubclass(one, unfit) for one in types_in(hint))]


def _stream_types() -> tuple[Any, ...]:
    base = _extensions()
    request = base and base.RequestTrackerMeta.get_request_type()
    response = base and base.ResponseTrackerMeta.get_standard_response_type()
    return tuple(filter(None, (request, response)))


def is_request(value: Any) -> bool:
    """Whether a value is an HTTP request, a stream or not."""
    return isinstance(value, (func.HttpRequest, *_stream_types()))


def error_response(text: str) -> Any:
    """A response of the status 500, of the type that the worker expects."""
    if streams_on():
        return _extensions().ResponseTrackerMeta.get_standard_response_type()(text, 500)
    return func.HttpResponse(text, status_code=500)


def handler_of(function: Any) -> Handler:
    """What the worker calls."""
    return cast(Handler, getattr(function, "_function", function).get_user_function())


def set_handler(function: Any, handler: Handler) -> None:
    """Let the worker call `handler`."""
    getattr(function, "_function", function)._func = handler


def bindings_of(function: Function) -> list[dict[str, Any]]:
    """The bindings of a function: name, type and direction."""
    return [
        {"name": one.name, "type": one.type, "direction": "out" if one.direction else "in"}
        for one in function.get_bindings()
    ]


def trigger_of(function: Function) -> str:
    """The type of a function's trigger."""
    return str(getattr(function.get_trigger(), "type", ""))


def is_registered(handler: Any) -> bool:
    """Whether `handler` is what a decorator of the app has returned."""
    return isinstance(handler, FunctionBuilder)


def before_indexing(
    judge: Callable[[list[Function]], list[Function]], refuse: Callable[[Function, Exception], None]
) -> None:
    """Call `judge` when the worker asks an app for its functions: it then gets what `judge` returns.

    `refuse` receives every function that cannot be built, and why: the worker is not given it.
    Libraries wrap ``get_functions``, maybe before this package can: what it calls is replaced.
    """
    failed: dict[Function, Exception] = {}

    def building(original: Any) -> Any:
        def build(builder: FunctionBuilder, *args: Any, **kwargs: Any) -> Function:
            failed.pop(builder._function, None)
            try:
                original(builder, *args, **kwargs).get_raw_bindings()
            except Exception as error:  # whatever it is, the others must be indexed
                failed[builder._function] = error
            return builder._function

        return build

    def validating(original: Any) -> Any:
        def validate_function_names(app: FunctionRegister, functions: list[Function]) -> None:
            for one in [one for one in functions if one in failed]:
                refuse(one, failed[one])
            functions[:] = judge([one for one in functions if one not in failed])
            original(app, functions)

        return validate_function_names

    replace(FunctionBuilder, "build", building)
    replace(FunctionRegister, "validate_function_names", validating)


def app_of(module: Any) -> FunctionRegister:
    """Return the app of a module, or raise ValueError where the worker would refuse to load it."""
    apps = [one for one in vars(module).values() if isinstance(one, FunctionRegister)]
    if len(apps) != 1:
        raise ValueError(f"exactly one app under one name is expected, not {len(apps)}")
    return apps[0]


def durable_kind(handler: Handler) -> str:
    """``Orchestrator`` or ``Entity`` for what their ``create`` returned, else an empty text."""
    if not str(attribute(handler, "__module__", "")).startswith("azure.durable_functions."):
        return ""
    created = getattr(getattr(handler, "__code__", None), "co_qualname", "")
    kind, _, rest = created.partition(".create.<locals>.")
    return kind if rest == "handle" and kind in ("Orchestrator", "Entity") else ""


def durable_function(handler: Handler) -> Handler:
    """The function that `handler` was created from; `handler` itself where it was not created."""
    return getclosurevars(handler).nonlocals["fn"] if durable_kind(handler) else handler


def durable_from(handler: Handler, function: Handler) -> Handler:
    """Create from `function` what `handler` was created from another one."""
    kind = durable_kind(handler)
    if not kind:
        return function
    made: Any = getattr(sys.modules[handler.__module__], kind).create(function)
    made.__name__ = handler.__name__
    made._df_input_type = getattr(handler, "_df_input_type", None)
    return cast(Handler, made)


def encodable(result: Any) -> Any:
    """An activity's result. The library's error text shows one that is not JSON-serialisable."""
    _registry().get("activityTrigger").encode(result, expected_type=None)
    return result
