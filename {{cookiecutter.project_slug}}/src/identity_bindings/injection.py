"""Handlers that receive declared values: the worker sees the rest of their parameters only."""

import builtins
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from inspect import unwrap
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_origin

from .credentials import in_azure, is_emulator
from .declarations import PropertyProblem
from .errors import BindingUnavailableError, Failure
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
    secrets = _are_secrets(handler)

    def injection(own: Any) -> Injection:
        source, field = pool.source(getattr(own, "whole", own)), getattr(own, "json_field", None)
        return Injection(function, own, source, secrets.get(own.name, False), field)

    return [injection(own) for own in declared]


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
