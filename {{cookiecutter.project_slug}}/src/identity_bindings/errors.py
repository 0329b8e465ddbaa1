"""The errors of this package, and what one read yields: a reading, or why there is none.

Every message says what to do; none carries a secret's value.
"""

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from math import inf
from reprlib import Repr
from typing import Any, Literal

logger = logging.getLogger("identity_bindings")


def _handle(record: logging.LogRecord) -> None:
    with suppress(Exception):  # a filter or handler of the app must not stop the engine
        logging.Logger.handle(logger, record)


logger.handle = _handle  # type: ignore[method-assign]

_said: dict[tuple[object, ...], object] = {}


def say_once(*message: object) -> None:
    """Log a warning, which may have arguments, once in a process."""
    mine = object()
    if _said.setdefault(message, mine) is mine:
        logger.warning(*message)


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


class IdentityBindingError(Exception):
    """The base of every error that this package raises."""

    own = False  # whether the engine has raised it: then its text holds no value


class BindingUnavailableError(IdentityBindingError):
    """A declared value could not be read, so the function was not called.

    Its text is one line: the function, the binding, the secret and its vault, the identity, the
    reason, and the command or step that repairs it.
    """


def printable(text: str) -> str:
    """Return `text` as one line of the log, whatever it holds."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a declaration: where it is, its property, the value, what is accepted."""

    file: str
    property: str
    value: object
    allowed: str
    # What an import raised: the log shows its traceback.
    cause: BaseException | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return printable(f"{self.file}: {self.property}: {_SHORT.repr(self.value)}: {self.allowed}")


@dataclass(frozen=True)
class Reading:
    """A value as it was read."""

    value: Any = field(repr=False)
    note: str = ""  # what the log says about it once, such as that it has expired
    expires: datetime | None = None
    pinned: bool = False  # it cannot change, and is never read again
    lifetime: float = inf  # how many seconds it may be used, whatever fails
    origin: str = ""  # where it was read from, if not from the vault

    def field(self, name: str) -> "str | Failure":
        """Find a field of the value's JSON: a text, or a number or boolean as JSON writes it."""
        content, reason = self._content, "the field is not a text, number or boolean"
        if not isinstance(content, dict):
            reason = "the value is not a JSON object"
        elif name not in content:
            reason = "the field is missing"
        elif isinstance(found := content[name], str | bool):
            return found if isinstance(found, str) else json.dumps(found)
        return Failure("denied", reason, f"set the secret to a JSON object with the field '{name}'")

    @cached_property
    def _content(self) -> Any:
        """The value parsed as JSON, with numbers as text; None if it is not JSON."""
        with suppress(ValueError, RecursionError):
            return json.loads(self.value.removeprefix("\ufeff"), parse_int=str, parse_float=str)
        return None


@dataclass(frozen=True)
class Failure:
    """Why one read failed: the service denies it until somebody repairs the cause, or a fault.

    A shared one concerns all reads from the vault or by the identity; `retry_after` is then the
    time until one of them may try again.
    """

    kind: Literal["denied", "transient"]
    reason: str
    repair: str  # a command or a sentence
    retry_after: float = 0.0  # the seconds that the service asked to wait
    shared: bool = False


class ReadError(IdentityBindingError):
    """One read failed. Passes the failure from the clients to the source."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class AnswerRefused(ValueError):
    """An answer that the transport does not accept. Its text says why, and nothing of the answer."""
