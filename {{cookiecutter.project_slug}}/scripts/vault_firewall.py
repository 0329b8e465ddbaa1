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
PROJECT = "{{ cookiecutter.project_slug }}"  # the vault's tag `project`


class Firewall:
    """The network rules of a vault: `with Firewall(name, az) as firewall`."""

    def __init__(self, name: str, own: bool, az: Callable[..., Any]) -> None:
        self.name, self._own, self._az = name, own, az
        self._id, self._opened, self._before = "", False, ""
        self._addresses: set[str] = set()

    def __enter__(self) -> "Firewall":
        _on_signals(_stop)
        return self

    def open(self, refusal: str, again: bool) -> None:
        """Give the address in the vault's refusal access, and note in a tag what to restore."""
        found = re.search(r"Client address: ([0-9.]+)", refusal)
        address = {found[1]} if found else set()
        if not again and address <= self._addresses:
            return
        state = self._state()
        if not self._is_own(state):
            raise RuntimeError(
                f"{refusal}\nThis project did not create {self.name}, so it does not open it: run this"
                " from a network that has access to it."
            )
        if not self._opened:
            print(f"Opening {self.name} for this machine's address …", file=sys.stderr)
        self._opened = True
        self._note(state)
        self._addresses |= address
        note = " ".join([self._before, *sorted(self._addresses)])
        self._change(state, "Enabled", "Deny", self._addresses, {TAG: note})

    def __exit__(self, *_: object) -> None:
        """Restore the network rules as they were before."""
        _on_signals(signal.SIG_IGN)  # a second Ctrl-C does not leave the vault open
        self._close()
        _on_signals(_stop)

    def _close(self) -> None:
        for tries in (1, 2, 3):
            try:
                state = self._state()
                left_open = TAG in (state.get("tags") or {}) and self._is_own(state)
                if not self._opened and not left_open:
                    return
                print(f"Closing {self.name} …", file=sys.stderr)
                self._opened = True
                self._note(state)
                access, default = self._before.split("/")
                self._change(state, access, default, set(), {})
                break
            except RuntimeError as error:
                if not self._opened:  # this login may not read the vault
                    return
                if tries == 3:
                    raise RuntimeError(
                        f"{error}\n{self.name} MAY STILL BE OPEN for this machine's address. Run this"
                        f" script again, or close it with\n{self._commands()}"
                    ) from None
                time.sleep(PAUSE_SECONDS)
        print(f"{self.name} is as before: public network access is {access}.", file=sys.stderr)

    def _commands(self) -> str:
        access, default = self._before.split("/")
        arguments = f"--public-network-access {access} --default-action {default}"
        commands = [f"az keyvault update --name {self.name} {arguments}"] + [
            f"az keyvault network-rule remove --name {self.name} --ip-address {address}/32"
            for address in sorted(self._addresses)
        ]
        return "\n".join(f"  {command}" for command in commands)

    def _is_own(self, state: dict[str, Any]) -> bool:
        return self._own or (state.get("tags") or {}).get("project") == PROJECT

    def _note(self, state: dict[str, Any]) -> None:
        """Remember what the vault was before it was opened, and for which addresses it was opened."""
        properties = state["properties"]
        access = properties.get("publicNetworkAccess") or "Enabled"
        default = (properties.get("networkAcls") or {}).get("defaultAction") or "Deny"
        note = (state.get("tags") or {}).get(TAG) or f"{access}/{default}"
        before, *addresses = str(note).split()
        self._before = self._before or before
        self._addresses |= set(addresses)

    def _state(self) -> dict[str, Any]:
        self._id = self._id or self._az("keyvault", "show", "--name", self.name, "--query", "id")
        state = self._az("rest", "--method", "get", "--url", f"{self._id}?{ARM_API}")
        return dict(state)

    def _change(
        self,
        state: dict[str, Any],
        access: str,
        default: str,
        allowed: set[str],
        note: dict[str, str],
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
            "networkAcls": {
                "bypass": "None",
                **rules,
                "defaultAction": default,
                "ipRules": [*others, *own],
            },
        }
        body = {"tags": {**tags, **note}, "properties": properties}
        self._az("rest", "--method", "patch", "--url", f"{self._id}?{ARM_API}", body=body)


def _stop(number: int, _: object) -> None:
    sys.exit(128 + number)  # after everything that was begun is undone


def _on_signals(handler: Any) -> None:
    """Say what happens on the signals that end a program."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if number := getattr(signal, name, None):  # Windows and others have different ones
            signal.signal(number, handler)
