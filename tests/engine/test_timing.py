"""How often a value is read and how long it is kept: what settings say, and what a failure costs."""

from __future__ import annotations

import importlib
import random
import threading
import time
from typing import Any

import pytest
from apps import logged

LONGEST = 30.0  # what docs promise: a new grant is seen by then


@pytest.fixture
def timing() -> Any:
    return importlib.import_module("identity_bindings.timing")


def test_the_defaults(timing: Any) -> None:
    assert timing.Timing.of({}) == timing.Timing(refresh=300.0, grace=900.0) == timing.Timing()
    # A call fails within 10 s, and a value is 10 s older than the interval at most.
    assert (timing.WAIT, timing.LATE, timing.LONGEST_BACK_OFF) == (9.5, 10.0, LONGEST)


NUMBERS = {"60": 60.0, " 0.25 ": 0.25, "0.001": 0.001, "999999999.5": 999999999.5, "": None}
NO_NUMBERS = ("soon", "-1", "1e3", "nan", "1.", ".5", "1_0", "٣", "1" * 10)


def test_each_setting_is_its_own(timing: Any) -> None:
    for text, seconds in NUMBERS.items():
        refreshed = timing.Timing.of({"SECRET_REFRESH_SECONDS": text})
        kept = timing.Timing.of({"SECRET_GRACE_SECONDS": text})

        assert refreshed == timing.Timing(refresh=seconds or 300.0)
        assert kept == timing.Timing(grace=seconds or 900.0)


def test_a_wrong_number_is_logged_and_not_used(
    timing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    defaults = {"SECRET_REFRESH_SECONDS": 300, "SECRET_GRACE_SECONDS": 900}

    for text in NO_NUMBERS:
        assert timing.Timing.of(dict.fromkeys(defaults, text)) == timing.Timing()

    assert logged(caplog) == [
        f"{name}: {text!r} is no sensible number of seconds. {default} is used."
        for text in NO_NUMBERS
        for name, default in defaults.items()
    ]


def test_a_grace_may_be_nothing_and_a_refresh_may_not(
    timing: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = {"SECRET_REFRESH_SECONDS": "0", "SECRET_GRACE_SECONDS": "0"}

    assert timing.Timing.of(nothing) == timing.Timing(refresh=300.0, grace=0.0)

    (line,) = logged(caplog)
    assert line.startswith("SECRET_REFRESH_SECONDS: '0' ")


def longest_pauses(
    timing: Any, refresh: float, cold: bool, retry_after: float = 0.0, shared: bool = False
) -> list[float]:
    """The pauses after 1, 2, 3 … failures in a row, where chance makes them longest."""
    failure = importlib.import_module("identity_bindings.errors").Failure
    one = failure("transient", "it is away", "wait", retry_after, shared)
    return [timing.Timing(refresh=refresh).back_off(one, count, cold) for count in range(1, 13)]


@pytest.fixture
def latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance is at its upper end."""
    monkeypatch.setattr(random, "uniform", lambda low, high: max(low, high))


DOUBLED = [1.0, 2.0, 4.0, 8.0, 16.0]


def test_pauses_double_until_the_longest(timing: Any, latest: None) -> None:
    assert longest_pauses(timing, 300.0, cold=True) == [*DOUBLED, *[LONGEST] * 7]
    assert longest_pauses(timing, 300.0, cold=False) == [*DOUBLED, *[LONGEST] * 7]


def test_a_refresh_that_is_frequent_stays_so(timing: Any, latest: None) -> None:
    assert longest_pauses(timing, 5.0, cold=False) == [1.0, 2.0, 4.0, *[5.0] * 9]
    assert longest_pauses(timing, 5.0, cold=True) == [*DOUBLED, *[LONGEST] * 7]


def test_retry_after_is_obeyed_within_limits(timing: Any, latest: None) -> None:
    assert longest_pauses(timing, 300.0, cold=False, retry_after=20)[:5] == [20.0] * 5
    assert longest_pauses(timing, 300.0, cold=False, retry_after=200) == [200.0] * 12
    assert longest_pauses(timing, 300.0, cold=False, retry_after=999) == [300.0] * 12
    # Whoever waits for a first value must see it soon after the repair.
    assert longest_pauses(timing, 300.0, cold=True, retry_after=200) == [LONGEST] * 12
    assert longest_pauses(timing, 5.0, cold=False, retry_after=200) == [5.0] * 12
    assert longest_pauses(timing, 0.5, cold=False, retry_after=200) == [5.0] * 12
    assert longest_pauses(timing, 0.5, cold=False, retry_after=2) == [2.0] * 12


def test_a_shared_failure_has_one_back_off(timing: Any, latest: None) -> None:
    """The vault's: each of those that wait for it adds none of its own."""
    for cold, longest in ((True, LONGEST), (False, 300.0)):
        for asked, pause in ((7.0, 7.0), (86_400.0, longest), (0.0, 0.5)):
            pauses = longest_pauses(timing, 300.0, cold, asked, shared=True)
            assert pauses == [pause] * 12


def test_jitter_is_between_a_half_and_the_whole(timing: Any) -> None:
    drawn = [timing.jitter(100.0) for _ in range(1000)]

    assert 50.0 <= min(drawn) < 60.0
    assert 90.0 < max(drawn) <= 100.0


def test_a_gate_limits_requests_and_one_that_hangs_loses_its_place(
    timing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = importlib.import_module("identity_bindings.errors").Failure
    gate = timing.Gate(failure("transient", "it is away", "wait"), places=2)
    asked: list[float] = []

    def ask() -> None:
        with gate.turn():
            asked.append(time.monotonic())

    monkeypatch.setattr(timing, "_HOLD", 1.0)
    with gate.turn():  # the first one goes alone
        second = threading.Thread(target=ask)
        second.start()
        time.sleep(0.1)
        assert asked == []
    second.join()

    with gate.turn(), gate.turn():
        began = time.monotonic()
        ask()  # after those two have been inside for too long
    assert asked[1] - began >= 0.9
    ask()
    assert asked[2] - asked[1] < 0.9
