"""The engine under load: rotations and faults at random, while threads and coroutines call.

What each fault leads to is tested elsewhere, one by one. Here they meet, over the real SDK and TLS. A
seed decides what happens; in what order threads meet is different each time. Nothing is judged by the
clock but waiting. LOAD_SECONDS and LOAD_SEED repeat the long run.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import random
import re
import secrets
import sys
import threading
import time
import traceback
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from apps import App, engine_threads, hasten, wait_for
from faults import ROWS, Row
from faulty_key_vault import FaultyKeyVault
from folders import key_vault
from support import worker

MARK = "Zq7Kx"
"""What every value begins with: letters are the same in JSON, in URLs and in a repr."""

AT_ONCE = 4.0
"""No call waits for a read where there is a value. A busy machine may add to it; a read may take 9 s."""

VAULT_OF = {"first": "vault-a", "second": "vault-a", "third": "vault-b", "fourth": "vault-c"}
FUNCTIONS = [*((name,) for name in VAULT_OF), ("first", "third"), ("second", "third", "fourth")]
OUTAGES = [row for row in ROWS if not row.denied]  # the last value is kept, however long they last
SLOW = {"delay", "drip", "hang"}
QUICK = [row for row in OUTAGES if not SLOW & {*row.fault, row.fault.get("how")}]
THREADS, COROUTINES = 8, 24


class Call(NamedTuple):
    """What a call got for one of its secrets: the number of its value; 0 is an error."""

    secret: str
    began: float
    ended: float
    number: int
    alone: bool  # it had this secret only


class World(FaultyKeyVault):
    """The fake Key Vault, whose values are numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.token_life, self.latency = 200, 0.05  # a token is too short-lived to be kept
        self.newest: dict[str, int] = {}
        self._numbers = count(1)
        self._struck: dict[str, Row] = {}
        self.identities.update(map(_identity, VAULT_OF.values()))
        for name in VAULT_OF:
            self.rotate(name)

    def rotate(self, name: str) -> None:
        """Give a secret a new value."""
        number = next(self._numbers)
        value = f'{MARK}-{number}-%s "ä" \\ {secrets.token_hex(8)}'
        self.vault(VAULT_OF[name]).set(name, value)
        self.newest[name] = number

    def strike(self, vault: str, row: Row) -> None:
        self.heal(vault)
        self._struck[vault] = replace(row, name=vault)
        self._struck[vault].strike(self)

    def heal(self, vault: str) -> None:
        if row := self._struck.pop(vault, None):
            row.heal(self, "")

    def live(self, rng: random.Random, seconds: float, faults: list[Row], unit: float) -> None:
        """Rotate, fail and recover; in the end, everything is well."""
        ends, vaults, rows = time.monotonic() + seconds, sorted({*VAULT_OF.values()}), list[Row]()
        while time.monotonic() < ends:
            time.sleep(rng.uniform(0, unit / 2))
            vault = rng.choice(vaults)
            match rng.randrange(4):
                case 0:
                    rows = rows or rng.sample(faults, len(faults))  # every fault has its turn
                    self.strike(vault, rows.pop())
                case 1:
                    self.heal(vault)
                case _:
                    self.rotate(rng.choice([*VAULT_OF]))
        for vault in vaults:
            self.heal(vault)


def _identity(vault: str) -> str:
    return Row(vault, False, "").identity


