"""How long callers wait while the vault is down at the moment of a refresh."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import folders
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from faulty_key_vault import FaultyKeyVault
from support import worker

from .page import Section, duration
from .warm import OURS, Kept, least

REFRESH, LASTS, WATCHED = 1.0, 5.0, 8.0
THREADS = 4
THEIRS = "kept by the least wrapper around the Azure SDK"
FAULTS: dict[str, dict[str, Any]] = {"hangs": {"how": "hang"}, "answers-503": {"status": 503}}


@dataclass
class Watch:
    """Callers of one function, and the longest time that one of them waited."""

    call: Callable[..., Any]
    longest: float = 0.0
    calls: int = 0
    failed: int = 0
    waiting: dict[int, float] = field(default_factory=dict)

    def run(self, ends: float) -> None:
        """Call on and on."""
        own = threading.get_ident()
        while (began := time.monotonic()) < ends:
            self.waiting[own] = began
            try:
                self.call(req=None)
            except Exception:
                self.failed += 1
            self.longest = max(self.longest, time.monotonic() - began)
            del self.waiting[own]
            self.calls += 1
            time.sleep(0.005)

    def cells(self) -> list[str]:
        """The longest wait, also where it has not ended; how many calls were answered, and not."""
        now = time.monotonic()
        still = max((now - began for began in list(self.waiting.values())), default=0.0)
        longest = duration(max(self.longest, still))
        return [f"> {longest}" if still > 1 else longest, f"{self.calls:,}", f"{self.failed:,}"]


def _by_sdk(vault: str) -> Callable[..., Any]:
    client = SecretClient(f"https://{vault}.vault.azure.net", ManagedIdentityCredential())

    def takes(req: Any, mySecret: str) -> str:
        return mySecret

    return least(takes, "mySecret", Kept(lambda: client.get_secret("api-key").value or "", REFRESH))


def measure(scratch: Path) -> Section:
    """Break the vaults while all values are warm, watch the callers, repair, and watch on."""
    functions = scratch / "outage"
    logging.disable()  # the engine's warnings are no part of the measurement
    for fault in FAULTS:
        source = "def main(req, mySecret):\n    return mySecret\n"
        entry = folders.key_vault(vaultName=f"ours-{fault}")
        folders.declare(functions, fault, source, entry)
    settings = mock.patch.dict(os.environ, SECRET_REFRESH_SECONDS=str(REFRESH))
    with settings, FaultyKeyVault() as fake_key_vault:
        vaults = [f"{whose}-{fault}" for fault in FAULTS for whose in ("ours", "theirs")]
        for vault in vaults:
            fake_key_vault.vault(vault).set("api-key", "the-value-of-it")
        loaded = folders.load_folder(functions)
        watches = {
            (fault, name): Watch(call)
            for fault in FAULTS
            for name, call in (
                (OURS, loaded[fault].get_user_function()),
                (THEIRS, _by_sdk(f"theirs-{fault}")),
            )
        }
        for watch in watches.values():
            watch.call(req=None)
        for vault in vaults:
            fake_key_vault.fail(vault, **FAULTS[vault.partition("-")[2]])
        ends = time.monotonic() + WATCHED
        for watch in [*watches.values()] * THREADS:
            threading.Thread(target=watch.run, args=(ends,), daemon=True).start()
        time.sleep(LASTS)
        fake_key_vault.heal()
        time.sleep(ends - time.monotonic())
        rows = [
            [f"{fault.replace('-', ' ')}, {name}", *watch.cells()]
            for (fault, name), watch in watches.items()
        ]
        worker.restart()
    text = (
        f"The value is refreshed every {REFRESH:g} s. The vault fails for {LASTS:g} s, from before"
        f" the refresh on; {THREADS} threads call all the time, for {WATCHED:g} s."
    )
    heads = ["The vault …, the value is …", "longest wait", "calls", "failed"]
    return Section("An outage at refresh", text, heads, rows)
