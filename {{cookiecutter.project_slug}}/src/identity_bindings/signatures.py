"""Signatures of handlers: the parameters and type hints that the worker sees of a function."""

import functools
import typing
from collections.abc import Callable, Collection, Iterable, Iterator
from inspect import Parameter, Signature, iscoroutinefunction, isfunction, unwrap
from typing import Any

Handler = Callable[..., Any]
NO_HINT: Any = Parameter.empty
_NAMED: dict[Any, Any] = {Parameter.POSITIONAL_ONLY: Parameter.POSITIONAL_OR_KEYWORD}


def attribute(owner: object, name: str, default: Any = None) -> Any:
    """An attribute of an object, or `default`, whatever reading it raises."""
    try:
        return getattr(owner, name, default)
    except Exception:
        return default


def innermost(handler: Handler) -> Any:
    """What a ``partial`` or a chain of ``__wrapped__`` calls in the end."""
    try:
        inner = unwrap(handler)
    except Exception:  # such as a chain that has no end
        inner = handler
    return innermost(inner.func) if isinstance(inner, functools.partial) else inner


def globals_of(handler: Handler) -> dict[str, Any]:
    """The names of the module that a handler is from, as far as Python knows them."""
    inner = innermost(handler)
    own: dict[str, Any] = attribute(inner, "__globals__")
    return own or attribute(attribute(type(inner), "__call__"), "__globals__", {})


def is_async(handler: Handler) -> bool:
    """Whether a call returns a coroutine, as far as Python knows."""
    called = handler.func if isinstance(handler, functools.partial) else handler
    return any(map(iscoroutinefunction, (called, type(called).__call__)))


def name_of(handler: Handler) -> str:
    """The name of a function, or of what a ``partial`` or another callable object calls."""
    named = handler.func if isinstance(handler, functools.partial) else handler
    return str(attribute(named, "__name__") or attribute(type(named), "__name__", "?"))


def place_of(handler: Handler) -> str:
    """Where a handler is, as messages show it."""
    return f"{globals_of(handler).get('__name__', '?')}.{name_of(handler)}"


def signature_with(names: Iterable[str]) -> Signature:
    """A signature of nothing but the parameters `names`."""
    return Signature([Parameter(n, Parameter.KEYWORD_ONLY) for n in names])


def without(signature: Signature, names: Collection[str]) -> Signature:
    """`signature` without the parameters `names`."""
    visible = [p for p in signature.parameters.values() if p.name not in names]
    return signature.replace(parameters=visible)


def present(handler: Handler, signature: Signature) -> Handler:
    """Make `signature` what the worker sees of `handler`: its parameters and its type hints."""
    shown: Any = handler
    shown.__signature__ = signature
    hints = hints_of(signature).items()
    shown.__annotations__ = {name: hint for name, hint in hints if hint is not NO_HINT}
    return handler


def hints_of(signature: Signature) -> dict[str, Any]:
    """The annotation of each parameter, and of the result under ``return``."""
    hints = {one.name: one.annotation for one in signature.parameters.values()}
    return {**hints, "return": signature.return_annotation}


def types_in(hint: Any) -> Iterator[type]:
    """A type hint, and the types inside it."""
    if isinstance(hint, type):
        yield hint
    for inner in typing.get_args(hint):
        yield from types_in(inner)


def signature_of(handler: Handler, names: dict[str, Any] | None = None) -> Signature:
    """The parameters of `handler` that the worker can pass by name, which is how it passes all.

    Their annotations are resolved; one that cannot be is left out.

    Args:
        handler: The function.
        names: What an annotation may name, if not only the names of the handler's module.

    Raises:
        TypeError: `handler` has no signature.
        ValueError: The same, or its chain of ``__wrapped__`` has no end.
    """
    signature = Signature.from_callable(handler)
    given = handler.keywords if isinstance(handler, functools.partial) else {}
    asked = without(signature, given).parameters.values()
    parameters = [one.replace(kind=_NAMED.get(one.kind, one.kind)) for one in asked]
    unwrap(handler)  # raises where the worker would follow a chain for good
    scope = globals_of(handler)
    # Of a function the worker reads `__annotations__`, which a library may have changed.
    written = handler.__annotations__ if isfunction(handler) else None

    def resolved(name: str, hint: Any) -> Any:
        def holder() -> None: ...

        holder.__annotations__ = {"it": hint if written is None else written.get(name, NO_HINT)}
        try:
            return typing.get_type_hints(holder, globalns=scope, localns=names)["it"]
        except (Exception, SystemExit):
            return NO_HINT

    return annotated(signature.replace(parameters=parameters), resolved)


def annotated(signature: Signature, change: Callable[[str, Any], Any]) -> Signature:
    """`signature` with what `change` makes of each name (``return`` for the last) and its hint."""
    parameters = signature.parameters.values()
    changed = [one.replace(annotation=change(one.name, one.annotation)) for one in parameters]
    returned = change("return", signature.return_annotation)
    return signature.replace(parameters=changed, return_annotation=returned)
