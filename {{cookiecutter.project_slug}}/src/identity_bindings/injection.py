"""Handlers that receive declared values: the worker sees the rest of their parameters only."""

import asyncio
import functools
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass, replace
from inspect import Parameter, Signature, iscoroutinefunction, unwrap
from time import monotonic
from typing import Any

from .boundary import ContextIn
from .credentials import in_azure, is_emulator
from .errors import BindingUnavailableError, Failure, Problem, ReadError, Reading
from .exceptions import without_secrets
from .masking import mask
from .secret import Secret
from .signatures import Handler, signature_of
from .sources import Source, pool
from .timing import WAIT


@dataclass(frozen=True)
class Injection:
    """One declared value of one function.

    Attributes:
        function: The function's name.
        binding: The declared binding; its `name` is the handler's parameter.
        source: Where the value comes from.
        is_secret: The handler receives a `Secret`, not a ``str``.
    """

    function: str
    binding: Any
    source: Source
    is_secret: bool = False

    @property
    def failure(self) -> Failure | None:
        """Why the last read failed, or why its value has no such field."""
        found = self._found(self.source.reading)
        return self.source.failure or (found if isinstance(found, Failure) else None)

    def give(self, reading: Reading | None) -> Any:
        """Make what the handler receives.

        Raises:
            BindingUnavailableError: The value has no such field.
        """
        found = self._found(reading)
        if isinstance(found, Failure):
            raise self._unavailable(found)
        return Secret(found, self) if self.is_secret else found

    def _found(self, reading: Reading | None) -> Any:
        return reading and (reading.field(self.json_field) if self.json_field else reading.value)

    @property
    def json_field(self) -> str | None:
        """The declared field of the value; None where the whole value is declared."""
        return getattr(self.binding, "json_field", None)

    def wait(self) -> Any:
        """Return the value, waiting for a read if need be.

        Raises:
            BindingUnavailableError: There is no value that may be served.
        """
        if (flight := self.source.join()) is not None:
            futures.wait([flight], WAIT)
        return self._settle(flight)

    async def wait_async(self) -> Any:
        """The same as `wait`, without blocking the event loop."""
        if (flight := self.source.join()) is not None:
            await asyncio.wait([asyncio.wrap_future(flight)], timeout=WAIT)
        return self._settle(flight)

    def _settle(self, flight: futures.Future[None] | None) -> Any:
        try:
            return self.source.settle(flight)
        except ReadError as error:
            failure = error.failure
        raise self._unavailable(failure)

    def _unavailable(self, failure: Failure) -> BindingUnavailableError:
        return BindingUnavailableError(
            f"Function '{self.function}', binding '{self.binding.name}': {self.binding} cannot be read"
            f" by {self.reader}: {failure.reason}. Repair: {failure.repair}"
        )

    @property
    def reader(self) -> str:
        """Who reads the value, or has read it: the declared identity does so in Azure only."""
        reading = self.source.reading
        if in_azure():
            return str(self.binding.identity)
        if is_emulator(getattr(self.binding, "vault_url", "")):
            return "the emulator's test token"
        return (reading and reading.origin) or "the developer's own login"


def injections_for(function: str, declared: Sequence[Any], handler: Handler) -> list[Injection]:
    """What fills the declared parameters of `handler`, as it needs it: a coroutine or not."""
    if iscoroutinefunction(handler):
        declared = [own.for_async() if hasattr(own, "for_async") else own for own in declared]
    hints = {one.name: one.annotation for one in signature_of(handler).parameters.values()}
    written = getattr(unwrap(handler), "__annotations__", {})

    def is_secret(name: str) -> bool:
        # What is imported for type checkers only cannot be resolved: then its name decides.
        unresolved = hints.get(name) is Parameter.empty
        return hints.get(name) is Secret or (unresolved and str(written.get(name)) == "Secret")

    sources = [pool.source(getattr(own, "whole", own)) for own in declared]
    pairs = zip(declared, sources, strict=True)
    return [Injection(function, own, source, is_secret(own.name)) for own, source in pairs]


