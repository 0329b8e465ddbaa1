"""What Microsoft's worker accepts: one function that it refuses would take the whole app down.

Source: ``functions.py`` in github.com/Azure/azure-functions-python-worker. A test compares these
rules with Microsoft's own runtime.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import azure.functions as func

from .grammar import direction

_EMPTY = inspect.Parameter.empty


def mismatches(
    signature: inspect.Signature, bindings: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Compare parameters with bindings, which must agree both ways.

    Yields:
        The name that has no partner, and what to do about it.
    """
    names = {binding["name"] for binding in bindings} - {"$return"}
    for name, parameter in signature.parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            yield name, "the worker passes every parameter by its own name"
        elif name not in names and name != "context" and not _is_settlement_client(parameter):
            yield name, "no binding has this name; declare one, or remove the parameter"
    for name in sorted(names - signature.parameters.keys()):
        yield name, "the handler has no such parameter; add it, or remove the binding"


def acceptable(
    signature: inspect.Signature, bindings: Sequence[Mapping[str, Any]]
) -> tuple[inspect.Signature, list[str]]:
    """Leave out the annotations that the worker would refuse. It then goes by the binding alone.

    Returns:
        The signature without them, and the names of their parameters (``return`` for the last).
    """
    by_name = {binding["name"]: binding for binding in bindings}
    refused: list[str] = []
    parameters = []
    for name, parameter in signature.parameters.items():
        if not _accepts(name, parameter.annotation, by_name.get(name)):
            refused.append(name)
            parameter = parameter.replace(annotation=_EMPTY)
        parameters.append(parameter)
    returned = signature.return_annotation
    if "$return" in by_name and not _accepts_return(returned, by_name["$return"]["type"]):
        refused.append("return")
        returned = _EMPTY
    return signature.replace(parameters=parameters, return_annotation=returned), refused


def worker_type(kind: str) -> str:
    """The spelling of a binding type that the worker knows. Unlike the host, it minds case."""
    known: Mapping[str, Any] = getattr(_registry(), "_bindings", {})
    return next((name for name in known if str(name).lower() == kind.lower()), kind)


def _accepts(name: str, annotation: Any, binding: Mapping[str, Any] | None) -> bool:
    if annotation is _EMPTY:
        return True
    if binding is None:  # the invocation's context, or a settlement client
        return name != "context" or getattr(annotation, "__name__", "") == "Context"
    if _extension_accepts(annotation):
        return True
    is_out = _origin(annotation).__name__ == "Out"
    if is_out != (direction(binding) == "out"):
        return False
    if is_out:
        arguments = typing.get_args(annotation)
        if len(arguments) != 1:
            return False
        annotation = arguments[0]
    if not isinstance(annotation, type) and not _is_generic(annotation):
        return False
    converter = _converter(binding["type"])
    if annotation in (str, bytes) and not _has_implicit_output(converter, binding["type"]):
        return True
    return _checked(converter, "output" if is_out else "input", annotation)


def _accepts_return(annotation: Any, kind: str) -> bool:
    if annotation is _EMPTY:
        return True
    if not isinstance(annotation, type) or _origin(annotation).__name__ == "Out":
        return False
    return _checked(_converter(kind), "output", annotation)


def _checked(converter: Any, way: str, annotation: Any) -> bool:
    if converter is None:
        generic = (str, bytes) if way == "input" else (str, bytes, bytearray)
        return isinstance(annotation, type) and issubclass(annotation, generic)
    try:
        return bool(getattr(converter, f"check_{way}_type_annotation")(annotation))
    except Exception:
        return False


def _registry() -> Any:
    return func.get_binding_registry()  # type: ignore[no-untyped-call]


def _converter(kind: str) -> Any:
    return _registry().get(kind)


def _has_implicit_output(converter: Any, kind: str) -> bool:
    if converter is None:
        return kind != "durableClient"
    return bool(getattr(converter, "has_implicit_output", lambda: False)())


def _origin(annotation: Any) -> Any:
    origin = typing.get_origin(annotation) or annotation
    return origin if isinstance(origin, type) else object


def _is_generic(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    return (
        isinstance(origin, type) and origin is not tuple and "typing" in type(annotation).__module__
    )


def _extensions() -> Any:
    """The registry of SDK types (deferred bindings), where the app has imported that extension."""
    base = sys.modules.get("azurefunctions.extensions.base")
    return base.get_binding_registry() if base is not None else None


def _extension_accepts(annotation: Any) -> bool:
    registry = _extensions()
    if registry is None:
        return False
    base = sys.modules["azurefunctions.extensions.base"]
    streams = base.HttpV2FeatureChecker.http_v2_enabled()
    return bool(
        registry.check_supported_type(annotation)
        or (streams and base.RequestTrackerMeta.check_type(annotation))
    )


def _is_settlement_client(parameter: inspect.Parameter) -> bool:
    check = getattr(_extensions(), "check_supported_grpc_client_type", None)
    return check is not None and bool(check(parameter.annotation))
