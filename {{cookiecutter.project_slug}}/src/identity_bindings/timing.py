"""How often values are read, how long they are kept, and when a service may be asked.

All times are in seconds.
"""

import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from math import inf
from threading import Condition
from time import monotonic, time

from .errors import Failure, ReadError, logger

LATE = 10.0
"""How late a refresh may be before a caller waits for it: only after the process was frozen."""

WAIT = 9.5
"""How long a caller waits for a first value: it must know within 10 s."""

READ = 9.0
"""How long one read may take with all its requests: its callers then know why it failed."""

_SHORTEST_CAP = 5.0  # a service that asks for a few seconds gets them, however short the interval

LONGEST_BACK_OFF = 30.0
"""A new grant is seen after this time at the latest."""


@dataclass(frozen=True)
class Timing:
    """How often a value is read again, and how long a denied one is kept."""

    refresh: float = 300.0
    grace: float = 900.0

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "Timing":
        """Read the timing from app settings. A setting that is no sensible number is not used."""
        refresh = _seconds(settings, "SECRET_REFRESH_SECONDS", cls.refresh, least=0.001)
        return cls(refresh, _seconds(settings, "SECRET_GRACE_SECONDS", cls.grace))

    def back_off(self, failure: Failure, failures: int, cold: bool) -> float:
        """How long to wait after the last of so many failures in a row."""
        asked = min(failure.retry_after, self.longest_pause(cold))
        if failure.shared:  # the others that share it have counted too
            return max(asked, jitter(0.5))
        pause = _growing(failures)
        return max(jitter(pause if cold else min(pause, self.refresh)), asked)

    def longest_pause(self, cold: bool) -> float:
        """How long to wait at most, whatever a service asks for."""
        return LONGEST_BACK_OFF if cold else max(self.refresh, _SHORTEST_CAP)


class Budget(threading.local):
    """What the read of this thread may take, with all its requests."""

    def __init__(self) -> None:
        self._ends = inf
        self.received = 0  # bytes
        self.longest_pause = LONGEST_BACK_OFF  # that it waits where a service asks it to

    @contextmanager
    def of(self, seconds: float, longest_pause: float | None = None) -> Iterator[None]:
        """Let what is read inside of this take so long. Inside of another budget, that one holds."""
        if self._ends < inf:
            yield
            return
        self._ends, self.received = monotonic() + seconds, 0
        self.longest_pause = LONGEST_BACK_OFF if longest_pause is None else longest_pause
        try:
            yield
        finally:
            self._ends = inf

    def filter(self, _: object) -> bool:
        """Whether a logger may log: not during a read, of which the SDK would log addresses."""
        return self._ends == inf

    def seconds_left(self) -> float:
        """The time that is left, or TimeoutError is raised."""
        left = min(self._ends - monotonic(), READ)
        if left <= 0:
            raise TimeoutError("timed out")
        return left


budget = Budget()
"""The budget of the thread that asks for it."""


def _growing(failures: int) -> float:
    """The pause after so many failures in a row."""
    return min(0.5 * 2.0 ** min(failures, 10), LONGEST_BACK_OFF)


def jitter(seconds: float) -> float:
    """Between a half of `seconds` and all of it, so that instances do not march in step."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 # nosec B311 # no secret depends on it


def _seconds(settings: Mapping[str, str], name: str, default: float, least: float = 0) -> float:
    text = settings.get(name, "").strip() or str(default)
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) and float(text) >= least:
        return float(text)
    logger.error("%s: %r is no sensible number of seconds. %g is used.", name, text, default)
    return default


_PATIENCE_SECONDS = 4.0  # with a probe that hangs


class Gate:
    """When a vault or the identity endpoint may be asked: one decision for all who read from it.

    It is closed for a while after a failure that concerns all who read. When the pause is over, one
    read goes first, and so does the very first one. When it gets an answer, the gate is open for all.

    Args:
        silence: The failure of those who wait for the first read, if it does not end in time.
    """

    def __init__(self, silence: Failure) -> None:
        self._changed = Condition()
        self._open = False
        self._failure = silence
        self._failures = 0
        self._closed_at = self._until = self._probe_until = -inf

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Ask inside of this, or get ReadError. Any answer opens the gate, also a refusal of one."""
        entered, probe = self._enter()
        answered = True
        try:
            yield
        except ReadError as error:
            answered = not error.failure.shared
            raise
        finally:
            with self._changed:
                if answered and entered > self._closed_at:
                    self._open, self._failures = True, 0
                if probe == self._probe_until:
                    self._probe_until = -inf
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

    def _enter(self) -> tuple[float, float]:
        """Wait for the read that goes first, or become it."""
        with self._changed:
            while True:
                now = monotonic()
                if self._open:
                    return now, 0.0
                left = min(self._until, self._closed_at + budget.longest_pause) - now
                if left > 0:
                    raise ReadError(replace(self._failure, retry_after=left, shared=True))
                if now >= self._probe_until:
                    self._probe_until = now + _PATIENCE_SECONDS
                    return now, self._probe_until
                try:
                    self._changed.wait(min(self._probe_until - now, budget.seconds_left()))
                except TimeoutError:
                    raise ReadError(replace(self._failure, retry_after=0.0, shared=True)) from None


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a service asks to wait: a number or an HTTP date; 0 where it does not."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
