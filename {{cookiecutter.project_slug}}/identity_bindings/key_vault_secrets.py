"""The binding ``keyVault``: a secret of a Key Vault, as the text that a handler receives."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path

from .credentials import Credential, Identity, in_azure
from .readings import Failure, ReadError, Reading
from .vaults import Vault, vault_name

LOCAL_FILE = Path(__file__).parent.parent / "secrets.local.json"
"""Values for a developer's machine. Ignored by git, never deployed, not read in Azure."""

_logger = logging.getLogger("identity_bindings")
_lock = threading.Lock()
_credentials: dict[Identity, Credential] = {}
_vaults: dict[tuple[str, Identity], Vault] = {}
_said: set[str] = set()


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
            if value is not None:
                _say(f"{LOCAL_FILE.name} gives the values of secrets on this machine.")
                return Reading(value)
            _say(
                "Secrets are read with the developer's own login ('az login' or 'azd auth login')."
            )
        reading = open_vault(self.vault_url, self.identity).read_secret(
            self.secret_name, self.secret_version
        )
        return replace(reading, pinned=self.secret_version is not None)


def open_vault(url: str, identity: Identity) -> Vault:
    """Return the vault at `url` as `identity` sees it: one client for all its readers."""
    with _lock:
        credential = _credentials.setdefault(identity, Credential(identity))
        return _vaults.setdefault((url, identity), Vault(url, credential))


def _local_value(file: Path, vault: str, secret: str) -> str | None:
    """Find a secret under ``vault/secret`` or ``secret``, without regard to case.

    Raises:
        ReadError: The file is there and is no JSON object of texts.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
        reason = f"{file.name} is no JSON object whose values are all texts"
        raise ReadError(Failure("denied", reason, f"correct {file.name}"))
    values = {name.lower(): value for name, value in entries.items()}
    return values.get(f"{vault}/{secret}".lower(), values.get(secret.lower()))


def _say(sentence: str) -> None:
    """Log where values come from, once."""
    with _lock:
        if sentence in _said:
            return
        _said.add(sentence)
    _logger.warning(sentence)
