"""The outermost frame of each function: what leaves the app passes it, and shows no secret."""

import functools
from collections.abc import Callable, Generator
from inspect import iscoroutinefunction, isgenerator
from typing import Any

from .exceptions import without_secrets
from .masking import mask
from .signatures import Handler


def bounded(
    handler: Handler,
    folder: str | None = None,
    change: Callable[[Any], Any] | None = None,
) -> Handler:
    """Wrap a function at the app's boundary: an exception that would show a secret is replaced.

    Args:
        handler: The outermost function of the app.
        folder: What ``context.function_directory`` gives, where the function asks for it. The
            worker would name the folder of this file.
        change: Receives what the function returns, and returns what the worker gets.
    """

    def arrive(kwargs: dict[str, Any]) -> None:
        if folder is not None and "context" in kwargs:
            kwargs["context"] = ContextIn(folder, kwargs["context"])

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            arrive(kwargs)
            result = handler(*args, **kwargs)
            if isgenerator(result):
                return _delegated(result)
            return result if change is None else change(result)
        except Exception as error:
            if (clean := without_secrets(error, mask)) is error:
                raise
        raise clean

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        try:
            arrive(kwargs)
            result = await handler(*args, **kwargs)
            return result if change is None else change(result)
        except Exception as error:
            if (clean := without_secrets(error, mask)) is error:
                raise
        raise clean

    return call_async if iscoroutinefunction(handler) else call


def _delegated(running: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run a generator, such as a Durable orchestrator's, with the boundary around it."""
    try:
        return (yield from running)
    except Exception as error:
        if (clean := without_secrets(error, mask)) is error:
            raise
    raise clean


class ContextIn:
    """The worker's context of an invocation, with the folder of the function that runs."""

    def __init__(self, folder: str, context: Any) -> None:
        self.function_directory = folder
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
