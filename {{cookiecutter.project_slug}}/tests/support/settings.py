"""The app settings that infra/ and local.settings.json define, each with a value for tests."""

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
# A key of an object in Bicep, and its value where that is a plain text.
KEY = r"(?:^|[{,])[ \t]*(?:'([^'\n]+)'|(\w+)):[ \t]*(?:'([^'$\n]*)'[ \t]*(?:$|[,}]))?"


def defined() -> dict[str, str]:
    """Return the settings with their text in infra/, or with a value made of their name."""
    found: dict[str, str] = {}
    parse = import_module("identity_bindings.declarations").parse  # comments are accepted
    for file in (PROJECT / "local.settings.example.json", SRC / "local.settings.json"):
        values = parse(file.read_bytes()).get("Values", {}) if file.exists() else {}
        found |= {name: str(value) for name, value in values.items() if value}
    for file in sorted((PROJECT / "infra").rglob("*.bicep*")):
        for quoted, plain, text in re.findall(KEY, file.read_text("utf-8"), re.MULTILINE):
            name = quoted or plain
            # Valid for a vault, a secret, a key and a version.
            found[name] = text or ("s" + re.sub("[^a-z0-9]", "", name.lower()))[:24]
    return {name: value for name, value in found.items() if name.upper() not in OWN}
