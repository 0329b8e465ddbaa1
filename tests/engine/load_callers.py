"""Who calls under load, in threads and in coroutines, and what they and others see meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import sys
import threading
import time
import traceback
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from apps import engine_threads
from load_model import Call
from load_world import DECLARED, MARK

COROUTINES = 24
THREADS = 8
# Which secrets a function is given.
FUNCTIONS = [*((name,) for name in DECLARED), ("first", "third"), ("ending", "fixed", "fourth")]


class Pulse:
    """How late this machine is: the sum, and the most engine threads at any moment."""

    def __init__(self) -> None:
        self.times, self.sums, self.most_threads = [time.monotonic()], [0.0], 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            before = time.monotonic()
            time.sleep(0.02)
            late = time.monotonic() - before - 0.02
            self.sums.append(self.sums[-1] + (late if late > 0.01 else 0.0))
            self.times.append(time.monotonic())
            self.most_threads = max(self.most_threads, len(engine_threads()))

    def late(self, after: float, until: float) -> float:
        last = len(self.times) - 1
        start, end = (min(bisect_left(self.times, at), last) for at in (after, until))
        return self.sums[end] - self.sums[max(start - 1, 0)]


class Watch(logging.Handler):
    """Everything that is logged: no value may be in it, and nothing that nobody caught."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.leaks: list[str] = []
        self.uncaught: list[str] = []

    def look(self, text: str) -> None:
        if MARK in text:
            self.leaks.append(text)

    def emit(self, record: logging.LogRecord) -> None:
        self.look(self.format(record) + repr(vars(record)))
        if record.levelno >= logging.ERROR and record.name != "identity_bindings":
            self.uncaught.append(self.format(record))

    def caught(self, error: BaseException) -> None:
        self.look("".join(traceback.format_exception(error)) + repr(error))

    @contextmanager
    def on_everything(self) -> Iterator[None]:
        """Listen to all loggers, and to what ends a thread or is lost on the way."""
        root, level = logging.getLogger(), logging.getLogger().level
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading, "excepthook", lambda lost: self.uncaught.append(repr(lost)))
            patch.setattr(sys, "unraisablehook", lambda lost: self.uncaught.append(repr(lost)))
            root.setLevel(logging.DEBUG)
            root.addHandler(self)
            try:
                yield
            finally:
                root.removeHandler(self)
                root.setLevel(level)


class Callers:
    """Threads and coroutines that call, and note what each call got."""

    def __init__(self, functions: dict[str, Any], watch: Watch) -> None:
        self.handlers = {name: one.get_user_function() for name, one in functions.items()}
        self.watch, self.seed = watch, watch.seed
        self.calls: list[tuple[str, Call]] = []
        self.stop = threading.Event()

    def runs(self) -> Iterator[Callable[[], None]]:
        """What shall run at once, each in a thread of its own."""
        yield from (partial(self.in_thread, number) for number in range(THREADS))
        yield from (self.in_one_loop, self.in_short_loops)

    def note(self, names: tuple[str, ...], began: float, got: Any, error: Any = None) -> None:
        """Note a call that is over: its values, or which secret it failed for."""
        if got:
            ended, values = got
            self.calls += [
                (name, Call(began, ended, value, len(names)))
                for name, value in zip(names, values, strict=True)
            ]
        elif found := re.search(r", binding '(\w+)': ", str(error)):
            self.calls.append((found[1], Call(began, time.monotonic(), None, len(names))))
        elif error is not None:
            self.watch.uncaught.append(repr(error))
        if error is not None:
            self.watch.caught(error)

    def tell(self, rng: random.Random, values: tuple[str, ...]) -> None:
        """Do what a handler should not do."""
        value = rng.choice(values)
        plain = str.__str__(value)
        match rng.randrange(40):
            case 0:
                logging.getLogger(f"app.{rng.randrange(5)}").info("got %s %r", plain, [plain])
            case 1:
                logging.getLogger("app").info(f"got {plain}", extra={"key": plain})
            case 2:
                print(plain, file=rng.choice([sys.stdout, sys.stderr]))
            case 3:
                raise ValueError(f"wrong {plain}") from KeyError(plain)
            case 4:
                raise ExceptionGroup("wrong", [RuntimeError(plain), OSError(5, plain)])

    def in_thread(self, number: int) -> None:
        rng = random.Random(f"{self.seed} thread {number}")
        while not self.stop.wait(rng.uniform(0.01, 0.06)):
            names, got = rng.choice(FUNCTIONS), []

            def receive(*values: str, got: list[Any] = got) -> None:
                got.extend((time.monotonic(), tuple(map(str.__str__, values))))
                self.tell(rng, values)

            began, error = time.monotonic(), None
            try:
                self.handlers["_".join(names)](req=receive)
            except Exception as caught:
                error = caught
            self.note(names, began, got, error)

    async def in_task(self, rng: random.Random) -> None:
        """Call once, and perhaps leave before there is an answer."""
        names, got = rng.choice(FUNCTIONS), []

        async def receive(*values: str) -> None:
            got.extend((time.monotonic(), tuple(map(str.__str__, values))))
            await asyncio.sleep(rng.choice([0, 0.01]))
            self.tell(rng, values)

        limit = rng.choice([None, None, rng.uniform(0, 0.05), rng.uniform(0, 1)])
        began, error = time.monotonic(), None
        try:
            async with asyncio.timeout(limit):
                await self.handlers["async_" + "_".join(names)](req=receive)
        except (TimeoutError, asyncio.CancelledError) as caught:
            self.watch.caught(caught)
        except Exception as caught:
            error = caught
        self.note(names, began, got, error)

    async def in_loop(self, number: int) -> None:
        rng = random.Random(f"{self.seed} coroutine {number}")
        while not self.stop.is_set():
            await asyncio.sleep(rng.uniform(0.01, 0.06))
            task = asyncio.ensure_future(self.in_task(rng))
            if rng.random() < 0.1:
                await asyncio.sleep(rng.uniform(0, 0.03))
                task.cancel()
            await asyncio.wait([task])

    def in_one_loop(self) -> None:
        async def run() -> None:
            await asyncio.gather(*map(self.in_loop, range(COROUTINES)))

        asyncio.run(run())

    def in_short_loops(self) -> None:
        """Call from loops that end while a read for them may be on its way."""
        rng = random.Random(f"{self.seed} loops")
        while not self.stop.wait(rng.uniform(0.01, 0.06)):
            asyncio.run(self.in_task(rng))
