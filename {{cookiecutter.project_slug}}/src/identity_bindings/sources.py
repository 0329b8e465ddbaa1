"""Values that stay fresh: read once for all callers, refreshed behind their backs, kept in a fault.

A source holds one declared value. Whoever needs it reads ``current``, the value and the moment
until which it is good: that is the whole warm path. What happens when a read fails:

* transiently (network, throttling, an outage): the last value stays good until a read succeeds;
* with a denial: the last value stays good for SECRET_GRACE_SECONDS, then calls fail;
* cold, with no value yet: the callers that wait fail, and later ones until a back-off ends.

All times are monotonic: a changed wall clock changes nothing. One thread keeps all sources fresh.
"""

import os
import time
from collections.abc import Callable, Hashable
from concurrent import futures
from contextlib import suppress
from math import inf
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from . import masking
from .credentials import has_endpoint
from .errors import Failure, Readable, ReadError, Reading, logger
from .timing import LATE, READ, WAIT, Timing, budget, jitter

ALERT_TEXT = "The last value is kept for"
"""What the log says of a denial only: the alert in infra/modules/monitoring.bicep searches for it."""

_KEPT = "The last value is kept until a read succeeds"
_COLD_ATTEMPTS = 3
_COLD_BUDGET = READ - 1.0
_READ_AGAIN = 10.0  # between two reads that a refusal of the value may cause
_HEAD_START = 0.03  # for the app to finish loading: both need the interpreter
NO_ANSWER = Failure("transient", f"no answer within {WAIT:g} s", "try again; check the network")


