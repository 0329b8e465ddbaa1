"""When a vault or the identity endpoint may be asked: one decision for all who read from it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from math import inf
from threading import Condition
from time import monotonic, time

from .errors import Failure, ReadError
from .timing import LONGEST_BACK_OFF, budget, jitter

_PATIENCE_SECONDS = 4.0  # with a probe that hangs


class Gate:
    """Closed for a while after a failure that concerns all who read. Thread-safe.

    When the pause is over, one read goes first, and so does the very first one. When it gets an
    answer, the gate is open for all.

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
        """Ask inside of this. An answer opens the gate, a refusal of one secret is one too.

        Raises:
            ReadError: The gate is closed, or the read that went first got no answer.
        """
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
        """Close the gate after `failure`, at least for the time that the service asked for.

        Returns:
            The failure, with the seconds until the gate lets a read go first.
        """
        with self._changed:
            now = monotonic()
            if self._open or now >= self._until:  # else a read fails that began before
                self._failures += 1
                self._until = now + jitter(
                    min(0.5 * 2.0 ** min(self._failures, 10), LONGEST_BACK_OFF)
                )
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
