"""All sources of a process, and the one thread that keeps them fresh."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from apps import told

ENDPOINT = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The engine's sources, in an app that has an identity."""
    for name in ENDPOINT:
        monkeypatch.setenv(name, "of-the-test")
    return importlib.import_module("identity_bindings.sources")


@pytest.fixture
def pool(module: Any) -> Iterator[Any]:
    pool = module.Pool()
    yield pool
    pool.close()
    assert refreshing() == []


def refreshing() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "identity-refresh"]


class Secret:
    """What a source reads. It notes when it is read."""

    def __init__(self, key: str, lifetime: float = inf) -> None:
        self.key, self.reads, self._lifetime = key, 0, lifetime

    def read(self) -> Any:
        self.reads += 1
        errors = importlib.import_module("identity_bindings.errors")
        return errors.Reading(f"the-value-of-{self.key}", lifetime=self._lifetime)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def test_equal_declarations_have_one_source(
    pool: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SECRET_REFRESH_SECONDS", "7")
    monkeypatch.setenv("SECRET_GRACE_SECONDS", "soon")

    first = pool.source(Secret("a"))
    monkeypatch.setenv("SECRET_REFRESH_SECONDS", "8")

    assert pool.source(Secret("a")) is first
    assert pool.source(Secret("b")) is not first
    # Settings are read, and what is wrong in them is told, once.
    assert (first._timing.refresh, first._timing.grace) == (7.0, 900.0)
    assert pool.source(Secret("b"))._timing is first._timing
    assert len(told(caplog)) == 1


def test_every_source_is_read_at_the_start_and_kept_fresh(pool: Any) -> None:
    once, often = Secret("once"), Secret("often", lifetime=0.1)
    sources = [pool.source(once), pool.source(often)]

    pool.start()

    (thread,) = refreshing()
    assert thread.daemon
    wait_for(lambda: often.reads >= 4)
    assert once.reads == 1
    assert [source.current[1] for source in sources] == ["the-value-of-once", "the-value-of-often"]


def test_a_source_that_comes_later_is_read_by_the_same_thread(pool: Any) -> None:
    first, later = Secret("first"), Secret("later")
    pool.source(first)
    pool.start()
    wait_for(lambda: first.reads == 1)
    before = refreshing()

    pool.source(later)
    pool.start()

    wait_for(lambda: later.reads == 1)
    assert refreshing() == before
    assert first.reads == 1


def test_nothing_starts_without_a_source_or_an_identity(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.start()
    assert refreshing() == []

    secret = Secret("a")
    pool.source(secret)
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    pool.start()
    assert refreshing() == []

    monkeypatch.setenv("IDENTITY_ENDPOINT", "of-the-test")
    pool.start()
    wait_for(lambda: secret.reads == 1)


def test_after_the_end_nothing_starts_again(pool: Any) -> None:
    secret = Secret("a", lifetime=0.1)
    pool.source(secret)
    pool.start()
    wait_for(lambda: secret.reads >= 1)

    pool.close()

    assert refreshing() == []
    assert pool.closed
    pool.start()
    assert refreshing() == []


def test_the_end_of_the_process_waits_a_second_at_most(pool: Any) -> None:
    waits: list[float] = []
    pool._thread = SimpleNamespace(join=waits.append)

    pool.close()

    assert waits == [1.0]
    pool._thread = None


def test_a_thread_that_is_gone_is_replaced(pool: Any) -> None:
    """As in a process that was forked."""
    secret = Secret("a")
    pool.source(secret)
    pool._thread = threading.Thread(target=int)
    pool._thread.start()
    pool._thread.join()

    pool.start()

    wait_for(lambda: secret.reads == 1)


def test_the_thread_sleeps_until_something_is_due(
    module: Any, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    dues = iter([[inf, inf], [1000.5, inf], [1000.5, 1000.2], [999.0, inf]])
    monkeypatch.setattr(module, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(module, "_HEAD_START", 0.0)
    sources = [SimpleNamespace(due=inf, refresh=lambda: None) for _ in range(2)]
    pool._sources = dict(enumerate(sources))

    def wait(seconds: float | None) -> None:
        waits.append(seconds)
        for source, due in zip(sources, next(dues, [inf, inf]), strict=True):
            source.due = due
        pool.closed = len(waits) == 5

    pool._wake = SimpleNamespace(wait=wait, clear=lambda: None, set=lambda: None)

    pool._refresh()

    # Never so short that the thread would hold up the app.
    assert waits == [None, None, 0.5, pytest.approx(0.2), 0.01]


def test_a_fault_of_one_source_stops_neither_the_thread_nor_the_others(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault() -> None:
        raise LookupError("no request here")

    monkeypatch.setattr(pool.source(Secret("a")), "refresh", fault)
    other = Secret("b", lifetime=0.1)
    pool.source(other)

    pool.start()

    wait_for(lambda: other.reads > 2)


def test_what_a_filter_of_the_app_raises_does_not_reach_the_engine() -> None:
    errors = importlib.import_module("identity_bindings.errors")
    refuse: Any = lambda record: 1 / 0  # noqa: E731
    errors.logger.addFilter(refuse)
    try:
        errors.logger.warning("of the engine")
    finally:
        errors.logger.removeFilter(refuse)
