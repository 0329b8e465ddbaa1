"""How often values are read, and how long they are kept. All times are in seconds."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

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
    def of(cls, settings: Mapping[str, str]) -> "Timing":
        """Read the timing from app settings. A setting that is no sensible number is not used."""
        refresh = _seconds(settings, "SECRET_REFRESH_SECONDS", cls.refresh, least=0.001)
        return cls(refresh, _seconds(settings, "SECRET_GRACE_SECONDS", cls.grace))

    def back_off(self, failure: Failure, failures: int, cold: bool) -> float:
        """How long to wait after the last of so many failures in a row."""
        usual = LONGEST_BACK_OFF if cold else self.refresh
        pause = min(0.5 * 2.0 ** min(failures, 10), usual, LONGEST_BACK_OFF)
        return max(jitter(pause), min(failure.retry_after, max(usual, LONGEST_BACK_OFF)))


def jitter(seconds: float) -> float:
    """Between a half of `seconds` and all of it, so that instances do not march in step."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 # nosec B311 # no secret depends on it


def _seconds(settings: Mapping[str, str], name: str, default: float, least: float = 0) -> float:
    text = settings.get(name, "").strip() or str(default)
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) and float(text) >= least:
        return float(text)
    logger.error("%s: %r is no sensible number of seconds. %g is used.", name, text, default)
    return default
