"""Values that stay fresh: read once for all callers, refreshed behind their backs, kept in a fault.

A source holds one declared value. Whoever needs it reads ``current``, a value and the moment until
which it is good: that is the whole warm path. What happens when a read fails:

* transiently (network, throttling, an outage): the last value stays good until a read succeeds;
* with a denial: the last value stays good for SECRET_GRACE_SECONDS, then calls fail;
* cold, with no value yet: the callers that wait fail, and later ones until a back-off ends.

All times are monotonic: a changed wall clock changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Hashable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isfinite
from time import monotonic
from typing import Any

from . import redaction
from .credentials import has_endpoint
from .readings import Failure, Readable, ReadError, Reading

REFRESH_SETTING = "SECRET_REFRESH_SECONDS"
GRACE_SETTING = "SECRET_GRACE_SECONDS"
LATE_SECONDS = 10.0
"""How late a refresh may be before a caller waits for it: only after the process was frozen."""

_WAIT_SECONDS = 9.5  # a cold call fails within 10 s
_COLD_BUDGET_SECONDS = 6.0
_COLD_ATTEMPTS = 3
_LONGEST_BACK_OFF_SECONDS = 30.0

_logger = logging.getLogger("identity_bindings")


@dataclass(frozen=True)
class Timing:
    """How often values are read again, and how long a denied one is kept, both in seconds."""

    refresh: float = 300.0
    grace: float = 900.0

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Timing:
        """Read the timing from app settings. A setting that is no sensible number is not used."""
        return cls(
            _seconds(settings, REFRESH_SETTING, cls.refresh, above=0.0),
            _seconds(settings, GRACE_SETTING, cls.grace, above=-1.0),
        )


class Source:
    """One declared value, for every function that declares it. Thread-safe."""

    __slots__ = (
        "_denied_at",
        "_failures",
        "_flight",
        "_lock",
        "_pool",
        "_what",
        "current",
        "due",
        "failure",
        "read_at",
        "reading",
    )

    def __init__(self, what: Readable, pool: Pool) -> None:
        self._what = what
        self._pool = pool
        self._lock = threading.Lock()
        self._flight: Future[None] | None = None
        self._failures = 0
        self._denied_at: float | None = None
        self.read_at = -inf
        """When the last successful read began."""
        self.current: tuple[float, Any] = (-inf, None)
        """Until when the value is good, and the value: replaced as one, so read without a lock."""
        self.due = -inf
        """When the next read is due."""
        self.failure: Failure | None = None
        """Why the last read failed, where it did."""
        self.reading: Reading | None = None
        """The last value that was read."""

    def __repr__(self) -> str:
        return f"<Source of {self._what!r}>"

    def wait(self) -> Any:
        """Return the value, waiting for a read where there is none that is good.

        Raises:
            ReadError: The read failed, or a read failed a moment ago.
        """
        flight = self._join()
        if flight is not None:
            try:
                flight.result(_WAIT_SECONDS)
            except TimeoutError:
                self._give_up(flight)
        return self._value()

    async def wait_async(self) -> Any:
        """The same as `wait`, without blocking the event loop."""
        flight = self._join()
        if flight is not None:
            done, _ = await asyncio.wait([asyncio.wrap_future(flight)], timeout=_WAIT_SECONDS)
            if not done:
                self._give_up(flight)
        return self._value()

    def begin(self) -> Future[None]:
        """Begin a read, or join the one that is on its way."""
        with self._lock:
            return self._flight or self._start()

    def _join(self) -> Future[None] | None:
        with self._lock:
            if monotonic() < self.current[0]:
                return None
            if self._flight is None and monotonic() < self.due and self.failure is not None:
                raise ReadError(self.failure)
            return self._flight or self._start()

    def _value(self) -> Any:
        good_until, value = self.current
        if monotonic() < good_until:
            return value
        raise ReadError(self.failure or _NO_ANSWER)

    def _start(self) -> Future[None]:
        flight: Future[None] = Future()
        flight.set_running_or_notify_cancel()  # a caller that is cancelled cancels only itself
        self._flight = flight
        self.due = inf
        # A daemon thread: a read that hangs must not hold up the end of the process.
        thread = threading.Thread(
            target=self._read, args=(flight,), name="identity-read", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no thread can be had, or the process is ending
            self._flight, self.failure, self.due = None, _NO_ANSWER, monotonic() + 1.0
            flight.set_result(None)
        return flight

    def _read(self, flight: Future[None]) -> None:
        cold = self.current[1] is None
        budget = monotonic() + _COLD_BUDGET_SECONDS
        for attempt in range(1, _COLD_ATTEMPTS + 1):
            started = monotonic()
            try:
                reading = self._what.read()
            except ReadError as error:
                failure = error.failure
            except Exception as error:
                failure = Failure(
                    "transient", f"the read failed: {type(error).__name__}", "report it"
                )
            else:
                self._succeed(flight, reading, started)
                return
            pause = max(failure.retry_after, _jitter(0.2) * 2**attempt)
            last = attempt == _COLD_ATTEMPTS or monotonic() + pause > budget
            if not cold or last or failure.kind == "denied":
                break
            time.sleep(pause)
        self._fail(flight, failure)

    def _succeed(self, flight: Future[None], reading: Reading, started: float) -> None:
        value = reading.value
        if isinstance(value, str):
            redaction.register(value)
            value = redaction.SecretValue(value)
        timing = self._pool.timing
        with self._lock:
            recovered, known = self.failure is not None, self.reading
            if started > self.read_at:
                self.read_at = started
                self.reading = reading
                self._denied_at = self.failure = None
                self._failures = 0
                good_for = inf if reading.pinned else timing.refresh + LATE_SECONDS
                self.current = (started + good_for, value)
            if self._flight is flight:
                self._flight = None
                wait = inf if reading.pinned else _jitter(timing.refresh)
                self.due = started + wait
        self._end(flight)
        if recovered and known is not None:
            _logger.info("%s can be read again.", self._what)
        if reading.note and (known is None or known.note != reading.note):
            _logger.warning("%s %s. It is served all the same.", self._what, reading.note)

    def _fail(self, flight: Future[None], failure: Failure) -> None:
        timing = self._pool.timing
        with self._lock:
            if self._flight is not flight:
                return
            now, value = monotonic(), self.current[1]
            cold = value is None
            news = self.failure is None
            if failure.kind == "denied" and self._denied_at is None:
                self._denied_at, news = now, True
            if not cold:
                # A denial stands until a read succeeds, whatever else fails in between.
                ends = inf if self._denied_at is None else self._denied_at + timing.grace
                self.current = (ends, value) if now < ends else (-inf, None)
            self._flight = None
            self._failures += 1
            self.failure = failure
            self.due = now + self._back_off(failure, cold, timing)
        self._end(flight)
        if not cold and news:
            denied = failure.kind == "denied"
            _logger.warning(
                "%s: %s. The last value is kept %s. Repair: %s",
                self._what,
                failure.reason,
                f"for {timing.grace:g} s" if denied else "until a read succeeds",
                failure.repair,
            )

    def _give_up(self, flight: Future[None]) -> None:
        """Callers have waited long enough. The read may still succeed, for later ones."""
        self._fail(flight, _NO_ANSWER)

    def _end(self, flight: Future[None]) -> None:
        with suppress(InvalidStateError):  # those who waited for it gave up before
            flight.set_result(None)
        self._pool.wake()

    def _back_off(self, failure: Failure, cold: bool, timing: Timing) -> float:
        longest = (
            _LONGEST_BACK_OFF_SECONDS if cold else max(timing.refresh, _LONGEST_BACK_OFF_SECONDS)
        )
        pause = min(0.5 * 2.0 ** min(self._failures, 10), _LONGEST_BACK_OFF_SECONDS)
        if not cold:
            pause = min(pause, timing.refresh)
        return max(_jitter(pause), min(failure.retry_after, longest))


class Pool:
    """Every source of this process, and the one thread that keeps them fresh."""

    def __init__(self) -> None:
        self._sources: dict[Hashable, Source] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.timing = Timing()

    def source(self, what: Readable) -> Source:
        """Return the source of `what`, the same one for equal declarations."""
        with self._lock:
            if not self._sources:
                self.timing = Timing.of(os.environ)
            return self._sources.setdefault(what.key, Source(what, self))

    def start(self) -> None:
        """Begin to read every source and to keep it fresh, where the platform offers an identity.

        Elsewhere (tests, editors, a developer's machine) nothing starts: values are read when they
        are needed.
        """
        with self._lock:
            if self._closed or not self._sources or not has_endpoint():
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._refresh, name="identity-refresh", daemon=True
                )
                self._thread.start()
        self.wake()

    def wake(self) -> None:
        """Make the refreshing thread look again at what is due."""
        self._wake.set()

    def close(self) -> None:
        """End the refreshing thread. Reads that are on their way end by themselves."""
        self._closed = True
        self.wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _refresh(self) -> None:
        while not self._closed:
            self._wake.clear()
            next_due = inf
            for source in list(self._sources.values()):
                if source.due <= monotonic():
                    source.begin()
                next_due = min(next_due, source.due)
            pause = next_due - monotonic()
            self._wake.wait(max(pause, 0.01) if isfinite(pause) else None)


pool = Pool()
"""The process's pool."""


_NO_ANSWER = Failure(
    "transient",
    f"no answer within {_WAIT_SECONDS:g} s",
    "the next read tries again; check the network",
)


def _jitter(seconds: float) -> float:
    """Between a half of `seconds` and all of it, so that instances do not march in step."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it


def _seconds(settings: Mapping[str, str], name: str, default: float, above: float) -> float:
    text = settings.get(name, "").strip()
    if not text:
        return default
    try:
        seconds = float(text)
        if isfinite(seconds) and seconds > above and seconds >= 0:
            return seconds
    except ValueError:
        pass
    _logger.error("%s: %r is no number of seconds. %g is used.", name, text, default)
    return default
