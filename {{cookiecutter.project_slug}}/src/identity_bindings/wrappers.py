"""Functions around a handler: every argument by its name, declared values in, no secret out."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Parameter, Signature, isfunction
from sys import intern
from time import monotonic
from typing import Any

from .injection import Injection, injections_for
from .masking import without_secrets
from .report import Declared, attach, refusal, report
from .signatures import Handler, is_async, name_of, present, signature_of, without
from .sources import Flight, Patience


def by_name(handler: Handler) -> Handler:
    """Return `handler`, or a function that calls it with every argument passed by name.

    The worker indexes functions only, and passes every argument by its name. Raises what
    `signature_of` raises.
    """
    signature = signature_of(handler)
    given = getattr(handler, "keywords", {})  # those of a `partial`
    parameters = [one for one in signature.parameters.values() if one.name not in given]
    first = [one.name for one in parameters if one.kind is Parameter.POSITIONAL_ONLY]
    if isfunction(handler) and not first:
        return handler
    made: Any = _filled(handler, (), [one.name for one in parameters], first)
    made.__name__ = name_of(handler)
    named = [
        one.replace(kind=Parameter.POSITIONAL_OR_KEYWORD) if one.name in first else one
        for one in parameters
    ]
    return present(made, signature.replace(parameters=named))


def with_values(known: Declared, function: str, declared: Sequence[Any]) -> Handler:
    """Return what takes a handler's place, with the values of `declared` beside those before."""
    injections = injections_for(function, declared, known.handler)
    report.injections += injections
    known = replace(known, injections=(*known.injections, *injections))
    outer = bounded(known.handler)
    if known.problems:
        outer = functools.wraps(known.handler)(refusal(function, known.problems))
    elif known.injections:
        outer = inject(known.handler, known.injections)
    visible = without(signature_of(known.handler), known.hidden)
    return attach(present(outer, visible), known)


def inject(handler: Handler, values: Sequence[Injection], outermost: bool = False) -> Handler:
    """Wrap `handler` so that its declared parameters are filled in at each call.

    Args:
        handler: The function to call. A coroutine function stays one.
        values: What fills its parameters in, at least one.
        outermost: No other function of the app is above this one: the boundary is here.
    """
    hidden = {item.binding.name for item in values}
    names = [*Signature.from_callable(handler).parameters]
    visible = [name for name in names if name not in hidden]
    one = values[0]
    # Otherwise a value could take the place of an argument that is passed by position.
    by_position = names[: len(visible)] == visible
    if len(values) == 1 and by_position and not (one.is_secret or one.json_field):
        return _inject_one(handler, one, outermost)
    filled = _filled(handler, values, visible)
    return bounded(filled) if outermost else filled


def _inject_one(handler: Handler, value: Injection, outermost: bool) -> Handler:
    """Fill in one plain value, which is all that most functions have, in the least time."""
    # The handler finds an interned name by its identity, any other one by comparing its characters.
    name, source = intern(value.binding.name), value.source

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            if name not in kwargs:  # a test may pass a value of its own
                good_until, kwargs[name] = source.current
                if good_until <= monotonic():
                    Patience().wait([source.join()])
                    kwargs[name] = value.settle()
            return handler(*args, **kwargs)
        except Exception as error:
            if not outermost or (clean := without_secrets(error)) is error:
                raise
        raise clean  # outside of `except`, or the exception would be its `__context__`

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        try:
            if name not in kwargs:
                good_until, kwargs[name] = source.current
                if good_until <= monotonic():
                    await Patience().wait_async([source.join()])
                    kwargs[name] = value.settle()
            return await handler(*args, **kwargs)
        except Exception as error:
            if not outermost or (clean := without_secrets(error)) is error:
                raise
        raise clean

    return call_async if is_async(handler) else call


def _filled(
    handler: Handler,
    values: Sequence[Injection],
    visible: Sequence[str],
    by_position: Sequence[str] = (),
) -> Handler:
    """Pass every argument by its name, those `by_position` excepted, and fill in the values.

    A test may pass values of its own: these are not read.
    """

    def late(missing: list[Injection]) -> list[Flight | None]:
        """The reads to wait for."""
        return [one.source.join() for one in missing if one.source.current[0] <= monotonic()]

    def arguments(
        args: tuple[Any, ...], kwargs: dict[str, Any], missing: list[Injection], patience: Patience
    ) -> tuple[list[Any], dict[str, Any]]:
        for one in missing:
            one.settle()
        # What comes from one source is of one version, such as the user and the password.
        readings = {one.source: one.source.reading for one in missing}
        for one in missing:
            kwargs[one.binding.name] = one.give(readings[one.source], patience)
        named = {**dict(zip(visible, args, strict=False)), **kwargs}
        first = [named.pop(name) for name in by_position if name in named]
        return [*first, *args[len(visible) :]], named

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        patience, missing = Patience(), [one for one in values if one.binding.name not in kwargs]
        patience.wait(late(missing))
        first, named = arguments(args, kwargs, missing, patience)
        return handler(*first, **named)

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        patience, missing = Patience(), [one for one in values if one.binding.name not in kwargs]
        await patience.wait_async(late(missing))
        first, named = arguments(args, kwargs, missing, patience)
        return await handler(*first, **named)

    return call_async if is_async(handler) else call


def bounded(
    handler: Handler, folder: str | None = None, change: Callable[[Any], Any] | None = None
) -> Handler:
    """Wrap the outermost function of the app: an exception that would show a secret is replaced.

    Args:
        handler: The function.
        folder: What ``context.function_directory`` gives: the worker would name this file's folder.
        change: Receives what the function returns, and returns what the worker gets.
    """

    def arrive(kwargs: dict[str, Any]) -> dict[str, Any]:
        if folder is not None and "context" in kwargs:
            kwargs["context"] = _ContextIn(folder, kwargs["context"])
        return kwargs

    def leave(result: Any) -> Any:
        return result if change is None else change(result)

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return leave(handler(*args, **arrive(kwargs)))
        except Exception as error:
            if (clean := without_secrets(error)) is error:
                raise
        raise clean

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        try:
            return leave(await handler(*args, **arrive(kwargs)))
        except Exception as error:
            if (clean := without_secrets(error)) is error:
                raise
        raise clean

    return call_async if is_async(handler) else call


class _ContextIn:
    """The worker's context of an invocation, with the folder of the function that runs."""

    def __init__(self, folder: str, context: Any) -> None:
        self.function_directory = folder
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
