"""The model that judges the run under load: each of its verdicts."""

from __future__ import annotations

import pytest
from faults import ROWS
from load_model import Call, History, Promise, crowd, verdict
from load_world import plan

PROMISE = Promise(refresh=1.0, grace=3.0, late=2.0, wait=1.9, back_off=1.0)
SLACK = 0.5
COLD = History(states=[(0.0, "denied"), (30.0, "up")])


def history(*states: tuple[float, str], pinned: bool = False) -> History:
    """It starts at 9; one value is given at 10, and the next one at 12; then come the states."""
    given = [(10.0, "old"), (12.0, "new")]
    return History(pinned, given=given, states=[(9.0, "up"), *states])


# A change is noticed 2.9 s later: a read that hangs takes 1.9 s, and a pause of 1 s follows.
@pytest.mark.parametrize(
    ("of", "value", "began", "wrong"),
    [
        (history(), "old", 12.4, ""),  # the new one may not have arrived
        (history(), "old", 12.6, "overtaken by a newer one"),
        (history(), "new", 11.9, "never given for this secret"),
        (history(), "new", 15.4, ""),
        (history(), "new", 15.6, "too old"),  # refresh, lateness and slack are over
        (history(), None, 10.4, ""),  # cold: the first one may not have arrived
        (history(), None, 10.6, "lost"),
        (history((30.0, "denied"), pinned=True), "new", 99.0, ""),
        (history((21.0, "down")), "new", 99.0, ""),
        (history((21.0, "down")), None, 99.0, "lost"),
        (history((21.0, "down"), (50.0, "up")), "new", 53.5, "too old"),
        (history((21.0, "denied")), None, 23.9, "lost"),
        (history((21.0, "denied")), None, 24.1, ""),
        (history((21.0, "denied")), "new", 27.3, ""),
        (history((21.0, "denied")), "new", 27.5, "kept beyond the grace"),
        (history((21.0, "denied"), (25.0, "down")), "new", 99.0, "kept beyond the grace"),
        (history((21.0, "denied"), (22.0, "down")), "new", 99.0, ""),  # too short to be noticed
        (history((21.0, "denied"), (22.0, "down")), None, 99.0, ""),
        (COLD, None, 33.3, ""),
        (COLD, None, 33.5, "not recovered"),
    ],
)
def test_a_verdict(of: History, value: str | None, began: float, wrong: str) -> None:
    assert verdict(Call(began, began, value), of, PROMISE, SLACK) == wrong


def test_how_long_a_call_may_wait() -> None:
    assert verdict(Call(15.0, 15.6, "new"), history(), PROMISE, SLACK) == "waited too long"
    for secrets in (1, 2):
        longest = 15.0 + secrets * 1.9
        in_time, late = (Call(15.0, longest + by, None, secrets) for by in (0.4, 0.6))
        assert verdict(in_time, COLD, PROMISE, SLACK) == ""
        assert verdict(late, COLD, PROMISE, SLACK) == "waited too long"


def test_the_plan_and_the_crowd() -> None:
    events = plan(3, 180.0, 1.0)

    assert events == plan(3, 180.0, 1.0) != plan(4, 180.0, 1.0)
    assert {event.row.name for event in events if event.row} == {row.name for row in ROWS}
    assert crowd([], 1.0) == 0
    assert crowd([0.0, 1.0, 2.0, 2.1, 2.2, 3.2], 1.0) == 3
