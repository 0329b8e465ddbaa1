"""What a warm call adds to the handler's own time, for the engine and for its peers."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import folders
from aws_lambda_powertools.utilities.parameters import get_secret
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.parameters.secrets import SecretsProvider
from aws_secretsmanager_caching import (  # type: ignore[import-untyped]
    InjectSecretString,
    SecretCache,
)
from support import worker
from support.fake_key_vault import FakeKeyVault

from .page import Section, duration, ratio

CALLS, ROUNDS = 4_000, 60
NAME, VALUE = "my-secret", "the-value-of-it"
VALUES = {NAME: VALUE}
OURS = "injected by `identity_bindings`"
LEAST = "the least wrapper with a freshness check"
Handler = Callable[..., Any]


class Store:
    """AWS Secrets Manager in memory, as far as the two peers need it."""

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        """Return the secret."""
        return {"SecretString": VALUE, "VersionId": "1", "VersionStages": ["AWSCURRENT"]}

    def describe_secret(self, **_: Any) -> dict[str, Any]:
        """Return its only version."""
        return {"VersionIdsToStages": {"1": ["AWSCURRENT"]}}


class Kept:
    """A value, and until when it is good."""

    def __init__(self, read: Callable[[], str], seconds: float) -> None:
        self.read, self.seconds = read, seconds
        self.value, self.good_until = "", 0.0

    def renew(self) -> None:
        """Read it again."""
        self.value, self.good_until = self.read(), monotonic() + self.seconds


def least(handler: Handler, name: str, kept: Kept) -> Handler:
    """The least wrapper that fills a parameter in and minds how old its value is."""

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        if monotonic() >= kept.good_until:
            kept.renew()
        kwargs[name] = kept.value
        return handler(*args, **kwargs)

    @functools.wraps(handler)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        if monotonic() >= kept.good_until:
            kept.renew()
        kwargs[name] = kept.value
        return await handler(*args, **kwargs)

    return call_async if asyncio.iscoroutinefunction(handler) else call


def sync_ways(injected: Handler) -> dict[str, Handler]:
    """Every way in which a handler gets the value; the first one has it for nothing."""

    def bare(req: Any) -> str:
        return VALUE

    def takes(req: Any, mySecret: str) -> str:
        return mySecret

    def looks_up(req: Any) -> str:
        return VALUES[NAME]

    def asks(req: Any) -> Any:
        return get_secret(NAME)

    def takes_first(mySecret: str, req: Any) -> str:
        return mySecret

    DEFAULT_PROVIDERS["secrets"] = SecretsProvider(boto3_client=Store())
    by_aws = InjectSecretString(NAME, SecretCache(client=Store()))
    return {
        "": bare,
        OURS: injected,
        LEAST: least(takes, "mySecret", Kept(lambda: VALUE, 300)),
        "looked up in a plain `dict`": looks_up,
        "Powertools `parameters.get_secret`": asks,
        "aws-secretsmanager-caching `InjectSecretString`": by_aws(takes_first),
    }


def async_ways(injected: Handler) -> dict[str, Handler]:
    """The same for coroutines, which the peers do not know."""

    async def bare(req: Any) -> str:
        return VALUE

    async def takes(req: Any, mySecret: str) -> str:
        return mySecret

    least_of_all = least(takes, "mySecret", Kept(lambda: VALUE, 300))
    return {"": bare, OURS: injected, LEAST: least_of_all}


def _calls(call: Handler) -> float:
    began = perf_counter()
    for _ in repeat(None, CALLS):
        call(req=None)
    return perf_counter() - began


async def _awaited(call: Handler) -> float:
    began = perf_counter()
    for _ in repeat(None, CALLS):
        await call(req=None)
    return perf_counter() - began


def _added(ways: dict[str, Handler], clock: Callable[[Handler], float]) -> dict[str, float]:
    """Seconds that each way adds to a call: its best round, less the best of the bare handler."""
    best: dict[str, float] = {}
    gc.disable()
    for _ in range(ROUNDS):
        for name, call in ways.items():
            best[name] = min(best.get(name, 1e9), clock(call) / CALLS)
    gc.enable()
    bare = best.pop("")
    return {name: seconds - bare for name, seconds in best.items()}


def _rows(sync: dict[str, float], awaited: dict[str, float]) -> Iterator[list[str]]:
    for name in sync:
        cells = [name]
        for added in (sync, awaited):
            known = name in added
            cells.append(duration(added[name]) if known else "")
            cells.append(ratio(added[OURS] / added[name]) if known and name != OURS else "")
        yield cells


def measure(scratch: Path) -> Section:
    """Measure all ways, sync and async."""
    entry = folders.key_vault(secretName=NAME)
    source = "def main(req, mySecret):\n    return mySecret\n"
    folders.declare(scratch / "warm", "plain", source, entry)
    folders.declare(scratch / "warm", "other", f"async {source}", entry)
    with FakeKeyVault() as fake_key_vault, asyncio.Runner() as runner:
        fake_key_vault.vault("contoso").set(NAME, VALUE)
        functions = folders.load_folder(scratch / "warm")
        handlers = {name: function.get_user_function() for name, function in functions.items()}
        handlers["plain"](req=None)  # from here on it is warm
        sync = _added(sync_ways(handlers["plain"]), _calls)
        awaited = _added(async_ways(handlers["other"]), lambda call: runner.run(_awaited(call)))
        worker.restart()
    text = (
        "What a warm call adds to the time of the handler itself: the best of"
        f" {ROUNDS} interleaved rounds of {CALLS:,} calls. The AWS peers read from a stub in memory."
    )
    heads = ["The value is …", "sync adds", "ratio", "async adds", "ratio"]
    return Section("A warm call", text, heads, list(_rows(sync, awaited)))
