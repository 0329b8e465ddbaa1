"""The model that judges the run under load: each of its verdicts, and what it lets pass."""

from __future__ import annotations

import pytest
from faults import ROWS
from load_model import Call, History, Promise, crowd, mistake
from load_world import plan

PROMISE = Promise(refresh=1.0, grace=3.0, late=2.0, wait=1.9, back_off=1.0)
NOTICE = 2.9  # a read that hangs for 1.9 s, and a pause of 1 s
SLACK = 0.5


def history(*weather: tuple[float, str], pinned: bool = False) -> History:
    """It starts at 9; one value is given at 10, and the next one at 12; then comes the weather."""
    told = [(10.0, "old"), (12.0, "new")]
    return History(pinned, told=told, weather=[(9.0, "fair"), *weather])


def verdict(
    value: str | None, began: float, history: History, took: float = 0.0, secrets: int = 1
) -> str:
    return mistake(Call(began, began + took, value, secrets), history, PROMISE, SLACK)


@pytest.mark.parametrize(
    ("value", "began", "says"),
    [
        ("old", 10.1, ""),
        ("old", 12.4, ""),  # the new one may not have arrived
        ("old", 12.6, "overtaken"),
        ("new", 11.9, "never given"),  # nor may it be known before
        ("other", 12.0, "never given"),
        ("new", 12.1, ""),
        ("new", 15.4, ""),
        ("new", 15.6, "too old"),  # refresh, lateness and slack are over
        (None, 10.4, ""),  # cold: the first one may not have arrived
        (None, 10.6, "lost"),
        (None, 30.0, "lost"),
    ],
)
def test_while_the_vault_answers(value: str | None, began: float, says: str) -> None:
    assert verdict(value, began, history()).startswith(says)
    assert bool(says) == bool(verdict(value, began, history()))


def test_a_pinned_value_grows_as_old_as_it_likes() -> None:
    assert verdict("new", 99.0, history((30.0, "denied"), pinned=True)) == ""


def test_in_foul_weather_the_last_value_stays() -> None:
    foul = history((21.0, "foul"))

    assert verdict("new", 99.0, foul) == ""
    assert verdict(None, 99.0, foul) == "lost"


def test_after_foul_weather_it_is_read_again_in_time() -> None:
    fair = history((21.0, "foul"), (50.0, "fair"))

    assert verdict("new", 50.0 + NOTICE + 0.4, fair) == ""
    assert verdict("new", 50.0 + NOTICE + 0.6, fair) == "too old"


def test_a_denial_ends_it_after_the_grace_and_not_before() -> None:
    denied = history((21.0, "denied"))

    assert verdict(None, 21.0 + 2.9, denied) == "lost"
    assert verdict(None, 21.0 + 3.1, denied) == ""
    assert verdict("new", 21.0 + NOTICE + 3.4, denied) == ""
    assert verdict("new", 21.0 + NOTICE + 3.6, denied) == "kept beyond the grace"


def test_a_denial_stands_whatever_else_fails_after_it() -> None:
    both = history((21.0, "denied"), (25.0, "foul"))

    assert verdict("new", 99.0, both) == "kept beyond the grace"
    assert verdict(None, 99.0, both) == ""


def test_a_denial_too_short_to_be_noticed_may_end_it_or_not() -> None:
    short = history((21.0, "denied"), (22.0, "foul"))

    assert verdict("new", 99.0, short) == ""
    assert verdict(None, 99.0, short) == ""


def test_a_denial_before_the_last_answer_is_forgotten() -> None:
    passed = history((10.1, "denied"), (11.9, "fair"), (13.0, "foul"))

    assert verdict(None, 40.0, passed) == "lost"
    assert verdict("new", 40.0, passed) == ""


def test_cold_a_repair_is_noticed_in_time() -> None:
    cold = History(weather=[(0.0, "denied"), (30.0, "fair")])

    assert verdict(None, 30.0 + NOTICE + 0.4, cold) == ""
    assert verdict(None, 30.0 + NOTICE + 0.6, cold) == "not recovered"


def test_nobody_waits_for_a_value_that_is_there_nor_too_long_for_one_that_is_not() -> None:
    assert verdict("new", 15.0, history(), took=0.6) == "waited too long"
    assert verdict("new", 15.0, history(), took=0.4) == ""
    cold = History(weather=[(0.0, "foul")])
    assert verdict(None, 15.0, cold, took=1.9 + 0.4) == ""
    assert verdict(None, 15.0, cold, took=1.9 + 0.6) == "waited too long"
    assert verdict(None, 15.0, cold, took=2 * 1.9 + 0.4, secrets=2) == ""
    assert verdict(None, 15.0, cold, took=2 * 1.9 + 0.6, secrets=2) == "waited too long"


def test_a_crowd_is_counted_in_the_worst_moment() -> None:
    assert crowd([], 1.0) == 0
    assert crowd([0.0, 1.0, 2.0, 2.1, 2.2, 3.2], 1.0) == 3
    assert crowd([0.0] * 5, 1.0) == 5


def test_a_plan_is_of_its_seed_and_gives_every_fault_its_turn() -> None:
    events = plan(3, 180.0, 1.0)

    assert events == plan(3, 180.0, 1.0) != plan(4, 180.0, 1.0)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {event.row.name for event in events if event.row} == {row.name for row in ROWS}
