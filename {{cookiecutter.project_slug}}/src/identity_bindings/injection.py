"""Handlers that receive declared values: the worker sees the rest of their parameters only."""

import asyncio
import functools
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from inspect import iscoroutinefunction, isfunction
from pathlib import Path
from time import monotonic
from typing import Any

from .credentials import in_azure
from .errors import BindingUnavailableError, ReadError
from .exceptions import without_secrets
from .masking import mask
from .sources import Source, pool
from .timing import WAIT
from .worker_rules import Handler


@dataclass(frozen=True)
class Injection:
    """One declared value of one function.

    Attributes:
        function: The function's name.
        binding: The declared binding; its `name` is the handler's parameter.
        source: Where the value comes from.
    """

    function: str
    binding: Any
    source: Source

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
            failure, binding = error.failure, self.binding
        reader = binding.identity if in_azure() else "the developer's own login"
        raise BindingUnavailableError(
            f"Function '{self.function}', binding '{binding.name}': {binding} cannot be read by"
            f" {reader}: {failure.reason}. Repair: {failure.repair}"
        )


def injections_for(function: str, declared: Sequence[Any], handler: Handler) -> list[Injection]:
    """What fills the declared parameters of `handler`, as it needs it: a coroutine or not."""
    if iscoroutinefunction(handler):
        declared = [own.for_async() if hasattr(own, "for_async") else own for own in declared]
    return [Injection(function, own, pool.source(own)) for own in declared]


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
    # One value is what most functions have: it is filled in without a loop.
    first, *others = values
    name, source = first.binding.name, first.source
    more = bool(others) or folder is not None

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        good_until, kwargs[name] = source.current
        if good_until <= monotonic():
            kwargs[name] = first.wait()
        if more:
            for item in others:
                good_until, value = item.source.current
                kwargs[item.binding.name] = value if monotonic() < good_until else item.wait()
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
        good_until, kwargs[name] = source.current
        if good_until <= monotonic():
            kwargs[name] = await first.wait_async()
        if more:
            for item in others:
                good_until, value = item.source.current
                fresh = monotonic() < good_until
                kwargs[item.binding.name] = value if fresh else await item.wait_async()
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
