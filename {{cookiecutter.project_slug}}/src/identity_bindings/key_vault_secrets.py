"""The binding ``keyVault``: a Key Vault secret, as the text that a handler receives.

On a developer's machine the local secrets file is read first.
"""

import json
import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from .credentials import Identity, in_azure, is_emulator
from .declarations import Kind, matching, read_json
from .errors import Failure, ReadError, Reading, say_once
from .registration import declared
from .signatures import Handler
from .sources import pool
from .timing import shared
from .vaults import VAULT_NAME, Vault, vault_name, vault_url

_MISSING = "The local secrets file %s does not exist. Create it to give secrets local values."
_BY_LOGIN = "Secrets are read with the developer's own login ('az login' or 'azd auth login')."
_open_vault = shared(Vault)

SETTING = "LOCAL_SECRETS_FILE"
"""The app setting that names the local secrets file, relative to the folder of ``host.json``."""

APP_ROOT = Path(__file__).parent.parent
"""The folder of ``host.json``."""


@dataclass(frozen=True)
class SecretBinding:
    """A declared secret: `name` is the handler's parameter."""

    name: str
    secret_name: str
    secret_version: str | None  # None is the newest
    json_field: str | None  # None is the whole value
    vault_url: str
    identity: Identity

    def __str__(self) -> str:
        version = f" (version {self.secret_version})" if self.secret_version else ""
        field = f"field '{self.json_field}' of " if self.json_field else ""
        return f"{field}secret '{self.secret_name}'{version} of vault '{self.vault_url}'"

    @property
    def key(self) -> Hashable:
        """The same for every binding of this secret: its name in the vault has no case."""
        return (self.vault_url, self.secret_name.lower(), self.secret_version, self.identity)

    @property
    def whole(self) -> "SecretBinding":
        """The binding of the secret's whole value: one read serves all its fields."""
        return replace(self, json_field=None)

    def read(self) -> Reading:
        """Read it, in the local secrets file first if there is one, or raise ReadError."""
        value = None if in_azure() else self._local_value()
        if value is not None:
            return Reading(value, origin="the local secrets file")
        vault: Vault = _open_vault(self.vault_url, self.identity)
        return vault.read_secret(self.secret_name, self.secret_version)

    def _local_value(self) -> str | None:
        """Return the local value; None if the vault or an emulator is read."""
        named = os.environ.get(SETTING, "").strip()
        file = APP_ROOT / named
        if named and not file.exists():
            say_once(_MISSING, file)
        elif named:
            value = local_value(file, vault_name(self.vault_url), self.secret_name)
            if value is not None:
                say_once("Secrets are read from the local secrets file %s.", file)
                return value
        if is_emulator(self.vault_url):
            say_once("Secrets are read from the emulator %s.", self.vault_url)
        else:
            say_once(_BY_LOGIN)
        return None


_PROPERTIES = {
    "secretName": matching("[A-Za-z0-9-]{1,127}", "a secret's name: 1 to 127 letters, digits, -"),
    "secretVersion": matching("[A-Za-z0-9]{1,64}", "a secret's version", required=False),
    "jsonField": matching(r"[^\x00-\x1f]{1,127}", "a field of the secret's JSON", required=False),
    "vaultName": VAULT_NAME,
}
KIND = Kind("keyVault", _PROPERTIES, SecretBinding)


def key_vault_secret(
    name: str = "",
    *,
    secret_name: str = "",
    vault_name: str = "",
    identity: str = "",
    identity_id: str = "",
    secret_version: str = "",
    json_field: str = "",
) -> Callable[[Handler], Handler]:
    """Pass a Key Vault secret to the parameter `name` of a function, at every call.

    Put it below the decorators of the app, next to the function::

        @app.route("orders")
        @key_vault_secret("api_key", secret_name="api", vault_name="my-vault", identity="system")
        def orders(req: func.HttpRequest, api_key: str) -> func.HttpResponse: ...

    Every text may contain ``%SETTING%``, which is replaced by the app setting. A problem does not
    raise: it is logged, and the function answers 500.

    Args:
        name: The parameter that receives the value, a ``str``.
        secret_name: The secret's name in the vault.
        vault_name: The vault's name, or its URI such as ``https://my-vault.vault.azure.net/``.
        identity: ``system``, or ``user`` together with `identity_id`.
        identity_id: The resource id of the user-assigned identity.
        secret_version: One version of the secret. Without it, the newest one.
        json_field: The field of a JSON secret whose text the parameter receives.
    """
    properties = {"name": name, "secret_name": secret_name, "secret_version": secret_version}
    properties |= {"json_field": json_field, "vault_name": vault_name}
    return declared(KIND.type, properties | {"identity": identity, "identity_id": identity_id})


def refresh_secret(identifier: str) -> bool:
    """Read a secret in the background at once, because it has a new version.

    Only this process reads it. The others read it after SECRET_REFRESH_SECONDS at the latest.

    Args:
        identifier: The secret's identifier, with or without its version, as an event of Key Vault
            names it: ``https://<vault>.vault.azure.net/secrets/<name>/<version>``.

    Returns:
        Whether the app declares the newest version of this secret. False for what is no secret's
        identifier, such as a key's.
    """
    url, _, path = identifier.lower().partition("/secrets/")
    with suppress(ValueError):
        newest = (vault_url(url), path.partition("/")[0], None)
        return pool.outdate(lambda key: isinstance(key, tuple) and key[:3] == newest)
    return False


def local_value(file: Path, vault: str, secret: str) -> str | None:
    """Find a secret under ``vault/secret`` or ``secret``, without regard to case; None without one.

    Comments and trailing commas are accepted. An object is the JSON of a secret.

    Raises:
        ReadError: The file is not a JSON object of strings and objects. No value is shown.
    """
    try:
        entries = read_json(file)
        for name, value in entries.items():
            if not isinstance(value, str | dict):
                text = file.read_text("utf-8", "replace")
                line = text.rpartition(json.dumps(name, ensure_ascii=False))[0].count("\n") + 1
                raise ValueError(f"line {line}: the value of {name!r} is not a string or an object")
    except ValueError as error:
        repair = f"correct it, or remove the app setting {SETTING}; then start the app again"
        raise ReadError(Failure("denied", f"{file}: {error}", repair)) from None
    values = {name.lower(): value for name, value in entries.items()}
    value = values.get(f"{vault}/{secret}".lower(), values.get(secret.lower()))
    return json.dumps(value) if isinstance(value, dict) else value
