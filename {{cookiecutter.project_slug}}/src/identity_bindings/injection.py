"""Handlers that receive declared values: the worker sees the rest of their parameters only."""

import asyncio
import functools
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from inspect import Parameter, iscoroutinefunction, isfunction, unwrap
from pathlib import Path
from time import monotonic
from typing import Any

from .credentials import in_azure
from .errors import BindingUnavailableError, Failure, ReadError, Reading
from .exceptions import without_secrets
from .masking import mask
from .secret import Secret
from .sources import Source, pool
from .timing import WAIT
from .worker_rules import Handler, signature_of


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
        try:
            self._text(self.source.reading)
            return self.source.failure
        except ReadError as error:
            return self.source.failure or error.failure

    def give(self, reading: Reading | None) -> Any:
        """Make what the handler receives.

        Raises:
            BindingUnavailableError: The value has no such field.
        """
        try:
            text = self._text(reading)
            return Secret(text, self) if self.is_secret else text
        except ReadError as error:
            failure = error.failure
        raise self._unavailable(failure)

    def _text(self, reading: Reading | None) -> Any:
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
        binding = self.binding
        reader = binding.identity if in_azure() else "the developer's own login"
        return BindingUnavailableError(
            f"Function '{self.function}', binding '{binding.name}': {binding} cannot be read by"
            f" {reader}: {failure.reason}. Repair: {failure.repair}"
        )


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


def as_function(handler: Handler) -> Handler:
    """`handler` itself, or a function that calls it: the worker indexes nothing else callable."""
    if isfunction(handler):
        return handler

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        return handler(*args, **kwargs)

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return await handler(*args, **kwargs)

    is_async = any(map(iscoroutinefunction, (handler, type(handler).__call__)))
    return call_async if is_async else call


def inject(handler: Handler, values: Sequence[Injection], folder: Path | None = None) -> Handler:
    """Wrap `handler` so that its declared parameters are filled in at each call.

    A coroutine function stays one. An exception that leaves the handler is cleaned of secret values
    first: the worker sends its text and traceback to the log.

    Args:
        handler: The function to call.
        values: What fills its parameters in, at least one.
        folder: What ``context.function_directory`` shall give, where the handler asks for it.
            The worker would name the folder of this file.
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
    more = bool(groups) or folder is not None

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        passed = {*kwargs} if more else ()  # a test may pass its own value, the worker none
        if name not in kwargs:
            good_until, kwargs[name] = source.current
            if good_until <= monotonic():
                kwargs[name] = first.wait()
        if more:
            for one, items in groups:
                left = [item for item in items if item.binding.name not in passed]
                if left and one.current[0] <= monotonic():
                    left[0].wait()
                reading = one.reading
                kwargs.update({item.binding.name: item.give(reading) for item in left})
            if folder is not None and "context" in kwargs:
                kwargs["context"] = _ContextIn(folder, kwargs["context"])
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            if (clean := without_secrets(error, mask)) is error:
                raise
        raise clean

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        passed = {*kwargs} if more else ()
        if name not in kwargs:
            good_until, kwargs[name] = source.current
            if good_until <= monotonic():
                kwargs[name] = await first.wait_async()
        if more:
            for one, items in groups:
                left = [item for item in items if item.binding.name not in passed]
                if left and one.current[0] <= monotonic():
                    await left[0].wait_async()
                reading = one.reading
                kwargs.update({item.binding.name: item.give(reading) for item in left})
            if folder is not None and "context" in kwargs:
                kwargs["context"] = _ContextIn(folder, kwargs["context"])
        try:
            return await handler(*args, **kwargs)
        except Exception as error:
            if (clean := without_secrets(error, mask)) is error:
                raise
        raise clean

    return call_async if iscoroutinefunction(handler) else call


class _ContextIn:
    """The worker's context of an invocation, with the folder of the function that runs."""

    def __init__(self, folder: Path, context: Any) -> None:
        self.function_directory = str(folder)
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
