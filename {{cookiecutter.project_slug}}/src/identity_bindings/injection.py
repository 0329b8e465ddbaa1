"""What a call waits for and passes: declared values in, every argument by its name, no secret out."""

import builtins
import functools
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature, unwrap
from sys import intern
from time import monotonic
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_origin

from .credentials import in_azure, is_emulator
from .declarations import PropertyProblem
from .errors import BindingUnavailableError, Failure
from .masking import without_secrets
from .signatures import Handler, globals_of, is_async, signature_of, types_in
from .sources import Flight, Patience, Source, pool


@dataclass(frozen=True)
class Secret:
    """A secret whose value can change during a call, when it is rotated.

    A parameter with this annotation receives one; every other parameter receives a ``str``::

        def main(req: func.HttpRequest, db_password: Secret) -> func.HttpResponse:
            try:
                connection = connect(db_password.value)
            except AccessDenied:
                connection = connect(db_password.newest())
    """

    value: str = field(repr=False)
    _injection: Any = field(default=None, repr=False, compare=False)  # None: created by a test
    _patience: Patience = field(default_factory=Patience, repr=False, compare=False)  # of the call

    def newest(self) -> str:
        """Return the newest value after `value` was refused.

        All callers wait for one read. There is at most one in 10 s for each secret: until then, and
        where the read fails, this is the last value that was read, which may be `value` itself. The
        same holds when the call has waited for 9.5 s, all of its waits together.

        Raises:
            BindingUnavailableError: There is no value that may be used.
        """
        for flight in self._reads():
            self._patience.wait([flight])
        return self._last()

    async def newest_async(self) -> str:
        """The same as `newest`, without blocking the event loop."""
        for flight in self._reads():
            await self._patience.wait_async([flight])
        return self._last()

    def _reads(self) -> Iterator[Flight | None]:
        """Begin each read to wait for."""
        if self._injection is not None:
            source = self._injection.source
            for _ in range(2):  # the first read may have begun before the refusal
                if self._last() == self.value:
                    yield source.read_again()
            yield source.join()
            self._injection.settle()

    def _last(self) -> str:
        reading = self._injection and self._injection.source.reading
        # Without one, a test or another process has this object.
        return str(self._injection.give(reading).value) if reading else self.value


@dataclass(eq=False)
class Injection:
    """One declared value of one function."""

    function: str  # the handler's name until the app's functions are known
    binding: Any  # its `name` is the handler's parameter
    source: Source
    is_secret: bool = False  # the handler receives a `Secret`, not a `str`
    json_field: str | None = None  # None where the whole value is declared

    @property
    def failure(self) -> Failure | None:
        """Why the last read failed, or why its value has no such field."""
        reading = self.source.reading
        found = reading.field(self.json_field) if reading and self.json_field else None
        return self.source.failure or (found if isinstance(found, Failure) else None)

    def give(self, reading: Any, patience: Any = None) -> Any:
        """Make what the handler receives, or raise BindingUnavailableError: there is no such field."""
        found = self._checked(reading.field(self.json_field) if self.json_field else reading.value)
        return Secret(found, self, patience) if self.is_secret else found

    def settle(self) -> Any:
        """Return the value, or raise BindingUnavailableError: none may be served."""
        return self._checked(self.source.settle())

    def _checked(self, found: Any) -> Any:
        if not isinstance(found, Failure):
            return found
        error = BindingUnavailableError(
            f"Function '{self.function}', binding '{self.binding.name}': {self.binding} cannot be read"
            f" by {self.reader}: {found.reason}. Repair: {found.repair}"
        )
        error.own = True
        raise error

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
    if is_async(handler):
        declared = [own.for_async() if hasattr(own, "for_async") else own for own in declared]
    secrets, made = _are_secrets(handler), []
    for own in declared:
        source, field = pool.source(getattr(own, "whole", own)), getattr(own, "json_field", None)
        made.append(Injection(function, own, source, secrets.get(own.name, False), field))
    return made