class Source:
    """One declared value, for every function that declares it. Thread-safe."""

    def __init__(self, what: Readable, timing: Timing, wake: Callable[[], None]) -> None:
        # Until when the value is good, and the value: replaced as one, read without a lock.
        self.current: tuple[float, Any] = (-inf, None)
        self.due = -inf  # when the next read is, or the one that is on its way is given up
        self.failure: Failure | None = None  # why the last read failed, where it did
        self.reading: Reading | None = None  # the last value that was read
        self.took = 0.0  # the seconds that this read took
        self._what, self._timing, self._wake = what, timing, wake
        self._lock = Lock()
        self._flight: futures.Future[None] | None = None
        self._failures = 0
        self._denied_at = inf
        self._kept_until = -inf  # how long the last value may be served after a failure
        self._read_at = -inf
        self._outdated_at = self._refused_at = -inf

    def __deepcopy__(self, _: Any) -> "Source":
        return self

    def forked(self, wake: Callable[[], None]) -> None:
        """Drop, in a child process, what belongs to the parent's threads."""
        self._lock, self._wake = Lock(), wake
        if self._flight is not None:
            self._flight, self.due = None, -inf

    def refresh(self) -> None:
        """Begin a read if one is due, or give up the one that takes too long."""
        with self._lock:
            if monotonic() < self.due:
                return
            flight = self._flight
            if flight is None:
                self._start()
        if flight is not None:
            self._fail(flight, NO_ANSWER)

    def join(self) -> futures.Future[None] | None:
        """Join the read that is on its way, or begin one; None where the value is good, or backs off."""
        now = monotonic()
        with self._lock:
            kept = self.failure is not None and self.current[0] <= now < self._kept_until
            if kept:  # no thread refreshes it: this call begins a read, and does not wait for it
                self.current = (min(self._kept_until, now + LATE), self.current[1])
        if kept:
            self.refresh()
            return None
        with self._lock:
            backs_off = self.failure is not None and monotonic() < self.due
            if monotonic() < self.current[0] or (self._flight is None and backs_off):
                return None
            return self._flight or self._start()

    def read_again(self) -> futures.Future[None] | None:
        """Join the read that is on its way, or begin one, because the value was refused.

        None where the value cannot change, a refusal caused a read less than 10 s ago, or a read
        failed a moment ago.
        """
        with self._lock:
            now = monotonic()
            waits = self.failure is not None or (self.reading is not None and self.reading.pinned)
            until = max(self._refused_at + _READ_AGAIN, self.due if waits else -inf)
            if self._flight is not None or now < until:
                return self._flight
            self._refused_at = now
            return self._start()

    def outdate(self) -> None:
        """Have the value read in the background: it has changed."""
        with self._lock:
            self._outdated_at = monotonic()
            if self._flight is None and self.failure is None:
                self.due = self._outdated_at
        self._wake()

    def settle(self, flight: futures.Future[None] | None) -> Any:
        """Return the value after waiting for `flight`, or raise ReadError: none may be served."""
        if flight is not None and not flight.done():
            self._fail(flight, NO_ANSWER)
        good_until, value = self.current
        if monotonic() < good_until:
            return value
        raise ReadError(self.failure or NO_ANSWER)

    def _start(self) -> futures.Future[None]:
        flight: futures.Future[None] = futures.Future()
        flight.set_running_or_notify_cancel()  # a caller that is cancelled cancels only itself
        self._flight, self.due = flight, monotonic() + WAIT
        # A daemon thread: a read that hangs must not hold up the end of the process.
        thread = Thread(target=self._read, args=(flight,), name="identity-read", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had, or the process is ending
            self._flight, self.failure, self.due = None, NO_ANSWER, monotonic() + 1.0
            flight.set_result(None)
        return flight

    def _read(self, flight: futures.Future[None]) -> None:
        cold, attempt = self.current[1] is None, 0
        with budget.of(READ, self._timing.longest_pause(cold)):
            give_up_at = monotonic() + _COLD_BUDGET
            while True:
                began = monotonic()
                try:
                    return self._succeed(flight, self._what.read(), began)
                except ReadError as error:
                    failure = error.failure
                except Exception as error:
                    reason = f"{type(error).__name__} was raised"
                    failure = Failure("transient", reason, "report it")
                attempt += not failure.shared  # of these, the vault or the identity keeps count
                pause = max(failure.retry_after, jitter(0.2) * 2**attempt)
                too_late = attempt == _COLD_ATTEMPTS or monotonic() + pause > give_up_at
                if not cold or failure.kind == "denied" or too_late:
                    break
                time.sleep(pause)
        self._fail(flight, failure)

    def _succeed(self, flight: futures.Future[None], reading: Reading, began: float) -> None:
        value = reading.value
        if isinstance(value, str):
            masking.register(value, owner=self._what.key)
        refresh = inf if reading.pinned else self._timing.refresh
        with self._lock:
            before, failed = self.reading, self.failure
            if self._flight is flight:
                self._flight = None
                pause = 0.0 if began < self._outdated_at else jitter(refresh)
                self.due = began + min(pause, reading.lifetime / 2)
            if began > self._read_at:  # else a later read has overtaken this one
                self.reading, self._read_at = reading, began
                self.took = monotonic() - began
                self.current = (began + min(refresh + LATE, reading.lifetime), value)
                self.failure, self._failures, self._denied_at = None, 0, inf
        self._end(flight)
        if before is not None and failed is not None:
            logger.info("%s can be read again.", self._what)
        if reading.note and (before is None or before.note != reading.note):
            logger.warning("%s %s. It is served all the same.", self._what, reading.note)

    def _fail(self, flight: futures.Future[None], failure: Failure) -> None:
        grace = self._timing.grace
        with self._lock:
            if self._flight is not flight:
                return
            now, value = monotonic(), self.current[1]
            denied, news = failure.kind == "denied", self.failure is None
            if denied and self._denied_at == inf:
                self._denied_at, news = now, True
            if self.reading is not None and value is not None:
                # A denial lasts until a read succeeds, whatever else fails in between.
                ends = min(self._denied_at + grace, self._read_at + self.reading.lifetime)
                self._kept_until = ends
                self.current = (ends, value)
                if ends <= now:
                    self.current, self._failures = (-inf, None), 0
            self._flight, self.failure = None, failure
            self._failures += 1
            self.due = now + self._timing.back_off(failure, self._failures, value is None)
            if self.current[0] == inf:  # a later call reads, should no thread refresh the value
                self.current = (self.due + LATE, value)
        self._end(flight)
        if value is not None and news:
            kept = f"{ALERT_TEXT} {grace:g} s" if denied else _KEPT
            fault = (self._what, failure.reason, kept, failure.repair)
            logger.warning("%s: %s. %s. Repair: %s", *fault)

    def _end(self, flight: futures.Future[None]) -> None:
        with suppress(futures.InvalidStateError):  # those who waited for it gave up before
            flight.set_result(None)
        self._wake()


class Pool:
    """Every source of this process, and the one thread that keeps them fresh."""

    def __init__(self) -> None:
        self._timing = Timing()
        self._sources: dict[Hashable, Source] = {}
        self._lock = Lock()
        self._wake = Event()
        self.closed = False
        self._thread: Thread | None = None

    def source(self, what: Readable) -> Source:
        """Return the source of `what`, the same one for equal declarations."""
        with self._lock:
            if not self._sources:
                self._timing = Timing.of(os.environ)
            return self._sources.setdefault(what.key, Source(what, self._timing, self._wake.set))

    def outdate(self, is_meant: Callable[[Hashable], bool]) -> bool:
        """Have the values of these keys read in the background, and say whether there are any."""
        meant = [source for key, source in list(self._sources.items()) if is_meant(key)]
        for source in meant:
            source.outdate()
        return bool(meant)

    def start(self) -> None:
        """Begin to keep every source fresh. Without an identity (tests, editors) nothing starts."""
        with self._lock:
            if not self._sources or self.closed or not has_endpoint():
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._refresh, name="identity-refresh", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """End the refreshing thread. Reads that are on their way end by themselves."""
        self.closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def forked(self) -> None:
        """Begin anew in a child process: no thread of the parent runs here."""
        self._lock, self._wake, self._thread = Lock(), Event(), None
        masking._lock = Lock()
        for source in self._sources.values():
            source.forked(self._wake.set)

    def _refresh(self) -> None:
        time.sleep(_HEAD_START)
        while not self.closed:
            self._wake.clear()
            sources = list(self._sources.values())
            for source in sources:
                with suppress(Exception):  # a fault of one source must not stop the others
                    source.refresh()
            pause = min(source.due for source in sources) - monotonic()
            self._wake.wait(None if pause == inf else max(pause, 0.01))


pool = Pool()
"""The process's pool."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forked)
