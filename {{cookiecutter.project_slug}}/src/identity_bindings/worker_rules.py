"""What Microsoft's worker accepts: one function that it refuses would take the whole app down.

And what it is shown of a handler: a signature without the parameters that this package fills in.

Source: ``functions.py`` in github.com/Azure/azure-functions-python-worker. A test compares these
rules with Microsoft's own runtime.
"""

import sys
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter, Signature, unwrap
from typing import Any

import azure.functions as func

from .grammar import direction

Handler = Callable[..., Any]
Bindings = Sequence[Mapping[str, Any]]
Misfit = tuple[str, str]
"""The name of a parameter or binding that has no partner, and what to do about it."""

_EMPTY: Any = Parameter.empty
_TRACKERS = {"httpTrigger input": "RequestTrackerMeta", "http output": "ResponseTrackerMeta"}
_PLAIN = {"input": (str, bytes), "output": (str, bytes, bytearray)}
_registry: Any = func.get_binding_registry


def signature_with(names: Iterable[str]) -> Signature:
    """A signature of nothing but the parameters `names`."""
    return Signature([Parameter(n, Parameter.KEYWORD_ONLY) for n in names])


def without(signature: Signature, names: Collection[str]) -> Signature:
    """`signature` without the parameters `names`."""
    visible = [p for p in signature.parameters.values() if p.name not in names]
    return signature.replace(parameters=visible)


def present(handler: Handler, signature: Signature) -> Handler:
    """Make `signature` what the worker sees of `handler`: its parameters and its type hints."""
    hints = {p.name: p.annotation for p in signature.parameters.values()}
    hints["return"] = signature.return_annotation
    shown: Any = handler
    shown.__signature__ = signature
    shown.__annotations__ = {name: hint for name, hint in hints.items() if hint is not _EMPTY}
    return handler


def signature_of(handler: Handler) -> Signature:
    """The signature of `handler` with its annotations resolved.

    An annotation that cannot be resolved is left out: the worker then goes by the binding alone.
    """
    signature = Signature.from_callable(handler)
    scope = getattr(unwrap(handler), "__globals__", {})

    def resolved(_: str, hint: Any) -> Any:
        def holder() -> None: ...

        holder.__annotations__ = {"it": hint}
        try:
            return typing.get_type_hints(holder, globalns=scope)["it"]
        except Exception:
            return _EMPTY

    return _annotated(signature, resolved)


def _annotated(signature: Signature, change: Callable[[str, Any], Any]) -> Signature:
    """`signature` with what `change` makes of each name (``return`` for the last) and its hint."""
    parameters = signature.parameters.values()
    changed = [one.replace(annotation=change(one.name, one.annotation)) for one in parameters]
    returned = change("return", signature.return_annotation)
    return signature.replace(parameters=changed, return_annotation=returned)


def mismatches(signature: Signature, bindings: Bindings, ours: Collection[str]) -> Iterator[Misfit]:
    """Compare parameters with bindings, which must agree both ways.

    Args:
        signature: What the handler takes.
        bindings: The platform's bindings.
        ours: The names of the bindings that this package fills in.

    Yields:
        The name that has no partner, and what to do about it.
    """
    bound = [binding["name"] for binding in bindings]
    names = {*ours, *bound} - {"$return"}
    client = None
    for name, parameter in signature.parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            yield name, "the worker passes every parameter by its own name"
        elif name not in names and name != "context":
            if client is None and _is_settlement_client(parameter):
                client = name
            else:
                yield name, "no binding has this name; declare one, or remove the parameter"
    if bound.count("$return") > 1:
        yield "$return", "one output can be the return value; make the others parameters"
    for name in sorted(names - signature.parameters.keys()):
        yield name, "the handler has no such parameter; add it, or remove the binding"


def acceptable(signature: Signature, bindings: Bindings) -> tuple[Signature, list[str]]:
    """Leave out the annotations that the worker would refuse. It then goes by the binding alone.

    Returns:
        The signature without them, and the names of their parameters (``return`` for the last).
    """
    by_name = {binding["name"]: binding for binding in bindings}
    parameters, output = signature.parameters.values(), by_name.get("$return")
    hints = [(one.name, one.annotation) for one in parameters]
    refused = [name for name, hint in hints if not _accepts(name, hint, by_name.get(name))]
    hint = signature.return_annotation
    fits = output and isinstance(hint, type) and _fits(output["type"], "output", hint)
    if output and hint is not _EMPTY and not fits:
        refused.append("return")
    return _annotated(signature, lambda name, hint: _EMPTY if name in refused else hint), refused


def worker_type(kind: str) -> str:
    """The spelling of a binding type that the worker knows. Unlike the host, it minds case."""
    known: Mapping[str, Any] = getattr(_registry(), "_bindings", {})
    return next((name for name in known if str(name).lower() == kind.lower()), kind)


def _accepts(name: str, annotation: Any, binding: Mapping[str, Any] | None) -> bool:
    if annotation is _EMPTY:
        return True
    if binding is None:  # the invocation's context, or a settlement client
        is_context = isinstance(annotation, type) and annotation.__name__ == "Context"
        return is_context or name != "context"
    origin: Any = typing.get_origin(annotation) or annotation
    is_out = isinstance(origin, type) and origin.__name__ == "Out"
    if is_out != (direction(binding) == "out"):
        return False
    if is_out:
        arguments = typing.get_args(annotation)
        annotation = arguments[0] if len(arguments) == 1 else None
    kind, way = binding["type"], "output" if is_out else "input"
    if not isinstance(annotation, type) and not _is_generic(annotation):
        return False
    has_implicit_output = getattr(_registry().get(kind), "has_implicit_output", bool)
    as_it_comes = annotation in (str, bytes) and not has_implicit_output()
    return as_it_comes or _fits(kind, way, annotation)


def _fits(kind: str, way: str, annotation: Any) -> bool:
    """Ask the converter that the worker would ask."""
    converter, base = _registry().get(kind), _extensions()
    tracker = _TRACKERS.get(f"{kind} {way}")
    try:
        registry = base and base.get_binding_registry()
        if registry and way == "input" and registry.check_supported_type(annotation):
            converter = registry.get(kind)  # for a type of an SDK
        if tracker and base is not None and base.HttpV2FeatureChecker.http_v2_enabled():
            return bool(getattr(base, tracker).check_type(annotation))
        if converter is None:
            return issubclass(annotation, _PLAIN[way])
        return bool(getattr(converter, f"check_{way}_type_annotation")(annotation))
    except Exception:
        return False


def _is_generic(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    others = (None, typing.Union, typing.ClassVar, tuple, Callable)
    return type(annotation).__module__ == "typing" and origin not in others


def _extensions() -> Any:
    """The base of SDK types and of streams, where the app has imported an extension."""
    return sys.modules.get("azurefunctions.extensions.base")


def _is_settlement_client(parameter: Parameter) -> bool:
    base = _extensions()
    check = base and getattr(base.get_binding_registry(), "check_supported_grpc_client_type", None)
    return bool(check and check(parameter.annotation))
