"""Key Vaults: their names and addresses, their clients, and what their answers mean."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .credentials import EmulatorCredential, Identity, in_azure, is_emulator, open_credential
from .declarations import Property
from .errors import AnswerRefused, Failure, ReadError, Reading
from .timing import Gate, budget, load, making, shared

SUFFIXES = (
    *("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "vault.sovcloud-api.fr"),
    *("vault.cloudapi.eaglex.ic.gov", "vault.cloudapi.microsoft.scloud"),
)
"""Where vaults live: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates"""

_NAME = re.compile(r"(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*")
_URI = re.compile(r"https://([^/:?#@]+)(?::443)?/?", re.IGNORECASE)
_ALLOWED = "a vault's name (3 to 24 letters, digits and single hyphens, a letter first) or its URI"
_TRY_AGAIN = "the next read tries again; https://status.azure.com shows outages"
_EMULATOR = "the emulator must run, have the secret, and be trusted: see REQUESTS_CA_BUNDLE"
_PARALLEL_READS = 8  # below the SDK's connection pool of 10
_OF_THE_VAULT = (429, 502, 503, 504)  # they concern whoever reads from it


def vault_url(vault: str) -> str:
    """Turn a vault's name or URI into its address, ``https://name.suffix``.

    A bare name gets the suffix of the app's cloud: the setting KEY_VAULT_DNS_SUFFIX, else that of
    the public cloud. Outside of Azure an emulator's ``https://localhost:port`` is accepted too.

    Raises:
        ValueError: `vault` is neither. Its text says what is allowed.
    """
    setting = os.environ.get("KEY_VAULT_DNS_SUFFIX", "")
    own_suffix = setting.strip().strip(".").lower() or SUFFIXES[0]
    if is_emulator(vault):
        if in_azure():
            raise ValueError("in Azure a vault, not an emulator")
        return vault.rstrip("/").lower().removesuffix(":443")
    address = _URI.fullmatch(vault)
    host = address[1] if address else f"{vault}.{own_suffix}"
    name, _, suffix = host.lower().partition(".")
    if vault.isascii() and _NAME.fullmatch(name) and suffix in SUFFIXES:
        return f"https://{name}.{suffix}"
    if _NAME.fullmatch(vault):
        allowed = f"KEY_VAULT_DNS_SUFFIX, now '{own_suffix}', must be one of: {', '.join(SUFFIXES)}"
        raise ValueError(f"the full URI of a vault, or {allowed}")
    raise ValueError(f"{_ALLOWED}, such as 'https://my-vault.{SUFFIXES[0]}/'")


VAULT_NAME = Property(vault_url)


def vault_name(url: str) -> str:
    """Return the name of the vault at `url`; of an emulator, its host and port."""
    return url.removeprefix("https://").partition(".vault.")[0]


# What an answer of the vault means, by its code or status; Vault.repairs says what repairs it.
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
_CHECK = "the next read tries again; check its name, network, DNS, HTTPS_PROXY, REQUESTS_CA_BUNDLE"
# What a part of a connection's error means, and what repairs it.
_SILENCES = {
    "Failed to resolve": (
        "its name does not resolve",
        "`az keyvault show --name {vault}` shows whether the vault exists, `az keyvault recover"
        " --name {vault}` recovers a deleted one; if it exists, check the DNS of the app's network",
    ),
    "CERTIFICATE_VERIFY_FAILED": (
        "its TLS certificate is not trusted",
        "something between the app and the vault answers instead of it, such as a proxy that"
        " inspects TLS: exempt the vault's host name",
    ),
    "challenge resource": (
        "its challenge names another service",
        "another service answers instead of the vault: check KEY_VAULT_DNS_SUFFIX and the DNS of"
        " the app's network",
    ),
    "timed out": ("it did not answer in time", _CHECK),
    "refused": ("it refused the connection", _CHECK),
}


class Vault:
    """One vault as seen by one identity. Thread-safe; the SDK is imported at the first read."""

    noun = "secret"
    role, permissions = "Key Vault Secrets User", "secrets:['get']"
    create = "python scripts/set_secrets.py {name} --vault {vault}"
    sdk = ("azure.keyvault.secrets", "SecretClient")

    def __init__(self, url: str, identity: Identity) -> None:
        self.url, self.name = url, vault_name(url)
        emulated = is_emulator(url)
        self._credential = EmulatorCredential(identity) if emulated else open_credential(identity)
        self._client: Any = None
        self._gate = _open_gate(url)

    def read_secret(self, name: str, version: str | None) -> Reading:
        """Read a secret's value, or raise ReadError: its failure says why, and what repairs it."""
        reading: Reading = self._ask(_read_secret, name, version)
        return reading

    def _options(self, **transport: Any) -> dict[str, Any]:
        options: dict[str, Any] = load(".transport").client_options(proxied=True, **transport)
        # An emulator's challenge names Azure's vaults, and it gets no token that is worth anything.
        return options | {"verify_challenge_resource": not is_emulator(self.url)}

    def _open(self) -> Any:
        module, name = self.sdk
        return getattr(load(module), name)(self.url, self._credential, **self._options())

    def _ask(self, ask: Callable[..., Any], name: str, version: str | None) -> Any:
        # The first read goes alone: all others then share its challenge and its token.
        with self._gate.turn(), budget.of_read():
            for fresh_token in (False, True):
                try:
                    with making:
                        client = self._client = self._client or self._open()
                    return ask(client, name, version)
                except ReadError:
                    raise
                except Exception as error:
                    status, failure = self._failure(error, name, version)
                # Raised outside of the handlers: the SDK's exceptions hold what the vault sent.
                if status != 401 or fresh_token:
                    break
                # The token may have been revoked. One new token decides.
                self._credential.forget()
                self._client = None
            raise ReadError(failure)

    def _failure(self, error: Exception, name: str, version: str | None) -> tuple[int, Failure]:
        """Return the status, and what it means. A failure of the whole vault closes its gate."""
        status = getattr(error, "status_code", None) or 0  # 0: no answer, or a wrong challenge
        if status >= 400:
            failure, shared = self._refused(name, version), status in _OF_THE_VAULT
        else:  # without the SDK's text: it may contain what the vault sent
            failure = self._silent(error, "" if status else str(error))
            shared = isinstance(getattr(error, "inner_exception", error), OSError)
        if is_emulator(self.url):
            failure = replace(failure, repair=_EMULATOR)
        return status, self._gate.close(failure) if shared else failure

    def _refused(self, name: str, version: str | None) -> Failure:
        answer = budget.answer
        codes = re.findall(r'"code"\s*:\s*"(\w{1,64})"', answer.text)  # the innermost is the last
        code, status = codes[-1] if codes else "", str(answer.status_code)
        said = f"HTTP {status} {code}".strip()
        kind = "Disabled" if code.endswith("Disabled") else code if code in _REASONS else status
        if kind not in _REASONS:
            seconds = load(".transport").retry_after(answer)
            return Failure("transient", f"the vault answered {said}", _TRY_AGAIN, seconds)
        address = re.search(r"Client address: ([0-9.]{7,15})\b", answer.text)
        repair = self.repairs(name, version, address[1] if address else "'<address>'")[kind]
        return Failure("denied", f"{_REASONS[kind].format(noun=self.noun)} ({said})", repair)

    def _silent(self, error: Exception, text: str) -> Failure:
        failed = "the connection failed" if budget.answer is None else "its answer cannot be read"
        other = text if isinstance(error, AnswerRefused) else f"{failed}: {type(error).__name__}"
        found = (meaning for sign, meaning in _SILENCES.items() if sign in text)
        reason, repair = next(found, (other, _CHECK))
        return _no_answer(reason, repair.format(vault=self.name))

    def repairs(self, name: str, version: str | None, address: str) -> dict[str, str]:
        """Say what repairs a denial, by its code or status: a command, or a sentence.

        A command works as it is printed, in a POSIX shell and in PowerShell; in a sentence it is
        between backquotes. `address` is that of the client, where the vault's firewall reports it.
        """
        noun, vault = self.noun, self.name
        item = f"--vault-name {vault} --name {name}"
        vault_id = f"$(az keyvault show --name {vault} --query id --output tsv)"
        reader_id = f"$({self._credential.show_principal} --output tsv)"
        network = "the app's network" if in_azure() else "this machine's network"
        join = f"{network} needs an approved private endpoint of the vault, and the vault's private"
        join += f' DNS zone: `az network private-endpoint-connection list --id "{vault_id}"`'
        admit = f"az keyvault network-rule add --name {vault} --ip-address {address}"
        if in_azure():
            admit = f"{join}, or a subnet that has the service endpoint Microsoft.KeyVault and that"
            admit += " the vault's network rules allow"
        pinned = f" --version {version}" if version else ""
        versions = f"`az keyvault {noun} list-versions {item}` lists the versions that exist:"
        versions += " correct the version in the declaration, or leave it out"
        recover = f"`az keyvault {noun} recover {item}` recovers it if it was deleted"
        create = f"`{self.create.format(vault=vault, name=name)}` creates it"
        policy = f"tenantId:properties.tenantId,objectId:'{reader_id}'"
        policies = f"{{accessPolicies:[{{{policy},permissions:{{{self.permissions}}}}}]}}"
        return {
            "Disabled": f"az keyvault {noun} set-attributes {item}{pinned} --enabled true",
            "ForbiddenByConnection": join,
            "ForbiddenByFirewall": admit,
            "ForbiddenByRbac": f'az role assignment create --role "{self.role}"'
            f' --scope "{vault_id}" --assignee-object-id "{reader_id}"'
            f" --assignee-principal-type {'ServicePrincipal' if in_azure() else 'User'}",
            "401": "the vault and the identity must be in the same tenant; the vault's is:"
            f" `az keyvault show --name {vault} --query properties.tenantId`",
            # 'az keyvault set-policy' would replace what the identity may do with secrets.
            "403": f"az keyvault show --name {vault}"
            f' --query "{{properties:{policies}}}" --output json'
            f' | az rest --method put --url "{vault_id}/accessPolicies/add?api-version=2026-02-01"'
            " --body '@-'",
            "404": f"{versions}; {recover}" if version else f"{recover}, {create}",
        }


def _read_secret(client: Any, name: str, version: str | None) -> Reading:
    secret = client.get_secret(name, version)
    if secret.value is None:
        raise ReadError(_no_answer("its answer held no value"))
    expires, starts = secret.properties.expires_on, secret.properties.not_before
    now, note = datetime.now(UTC), ""
    if expires and expires <= now:
        note = f"expired on {expires:%Y-%m-%d}"
    elif starts and starts > now:
        note = f"is not valid before {starts:%Y-%m-%d}"
    return Reading(secret.value, note, expires, version is not None)


def _no_answer(reason: str, repair: str = _TRY_AGAIN) -> Failure:
    return Failure("transient", f"the vault gave no answer that can be used: {reason}", repair)


_open_gate = shared(lambda url: Gate(_no_answer("it did not answer in time"), _PARALLEL_READS))
"""Return the one gate of a vault, for all identities."""
