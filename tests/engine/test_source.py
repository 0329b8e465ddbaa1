"""Timing and one source, step by step, with a clock that the test turns: every outcome of a read."""

from __future__ import annotations

import logging
import os
import random
import threading
from concurrent import futures
from math import inf
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from apps import logged, wait_for

REFRESH, GRACE, LATE, WAIT = 300.0, 900.0, 10.0, 9.5
DENIED = ("denied", "the vault says no", "let it in")
AWAY = ("transient", "the vault is away", "wait")


class Vault:
    """What a source reads: each answer in turn, the last one again and again.

    Time passes when the test says so, and when the engine sleeps, which is noted.
    """

    key = "a secret"
    source: Any

    def __init__(self, engine: Any) -> None:
        self._errors = engine.errors
        self.now, self.slept = 1000.0, list[float]()
        self.answers: list[Any] = []
        self.reads, self.seconds = 0, 0.0  # how many there were, and how long each takes
        self.held = threading.Event()
        self.held.set()

    def __str__(self) -> str:
        return "secret 'a'"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def read(self) -> Any:
        self.reads += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.held.wait(5)
        self.now += self.seconds
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            raise self._errors.ReadError(self._errors.Failure(*answer))
        reading = answer if isinstance(answer, dict) else {"value": answer}
        return self._errors.Reading(**reading)

    def call(self) -> Any:
        """What a caller does: the value, or the reason why there is none."""
        good_until, value = self.source.current
        if self.now < good_until:
            return value
        finish(self.source.join())
        return self.source.settle()

    def refresh(self, at: float | None = None) -> None:
        """What the refreshing thread does, and the read that it begins, with what that logs at last."""
        self.now = self.now if at is None else at
        self.source.refresh()
        finish(self.source._flight)
        for thread in reading():
            thread.join(5)


@pytest.fixture
def vault(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A vault, whose clock is the engine's. There is no jitter."""
    vault = Vault(engine)
    monkeypatch.setattr(engine.sources, "monotonic", lambda: vault.now)
    monkeypatch.setattr(engine.sources, "time", SimpleNamespace(sleep=vault.sleep))
    for module in (engine.sources, engine.timing):
        monkeypatch.setattr(module, "jitter", lambda seconds: seconds)
    timing = engine.timing.Timing(REFRESH, GRACE)
    vault.source = engine.sources.Source(vault, timing, lambda: None)
    return vault


@pytest.fixture
def source(vault: Vault) -> Any:
    return vault.source


def finish(flight: Any) -> None:
    """Wait until a read has ended, if there is one."""
    assert flight is None or not futures.wait([flight], 5).not_done


def reading() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "identity-read"]


