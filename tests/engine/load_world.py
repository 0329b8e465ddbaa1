"""What happens under load: a plan made of a seed, and a fake Key Vault that follows it and remembers.

The plan rotates secrets, strikes vaults with every fault of test_faults.py, heals them, lets the
wall clock jump, revokes tokens, and changes how fast the fake Key Vault answers.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any

from faults import ROWS, Row
from faulty_key_vault import Fault, FaultyKeyVault
from folders import IDENTITY
from load_model import History
from support.fake_key_vault import Secret

MARK = "Zq7Kx"
"""What every value begins with: letters stay what they are in JSON, in URLs and in a repr."""

PINNED = "0123456789abcdef"
# What is declared: parameter → vault, and what else is in the declaration.
DECLARED: dict[str, tuple[str, dict[str, Any]]] = {
    "first": ("alpha", {}),
    "second": ("alpha", {}),
    "ending": ("beta", {}),
    "pinned": ("beta", {"secretVersion": PINNED}),
    "third": ("gamma", {}),
    "fixed": ("delta", {"secretVersion": PINNED}),
    "fourth": ("delta", {}),
}
VAULTS = sorted({vault for vault, _ in DECLARED.values()})
SLOW = {"delay", "drip", "hang"}
QUICK = tuple(row for row in ROWS if not SLOW & {*row.fault, row.fault.get("how")})
"""The faults that show at once."""

SYSTEM = "alpha"  # read by the system-assigned identity, each other vault by one of its own


def identity_of(vault: str) -> str | None:
    return None if vault == SYSTEM else IDENTITY.replace("id-tests", f"id-{vault}")


def secrets_of(vault: str) -> list[str]:
    return [name for name, (its, _) in DECLARED.items() if its == vault]


@dataclass(frozen=True)
class Event:
    """What happens at a moment of the plan, in seconds after its beginning."""

    at: float
    what: str  # rotate | strike | heal | jump | pace | revoke
    where: str = ""  # the secret that is rotated, the vault that is struck or healed
    row: Row | None = None  # the fault
    only: str = ""  # the one secret that is struck, where it is one
    by: float = 0.0  # how many hours the clock jumps, how many seconds each answer takes


def plan(seed: int, seconds: float, unit: float, faults: Sequence[Row] = ROWS) -> list[Event]:
    """Make a plan for so long; `unit` is the time between two refreshes."""
    rng = random.Random(seed)

    def moments(mean: float) -> Iterable[float]:
        return list(accumulate(rng.expovariate(1 / mean) for _ in range(int(seconds / mean))))

    events = [Event(at, "rotate", name) for name in DECLARED for at in moments(2 * unit)]
    events += [Event(at, "jump", by=rng.uniform(-12, 12)) for at in moments(2 * unit)]
    events += [Event(at, "pace", by=rng.uniform(0, 0.1)) for at in moments(2 * unit)]
    events += [Event(at, "revoke") for at in moments(6 * unit)]
    rows: list[Row] = []
    ends = dict.fromkeys(VAULTS, 0.0)
    while min(ends.values()) < seconds:
        vault = min(ends, key=ends.__getitem__)
        rows = rows or rng.sample(faults, len(faults))  # every kind of fault has its turn
        row = rows.pop()
        whole = row.where == "identity" or row.vault
        only = "" if whole else rng.choice(["", *secrets_of(vault)])
        begins = ends[vault] + unit * rng.choice([0, rng.uniform(0, 1), rng.uniform(1, 8)])
        # Some pass unnoticed, some end before the grace does, some last.
        lasts = rng.choice([rng.uniform(0.1, 3), rng.uniform(2, 7), rng.uniform(4, 14)])
        ends[vault] = begins + unit * lasts
        events.append(Event(begins, "strike", vault, row, only))
        events.append(Event(ends[vault], "heal", vault))
    in_time = sorted((one for one in events if one.at < seconds), key=lambda one: one.at)
    return [*in_time, *(Event(seconds, "heal", vault) for vault in VAULTS)]


class World(FaultyKeyVault):
    """The fake_key_vault, with a history of what it gave, and of what it would have given."""

    def __init__(self) -> None:
        super().__init__()
        self.token_life = 200  # too short to be kept: every refresh asks for a token
        self.identities = {identity_of(vault) for vault in VAULTS}
        self.offset = 0.0  # of the wall clock
        self.histories = {
            name: History("secretVersion" in entry, states=[(time.monotonic(), "up")])
            for name, (_, entry) in DECLARED.items()
        }
        self._numbers = count(1)
        self._struck: dict[str, Event] = {}
        self._shelves: dict[str, list[Secret]] = {vault: [] for vault in VAULTS}
        for name in DECLARED:
            self._put(name, PINNED)

    def answer_or_fail(self, request: Any) -> Any:
        """Answer, and note it before the answer is on its way."""
        reply, fault = super().answer_or_fail(request)
        history = self.histories.get(request.secret)
        if history and reply[0] != 401:  # which only tells where to get a token
            history.asked.append(time.monotonic())
            if reply[0] == 200 and fault == Fault():
                history.given.append((time.monotonic(), reply[1]["value"]))
        return reply, fault

    def apply(self, event: Event) -> None:
        """Let it happen. What other threads read is replaced as a whole."""
        match event.what:
            case "rotate":
                self._put(event.where, secrets.token_hex(16))
            case "strike":
                self._heal(event.where)
                self._strike(event)
            case "heal":
                self._heal(event.where)
            case "jump":
                self.offset = event.by * 3600
            case "pace":
                self.latency = event.by
            case "revoke":
                self.tokens = {}

    def _put(self, name: str, version: str) -> None:
        """Give a secret a new value."""
        vault, now = DECLARED[name][0], int(time.time())
        value = f'{MARK}-{name}-{next(self._numbers)}-%s "ä" \\ {secrets.token_hex(8)}'
        # After a jump of the clock it has ended, or does not begin yet.
        limits = {"nbf": now - 3600, "exp": now + 3600} if name == "ending" else {}
        self._shelves[vault].append(Secret(name, version, value, {"enabled": True, **limits}))
        self._show(vault)

    def _show(self, vault: str) -> None:
        """Put the secrets of the shelf into the vault, without what a fault takes away."""
        shown = list(self._shelves[vault])
        event = self._struck.get(vault)
        if event and event.row and (how := event.row.secret):
            hit = [one for one in shown if one.name == (event.only or one.name)]
            shown = [one for one in shown if one not in hit]
            if "missing" not in how:
                shown += [one._replace(attributes=one.attributes | how) for one in hit]
        self.vault(vault).secrets = shown

    def _note(self, event: Event, kind: str) -> None:
        # A denial is that secret's. Whatever else fails counts for the vault as a whole.
        alone = event.only and event.row and event.row.denied
        for name in [event.only] if alone else secrets_of(event.where):
            self.histories[name].states.append((time.monotonic(), kind))

    def _strike(self, event: Event) -> None:
        vault, row = event.where, event.row
        assert row is not None
        self._note(event, "denied" if row.denied else "down")  # from before it is so
        self._struck[vault] = event
        fault = dict(row.fault)
        if row.where == "vault" and ("body" in fault or fault.get("how") == "drip"):
            # A part of a value, which nobody may show; and a drip shall have an end.
            sent = f'{{"value": "{self._shelves[vault][-1].value}'.encode()
            fault["body"] = sent[: 8 if "how" in fault else 30]
        if fault:
            of_vault = f"{vault}/{event.only}" if event.only else vault
            self.fail(of_vault if row.where == "vault" else _identity_place(vault), **fault)
        elif row.where == "identity":
            self.identities = self.identities - {identity_of(vault)}
        vars(self.vault(vault)).update(row.vault)
        self._show(vault)

    def _heal(self, vault: str) -> None:
        if (event := self._struck.pop(vault, None)) is None:
            return
        for place in (vault, _identity_place(vault), *(f"{vault}/{n}" for n in secrets_of(vault))):
            self.faults.pop(place, None)
        self.identities = self.identities | {identity_of(vault)}
        vars(self.vault(vault)).update(readers=None, firewall=False, rbac=False)
        self._show(vault)
        self._note(event, "up")  # from after it is so


def _identity_place(vault: str) -> str:
    """Where the fake Key Vault's faults for the identity of a vault have their place."""
    return f"identity/{(identity_of(vault) or '').rpartition('/')[2]}"
