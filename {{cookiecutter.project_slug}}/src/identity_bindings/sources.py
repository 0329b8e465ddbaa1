"""Values that stay fresh: read once for all callers, refreshed in the background, kept in a fault.

A source holds one declared value. Whoever needs it reads ``current``, the value and the moment
until which it is good: that is the whole warm path. What happens when a read fails:

* transiently (network, throttling, an outage): the last value stays good until a read succeeds;
* with a denial: the last value stays good for SECRET_GRACE_SECONDS, then calls fail;
* cold, with no value yet: the callers that wait fail, and later ones until a back-off ends.

All times are monotonic: a changed wall clock changes nothing. One thread keeps all sources fresh.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent import futures
from contextlib import suppress
from math import inf
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from . import masking
from .credentials import has_endpoint
from .errors import Failure, ReadError, Reading, logger
from .timing import LATE, READ, WAIT, Timing, at_fork, budget, held_at_fork, jitter

ALERT_TEXT = "The last value is kept for"
"""What the log says of a denial only: the alert in infra/main.bicep searches for it."""

_KEPT = "The last value is kept until a read succeeds"
_COLD_ATTEMPTS = 3
_COLD_BUDGET = READ - 1.0
_READ_AGAIN = 10.0  # between two reads that a refusal of the value may cause
_HEAD_START = 0.03  # for the app to finish loading: both need the interpreter
NO_ANSWER = Failure("transient", f"no answer within {WAIT:g} s", "try again; check the network")

Flight = futures.Future[None]
"""A read that is on its way. Its end says nothing: the source has the value, or the failure."""

_lock = held_at_fork(Lock())  # of all sources, held for moments; a good value is read without it


class Source:
    """One declared value, for every function that declares it. Thread-safe."""

    def __init__(self, what: Any, timing: Timing, wake: Callable[[], None]) -> None:
        # Until when the value is good, and the value: replaced as one, read without a lock.
        self.current: tuple[float, Any] = (-inf, None)
        self.due = -inf  # when the next read begins, or the running one is given up
        self.failure: Failure | None = None  # why the last read failed, where it did
        self.reading: Reading | None = None  # the last value that was read
        self.took = 0.0  # the seconds that this read took
        self._what, self._timing, self._wake = what, timing, wake
        self._flight: Flight | None = None
        self._failures = 0
        self._ends = -inf  # when the value may not be served any more, whatever fails
        self._denied = False  # since the last read that succeeded
        self._read_at = self._outdated_at = self._refused_at = -inf

    def __reduce__(self) -> Any:  # a copy, or what another process gets, is that of the binding
        return source_of, (self._what,)

    def forked(self) -> None:
        """Read anew in a child process: a client, and a running read, belong to the parent."""
        self.current, self._ends = (-inf, None), -inf
        self._flight, self.due = None, -inf

    def refresh(self) -> None:
        """Begin a read if one is due, or give up the one that takes too long."""
        with _lock:
            if monotonic() < self.due:
                return
            flight = self._flight
            if flight is None:
                self._start()
        if flight is not None:
            self._fail(flight, NO_ANSWER)

    def join(self) -> Flight | None:
        """Return the read to wait for; None where the value is good, or a failure is not over."""
        self._wake()
        self.refresh()
        now = monotonic()
        with _lock:
            if self.failure and self.current[0] <= now < self._ends:  # nobody waits for the read
                self.current = (min(self._ends, now + LATE), self.current[1])
            return None if now < self.current[0] else self._flight

    def read_again(self) -> Flight | None:
        """Join the read that is on its way, or begin one, because the value was refused.

        None where the value cannot change, a refusal caused a read less than 10 s ago, or a read
        failed a moment ago.
        """
        with _lock:
            now, is_idle = monotonic(), self._flight is None and self.failure is None
            if is_idle and self.due < inf and now >= self._refused_at + _READ_AGAIN:
                self._refused_at = self.due = now
        self.refresh()
        return self._flight

    def outdate(self) -> None:
        """Begin a read in the background, because the value has changed."""
        with _lock:
            self._outdated_at = monotonic()
            if self._flight is None and self.failure is None:
                self.due = self._outdated_at
        self._wake()

    def settle(self) -> Any:
        """Return the value, or a Failure where none may be served."""
        good_until, value = self.current
        return value if monotonic() < good_until else self.failure or NO_ANSWER

    def _start(self) -> None:
        flight = Flight()
        flight.set_running_or_notify_cancel()  # a caller that is cancelled cancels only itself
        # A daemon thread: a read that hangs must not hold up the end of the process.
        thread = Thread(target=self._read, args=(flight,), name="identity-read", daemon=True)
        try:
            thread.start()
            self._flight, self.due = flight, monotonic() + WAIT
        except RuntimeError:  # no thread can be had, or the process is ending
            self.failure, self.due = NO_ANSWER, monotonic() + 1.0

    def _read(self, flight: Flight) -> None:
        cold, attempt = self.current[1] is None, 0
        with budget.of_read(self._timing.longest_pause(cold)):
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
                pause = self._timing.back_off(failure, attempt, cold)
                attempt += not failure.shared  # of these, the vault or the identity keeps count
                too_late = attempt == _COLD_ATTEMPTS or monotonic() + pause > give_up_at
                if not cold or failure.kind == "denied" or too_late:
                    break
                time.sleep(pause)
        self._fail(flight, failure)

    def _succeed(self, flight: Flight, reading: Reading, began: float) -> None:
        value = reading.value
        if isinstance(value, str):
            masking.register(value, owner=self._what.key)
        refresh = inf if reading.pinned else self._timing.refresh
        with _lock:
            before, failed = self.reading, self.failure
            if self._flight is flight:
                self._flight = None
                pause = 0.0 if began < self._outdated_at else jitter(refresh)
                self.due = began + min(pause, reading.lifetime / 2)
            if began > self._read_at:  # else a later read has overtaken this one
                self.reading, self._read_at = reading, began
                self.took = monotonic() - began
                self._ends, self._denied = began + reading.lifetime, False
                self.current = (min(began + refresh + LATE, self._ends), value)
                self.failure, self._failures = None, 0
        self._end(flight)
        if before is not None and failed is not None:
            logger.info("%s can be read again.", self._what)
        if reading.note and (before is None or before.note != reading.note):
            logger.warning("%s %s. The app still receives it.", self._what, reading.note)

    def _fail(self, flight: Flight, failure: Failure) -> None:
        grace = self._timing.grace
        with _lock:
            if self._flight is not flight:
                return
            now, had_value = monotonic(), self.current[1] is not None
            denied = failure.kind == "denied"
            news = self.failure is None or (denied and not self._denied)
            if denied:  # the grace begins with the first denial, whatever else fails after it
                self._ends, self._denied = min(self._ends, now + grace), True
            if had_value and now >= self._ends:  # the source is as cold as before its first read
                self._ends, self._failures = -inf, 0
            value = self.current[1] if now < self._ends else None
            self._flight, self.failure, self._failures = None, failure, self._failures + 1
            self.due = now + self._timing.back_off(failure, self._failures, value is None)
            # After that, a call begins the read, should no thread refresh the value.
            self.current = (min(self._ends, self.due + LATE), value)
        self._end(flight)
        if had_value and news:
            kept = f"{ALERT_TEXT} {grace:g} s" if denied else _KEPT
            fault = (self._what, failure.reason, kept, failure.repair)
            logger.warning("%s: %s. %s. Repair: %s", *fault)

    def _end(self, flight: Flight) -> None:
        with suppress(futures.InvalidStateError):  # those who waited for it gave up before
            flight.set_result(None)
        self._wake()


class Patience:
    """How long a call waits for reads, all of them together."""

    def __init__(self) -> None:
        self._left = WAIT

    def wait(self, flights: Iterable[Flight | None]) -> None:
        """Wait until these reads have ended, or the call has waited for WAIT seconds."""
        if waiting := [flight for flight in flights if flight]:
            began = monotonic()
            futures.wait(waiting, max(self._left, 0))
            self._left -= monotonic() - began

    async def wait_async(self, flights: Iterable[Flight | None]) -> None:
        """The same as `wait`, without blocking the event loop."""
        if waiting := [asyncio.wrap_future(flight) for flight in flights if flight]:
            began = monotonic()
            await asyncio.wait(waiting, timeout=max(self._left, 0))
            self._left -= monotonic() - began


class Pool:
    """Every source of this process, and the one thread that keeps them fresh."""

    def __init__(self) -> None:
        self._timing: Timing | None = None
        self._sources: dict[Hashable, Source] = {}
        self._wake = Event()
        self._thread = Thread()  # one that does not run
        self.closed = False

    def source(self, what: Any) -> Source:
        """Return the source of `what`, a declared binding: the same one for an equal `key`."""
        timing = self._timing = self._timing or Timing.of_app()
        with _lock:
            source = self._sources.setdefault(what.key, Source(what, timing, self.start))
        self.start()  # reading begins while the app loads
        return source

    def outdate(self, is_meant: Callable[[Hashable], bool]) -> bool:
        """Read the values of these keys in the background; return whether there are any."""
        meant = [source for key, source in list(self._sources.items()) if is_meant(key)]
        for source in meant:
            source.outdate()
        return bool(meant)

    def start(self) -> None:
        """Keep every source fresh. Without an identity (tests, editors) nothing starts."""
        with _lock, suppress(RuntimeError):  # no thread can be had, or the process is ending
            if self._sources and not self._thread.is_alive() and not self.closed and has_endpoint():
                self._thread = Thread(target=self._refresh, name="identity-refresh", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """End the refreshing thread. Reads that are running end by themselves."""
        self.closed = True
        self._wake.set()

    def forked(self) -> None:
        """Begin anew in a child process: no thread of the parent runs here."""
        self._wake, self._thread = Event(), Thread()
        for source in self._sources.values():
            source.forked()

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


def source_of(what: Any) -> Source:
    """The source of a declared binding in this process."""
    return pool.source(what)


at_fork(after_in_child=pool.forked)
