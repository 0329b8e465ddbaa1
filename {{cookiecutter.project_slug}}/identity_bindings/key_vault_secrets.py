"""The binding ``keyVault``: a secret of a Key Vault, as the text that a handler receives."""

import json
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock

from .credentials import Identity, in_azure
from .errors import Failure, ReadError, Reading, say_once
from .grammar import Kind, matching
from .vaults import VAULT_NAME, Vault, vault_name

LOCAL_FILE = Path(__file__).parent.parent / "secrets.local.json"
"""Values for a developer's machine. Ignored by git, never deployed, not read in Azure."""

_FROM_FILE = f"{LOCAL_FILE.name} gives the values of secrets on this machine."
_BY_LOGIN = "Secrets are read with the developer's own login ('az login' or 'azd auth login')."
_lock = Lock()
_open_vault = cache(Vault)


@dataclass(frozen=True)
class SecretBinding:
    """A declared secret: `name` is the handler's parameter.

    Attributes:
        name: The name of the binding, and so of the parameter.
        secret_name: The secret's name in the vault.
        secret_version: One version of it; None is the newest.
        vault_url: The vault's address, ``https://name.suffix``.
        identity: Whose identity reads it.
    """

    name: str
    secret_name: str
    secret_version: str | None
    vault_url: str
    identity: Identity

    def __str__(self) -> str:
        version = f" (version {self.secret_version})" if self.secret_version else ""
        return f"secret '{self.secret_name}'{version} of vault '{self.vault_url}'"

    @property
    def key(self) -> Hashable:
        """The same for every binding of this secret: its name in the vault has no case."""
        return replace(self, name="", secret_name=self.secret_name.lower())

    def read(self) -> Reading:
        """Read the secret: on a developer's machine from secrets.local.json first.

        Raises:
            ReadError: It could not be read.
        """
        if not in_azure():
            value = _local_value(LOCAL_FILE, vault_name(self.vault_url), self.secret_name)
            with _lock:
                say_once(_BY_LOGIN if value is None else _FROM_FILE)
            if value is not None:
                return Reading(value)
        vault = _open_vault(self.vault_url, self.identity)
        return vault.read_secret(self.secret_name, self.secret_version)


def _local_value(file: Path, vault: str, secret: str) -> str | None:
    """Find a secret under ``vault/secret`` or ``secret``, without regard to case.

    Raises:
        ReadError: The file is there and is no JSON object of texts.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig")) if file.exists() else {}
    except (OSError, ValueError):
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        reason = f"{file.name} is no JSON object whose values are all texts"
        raise ReadError(Failure("denied", reason, f"correct {file.name}"))
    values = {name.lower(): value for name, value in entries.items()}
    return values.get(f"{vault}/{secret}".lower(), values.get(secret.lower()))


_PROPERTIES = {
    "secretName": matching("[A-Za-z0-9-]{1,127}", "a secret's name: 1 to 127 letters, digits, -"),
    "secretVersion": matching("[A-Za-z0-9]{1,64}", "a secret's version", required=False),
    "vaultName": VAULT_NAME,
}
KIND = Kind("keyVault", _PROPERTIES, SecretBinding)
