"""Key Vaults: their names and addresses, their clients, and what their answers mean."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .credentials import (
    EmulatorCredential,
    Identity,
    in_azure,
    is_emulator,
    open_credential,
)
from .errors import (
    EMULATOR,
    TRY_AGAIN,
    AnswerRefused,
    Failure,
    Read,
    ReadError,
    Reading,
    repair_of_denial,
    repair_of_silence,
)
from .grammar import Property
from .process import load, making, shared
from .timing import Gate, retry_after

SUFFIXES = (
    *("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "vault.sovcloud-api.fr"),
    *("vault.cloudapi.eaglex.ic.gov", "vault.cloudapi.microsoft.scloud"),
)
"""Where vaults live: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates"""

_NAME = re.compile(r"(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*")
_URI = re.compile(r"https://([^/:?#@]+)(?::443)?/?", re.IGNORECASE)
_ALLOWED = "a vault's name (3 to 24 letters, digits and single hyphens, a letter first) or its URI"
_PARALLEL_READS = 8  # below the SDK's connection pool of 10
_OF_THE_VAULT = (429, 502, 503, 504)  # they concern whoever reads from it


def vault_url(vault: str, settings: Mapping[str, str] = os.environ) -> str:
    """Turn a vault's name or URI into its address, ``https://name.suffix``.

    A bare name gets the suffix of the app's cloud: the setting KEY_VAULT_DNS_SUFFIX, else that of
    the public cloud. Outside of Azure an emulator's ``https://localhost:port`` is accepted too.

    Raises:
        ValueError: `vault` is neither. Its text says what is allowed.
    """
    own_suffix = settings.get("KEY_VAULT_DNS_SUFFIX", "").strip().strip(".").lower() or SUFFIXES[0]
    if _NAME.fullmatch(vault):
        if own_suffix not in SUFFIXES:
            allowed = ", ".join(SUFFIXES)
            raise ValueError(f"set KEY_VAULT_DNS_SUFFIX, now '{own_suffix}', to one of: {allowed}")
        return f"https://{vault.lower()}.{own_suffix}"
    if is_emulator(vault):
        if in_azure(settings):
            raise ValueError("in Azure a vault, not an emulator")
        return vault.rstrip("/").lower()
    if match := _URI.fullmatch(vault):
        name, _, suffix = match[1].lower().partition(".")
        if suffix.startswith("managedhsm."):
            raise ValueError("a managed HSM holds no secrets; name a vault")
        if _NAME.fullmatch(name) and suffix in SUFFIXES:
            return f"https://{name}.{suffix}"
    raise ValueError(f"{_ALLOWED}, such as 'https://my-vault.{SUFFIXES[0]}/'")


VAULT_NAME = Property(vault_url, "a vault's name or URI")


def vault_name(url: str) -> str:
    """The name of the vault at `url`."""
    return url.removeprefix("https://").partition(".")[0]


# What an answer of the vault means, by its code or status; errors.repair_of_denial says what repairs it.
# Source: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
_REASONS = {
    "Disabled": "the {noun} is disabled",
    "ForbiddenByConnection": "the vault accepts connections through its private endpoints only",
    "ForbiddenByFirewall": "the vault's firewall denies the app's network",
    "ForbiddenByRbac": "the identity has no role for the vault's {noun}s",
    "401": "the vault does not accept the identity's token",
    "403": "no access policy of the vault allows the identity to read {noun}s",
    "404": "the vault has no such {noun} or version",
}


class Vault:
    """One vault as seen by one identity. Thread-safe; the SDK is imported at the first read."""

    noun = "secret"
    _sdk, _kind = "azure.keyvault.secrets", "SecretClient"

    def __init__(self, url: str, identity: Identity) -> None:
        self.url = url
        emulated = is_emulator(url)
        self._credential = EmulatorCredential(identity) if emulated else open_credential(identity)
        self._client: Any = None
        self._gate = _open_gate(url)

    def read_secret(self, name: str, version: str | None) -> Reading:
        """Read a secret's value, or raise ReadError: its failure says why, and what repairs it."""
        secret = self._ask(name, version, lambda client: client.get_secret(name, version))
        return _reading(secret, pinned=version is not None)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = load(".transport").client_options(proxied=True)
        # An emulator's challenge names Azure's vaults, and it gets no token that is worth anything.
        return options | {"verify_challenge_resource": not is_emulator(self.url)}

    def _open(self) -> Any:
        return getattr(load(self._sdk), self._kind)(self.url, self._credential, **self._options())

    def _ask(self, name: str, version: str | None, ask: Callable[[Any], Any]) -> Any:
        # The first read goes alone: all others then share its challenge and its token.
        with self._gate.turn():
            for fresh_token in (False, True):
                with making:
                    client = self._client or self._open()
                try:
                    answer = ask(client)
                    self._client = client
                    return answer
                except ReadError:
                    raise
                except Exception as error:
                    status = getattr(error, "status_code", None) or 0
                    failure = self._failure(error, status, name, version)
                # Raised outside of the handlers: the SDK's exceptions hold what the vault sent.
                if status != 401 or fresh_token:
                    break
                # The token may have been revoked. One new token decides.
                self._credential.forget()
                self._client = None
            raise ReadError(failure)

    def _failure(self, error: Any, status: int, name: str, version: str | None) -> Failure:
        """Describe a failure. One that concerns all who read from the vault closes its gate."""
        refused = status >= 400
        failure = self._refused(error, name, version) if refused else self._silent(error)
        if is_emulator(self.url):
            failure = replace(failure, repair=EMULATOR)
        if status in _OF_THE_VAULT or (not refused and _is_of_network(error)):
            return self._gate.close(failure)
        return failure

    def _refused(self, error: Any, name: str, version: str | None) -> Failure:
        code, address = _details(error.response)
        answer = f"HTTP {error.status_code} {code}".strip()
        kind = "Disabled" if code.endswith("Disabled") else code
        kind = kind if kind in _REASONS else str(error.status_code)
        if kind not in _REASONS:
            reason = f"the vault answered {answer}"
            seconds = retry_after(error.response.headers)
            return Failure("transient", reason, TRY_AGAIN, seconds)
        item = (self.noun, vault_name(self.url), name, version)
        read = Read(*item, self._credential.identity.resource_id, in_azure(), address)
        reason = f"{_REASONS[kind].format(noun=self.noun)} ({answer})"
        return Failure("denied", reason, repair_of_denial(kind, read))

    def _silent(self, error: Exception) -> Failure:
        """Describe what happened, without the SDK's text: it may contain what the vault sent."""
        if isinstance(error, AnswerRefused):
            return _no_answer(str(error))
        other = ("", f"the connection failed: {type(error).__name__}")
        kind, reason = next((found for sign, found in _SIGNS.items() if sign in str(error)), other)
        return _no_answer(reason, repair_of_silence(kind, vault_name(self.url)))


