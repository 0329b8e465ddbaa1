"""Gives this machine access to a vault without public network access while secrets are set.

However the run ends, the vault is closed again. A tag on the vault says that it is open: if a run is
killed, the next one closes the vault. This needs the right to change the vault (Key Vault Contributor).
"""

import re
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

ARM_API = "api-version=2026-02-01"
PAUSE_SECONDS = 10.0
TAG = "opened-for-set-secrets"


class Firewall:
    """The network rules of a vault: `with Firewall(name, az) as firewall`."""

    def __init__(self, name: str, az: Callable[..., Any]) -> None:
        self.name, self._az = name, az
        self._id, self._opened = "", False
        self._addresses: set[str] = set()

    def __enter__(self) -> "Firewall":
        _on_signals(_stop)
        try:
            self._opened = TAG in (self._state().get("tags") or {})
        except RuntimeError:  # this login may not read the vault
            self._opened = False
        return self

    def open(self, refusal: str, again: bool) -> None:
        """Give the address in the vault's refusal access, and note in a tag what to restore."""
        found = re.search(r"Client address: ([0-9.]+)", refusal)
        address = {found[1]} if found else set()
        if not again and address <= self._addresses:
            return
        if not self._opened:
            print(f"Opening {self.name} for this machine's address …", file=sys.stderr)
        state = self._state()
        self._opened = True
        before, addresses = _noted(state)
        self._addresses |= addresses | address
        note = " ".join([before, *sorted(self._addresses)])
        self._change(state, "Enabled", self._addresses, {TAG: note})

    def __exit__(self, *_: object) -> None:
        """Restore the network rules as they were before."""
        _on_signals(signal.SIG_IGN)  # a second Ctrl-C does not leave the vault open
        if self._opened:
            self._close()
        _on_signals(_stop)

    def _close(self) -> None:
        print(f"Closing {self.name} …", file=sys.stderr)
        for tries in (1, 2, 3):
            try:
                state = self._state()
                before, addresses = _noted(state)
                self._addresses |= addresses
                self._change(state, before, set(), {})
                break
            except RuntimeError as error:
                if tries == 3:
                    raise RuntimeError(
                        f"{error}\n{self.name} MAY STILL BE OPEN for this machine's address. Run this"
                        " script again, or close it with\n"
                        f"  az keyvault update --name {self.name} --public-network-access Disabled"
                    ) from None
                time.sleep(PAUSE_SECONDS)
        print(f"{self.name} is as before: public network access is {before}.", file=sys.stderr)

    def _state(self) -> dict[str, Any]:
        self._id = self._id or self._az("keyvault", "show", "--name", self.name, "--query", "id")
        state = self._az("rest", "--method", "get", "--url", f"{self._id}?{ARM_API}")
        return dict(state)

    def _change(
        self, state: dict[str, Any], access: str, allowed: set[str], note: dict[str, str]
    ) -> None:
        """Change who reaches the vault, in one request: everything or nothing."""
        rules = state["properties"].get("networkAcls") or {}
        others = [
            rule
            for rule in rules.get("ipRules") or []
            if rule["value"].removesuffix("/32") not in self._addresses
        ]
        tags = {name: text for name, text in (state.get("tags") or {}).items() if name != TAG}
        own = [{"value": f"{address}/32"} for address in sorted(allowed)]
        properties = {
            "publicNetworkAccess": access,
            "networkAcls": {"defaultAction": "Deny", **rules, "ipRules": [*others, *own]},
        }
        body = {"tags": {**tags, **note}, "properties": properties}
        self._az("rest", "--method", "patch", "--url", f"{self._id}?{ARM_API}", body=body)


def _noted(state: dict[str, Any]) -> tuple[str, set[str]]:
    """Read what the vault was before it was opened, and for which addresses it was opened."""
    note = (state.get("tags") or {}).get(TAG)
    access = state["properties"].get("publicNetworkAccess") or "Enabled"
    before, *addresses = str(note or access).split()
    return before, set(addresses)


def _stop(number: int, _: object) -> None:
    sys.exit(128 + number)  # after everything that was begun is undone


def _on_signals(handler: Any) -> None:
    """Say what happens on the signals that end a program."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if number := getattr(signal, name, None):  # Windows and others have different ones
            signal.signal(number, handler)
