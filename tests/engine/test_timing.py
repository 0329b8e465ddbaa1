"""How often a value is read and how long it is kept: what settings say, and what a failure costs."""

from __future__ import annotations

import importlib
import random
from typing import Any

import pytest
from apps import logged

LONGEST = 30.0  # what docs promise: a new grant is seen by then


@pytest.fixture
def timing() -> Any:
    return importlib.import_module("identity_bindings.timing")


NUMBERS = {"60": 60.0, " 0.25 ": 0.25, "0.001": 0.001, "999999999.5": 999999999.5, "": None}
NO_NUMBERS = ("soon", "-1", "1e3", "nan", "1.", ".5", "1_0", "٣", "1" * 10)


def test_what_a_setting_means(timing: Any, caplog: pytest.LogCaptureFixture) -> None:
    for text, seconds in NUMBERS.items():
        refreshed = timing.Timing.of({"SECRET_REFRESH_SECONDS": text})
        kept = timing.Timing.of({"SECRET_GRACE_SECONDS": text})

        assert refreshed == timing.Timing(refresh=seconds or 300.0, grace=900.0)
        assert kept == timing.Timing(refresh=300.0, grace=seconds or 900.0)
    # A grace may be nothing, a refresh may not.
    assert timing.Timing.of({"SECRET_GRACE_SECONDS": "0"}).grace == 0.0
    assert logged(caplog) == []
    defaults = {"SECRET_REFRESH_SECONDS": 300, "SECRET_GRACE_SECONDS": 900}
    for text in NO_NUMBERS:
        assert timing.Timing.of(dict.fromkeys(defaults, text)) == timing.Timing()
    assert timing.Timing.of({"SECRET_REFRESH_SECONDS": "0"}).refresh == 300.0
    assert logged(caplog) == [
        *(
            f"{name}: {text!r} is no sensible number of seconds. {default} is used."
            for text in NO_NUMBERS
            for name, default in defaults.items()
        ),
        "SECRET_REFRESH_SECONDS: '0' is no sensible number of seconds. 300 is used.",
    ]


DOUBLED = [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("refresh", "cold", "retry_after", "shared", "pauses"),
    [
        (300.0, True, 0.0, False, [*DOUBLED, *[LONGEST] * 7]),
        (300.0, False, 0.0, False, [*DOUBLED, *[LONGEST] * 7]),
        # A refresh that is frequent stays so.
        (5.0, False, 0.0, False, [1.0, 2.0, 4.0, *[5.0] * 9]),
        (5.0, True, 0.0, False, [*DOUBLED, *[LONGEST] * 7]),
        (300.0, False, 20.0, False, [*[20.0] * 5, *[LONGEST] * 7]),
        (300.0, False, 200.0, False, [200.0] * 12),
        (300.0, False, 999.0, False, [300.0] * 12),
        # Whoever waits for a first value must see it soon after the repair.
        (300.0, True, 200.0, False, [LONGEST] * 12),
        (5.0, False, 200.0, False, [5.0] * 12),
        (0.5, False, 200.0, False, [5.0] * 12),
        (0.5, False, 2.0, False, [2.0] * 12),
        # The vault counts its own failures: each of those that wait for it adds none.
        *((300.0, cold, 7.0, True, [7.0] * 12) for cold in (True, False)),
        *((300.0, cold, 0.0, True, [0.5] * 12) for cold in (True, False)),
        (300.0, True, 86_400.0, True, [LONGEST] * 12),
        (300.0, False, 86_400.0, True, [300.0] * 12),
    ],
)
def test_the_pauses_after_failures_in_a_row(
    timing: Any,
    monkeypatch: pytest.MonkeyPatch,
    refresh: float,
    cold: bool,
    retry_after: float,
    shared: bool,
    pauses: list[float],
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: max(low, high))  # the longest ones
    failure = importlib.import_module("identity_bindings.errors").Failure
    one = failure("transient", "it is away", "wait", retry_after, shared)

    found = [timing.Timing(refresh=refresh).back_off(one, count, cold) for count in range(1, 13)]

    assert found == pauses


def test_jitter_is_between_a_half_and_the_whole(timing: Any) -> None:
    drawn = [timing.jitter(100.0) for _ in range(1000)]

    assert 50.0 <= min(drawn) < 60.0
    assert 90.0 < max(drawn) <= 100.0
