"""What one read yields: a reading, or the failure that says why there is none."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, Protocol

from .errors import IdentityBindingError


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

    value: Any
    note: str = ""
    expires: float | None = None
    pinned: bool = False
    lifetime: float = inf

    def __repr__(self) -> str:
        return f"Reading(note={self.note!r}, expires={self.expires}, pinned={self.pinned})"


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
