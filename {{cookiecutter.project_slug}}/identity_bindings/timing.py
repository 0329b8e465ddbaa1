"""How often values are read, and how long they are kept. All times are in seconds."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Self

from .errors import Failure, logger

LATE = 10.0
"""How late a refresh may be before a caller waits for it: only after the process was frozen."""

WAIT = 9.5
"""How long a caller waits for a first value: it must know within 10 s."""

LONGEST_BACK_OFF = 30.0
"""A new grant is seen after this time at the latest."""


@dataclass(frozen=True)
class Timing:
    """How often a value is read again, and how long a denied one is kept."""

    refresh: float = 300.0
    grace: float = 900.0

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Self:
        """Read the timing from app settings. A setting that is no sensible number is not used."""
        refresh = _seconds(settings, "SECRET_REFRESH_SECONDS", cls.refresh)
        if refresh == 0:
            logger.error("SECRET_REFRESH_SECONDS: 0 is too short. %g is used.", cls.refresh)
        return cls(refresh or cls.refresh, _seconds(settings, "SECRET_GRACE_SECONDS", cls.grace))

    def back_off(self, failure: Failure, failures: int, cold: bool) -> float:
        """How long to wait after the last of so many failures in a row."""
        pause = min(0.5 * 2.0 ** min(failures, 10), LONGEST_BACK_OFF)
        longest = LONGEST_BACK_OFF
        if not cold:
            pause, longest = min(pause, self.refresh), max(self.refresh, longest)
        return max(jitter(pause), min(failure.retry_after, longest))


def jitter(seconds: float) -> float:
    """Between a half of `seconds` and all of it, so that instances do not march in step."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 # nosec B311 # no secret depends on it


def _seconds(settings: Mapping[str, str], name: str, default: float) -> float:
    text = settings.get(name, "").strip()
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = -1.0
    if isfinite(seconds) and seconds >= 0:
        return seconds
    logger.error("%s: %r is no number of seconds. %g is used.", name, text, default)
    return default
