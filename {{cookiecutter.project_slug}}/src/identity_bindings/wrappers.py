"""Functions around a handler: every argument by its name, declared values in, no secret out."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import Parameter, Signature
from sys import intern
from time import monotonic
from typing import Any

from .injection import Injection, injections_for
from .masking import without_secrets
from .report import Declared, attach, refusal, report
from .signatures import Handler, is_async, present, signature_of, without
from .sources import Flight, Patience


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


def bounded(
    handler: Handler,
    values: Sequence[Injection] = (),
    folder: str | None = None,
    change: Callable[[Any], Any] | None = None,
) -> Handler:
    """Wrap the outermost function of the app: an exception that would show a secret is replaced.

    The arguments are those of `filled`.
    """
    general = filled(handler, values, folder, change, outermost=True)
    parameters = [*Signature.from_callable(handler).parameters.values()]
    if len(values) != 1 or folder or change or values[0].is_secret or values[0].json_field:
        return general
    # Before another parameter, it could take the place of an argument that is passed by position.
    is_last = parameters[-1].name == values[0].binding.name
    by_name = parameters[0].kind is not Parameter.POSITIONAL_ONLY
    return _with_one_value(handler, values[0], general) if is_last and by_name else general


def _with_one_value(handler: Handler, value: Injection, complete: Handler) -> Handler:
    """Fill in one plain value that is good, which is all that most calls need, in the least time."""
    # The handler finds an interned name by its identity, any other one by comparing its characters.
    name, source = intern(value.binding.name), value.source

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        if name not in kwargs:
            good_until, current = source.current
            if good_until <= monotonic():
                return complete(*args, **kwargs)
            kwargs[name] = current
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            if (clean := without_secrets(error)) is error:
                raise
        raise clean  # outside of `except`, or the exception would be its `__context__`

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        if name not in kwargs:
            good_until, current = source.current
            if good_until <= monotonic():
                return await complete(*args, **kwargs)
            kwargs[name] = current
        try:
            return await handler(*args, **kwargs)
        except Exception as error:
            if (clean := without_secrets(error)) is error:
                raise
        raise clean

    return call_async if is_async(handler) else call


def filled(
    handler: Handler,
    values: Sequence[Injection],
    folder: str | None = None,
    change: Callable[[Any], Any] | None = None,
    outermost: bool = False,
) -> Handler:
    """Wrap `handler` so that its declared parameters are filled in at each call.

    Args:
        handler: The function to call. A coroutine function stays one.
        values: What fills its parameters in. A test may pass values of its own: these are not read.
        folder: What ``context.function_directory`` gives: the worker would name this file's folder.
        change: Receives what the function returns, and returns what the worker gets.
        outermost: No other function of the app is above this one: no secret leaves it.
    """
    by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    kinds = {one.name: one.kind for one in Signature.from_callable(handler).parameters.values()}
    # The worker passes every argument by its name, and a test may pass one by its position.
    hidden = {one.binding.name for one in values}
    names = [name for name in kinds if kinds[name] in by_position and name not in hidden]
    nameless = [name for name in kinds if kinds[name] is Parameter.POSITIONAL_ONLY]

    def late(missing: list[Injection]) -> list[Flight | None]:
        """The reads to wait for."""
        return [one.source.join() for one in missing if one.source.current[0] <= monotonic()]

    def arrive(
        args: tuple[Any, ...], kwargs: dict[str, Any], missing: list[Injection], patience: Patience
    ) -> tuple[list[Any], dict[str, Any]]:
        for one in missing:
            one.settle()
        # What comes from one source is of one version, such as the user and the password.
        readings = {one.source: one.source.reading for one in missing}
        for one in missing:
            kwargs[one.binding.name] = one.give(readings[one.source], patience)
        named = {**dict(zip(names, args, strict=False)), **kwargs}
        if folder and "context" in named:
            named["context"] = _ContextIn(folder, named["context"])
        first = [named.pop(name) for name in nameless if name in named]
        return [*first, *args[len(names) :]], named

    def leave(result: Any) -> Any:
        return change(result) if change else result

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            patience = Patience()
            missing = [one for one in values if one.binding.name not in kwargs]
            patience.wait(late(missing))
            first, named = arrive(args, kwargs, missing, patience)
            return leave(handler(*first, **named))
        except Exception as error:
            if not outermost or (clean := without_secrets(error)) is error:
                raise
        raise clean

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        try:
            patience = Patience()
            missing = [one for one in values if one.binding.name not in kwargs]
            await patience.wait_async(late(missing))
            first, named = arrive(args, kwargs, missing, patience)
            return leave(await handler(*first, **named))
        except Exception as error:
            if not outermost or (clean := without_secrets(error)) is error:
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
