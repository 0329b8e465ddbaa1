"""What a call may get while the vault changes, fails and refuses: a model of the design's promises.

It is pure. It knows when the vault gave which value of a secret, and in which state it was: whether
a read would have been answered ("up"), denied, or failed in another way ("down"). All times are
monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from operator import itemgetter

WHEN = itemgetter(0)


@dataclass(frozen=True)
class Promise:
    """What the design promises.

    Attributes:
        refresh: A value is read again after this time at the latest.
        grace: How long a value is kept after a denial.
        late: How much older than `refresh` a value may be while the vault answers.
        wait: How long a caller waits at most; a read that takes longer is given up.
        back_off: The longest pause after a failure.
    """

    refresh: float
    grace: float
    late: float
    wait: float
    back_off: float

    @property
    def notice(self) -> float:
        """How soon a change of the state is noticed: a read may hang, and a pause follow."""
        return self.wait + max(self.refresh, self.back_off)

    @property
    def quiet(self) -> float:
        """The least time between two reads that callers and refreshes begin."""
        return min(self.refresh, 1.0, self.back_off) / 2


@dataclass(frozen=True)
class Call:
    """What one call got for one secret.

    Attributes:
        began: When the caller called.
        ended: When the handler had the value, or the caller an error.
        value: What the handler got; None: an error.
        secrets: How many secrets the function is given, one after the other.
    """

    began: float
    ended: float
    value: str | None
    secrets: int = 1


@dataclass
class History:
    """What happened to one secret, each list in the order of time."""

    pinned: bool = False
    given: list[tuple[float, str]] = field(default_factory=list)  # the values that the vault gave
    states: list[tuple[float, str]] = field(
        default_factory=list
    )  # since when it was in which state
    asked: list[float] = field(default_factory=list)  # every request for it, whatever the answer

    def between(self, after: float, until: float) -> list[tuple[float, str]]:
        """Return what the vault gave in this time."""
        start, end = (bisect_right(self.given, at, key=WHEN) for at in (after, until))
        return self.given[start:end]

    def last(self, until: float) -> tuple[float, str] | None:
        """Return what the vault gave last before that moment."""
        position = bisect_right(self.given, until, key=WHEN)
        return self.given[position - 1] if position else None

    def denials(self, after: float, until: float) -> list[tuple[float, float]]:
        """Return from when until when the vault would have denied a read in this time."""
        spells = [
            (max(start, after), min(end, until))
            for (start, kind), (end, _) in pairwise([*self.states, (inf, "")])
            if kind == "denied"
        ]
        return [(start, end) for start, end in spells if start < end]

    def up_since(self, until: float) -> float:
        """Return since when a read would have been answered; inf if not at that moment."""
        position = bisect_right(self.states, until, key=WHEN)
        start, kind = self.states[position - 1] if position else (-inf, "up")
        return start if kind == "up" else inf


def verdict(call: Call, history: History, promise: Promise, slack: float) -> str:
    """Say what was wrong with a call, in a few words; an empty text where nothing was.

    Args:
        call: What the caller saw.
        history: What happened to the secret meanwhile.
        promise: What the design promises.
        slack: How long the engine may need to take note of an answer.
    """
    began, ended, value = call.began, call.ended, call.value
    known = history.last(began - slack)  # this has arrived for sure
    coming = [text for _, text in history.between(began - slack, ended)]  # these may have
    up_since = history.up_since(ended)
    kept = known is not None and not history.denials(known[0], ended - promise.grace)
    waits = 0 if kept and call.secrets == 1 else call.secrets
    if ended - began > waits * promise.wait + slack:
        return "waited too long"
    if value is None:
        if kept:
            return "lost"
        return "not recovered" if began > up_since + promise.notice + slack else ""
    if value in coming:
        return ""
    if known is None or value != known[1]:
        earlier = [text for _, text in history.between(-inf, ended)]
        return "overtaken by a newer one" if value in earlier else "never given for this secret"
    if history.pinned:
        return ""
    for start, end in history.denials(known[0], began):
        if end - start > promise.notice and began > start + promise.notice + promise.grace + slack:
            return "kept beyond the grace"
    oldest = max(known[0] + promise.refresh + promise.late, up_since + promise.notice)
    return "too old" if began > oldest + slack else ""


def crowd(times: list[float], window: float) -> int:
    """Return the most requests in any time of that length."""
    return max((bisect_left(times, start + window) - n for n, start in enumerate(times)), default=0)
