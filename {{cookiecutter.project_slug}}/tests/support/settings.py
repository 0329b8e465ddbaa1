"""The app settings that infra/ and local.settings.json define, each with a value for tests."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SRC = PROJECT / "src"
# Settings of the engine and of the system: tests leave them as they are.
OWN = {"KEY_VAULT_DNS_SUFFIX", "SECRET_REFRESH_SECONDS", "SECRET_GRACE_SECONDS", "PATH"}
# Where a setting's name does not do as its value, by the property of a declaration.
STAND_INS = {
    "identityId": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-tests"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{}",
    "scope": "api://{}/.default",
}
_KEY = re.compile(
    r"(?:^|[{,])[ \t]*(?:'([^'\n]+)'|(\w+)):[ \t]*(?:'([^'$\n]*)'[ \t]*(?:$|[,}]))?", re.MULTILINE
)


def defined() -> dict[str, str]:
    """Return every key in infra/ and in local.settings.json: its text there, or a stand-in."""
    in_infra: dict[str, str] = {}
    for file in sorted((PROJECT / "infra").rglob("*.bicep*")):
        for quoted, plain, text in _KEY.findall(file.read_text("utf-8")):
            name = quoted or plain
            in_infra[name] = text or in_infra.get(name) or stand_in(name)
    return {name: value for name, value in (local() | in_infra).items() if name.upper() not in OWN}


def local() -> dict[str, str]:
    """Return the settings of local.settings.json, which a clone does not have, and its example."""
    parse = import_module("identity_bindings.declarations").parse  # comments are accepted
    found: dict[str, str] = {}
    for file in (PROJECT / "local.settings.example.json", SRC / "local.settings.json"):
        values = parse(file.read_bytes()).get("Values", {}) if file.exists() else {}
        found |= {name: str(value) for name, value in values.items() if value}
    return found


def stand_in(name: str) -> str:
    """Turn a setting's name into a value that is valid for a vault, a secret, a key, a version."""
    return ("s" + re.sub("[^a-z0-9]", "", name.lower()))[:24]
