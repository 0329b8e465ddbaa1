"""How often values are read and how long they are kept; how the threads of a process take turns.

All times are in seconds.

A fork copies memory, but of the threads only the one that forks: a lock that another thread holds
is never released in the child, and neither is Python's lock of a module that it imports.
"""

import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from math import inf
from threading import Condition, RLock
from time import monotonic
from typing import Any

from .errors import Failure, ReadError, logger

LATE = 10.0
"""How late a refresh may be before a caller waits for it: only after the process was frozen."""

WAIT = 9.5
"""How long a caller waits for a first value: it must know within 10 s."""

READ = 9.0
"""How long one read may take with all its requests: its callers then know why it failed."""

_HOLD = 4.0  # how long a read that hangs keeps its place at a gate
_SHORTEST_CAP = 5.0  # a service that asks for a few seconds gets them, however short the interval

LONGEST_BACK_OFF = 30.0
"""A new grant is seen after this time at the latest."""


@dataclass(frozen=True)
class Timing:
    """How often a value is read again, and how long a denied one is kept."""

    refresh: float = 300.0
    grace: float = 900.0

    @classmethod
    def of_app(cls) -> "Timing":
        """Read the timing from app settings. A setting that is no sensible number is not used."""
        refresh = _seconds("SECRET_REFRESH_SECONDS", cls.refresh, least=0.001)
        return cls(refresh, _seconds("SECRET_GRACE_SECONDS", cls.grace))

    def back_off(self, failure: Failure, failures: int, cold: bool) -> float:
        """Return how long to wait after the last of so many failures in a row."""
        pause = _growing(0 if failure.shared else failures)  # the gate counts what is shared
        asked = min(failure.retry_after, self.longest_pause(cold))
        return max(jitter(pause if cold else min(pause, self.refresh)), asked)

    def longest_pause(self, cold: bool) -> float:
        """Return how long to wait at most, whatever a service asks for."""
        return LONGEST_BACK_OFF if cold else max(self.refresh, _SHORTEST_CAP)


class Budget(threading.local):
    """What the read of this thread may take, with all its requests."""

    _ends = inf
    received = 0  # bytes
    longest_pause = LONGEST_BACK_OFF  # that it waits where a service asks it to
    answer: Any = None  # the last one that came

    @contextmanager
    def of_read(self, longest_pause: float = LONGEST_BACK_OFF) -> Iterator[None]:
        """Limit what is asked inside of this to READ seconds, counted from the outermost."""
        if self._ends < inf:
            yield
            return
        self._ends, self.received, self.longest_pause = monotonic() + READ, 0, longest_pause
        try:
            yield
        finally:
            self._ends, self.answer = inf, None

    def filter(self, _: object) -> bool:
        """Return whether a logger may log: not during a read, whose addresses the SDK would log."""
        return self._ends == inf

    def seconds_left(self) -> float:
        """Return the time that is left, or raise TimeoutError."""
        left = min(self._ends - monotonic(), READ)
        if left <= 0:
            raise TimeoutError("timed out")
        return left


budget = Budget()
"""The budget of the thread that asks for it."""


def _growing(failures: int) -> float:
    """Return the pause after so many failures in a row."""
    return min(0.5 * 2.0 ** min(failures, 10), LONGEST_BACK_OFF)


def jitter(seconds: float) -> float:
    """Return 0.5 to 1.0 times `seconds`, at random, so that instances do not read all at once."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 # nosec B311 # no secret depends on it


def _seconds(name: str, default: float, least: float = 0) -> float:
    text = os.environ.get(name, "").strip() or str(default)
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) and float(text) >= least:
        return float(text)
    logger.error("%s: %r is no sensible number of seconds. %g is used.", name, text, default)
    return default


class Gate:
    """When a vault or the identity endpoint may be asked: one decision for all who read from it.

    It is closed for a while after a failure that concerns all who read. When the pause is over, one
    read goes first, and so does the very first one. When it gets an answer, the gate is open for all.

    Args:
        silence: The failure of those who wait for the first read, if it does not end in time.
        places: How many may ask at once while it is open. Who hangs has one for a while only.
    """

    def __init__(self, silence: Failure, places: int = 1) -> None:
        self._changed = Condition()
        self._places = places
        self._inside: list[float] = []  # since when each one asks
        self._open = False
        self._failure = replace(silence, shared=True)
        self._failures = 0
        self._closed_at = self._until = -inf

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place, or raise ReadError; ask inside. What does not close the gate opens it."""
        with self._changed:
            while True:
                now = monotonic()
                left = min(self._until, self._closed_at + budget.longest_pause) - now
                if left > 0 and not self._open:
                    raise ReadError(replace(self._failure, retry_after=left))
                self._inside = [began for began in self._inside if now - began < _HOLD]
                if len(self._inside) < (self._places if self._open else 1):
                    break
                try:
                    self._changed.wait(min(self._inside[0] + _HOLD - now, budget.seconds_left()))
                except TimeoutError:
                    raise ReadError(replace(self._failure, retry_after=0.0)) from None
            self._inside.append(now)
        try:
            yield
        finally:
            with self._changed:
                if now > self._closed_at:
                    self._open, self._failures = True, 0
                if now in self._inside:
                    self._inside.remove(now)
                self._changed.notify_all()

    def close(self, failure: Failure) -> Failure:
        """Close the gate after `failure`, which is returned with the seconds until it may be tried."""
        with self._changed:
            now = monotonic()
            if self._open or now >= self._until:  # else a read fails that began before
                self._failures += 1
                self._until = now + jitter(_growing(self._failures))
            self._until = max(self._until, now + failure.retry_after)
            self._open, self._closed_at = False, now
            self._failure = replace(failure, retry_after=self._until - now, shared=True)
            return self._failure


def at_fork(**hooks: Callable[[], Any]) -> None:
    """Register what happens when the process is forked, where a process can be: not on Windows."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**hooks)


def held_at_fork(lock: Any) -> Any:
    """Have a fork wait for `lock`: the child finds whole what it guards, and never waits for it."""
    at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


making = held_at_fork(RLock())
"""Held while something shared is made, such as the SDK's clients."""


def shared(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make one object for equal arguments, and keep it. A forked child makes its own."""
    made = cache(make)
    at_fork(after_in_child=made.cache_clear)

    def get(*arguments: Any) -> Any:
        with making:
            return made(*arguments)

    return get


@shared
def load(module: str) -> Any:
    """Import a module at the first read, since the SDK needs as long as the app's start."""
    return import_module(module, __package__)