class Callers(logging.Handler):
    """Threads and coroutines that call; what each call got, and what was logged meanwhile."""

    def __init__(self, handlers: dict[str, Any], seed: int) -> None:
        super().__init__()
        self.handlers, self.seed, self.stop = handlers, seed, threading.Event()
        self.calls: list[Call] = []
        self.newest: dict[str, int] = {}
        self.wrong: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.look(self.format(record) + repr(vars(record)))
        if record.levelno >= logging.ERROR and record.name == "asyncio":
            self.wrong.append(f"nobody caught: {self.format(record)}")

    def look(self, text: str) -> None:
        if MARK in text:
            self.wrong.append(f"a value was shown: {text}")

    @contextmanager
    def call(self, names: tuple[str, ...]) -> Iterator[list[Any]]:
        """Note a call: when the handler received which values, or which secret it failed for."""
        began, error, got = time.monotonic(), "", list[Any]()
        try:
            yield got
        except (TimeoutError, asyncio.CancelledError):
            error = "it left"
        except Exception as raised:
            error = repr(raised)
            self.look("".join(traceback.format_exception(raised)) + error)
        if got:
            ended, *values = got
            for name, value in zip(names, values, strict=True):
                number = int(value.split("-")[1])
                self.calls.append(Call(name, began, ended, number, len(names) == 1))
                self.newest[name] = max(number, self.newest.get(name, 0))
        elif found := re.search(r", binding '(\w+)': ", error):
            self.calls.append(Call(found[1], began, time.monotonic(), 0, len(names) == 1))
        elif error != "it left":
            self.wrong.append(f"nobody caught: {error}")

    def receive(self, rng: random.Random, got: list[Any], *values: str) -> None:
        """Take the values, and do what a handler should not do."""
        got += [time.monotonic(), *values]
        match rng.randrange(20):
            case 0:
                extra = {"key": values[0]}
                logging.getLogger("app").info("got %s %r", values[0], [*values], extra=extra)
            case 1:
                print(*values, file=rng.choice([sys.stdout, sys.stderr]))
            case 2:
                raise ExceptionGroup("wrong", [RuntimeError(values[0]), OSError(5, *values)])

    async def receive_later(self, rng: random.Random, got: list[Any], *values: str) -> None:
        await asyncio.sleep(rng.choice([0, 0.01]))
        self.receive(rng, got, *values)

    def in_thread(self, number: int) -> None:
        rng = random.Random(f"{self.seed} thread {number}")
        while not self.stop.wait(rng.uniform(0.01, 0.06)):
            names = rng.choice(FUNCTIONS)
            with self.call(names) as got:
                self.handlers["_".join(names)](req=partial(self.receive, rng, got))

    async def in_task(self, rng: random.Random) -> None:
        """Call once, and perhaps leave before there is an answer."""
        names = rng.choice(FUNCTIONS)
        with self.call(names) as got:
            async with asyncio.timeout(rng.choice([None, None, 0.05, 1.0])):
                handler = self.handlers["async_" + "_".join(names)]
                await handler(req=partial(self.receive_later, rng, got))

    def in_one_loop(self) -> None:
        async def run(number: int) -> None:
            rng = random.Random(f"{self.seed} coroutine {number}")
            while not self.stop.is_set():
                await asyncio.sleep(rng.uniform(0.01, 0.06))
                task = asyncio.ensure_future(self.in_task(rng))
                if rng.random() < 0.1:
                    await asyncio.sleep(rng.uniform(0, 0.03))
                    task.cancel()
                await asyncio.wait([task])

        async def all_of_them() -> None:
            await asyncio.gather(*map(run, range(COROUTINES)))

        asyncio.run(all_of_them())

    def in_short_loops(self) -> None:
        """Call from loops that end while a read for them may be on its way."""
        rng = random.Random(f"{self.seed} loops")
        while not self.stop.wait(rng.uniform(0.01, 0.06)):
            asyncio.run(self.in_task(rng))

    def judge(self) -> Iterator[str]:
        """Yield every call that got less than a call of the same secret that ended before it began."""
        for name in VAULT_OF:
            calls = sorted(
                (one for one in self.calls if one.secret == name), key=lambda one: one.ended
            )
            ends, best = (
                [one.ended for one in calls],
                [0, *accumulate((one.number for one in calls), max)],
            )
            for call in calls:
                known = best[bisect_left(ends, call.began)]
                if call.number < known:
                    yield f"{call}: number {known} was known"
                if known and call.alone and call.ended - call.began > AT_ONCE:
                    yield f"{call}: it waited, though number {known} was known"


def write(app: App) -> None:
    """Write two functions, of either kind, for each choice of secrets."""
    for names in FUNCTIONS:
        entries = [
            key_vault(name, secretName=name, vaultName=vault, identity="user", identityId=identity)
            for name in names
            for vault, identity in [(VAULT_OF[name], _identity(VAULT_OF[name]))]
        ]
        given = ", ".join(names)
        for kind, way, wait in (("", "", ""), ("async_", "async ", "await ")):
            source = f"{way}def main(req, {given}):\n    return {wait}req({given})\n"
            app.declare(kind + "_".join(names), source, *entries)


@pytest.mark.parametrize(
    ("seconds", "refresh", "times", "faults"),
    [
        (4.0, 0.3, 1.0, QUICK),
        pytest.param(
            *(float(os.environ.get("LOAD_SECONDS", 180)), 1.0, 5.0, OUTAGES), marks=pytest.mark.slow
        ),
    ],
    ids=["seconds", "minutes"],
)
def test_every_call_gets_the_newest_value_that_is_known(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    seconds: float,
    refresh: float,
    times: float,
    faults: list[Row],
) -> None:
    """Nothing shows a value, no exception is lost, and in the end all is well."""
    seed = int(os.environ.get("LOAD_SEED", secrets.randbelow(10**6)))
    hasten(monkeypatch, times, back_off=refresh)
    write(app := App(tmp_path, monkeypatch))
    gc.collect()  # what other tests forgot
    with World() as world:
        callers = Callers(app.handlers(refresh), seed)
        for hook, name in ((sys, "unraisablehook"), (threading, "excepthook")):
            lose = lambda lost: callers.wrong.append(f"nobody caught: {lost!r}")  # noqa: E731
            monkeypatch.setattr(hook, name, lose)
        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", [*root.handlers, callers])
        monkeypatch.setattr(root, "level", logging.DEBUG)
        runs: list[Callable[[], None]] = [callers.in_one_loop, callers.in_short_loops]
        runs += [partial(callers.in_thread, number) for number in range(THREADS)]
        threads = [threading.Thread(target=run) for run in runs]
        for one in threads:
            one.start()
        world.live(random.Random(seed), seconds, faults, refresh)
        wait_for(lambda: callers.newest == world.newest)
        callers.stop.set()
        for one in threads:
            one.join()
        importlib.import_module("identity_bindings.sources").pool.close()
        wait_for(lambda: not engine_threads())  # a read that hangs has its own limit
        worker.restart()
    gc.collect()  # a task whose error nobody asked for says so at its end

    wrong = [*callers.wrong, *callers.judge()]
    first = "\n".join(wrong[:20])
    assert not wrong, f"LOAD_SEED={seed}: {len(wrong)} wrong, the first are:\n{first}"
    assert MARK not in "".join(capfd.readouterr())