def wrong_secrets(declared: Sequence[Any], handler: Handler) -> list[PropertyProblem]:
    """Each declared parameter whose annotation names a `Secret` that it cannot receive."""
    are_secrets = _are_secrets(handler)
    allowed = "only the value of 'keyVault' is a Secret, annotated 'Secret' or 'Secret | None'"
    return [
        ("name", own.name, f"{allowed}; annotate another type")
        for own in declared
        if own.name in are_secrets and not (are_secrets[own.name] and hasattr(own, "whole"))
    ]


def _are_secrets(handler: Handler) -> dict[str, bool]:
    """The parameters whose annotations name `Secret`: whether as it is, or inside another type."""
    names = _Names(globals_of(handler))
    found = {}
    for parameter in signature_of(unwrap(handler), names).parameters.values():
        hint = parameter.annotation
        options = get_args(hint) if get_origin(hint) in (typing.Union, UnionType) else (hint,)
        if any(issubclass(one, Secret) for one in types_in(hint)):
            found[parameter.name] = Secret in options
    return found


class _Names(dict[str, Any]):
    """The names of a module, and what it imports for type checkers only: by its usual name."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        return {"Secret": Secret, **vars(typing)}.get(name) or SimpleNamespace(Secret=Secret)


def bounded(
    handler: Handler,
    values: Sequence[Injection] = (),
    folder: str = "",
    change: Callable[[Any], Any] | None = None,
) -> Handler:
    """Wrap the outermost function of the app: an exception that would show a secret is replaced.

    The arguments are those of `filled`. One plain value that is good, which is all that most calls
    need, is filled in here, in the least time.
    """
    is_plain = not (folder or change)
    complete = filled(handler, values, folder, change) if values or not is_plain else handler
    parameters = [*Signature.from_callable(handler).parameters.values()]
    inner, name, source = complete, "", None
    if is_plain and len(values) == 1 and not (values[0].is_secret or values[0].json_field):
        # Elsewhere it could take the place of an argument that is passed by position.
        is_last = parameters[-1].name == values[0].binding.name
        if is_last and parameters[0].kind is not Parameter.POSITIONAL_ONLY:
            # The handler finds an interned name by its identity, any other by its characters.
            inner, name, source = handler, intern(values[0].binding.name), values[0].source

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            if source and name not in kwargs:
                good_until, value = source.current
                if good_until <= monotonic():
                    return complete(*args, **kwargs)
                kwargs[name] = value
            return inner(*args, **kwargs)
        except Exception as error:
            if (clean := without_secrets(error)) is error:
                raise
        raise clean  # outside of `except`, or the exception would be its `__context__`

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        try:
            if source and name not in kwargs:
                good_until, value = source.current
                if good_until <= monotonic():
                    return await complete(*args, **kwargs)
                kwargs[name] = value
            return await inner(*args, **kwargs)
        except Exception as error:
            if (clean := without_secrets(error)) is error:
                raise
        raise clean

    return call_async if is_async(handler) else call


def filled(
    handler: Handler,
    values: Sequence[Injection],
    folder: str = "",
    change: Callable[[Any], Any] | None = None,
) -> Handler:
    """Wrap `handler` so that its declared parameters are filled in at each call.

    Args:
        handler: The function to call. A coroutine function stays one.
        values: What fills its parameters in. A test may pass values of its own: these are not read.
        folder: What ``context.function_directory`` gives: the worker would name this file's folder.
        change: Receives what the function returns, and returns what the worker gets.
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

    leave: Callable[[Any], Any] = change or (lambda result: result)

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        patience = Patience()
        missing = [one for one in values if one.binding.name not in kwargs]
        patience.wait(late(missing))
        first, named = arrive(args, kwargs, missing, patience)
        return leave(handler(*first, **named))

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        patience = Patience()
        missing = [one for one in values if one.binding.name not in kwargs]
        await patience.wait_async(late(missing))
        first, named = arrive(args, kwargs, missing, patience)
        return leave(await handler(*first, **named))

    return call_async if is_async(handler) else call


@dataclass(eq=False)
class _ContextIn:
    """The worker's context of an invocation, with the folder of the function that runs."""

    function_directory: str
    _context: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)