def test_a_value_is_read_once_until_it_is_due_and_is_good_a_little_longer(
    source: Any, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    vault.answers, vault.seconds = ["first-value", "second-value"], 2.0

    assert vault.call() == vault.call() == "first-value"

    assert (vault.reads, source.took) == (1, 2.0)
    assert source.current == (1000.0 + REFRESH + LATE, "first-value")  # from when it was asked for
    assert source.due == 1000.0 + REFRESH
    assert (source.failure, source.reading.value, source.join()) == (None, "first-value", None)
    vault.refresh(source.due - 0.001)
    assert (vault.reads, vault.call()) == (1, "first-value")
    vault.refresh(source.due)
    assert (vault.reads, vault.call()) == (2, "second-value")
    assert logged(caplog, level=logging.INFO) == []


def test_a_short_lived_value_is_due_at_half_its_life(source: Any, vault: Vault) -> None:
    vault.answers = [{"value": "token-number-one", "lifetime": 60.0}, AWAY]

    vault.refresh()

    assert (source.due, source.current[0]) == (1030.0, 1060.0)
    vault.refresh(1030.0)
    vault.now = 1059.9
    assert vault.call() == "token-number-one"
    vault.now = 1060.0
    assert vault.call().reason == "the vault is away"


def test_in_an_outage_the_last_value_is_kept_with_one_warning(
    source: Any, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    vault.answers = ["first-value", AWAY, AWAY, AWAY, "second-value"]
    vault.refresh()

    for pause in (1.0, 2.0, 4.0):
        vault.refresh(source.due)
        assert (source.failure.reason, source.due) == (AWAY[1], vault.now + pause)
        assert source.current == (source.due + LATE, "first-value")

    assert (vault.reads, vault.slept) == (4, [])  # nobody waits: each read is one attempt
    assert logged(caplog, level=logging.INFO) == [
        "secret 'a': the vault is away. The last value is kept until a read succeeds. Repair: wait"
    ]
    caplog.clear()
    vault.refresh(source.due)
    assert (vault.call(), source.failure) == ("second-value", None)
    assert logged(caplog, level=logging.INFO) == ["secret 'a' can be read again."]


def test_a_denial_ends_the_value_after_the_grace(
    source: Any, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    vault.answers = ["first-value", DENIED]
    vault.refresh()
    vault.now = denied_at = source.due
    vault.refresh()

    while vault.now < denied_at + GRACE:
        assert vault.call() == "first-value"
        vault.now = min(source.due, denied_at + GRACE)
        vault.refresh()

    assert vault.call().reason == "the vault says no"
    assert logged(caplog, level=logging.WARNING) == [
        "secret 'a': the vault says no. The last value is kept for 900 s. Repair: let it in"
    ]
    source.due = vault.now
    vault.refresh()
    # It is forgotten, and from now on a new grant is seen soon.
    assert (source.current[1], source.due) == (None, vault.now + 1.0)
    vault.refresh(source.due)
    assert (source.current, source.due) == ((-inf, None), vault.now + 2.0)


def test_an_outage_does_not_lengthen_a_denial(
    source: Any, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    vault.answers = ["first-value", AWAY, DENIED, AWAY, DENIED, AWAY]
    vault.refresh()
    vault.refresh(source.due)
    vault.now = denied_at = source.due

    for _ in range(4):
        vault.refresh()
        assert vault.call() == "first-value"
        vault.now = source.due

    # Each is logged when it begins, and not again.
    lines = logged(caplog, level=logging.WARNING)
    assert [line.split(" Repair: ")[0] for line in lines] == [
        "secret 'a': the vault is away. The last value is kept until a read succeeds.",
        "secret 'a': the vault says no. The last value is kept for 900 s.",
    ]
    vault.now = denied_at + GRACE
    assert vault.call().reason == "the vault is away"


def test_a_success_ends_a_denial(source: Any, vault: Vault) -> None:
    vault.answers = ["first-value", DENIED, "second-value", AWAY]
    vault.refresh()

    ends = source.due + GRACE + LATE
    while vault.now < ends:
        vault.refresh(source.due)

    assert vault.call() == "second-value"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(AWAY, "the vault is away"), (KeyError("first-value"), "KeyError was raised")],
)
def test_cold_three_failures_fail_the_call(
    source: Any, vault: Vault, caplog: pytest.LogCaptureFixture, answer: Any, reason: str
) -> None:
    vault.answers = [answer]

    failure = vault.call()

    assert (failure.kind, failure.reason) == ("transient", reason)
    assert (vault.reads, vault.slept) == (3, [0.5, 1.0])
    # Until the back-off ends, calls fail at once.
    assert (source.due, source.join()) == (vault.now + 1.0, None)
    assert (vault.call(), vault.reads) == (failure, 3)
    vault.now = source.due
    assert (vault.call(), vault.reads) == (failure, 6)
    assert source.due == vault.now + 2.0
    assert logged(caplog, level=logging.WARNING) == []  # the call's error says it


@pytest.mark.parametrize(
    ("asked", "shared", "slept"),
    [
        *((1.5, False, [1.5] * 2), (8.0, False, [8.0]), (8.5, False, [])),
        (1.5, True, [1.5] * 5),  # the vault counts the attempts
    ],
)
def test_cold_retry_after_is_obeyed_while_a_caller_can_wait(
    source: Any, vault: Vault, asked: float, shared: bool, slept: list[float]
) -> None:
    vault.answers = [(*AWAY, asked, shared)]

    assert vault.call().retry_after == asked

    assert (vault.reads, vault.slept) == (1 + len(slept), slept)
    assert source.due == vault.now + max(1.0, asked)


def test_a_read_that_is_given_up_fails_the_call_and_its_late_value_is_used(
    source: Any, vault: Vault
) -> None:
    vault.answers, vault.seconds = ["first-value"], 20.0
    vault.held.clear()
    flight = source.join()
    assert source.due == vault.now + WAIT

    failure = source.settle()

    assert (failure.kind, failure.reason) == ("transient", "no answer within 9.5 s")
    vault.now = began = source.due
    assert vault.call() == failure  # at once
    assert (source.failure, source._flight) == (failure, None)
    assert (flight.done(), source.due) == (True, vault.now + 1.0)
    vault.held.set()
    wait_for(lambda: source.failure is None)
    assert (vault.call(), source.failure) == ("first-value", None)
    assert source.current[0] == began - WAIT + REFRESH + LATE
    assert source.due == began + 1.0  # a read that was given up does not decide about the next one


@pytest.mark.parametrize("late", ["old-value", DENIED])
def test_a_read_that_was_overtaken_changes_nothing(source: Any, vault: Vault, late: Any) -> None:
    vault.answers = [late, "new-value"]
    vault.held.clear()
    source.join()
    vault.now = source.due
    assert vault.call().reason == "no answer within 9.5 s"
    held, vault.held = vault.held, threading.Event()
    vault.held.set()
    wait_for(lambda: vault.reads == 1)
    vault.now = source.due
    assert vault.call() == "new-value"
    due = source.due

    held.set()

    wait_for(lambda: not reading())
    assert (vault.call(), source.due, source.failure) == ("new-value", due, None)


def test_without_a_thread_a_call_fails_and_the_next_one_tries_again(
    source: Any, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.answers = ["first-value"]

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        assert vault.call().reason == "no answer within 9.5 s"
        assert vault.call().reason == "no answer within 9.5 s"
    assert (vault.reads, source.due, source._flight) == (0, vault.now + 1.0, None)

    vault.now += 1.0
    assert vault.call() == "first-value"


def test_without_a_refreshing_thread_a_call_begins_a_read_and_does_not_wait(
    source: Any, vault: Vault
) -> None:
    vault.answers = ["first-value", AWAY, "second-value"]
    vault.refresh()
    vault.refresh(source.due)
    vault.now = source.current[0]
    vault.held.clear()

    assert source.join() is None
    assert source.settle() == "first-value"
    flight = source._flight
    vault.held.set()
    finish(flight)
    assert vault.call() == "second-value"


def test_a_fault_of_one_source_does_not_stop_the_others(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, "of-the-test")
    pool, reads = engine.sources.Pool(), list[Any]()

    def read() -> Any:
        reads.append(engine.errors.Reading("of-the-other", lifetime=0.1))
        return reads[-1]

    def fault() -> None:
        raise LookupError("of the first")

    monkeypatch.setattr(pool.source(SimpleNamespace(key="first")), "refresh", fault)
    pool.source(SimpleNamespace(key="other", read=read))

    pool.start()

    wait_for(lambda: len(reads) > 2)
    pool.close()


LONGEST = 30.0  # what docs promise: a new grant is seen by then


NUMBERS = {"60": 60.0, " 0.25 ": 0.25, "0.001": 0.001, "999999999.5": 999999999.5}
NO_NUMBERS = ("soon", "-1", "1e3", "nan", "1.", ".5", "1_0", "٣", "1" * 10)


def test_what_a_setting_means(engine: Any, caplog: pytest.LogCaptureFixture) -> None:
    timing = engine.timing.Timing
    refresh, grace = names = ("SECRET_REFRESH_SECONDS", "SECRET_GRACE_SECONDS")

    def read(settings: dict[str, str]) -> Any:
        with mock.patch.dict(os.environ, settings):
            return timing.of_app()

    for text, seconds in NUMBERS.items():
        assert read({refresh: text, grace: ""}) == timing(seconds, 900.0)
        assert read({grace: text}) == timing(300.0, seconds)
    assert read({grace: "0"}) == timing(300.0, 0.0)  # a refresh may not be nothing
    assert logged(caplog) == []

    for text in NO_NUMBERS:
        assert read(dict.fromkeys(names, text)) == timing(300.0, 900.0)
    assert read({refresh: "0"}) == timing(300.0, 900.0)

    lines = logged(caplog)
    assert len(lines) == 2 * len(NO_NUMBERS) + 1
    assert lines[1] == f"{grace}: 'soon' is no sensible number of seconds. 900 is used."
    assert lines[-1] == f"{refresh}: '0' is no sensible number of seconds. 300 is used."


DOUBLED = [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("refresh", "cold", "retry_after", "shared", "pauses"),
    [
        *((300.0, cold, 0.0, False, [*DOUBLED, *[LONGEST] * 7]) for cold in (True, False)),
        # A refresh that is frequent stays so.
        (5.0, False, 0.0, False, [1.0, 2.0, 4.0, *[5.0] * 9]),
        (5.0, True, 0.0, False, [*DOUBLED, *[LONGEST] * 7]),
        (300.0, False, 20.0, False, [*[20.0] * 5, *[LONGEST] * 7]),
        (300.0, False, 999.0, False, [300.0] * 12),
        # Whoever waits for a first value must see it soon after the repair.
        (300.0, True, 200.0, False, [LONGEST] * 12),
        (0.5, False, 200.0, False, [5.0] * 12),
        # The vault counts its own failures: each of those that wait for it adds none.
        *((300.0, True, asked, True, [asked or 0.5] * 12) for asked in (7.0, 0.0)),
    ],
)
def test_the_pauses_after_failures_in_a_row(
    engine: Any,
    monkeypatch: pytest.MonkeyPatch,
    refresh: float,
    cold: bool,
    retry_after: float,
    shared: bool,
    pauses: list[float],
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: max(low, high))  # the longest ones
    failure, timing = engine.errors.Failure(*AWAY, retry_after, shared), engine.timing

    found = [timing.Timing(refresh).back_off(failure, count, cold) for count in range(1, 13)]

    assert found == pauses


def test_jitter_is_between_a_half_and_the_whole(engine: Any) -> None:
    drawn = [engine.timing.jitter(100.0) for _ in range(1000)]

    assert 50.0 <= min(drawn) < 60.0
    assert 90.0 < max(drawn) <= 100.0


def test_a_success_opens_a_gate_also_for_those_who_would_wait_longer(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A read without a value waits 30 s for a throttling vault, a refresh as long as its interval.
    errors, timing, now = engine.errors, engine.timing, [1000.0]
    monkeypatch.setattr(timing, "monotonic", lambda: now[0])
    gate = timing.Gate(errors.Failure("transient", "the vault is silent", "wait"))
    gate.close(errors.Failure(*AWAY, retry_after=REFRESH))

    now[0] += 31
    with timing.budget.of_read(REFRESH), pytest.raises(errors.ReadError, match="away"), gate.turn():
        pass
    with timing.budget.of_read(), gate.turn():
        pass
    with timing.budget.of_read(REFRESH), gate.turn():
        pass
