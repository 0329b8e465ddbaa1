"""The binding ``keyVaultKey``: a client of a key, with the permissions of the identity.

The private key never leaves the vault: the handler receives a ``CryptographyClient`` of
azure-keyvault-keys, an asynchronous handler the asynchronous one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from .credentials import Credential, Identity
from .declarations import Kind, matching
from .errors import Reading
from .registration import declared
from .signatures import Handler
from .timing import load, making, shared
from .vaults import VAULT_NAME, Vault

_NAME = r"[A-Za-z0-9-]{1,127}"


@dataclass(frozen=True)
class KeyBinding:
    """A declared key: `name` is the handler's parameter."""

    name: str
    key_name: str
    key_version: str | None
    vault_url: str
    identity: Identity
    asynchronous: bool = False

    def __str__(self) -> str:
        version = f" (version {self.key_version})" if self.key_version else ""
        return f"key '{self.key_name}'{version} of vault '{self.vault_url}'"

    @property
    def key(self) -> Hashable:
        """The same for every binding of this key."""
        return replace(self, name="", key_name=self.key_name.lower())

    def for_async(self) -> KeyBinding:
        """The binding as an asynchronous handler needs it."""
        return replace(self, asynchronous=True)

    def read(self) -> Reading:
        """Find the key's newest version, and make a client where it is a new one.

        Raises:
            ReadError: The key could not be read.
        """
        vault = _open_key_vault(self.vault_url, self.identity)
        client = vault.client_of(self.key_name, self.key_version, self.asynchronous)
        return Reading(client, pinned=self.key_version is not None)


class KeyVault(Vault):
    """One vault's keys as seen by one identity."""

    noun = "key"
    role, permissions = "Key Vault Crypto User", "keys:['get','sign']"
    create = (
        "az keyvault key create --vault-name {vault} --name {name} --kty RSA --size 3072"
        " --ops sign verify"
    )
    sdk = ("azure.keyvault.keys", "KeyClient")

    def __init__(self, url: str, identity: Identity) -> None:
        super().__init__(url, identity)
        self._clients: dict[tuple[str, bool], tuple[str, Any]] = {}

    def client_of(self, name: str, version: str | None, asynchronous: bool) -> Any:
        """Return the client of a key: the same one until the key has a new version."""
        key = self._ask(lambda client, *key: client.get_key(*key), name, version)
        place = (f"{name}/{version}", asynchronous)
        with making:
            known, client = self._clients.get(place, ("", None))
            if known != key.id:
                client = self._crypto(key, asynchronous)
                self._clients[place] = (key.id, client)
        return client

    def _crypto(self, key: Any, asynchronous: bool) -> Any:
        if not asynchronous:
            sdk = load("azure.keyvault.keys.crypto")
            return sdk.CryptographyClient(key, self._credential, **self._options())
        # This transport belongs to no event loop and needs no other package.
        transport = load("azure.core.pipeline.transport").AsyncioRequestsTransport
        credential, options = _AsyncCredential(self._credential), self._options(transport=transport)
        return load("azure.keyvault.keys.crypto.aio").CryptographyClient(key, credential, **options)


_open_key_vault = shared(KeyVault)


class _AsyncCredential:
    """Get the same tokens for an asynchronous client, in a thread."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        return await asyncio.to_thread(self._credential.get_token_info, *scopes, options=options)


def key_vault_key(
    name: str, *, key_name: str = "", key_version: str = "", **place: str
) -> Callable[[Handler], Handler]:
    """Pass a client of a Key Vault key to the parameter `name` of a function.

    Put it below the decorators of the app, like ``key_vault_secret``.

    Args:
        name: The parameter that receives the ``CryptographyClient``.
        key_name: The key's name in the vault.
        key_version: One version of the key. Without it, the newest one.
        place: `vault_name`, `identity` and `identity_id`, as those of ``key_vault_secret``.
    """
    properties = {"name": name, "key_name": key_name, "key_version": key_version}
    return declared(KIND.type, properties | place)


KIND = Kind(
    "keyVaultKey",
    {
        "keyName": matching(_NAME, "a key's name: 1 to 127 letters, digits and hyphens"),
        "keyVersion": matching("[A-Za-z0-9]{1,64}", "a key's version", required=False),
        "vaultName": VAULT_NAME,
    },
    KeyBinding,
)
