"""Key Vaults: their names and addresses, their clients, and what their answers mean."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .credentials import CLIENT_OPTIONS, Credential, Identity, site_arguments
from .readings import Failure, ReadError, Reading

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.keyvault.secrets import KeyVaultSecret, SecretClient

SUFFIXES = (
    "vault.azure.net",
    "vault.azure.cn",
    "vault.usgovcloudapi.net",
    "vault.sovcloud-api.fr",
)
"""Where vaults live: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates"""

SUFFIX_SETTING = "KEY_VAULT_DNS_SUFFIX"

_NAME = re.compile(r"(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*")
_URI = re.compile(r"https://([^/:?#@]+)(?::443)?/?", re.IGNORECASE)
_PARALLEL_READS = 8  # below the SDK's connection pool of 10


def vault_url(vault: str, settings: Mapping[str, str] = os.environ) -> str:
    """Turn a vault's name or URI into its address, ``https://name.suffix``.

    A bare name gets the suffix of the app's cloud: the setting KEY_VAULT_DNS_SUFFIX, else that of
    the public cloud.

    Raises:
        ValueError: `vault` is neither. Its text says what is allowed.
    """
    own_suffix = settings.get(SUFFIX_SETTING, "").strip().strip(".").lower() or SUFFIXES[0]
    if _NAME.fullmatch(vault):
        return f"https://{vault.lower()}.{own_suffix}"
    match = _URI.fullmatch(vault)
    if match:
        name, _, suffix = match[1].lower().partition(".")
        if suffix.startswith("managedhsm."):
            raise ValueError("a managed HSM holds no secrets; name a vault")
        if _NAME.fullmatch(name) and suffix in (own_suffix, *SUFFIXES):
            return f"https://{name}.{suffix}"
    raise ValueError(
        "a vault's name (3 to 24 letters, digits and single hyphens, a letter first) or its URI, "
        f"such as 'https://my-vault.{own_suffix}/'"
    )


def vault_name(url: str) -> str:
    """The name of the vault at `url`."""
    return url.removeprefix("https://").partition(".")[0]


class Vault:
    """One vault as seen by one identity. Thread-safe; the SDK is imported at the first read."""

    def __init__(self, url: str, credential: Credential) -> None:
        self.url = url
        self._credential = credential
        self._client: SecretClient | None = None
        self._first = threading.Lock()
        self._slots = threading.BoundedSemaphore(_PARALLEL_READS)

    def read_secret(self, name: str, version: str | None) -> Reading:
        """Read a secret's value. Blocks for the time of a few requests.

        Raises:
            ReadError: The value could not be read. Its failure says why, and what repairs it.
        """
        with self._slots:
            if self._client is not None:
                return self._read(self._client, name, version)
            # The first read goes alone: all others then share its challenge and its token.
            with self._first:
                client = self._client or self._open()
                reading = self._read(client, name, version)
                self._client = client
                return reading

    def _open(self) -> SecretClient:
        from azure.keyvault.secrets import SecretClient

        return SecretClient(self.url, self._credential, **CLIENT_OPTIONS)

    def _read(self, client: SecretClient, name: str, version: str | None) -> Reading:
        try:
            return self._get(client, name, version)
        except _Unauthorized:
            # A token may have been revoked. One new token decides.
            self._credential.forget()
            self._client = None
        try:
            return self._get(self._open(), name, version)
        except _Unauthorized:
            raise ReadError(self._refused(401, "", "", name)) from None

    def _get(self, client: SecretClient, name: str, version: str | None) -> Reading:
        from azure.core.exceptions import HttpResponseError

        try:
            secret = client.get_secret(name, version)
            if secret.value is not None:
                return _reading(secret)
            failure = _no_answer("its answer held no value")
        except ReadError:
            raise
        except HttpResponseError as error:
            if error.status_code == 401:
                raise _Unauthorized from None
            failure = self._refused(error.status_code or 0, *_details(error), name)
        except Exception as error:
            failure = _no_answer(_told(error))
        # Outside of the handlers: the SDK's exceptions hold the body that the vault sent.
        raise ReadError(failure)

    def _refused(self, status: int, code: str, retry_after: str, name: str) -> Failure:
        """Say what an answer of the vault means.

        Source: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
        """
        vault = vault_name(self.url)
        answer = f"HTTP {status}{' ' if code else ''}{code}"
        if status == 401:
            return Failure(
                "denied",
                f"the vault does not accept the identity's token ({answer})",
                f"the vault and the identity must be of one tenant: az keyvault show --name {vault}"
                " --query properties.tenantId",
            )
        if status == 404:
            return Failure(
                "denied",
                f"the vault has no such secret or version ({answer})",
                f'az keyvault secret set --vault-name {vault} --name {name} --value "$VALUE"',
            )
        if status == 403:
            return Failure("denied", *self._forbidden(answer, code, vault, name))
        return Failure(
            "transient",
            f"the vault answered {answer}",
            "the next read tries again; https://status.azure.com shows outages",
            _seconds(retry_after),
        )

    def _forbidden(self, answer: str, code: str, vault: str, name: str) -> tuple[str, str]:
        if code == "SecretDisabled":
            return (
                f"the secret is disabled ({answer})",
                f"az keyvault secret set-attributes --vault-name {vault} --name {name}"
                " --enabled true",
            )
        if code == "ForbiddenByFirewall":
            return (
                f"the vault's firewall does not let the app in ({answer})",
                f"'az keyvault network-rule list --name {vault}' shows whom it lets in",
            )
        principal = _principal(self._credential.identity)
        if code == "ForbiddenByRbac":
            return (
                f"the identity has no role for reading secrets ({answer})",
                f'az role assignment create --role "Key Vault Secrets User" --scope $(az keyvault'
                f" show --name {vault} --query id --output tsv) --assignee-principal-type"
                f" ServicePrincipal --assignee-object-id {principal}",
            )
        return (
            f"the vault's access policies do not let the identity read secrets ({answer})",
            f"az keyvault set-policy --name {vault} --secret-permissions get"
            f" --object-id {principal}",
        )


class _Unauthorized(Exception):
    """The vault answered 401."""


def _reading(secret: KeyVaultSecret) -> Reading:
    properties = secret.properties
    now = time.time()
    expires, starts = (
        moment.timestamp() if moment else None
        for moment in (properties.expires_on, properties.not_before)
    )
    note = ""
    if expires is not None and expires <= now:
        note = f"expired on {properties.expires_on:%Y-%m-%d}"
    elif starts is not None and starts > now:
        note = f"is not valid before {properties.not_before:%Y-%m-%d}"
    return Reading(secret.value, note, expires)


def _details(error: HttpResponseError) -> tuple[str, str]:
    """The code that tells one refusal from another, and the Retry-After header."""
    response: Any = error.response
    headers = response.headers if response is not None else {}
    node: Any = getattr(error, "error", None)
    code = ""
    while node is not None:
        code = getattr(node, "code", None) or code
        node = getattr(node, "innererror", None)
        if isinstance(node, dict):
            code = node.get("code") or code
            break
    return (code if re.fullmatch(r"\w{1,64}", code) else ""), headers.get("Retry-After", "")


def _told(error: Exception) -> str:
    """What happened, told without the SDK's text: that may hold what the vault sent."""
    text = str(error)
    for sign, reason in (
        ("Failed to resolve", "its name does not resolve"),
        ("CERTIFICATE_VERIFY_FAILED", "its TLS certificate is not trusted"),
        ("challenge resource", "its challenge names another service"),
        ("timed out", "it did not answer in time"),
        ("refused", "it refused the connection"),
    ):
        if sign in text:
            return reason
    return f"the connection failed: {type(error).__name__}"


def _no_answer(reason: str) -> Failure:
    return Failure(
        "transient",
        f"the vault gave no answer: {reason}",
        "the next read tries again; check the vault's name, its network and DNS",
    )


def _principal(identity: Identity) -> str:
    if identity.resource_id:
        shown = f"az identity show --ids {identity.resource_id}"
    else:
        shown = f"az functionapp identity show {site_arguments()}"
    return f"$({shown} --query principalId --output tsv)"


def _seconds(retry_after: str) -> float:
    return float(retry_after) if re.fullmatch(r"\d{1,6}", retry_after) else 0.0