@dataclass(frozen=True)
class Declared:
    """What this package knows of a function: it hangs on what takes the handler's place.

    Attributes:
        handler: The owner's function.
        injections: What fills its declared parameters in.
        hidden: The names of these parameters.
        problems: What is wrong with its declaration.
        file: The ``function.json`` that declares it; empty for a decorator.
        folder: The folder of that file; empty for a decorator.
        wrapped: What takes the handler's place.
    """

    handler: Handler
    injections: tuple[Injection, ...] = ()
    hidden: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    file: str = ""
    folder: str = ""
    wrapped: Handler | None = None


_ATTRIBUTE = "__identity_bindings__"


def declared_of(handler: Handler) -> Declared | None:
    """What this package knows of a function, also through the owner's own decorators."""
    return getattr(handler, _ATTRIBUTE, None)


def attach(handler: Handler, known: Declared) -> Handler:
    """Note on `handler` what is known of the function that it replaces."""
    setattr(handler, _ATTRIBUTE, replace(known, wrapped=handler))
    return handler


def inject(
    handler: Handler,
    values: Sequence[Injection],
    folder: str | None = None,
    outermost: bool = False,
) -> Handler:
    """Wrap `handler` so that its declared parameters are filled in at each call.

    A coroutine function stays one.

    Args:
        handler: The function to call.
        values: What fills its parameters in, at least one.
        folder: What ``context.function_directory`` shall give, where the handler asks for it.
            The worker would name the folder of this file.
        outermost: No other function of the app is above this one: an exception that would show a
            secret is replaced here.
    """
    # One plain value is what most functions have: it is filled in without a loop.
    first = values[0]
    name, source = first.binding.name, first.source
    # What comes from one source is of one version, such as the name and the password in a secret.
    by_source: dict[Source, list[Injection]] = {}
    for item in values:
        by_source.setdefault(item.source, []).append(item)
    if by_source[source] == [first] and not (first.is_secret or first.json_field):
        del by_source[source]
    groups = [*by_source.items()]
    hidden = {item.binding.name for item in values}
    names = [*Signature.from_callable(handler).parameters]
    visible = [name for name in names if name not in hidden]
    by_position = names[: len(visible)] == visible  # else a value would take a caller's place
    more = bool(groups) or folder is not None or not by_position

    def missing(kwargs: dict[str, Any]) -> list[tuple[Source, list[Injection]]]:
        """What is to be filled in: a test may pass values of its own, the worker passes none."""
        left = ((one, [i for i in items if i.binding.name not in kwargs]) for one, items in groups)
        return [(one, items) for one, items in left if items]

    def complete(
        filled: list[tuple[Source, list[Injection]]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, ...]:
        for one, items in filled:
            reading = one.reading
            kwargs.update({item.binding.name: item.give(reading) for item in items})
        if folder is not None and "context" in kwargs:
            kwargs["context"] = ContextIn(folder, kwargs["context"])
        if by_position:
            return args
        kwargs.update(zip(visible, args, strict=False))
        return ()

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            left = missing(kwargs) if more else []
            if name not in kwargs:
                good_until, kwargs[name] = source.current
                if good_until <= monotonic():
                    kwargs[name] = first.wait()
            if more:
                for one, items in left:
                    if one.current[0] <= monotonic():
                        items[0].wait()
                args = complete(left, args, kwargs)
            return handler(*args, **kwargs)
        except Exception as error:
            if not outermost or (clean := without_secrets(error, mask)) is error:
                raise
        raise clean  # outside of `except`, or the exception would be its `__context__`

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        try:
            left = missing(kwargs) if more else []
            if name not in kwargs:
                good_until, kwargs[name] = source.current
                if good_until <= monotonic():
                    kwargs[name] = await first.wait_async()
            if more:
                for one, items in left:
                    if one.current[0] <= monotonic():
                        await items[0].wait_async()
                args = complete(left, args, kwargs)
            return await handler(*args, **kwargs)
        except Exception as error:
            if not outermost or (clean := without_secrets(error, mask)) is error:
                raise
        raise clean

    return call_async if iscoroutinefunction(handler) else call