def _reading(secret: Any, pinned: bool) -> Reading:
    if secret.value is None:
        raise ReadError(_no_answer("its answer held no value"))
    expires, starts = secret.properties.expires_on, secret.properties.not_before
    now, note = datetime.fromtimestamp(time.time(), UTC), ""
    if expires and expires <= now:
        note = f"expired on {expires:%Y-%m-%d}"
    elif starts and starts > now:
        note = f"is not valid before {starts:%Y-%m-%d}"
    return Reading(secret.value, note, expires.timestamp() if expires else None, pinned)


def _details(response: Any) -> tuple[str, str]:
    """The innermost error code, and the address that a firewall has seen."""
    code, address, node = "", "", None
    with suppress(Exception):
        node = response.json()
    while isinstance(node, dict):
        code = str(node.get("code") or code)
        if seen := re.search(r"Client address: ([0-9.]{7,15})\b", str(node.get("message"))):
            address = seen[1]
        node = node.get("error") or node.get("innererror")
    return (code if re.fullmatch(r"\w{1,64}", code) else ""), address


_SIGNS = {
    "Failed to resolve": ("unresolved", "its name does not resolve"),
    "CERTIFICATE_VERIFY_FAILED": ("untrusted", "its TLS certificate is not trusted"),
    "challenge resource": ("foreign", "its challenge names another service"),
    "timed out": ("", "it did not answer in time"),
    "refused": ("", "it refused the connection"),
}
"""What a connection's error means: a key of repair_of_silence, and a reason."""


def _no_answer(reason: str, repair: str = TRY_AGAIN) -> Failure:
    return Failure("transient", f"the vault gave no answer: {reason}", repair)


def _is_of_network(error: Exception) -> bool:
    """Whether the connection failed, rather than one answer: requests' errors are OSErrors."""
    return isinstance(error, OSError) or isinstance(getattr(error, "inner_exception", 0), OSError)


@shared
def _open_gate(url: str) -> Gate:
    """Return the one gate of a vault, for all identities."""
    return Gate(_no_answer("it did not answer in time"), _PARALLEL_READS)
