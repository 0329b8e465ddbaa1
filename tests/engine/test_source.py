"""Timing and one source, step by step, with a clock that the test turns: every outcome of a read."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import logging
import os
import pickle
import random
import threading
from concurrent import futures
from math import inf
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from apps import logged, wait_for
from folders import key_vault

REFRESH, GRACE, LATE, WAIT = 300.0, 900.0, 10.0, 9.5
DENIED = ("denied", "the vault says no", "let it in")
AWAY = ("transient", "the vault is away", "wait")


class Clock:
    """Time that passes when the test says so. It notes how long was slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Vault:
    """What a source reads: each answer in turn, the last one again and again."""

    key = "a secret"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.answers: list[Any] = []
        self.reads = 0
        self.seconds = 0.0
        self.held = threading.Event()
        self.held.set()

    def __str__(self) -> str:
        return "secret 'a'"

    def read(self) -> Any:
        errors = importlib.import_module("identity_bindings.errors")
        self.reads += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.held.wait(5)
        self._clock.now += self.seconds
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            raise errors.ReadError(errors.Failure(*answer))
        return errors.Reading(**answer) if isinstance(answer, dict) else errors.Reading(answer)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the engine, whose jitter is none."""
    clock = Clock()
    sources = importlib.import_module("identity_bindings.sources")
    timing = importlib.import_module("identity_bindings.timing")
    monkeypatch.setattr(sources, "monotonic", lambda: clock.now)
    monkeypatch.setattr(sources, "time", SimpleNamespace(sleep=clock.sleep))
    for module in (sources, timing):
        monkeypatch.setattr(module, "jitter", lambda seconds: seconds)
    return clock


@pytest.fixture
def vault(clock: Clock) -> Vault:
    return Vault(clock)


@pytest.fixture
def source(vault: Vault) -> Any:
    sources = importlib.import_module("identity_bindings.sources")
    timing = importlib.import_module("identity_bindings.timing").Timing(REFRESH, GRACE)
    return sources.Source(vault, timing, lambda: None)


def finish(flight: Any) -> None:
    """Wait until a read has ended."""
    assert not futures.wait([flight], 5).not_done


def call(source: Any) -> Any:
    """What a caller does: the value, or the reason why there is none."""
    good_until, value = source.current
    clock = importlib.import_module("identity_bindings.sources").monotonic
    if clock() < good_until:
        return value
    if (flight := source.join()) is not None:
        finish(flight)
    return source.settle()


def refresh(source: Any) -> None:
    """What the refreshing thread does, and the read that it begins, with what that logs at last."""
    source.refresh()
    if source._flight is not None:
        finish(source._flight)
    for thread in reading():
        thread.join(5)


def reading() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "identity-read"]


def test_a_value_is_read_once_and_is_good_a_little_longer_than_its_interval(
    source: Any, vault: Vault, clock: Clock
) -> None:
    vault.answers, vault.seconds = ["first-value"], 2.0

    assert call(source) == call(source) == "first-value"

    assert (vault.reads, source.took) == (1, 2.0)
    assert source.current == (1000.0 + REFRESH + LATE, "first-value")  # from when it was asked for
    assert source.due == 1000.0 + REFRESH
    assert (source.failure, source.reading.value) == (None, "first-value")
    assert source.join() is None


def test_it_is_read_again_when_it_is_due_and_not_before(
    source: Any, vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    vault.answers = ["first-value", "second-value"]
    refresh(source)  # at the start, it is due
    clock.now = source.due - 0.001
    refresh(source)
    assert (vault.reads, call(source)) == (1, "first-value")

    clock.now = source.due
    refresh(source)

    assert (vault.reads, call(source)) == (2, "second-value")
    assert logged(caplog, level=logging.INFO) == []


def test_a_short_lived_value_is_due_at_half_its_life(
    source: Any, vault: Vault, clock: Clock
) -> None:
    vault.answers = [{"value": "token-number-one", "lifetime": 60.0}, AWAY]

    refresh(source)

    assert (source.due, source.current[0]) == (1030.0, 1060.0)
    clock.now = 1030.0
    refresh(source)
    clock.now = 1059.9
    assert call(source) == "token-number-one"
    clock.now = 1060.0
    assert call(source).reason == "the vault is away"


def test_in_an_outage_the_last_value_is_kept_with_one_warning(
    source: Any, vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    vault.answers = ["first-value", AWAY, AWAY, AWAY, "second-value"]
    refresh(source)

    pauses = []
    for _ in range(3):
        clock.now = began = source.due
        refresh(source)
        assert source.failure.reason == AWAY[1]
        assert source.current == (source.due + LATE, "first-value")
        pauses.append(source.due - began)

    assert pauses == [1.0, 2.0, 4.0]
    assert (vault.reads, clock.slept) == (4, [])  # nobody waits: each read is one attempt
    assert logged(caplog, level=logging.INFO) == [
        "secret 'a': the vault is away. The last value is kept until a read succeeds. Repair: wait"
    ]
    caplog.clear()
    clock.now = source.due
    refresh(source)
    assert (call(source), source.failure) == ("second-value", None)
    assert logged(caplog, level=logging.INFO) == ["secret 'a' can be read again."]


def test_a_denial_ends_the_value_after_the_grace(
    source: Any, vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    vault.answers = ["first-value", DENIED]
    refresh(source)
    clock.now = denied_at = source.due
    refresh(source)

    while clock.now < denied_at + GRACE:
        assert call(source) == "first-value"
        clock.now = min(source.due, denied_at + GRACE)
        refresh(source)

    assert call(source).reason == "the vault says no"
    assert logged(caplog, level=logging.WARNING) == [
        "secret 'a': the vault says no. The last value is kept for 900 s. Repair: let it in"
    ]
    source.due = clock.now
    refresh(source)
    # It is forgotten, and from now on a new grant is seen soon.
    assert (source.current[1], source.due) == (None, clock.now + 1.0)
    clock.now = source.due
    refresh(source)
    assert (source.current, source.due) == ((-inf, None), clock.now + 2.0)


def test_an_outage_does_not_lengthen_a_denial(
    source: Any, vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    vault.answers = ["first-value", AWAY, DENIED, AWAY, DENIED, AWAY]
    refresh(source)
    clock.now = source.due
    refresh(source)
    clock.now = denied_at = source.due

    for _ in range(4):
        refresh(source)
        assert call(source) == "first-value"
        clock.now = source.due

    # Each is logged when it begins, and not again.
    lines = logged(caplog, level=logging.WARNING)
    assert [line.split(" Repair: ")[0] for line in lines] == [
        "secret 'a': the vault is away. The last value is kept until a read succeeds.",
        "secret 'a': the vault says no. The last value is kept for 900 s.",
    ]
    clock.now = denied_at + GRACE
    assert call(source).reason == "the vault is away"


def test_a_success_ends_a_denial(source: Any, vault: Vault, clock: Clock) -> None:
    vault.answers = ["first-value", DENIED, "second-value", AWAY]
    refresh(source)

    ends = source.due + GRACE + LATE
    while clock.now < ends:
        clock.now = source.due
        refresh(source)

    assert call(source) == "second-value"


def test_cold_three_failures_fail_the_call(
    source: Any, vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    vault.answers = [AWAY]

    assert call(source).reason == "the vault is away"

    assert (vault.reads, clock.slept) == (3, [0.5, 1.0])
    # Until the back-off ends, calls fail at once.
    assert (source.due, source.join()) == (clock.now + 1.0, None)
    assert call(source).reason == "the vault is away"
    assert vault.reads == 3
    clock.now = source.due
    assert call(source).repair == "wait"
    assert vault.reads == 6
    assert source.due == clock.now + 2.0
    assert logged(caplog, level=logging.WARNING) == []  # the call's error says it


@pytest.mark.parametrize(
    ("asked", "shared", "slept"),
    [
        *((1.5, False, [1.5] * 2), (8.0, False, [8.0]), (8.5, False, [])),
        (1.5, True, [1.5] * 5),  # the vault counts the attempts
    ],
)
def test_cold_retry_after_is_obeyed_while_a_caller_can_wait(
    source: Any, vault: Vault, clock: Clock, asked: float, shared: bool, slept: list[float]
) -> None:
    vault.answers = [(*AWAY, asked, shared)]

    assert call(source).retry_after == asked

    assert (vault.reads, clock.slept) == (1 + len(slept), slept)
    assert source.due == clock.now + max(1.0, asked)


def test_an_unknown_exception_is_an_outage(source: Any, vault: Vault, clock: Clock) -> None:
    vault.answers = [KeyError("first-value")]

    failure = call(source)

    assert (failure.kind, failure.repair) == ("transient", "report it")
    assert failure.reason == "KeyError was raised"
    assert vault.reads == 3


def test_a_read_that_is_given_up_fails_the_call_and_its_late_value_is_used(
    source: Any, vault: Vault, clock: Clock
) -> None:
    vault.answers, vault.seconds = ["first-value"], 20.0
    vault.held.clear()
    flight = source.join()
    assert source.due == clock.now + WAIT

    failure = source.settle()

    assert (failure.kind, failure.reason) == ("transient", "no answer within 9.5 s")
    clock.now = began = source.due
    assert call(source) == failure  # at once
    assert (source.failure, source._flight) == (failure, None)
    assert (flight.done(), source.due) == (True, clock.now + 1.0)
    vault.held.set()
    wait_for(lambda: source.failure is None)
    assert (call(source), source.failure) == ("first-value", None)
    assert source.current[0] == began - WAIT + REFRESH + LATE
    assert source.due == began + 1.0  # a read that was given up does not decide about the next one


@pytest.mark.parametrize("late", ["old-value", DENIED])
def test_a_read_that_was_overtaken_changes_nothing(
    source: Any, vault: Vault, clock: Clock, late: Any
) -> None:
    vault.answers = [late, "new-value"]
    vault.held.clear()
    source.join()
    clock.now = source.due
    assert call(source).reason == "no answer within 9.5 s"
    held, vault.held = vault.held, threading.Event()
    vault.held.set()
    wait_for(lambda: vault.reads == 1)
    clock.now = source.due
    assert call(source) == "new-value"
    due = source.due

    held.set()

    wait_for(lambda: not reading())
    assert (call(source), source.due, source.failure) == ("new-value", due, None)


def test_without_a_thread_a_call_fails_and_the_next_one_tries_again(
    source: Any, vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.answers = ["first-value"]

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        assert call(source).reason == "no answer within 9.5 s"
        assert call(source).reason == "no answer within 9.5 s"
    assert (vault.reads, source.due, source._flight) == (0, clock.now + 1.0, None)

    clock.now += 1.0
    assert call(source) == "first-value"


def test_without_a_refreshing_thread_a_call_begins_a_read_and_does_not_wait(
    source: Any, vault: Vault, clock: Clock
) -> None:
    vault.answers = ["first-value", AWAY, "second-value"]
    refresh(source)
    clock.now = source.due
    refresh(source)
    clock.now = source.current[0]
    vault.held.clear()

    assert source.join() is None
    assert source.settle() == "first-value"
    flight = source._flight
    vault.held.set()
    finish(flight)
    assert call(source) == "second-value"


def test_a_secret_can_be_copied() -> None:
    injection = importlib.import_module("identity_bindings.injection")
    declare = importlib.import_module("identity_bindings.declarations").declare
    (injected,) = injection.injections_for("f", [declare(key_vault("key"))[0]], len)
    secret = injection.Secret("a-value", injected)

    for copied in (copy.copy(secret), copy.deepcopy(secret), pickle.loads(pickle.dumps(secret))):
        assert copied == secret
        assert copied._injection.source is injected.source
    assert dataclasses.asdict(secret)["value"] == "a-value"


def test_a_fault_of_one_source_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, "of-the-test")
    errors = importlib.import_module("identity_bindings.errors")
    pool = importlib.import_module("identity_bindings.sources").Pool()
    reads: list[None] = []

    def read() -> Any:
        reads.append(None)
        return errors.Reading("of-the-other", lifetime=0.1)

    def fault() -> None:
        raise LookupError("of the first")

    monkeypatch.setattr(pool.source(SimpleNamespace(key="first")), "refresh", fault)
    pool.source(SimpleNamespace(key="other", read=read))

    pool.start()

    wait_for(lambda: len(reads) > 2)
    pool.close()


LONGEST = 30.0  # what docs promise: a new grant is seen by then


@pytest.fixture
def timing() -> Any:
    return importlib.import_module("identity_bindings.timing")


NUMBERS = {"60": 60.0, " 0.25 ": 0.25, "0.001": 0.001, "999999999.5": 999999999.5, "": None}
NO_NUMBERS = ("soon", "-1", "1e3", "nan", "1.", ".5", "1_0", "٣", "1" * 10)


def test_what_a_setting_means(timing: Any, caplog: pytest.LogCaptureFixture) -> None:
    def read(**settings: str) -> Any:
        with mock.patch.dict(os.environ, settings):
            return timing.Timing.of_app()

    for text, seconds in NUMBERS.items():
        refreshed = read(SECRET_REFRESH_SECONDS=text)
        kept = read(SECRET_GRACE_SECONDS=text)

        assert refreshed == timing.Timing(refresh=seconds or 300.0, grace=900.0)
        assert kept == timing.Timing(refresh=300.0, grace=seconds or 900.0)
    # A grace may be nothing, a refresh may not.
    assert read(SECRET_GRACE_SECONDS="0").grace == 0.0
    assert logged(caplog) == []
    defaults = {"SECRET_REFRESH_SECONDS": 300, "SECRET_GRACE_SECONDS": 900}
    for text in NO_NUMBERS:
        assert read(**dict.fromkeys(defaults, text)) == timing.Timing()
    assert read(SECRET_REFRESH_SECONDS="0").refresh == 300.0
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


def test_a_success_opens_a_gate_also_for_those_who_would_wait_longer(
    timing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A read without a value waits 30 s for a throttling vault, a refresh as long as its interval.
    errors = importlib.import_module("identity_bindings.errors")
    now = [1000.0]
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
