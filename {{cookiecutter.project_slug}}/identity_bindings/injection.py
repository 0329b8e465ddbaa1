"""Handlers that receive declared values: the worker sees the rest of their parameters only."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from .errors import BindingUnavailableError
from .readings import ReadError
from .redaction import scrub
from .sources import Source

Handler = Callable[..., Any]


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
        try:
            return self.source.wait()
        except ReadError as error:
            failed = self._error(error)
        raise failed

    async def wait_async(self) -> Any:
        """The same as `wait`, without blocking the event loop."""
        try:
            return await self.source.wait_async()
        except ReadError as error:
            failed = self._error(error)
        raise failed

    def _error(self, error: ReadError) -> BindingUnavailableError:
        failure = error.failure
        return BindingUnavailableError(
            f"Function '{self.function}', binding '{self.binding.name}': {self.binding} cannot be"
            f" read by {self.binding.identity}: {failure.reason}. Repair: {failure.repair}"
        )


def inject(
    handler: Handler, injections: Iterable[Injection], folder: Path | None = None
) -> Handler:
    """Wrap `handler` so that its declared parameters are hidden and filled in at each call.

    The worker reads the signature and the type hints of what it calls, so both lose the hidden
    parameters. A coroutine function stays one. An exception that leaves the handler is cleaned of
    secret values first: the worker sends its text and traceback to the log.

    Args:
        handler: The function to call.
        injections: The values that it receives.
        folder: What ``context.function_directory`` shall give, where the handler asks for it.
            The worker would name the folder of this file.
    """
    filled = tuple((item.binding.name, item.source, item) for item in injections)
    if is_async(handler):

        @functools.wraps(handler)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            for name, source, item in filled:
                good_until, value = source.current
                kwargs[name] = value if monotonic() < good_until else await item.wait_async()
            if folder is not None:
                kwargs["context"] = _ContextIn(folder, kwargs["context"])
            try:
                return await handler(*args, **kwargs)
            except BaseException as error:
                clean = scrub(error)
                if clean is error:
                    raise
            raise clean

        return _hide(call_async, handler, {name for name, _, _ in filled})

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        for name, source, item in filled:
            good_until, value = source.current
            kwargs[name] = value if monotonic() < good_until else item.wait()
        if folder is not None:
            kwargs["context"] = _ContextIn(folder, kwargs["context"])
        try:
            return handler(*args, **kwargs)
        except BaseException as error:
            clean = scrub(error)
            if clean is error:
                raise
        raise clean

    return _hide(call, handler, {name for name, _, _ in filled})


class _ContextIn:
    """The worker's context of an invocation, with the folder of the function that runs."""

    def __init__(self, folder: Path, context: Any) -> None:
        self.function_directory = str(folder)
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def is_async(handler: Handler) -> bool:
    """Whether calling `handler` gives a coroutine."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object may have an async __call__
    )


def present(handler: Handler, signature: inspect.Signature) -> Handler:
    """Make `signature` what the worker sees of `handler`: its parameters and its type hints."""
    annotations = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if parameter.annotation is not inspect.Parameter.empty
    }
    if signature.return_annotation is not inspect.Signature.empty:
        annotations["return"] = signature.return_annotation
    shown: Any = handler
    shown.__signature__ = signature
    shown.__annotations__ = annotations
    return handler


def signature_of(handler: Handler) -> inspect.Signature:
    """The signature of `handler` with its annotations resolved.

    An annotation that cannot be resolved is left out: the worker then goes by the binding alone.
    """
    signature = inspect.signature(handler)
    scope = getattr(inspect.unwrap(handler), "__globals__", {})
    parameters = [
        parameter.replace(annotation=_resolve(parameter.annotation, scope))
        for parameter in signature.parameters.values()
    ]
    returned = _resolve(signature.return_annotation, scope)
    return signature.replace(parameters=parameters, return_annotation=returned)


def _resolve(annotation: Any, scope: dict[str, Any]) -> Any:
    if annotation is inspect.Parameter.empty:
        return annotation

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(holder, globalns=scope)["it"]
    except Exception:
        return inspect.Parameter.empty


def _hide(wrapper: Handler, handler: Handler, hidden: set[str]) -> Handler:
    signature = signature_of(handler)
    visible = [p for p in signature.parameters.values() if p.name not in hidden]
    return present(wrapper, signature.replace(parameters=visible))
