"""The errors of this package, and what one read yields: a reading, or why there is none.

Every message says what to do; none carries a secret's value.
"""

import logging
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cache
from math import inf
from reprlib import Repr
from typing import Any, Literal, Protocol

logger = logging.getLogger("identity_bindings")
"""The log of this package."""

say_once = cache(logger.warning)
"""Warn of what holds from now on."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


class IdentityBindingError(Exception):
    """The base of every error that this package raises."""


class BindingUnavailableError(IdentityBindingError):
    """A declared value could not be read, so the function was not called.

    Its text is one line: function, binding, what was read from where by whom, why it failed,
    and the command or step that repairs it.
    """


class DeclarationError(IdentityBindingError):
    """A mistake in a declaration. Its arguments: the property, its value, and what is allowed."""


@dataclass(frozen=True)
class Problem:
    """One mistake in a declaration: where it stands, what stands there, what may stand there."""

    file: str
    property: str
    value: object
    allowed: str

    def __str__(self) -> str:
        line = f"{self.file}: {self.property}: {_SHORT.repr(self.value)}: {self.allowed}"
        # One line of the log, whatever a name holds.
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


@dataclass(frozen=True)
class Reading:
    """A value as it was read.

    Attributes:
        value: What the handler receives.
        note: What the log should say about it once, such as that it has expired.
        expires: When it ends, in seconds since 1970, where it ends.
        pinned: It cannot change, so it is never read again.
        lifetime: How many seconds it may be used, whatever fails.
    """

    value: Any = field(repr=False)
    note: str = ""
    expires: float | None = None
    pinned: bool = False
    lifetime: float = inf


@dataclass(frozen=True)
class Failure:
    """Why one read failed.

    Attributes:
        kind: ``denied`` (the service answered no: it will say so again until somebody repairs it)
            or ``transient`` (network, throttling, outage: it may pass by itself).
        reason: What happened, in a few words.
        repair: What to do about it: a command or a sentence.
        retry_after: Seconds that the service asked to wait, 0 if it did not.
    """

    kind: Literal["denied", "transient"]
    reason: str
    repair: str
    retry_after: float = 0.0


class ReadError(IdentityBindingError):
    """One read failed. Carries the failure from the clients to the source that asked."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Readable(Protocol):
    """What a source reads."""

    @property
    def key(self) -> Hashable:
        """Equal for two declarations that one source can serve."""

    def read(self) -> Reading:
        """Read the value now. Blocks; raises ReadError where there is none."""
