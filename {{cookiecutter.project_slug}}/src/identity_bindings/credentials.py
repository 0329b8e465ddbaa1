"""Who reads: the app's managed identity in Azure, the developer's own login elsewhere."""

import os
import re
from dataclasses import dataclass
from shlex import quote
from threading import Lock
from time import time
from typing import Any

from .errors import Failure, ReadError
from .timing import Gate, budget, load, making, shared

AccessTokenInfo = Any  # of azure.core.credentials, which is imported at the first read

# Without `a`, ignoring case would let look-alikes through: the long s, and the sign of Kelvin.
RESOURCE_ID = (
    r"(?ai:/subscriptions/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/resourceGroups/)[\w.()-]{1,90}"
    r"(?ai:/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[A-Z0-9][\w-]{2,127})"
)
"""The pattern of a user-assigned identity's resource id."""

_SIGN_IN = "run 'az login' or 'azd auth login'; a secret may be in the file of LOCAL_SECRETS_FILE"
_RESTART = "the next read tries again; if it lasts, restart the app"
_LONGEST_LIFE = 86_400 + 300  # of a managed identity's token; clocks may differ by 5 minutes
_DOUBTFUL_LIFE = 600  # of one with an impossible end: the SDK renews it 300 s before


@dataclass(frozen=True)
class Identity:
    """The identity that reads: the system-assigned one, or a user-assigned one by resource id."""

    resource_id: str | None = None

    def __str__(self) -> str:
        if self.resource_id is None:
            return "the system-assigned identity"
        return f"the user-assigned identity '{self.resource_id}'"


def has_endpoint() -> bool:
    """Return whether the platform offers managed identities to this process.

    Source: https://learn.microsoft.com/azure/app-service/overview-managed-identity
    """
    return bool(os.environ.get("IDENTITY_ENDPOINT") and os.environ.get("IDENTITY_HEADER"))


def in_azure() -> bool:
    """Return whether this process runs in Azure, with or without an identity.

    Without an endpoint the host shows it: it sets the name and the plan ("SKU") of the site.
    """
    on_site = os.environ.get("WEBSITE_SITE_NAME") and os.environ.get("WEBSITE_SKU")
    return has_endpoint() or bool(on_site)


def is_emulator(url: str) -> bool:
    """Return whether `url` is the address of a Key Vault emulator on this machine."""
    return re.fullmatch(r"(?ai:https://(localhost|127\.0\.0\.1)(:\d{1,5})?/?)", url) is not None


class Credential:
    """The tokens of one identity, for every Azure SDK client. Thread-safe.

    In Azure it is exactly the declared managed identity, never a chain that falls back to another.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._lock = Lock()  # whoever waits for it gets the SDK's cached token
        self._gate = Gate(_no_token("it did not answer in time"))
        self._source: Any = None

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        """Get a token, or raise ReadError: its failure says why, and what repairs it."""
        with self._lock, self._gate.turn(), budget.of_read():
            budget.answer = None
            try:
                with making:
                    source = self._source = self._source or self._open()
                return self._usable(source.get_token_info(*scopes, options=options))
            except Exception as error:
                # The SDK remembers a bad answer for a while. A new credential asks again.
                self._source = None
                failed = error.failure if isinstance(error, ReadError) else self._failure(error)
            raise ReadError(failed)

    @property
    def show_principal(self) -> str:
        """The command that shows the object id of who reads."""
        if not in_azure():
            return "az ad signed-in-user show --query id"
        if self.identity.resource_id:
            return f"az identity show --ids {quote(self.identity.resource_id)} --query principalId"
        return f"az functionapp identity show {site_arguments()} --query principalId"

    def forget(self) -> None:
        """Drop the tokens that are held, so that the next one is new."""
        self._source = None

    def _usable(self, info: AccessTokenInfo) -> AccessTokenInfo:
        """Return the token; one whose end is over, or too far away to be true, ends soon."""
        if not re.fullmatch(r"[\x21-\x7e]+", info.token):
            raise ValueError("no header can have it")
        if not in_azure() or 0 < info.expires_on - time() <= _LONGEST_LIFE:
            return info
        self._source = None  # it would hand the token out until its end
        return type(info)(info.token, int(time()) + _DOUBTFUL_LIFE)

    def _open(self) -> Any:
        if in_azure() and not has_endpoint():
            raise ReadError(not_assigned(self.identity))
        sdk = load("azure.identity")
        if not in_azure():
            logins = (sdk.AzureCliCredential, sdk.AzureDeveloperCliCredential)
            return sdk.ChainedTokenCredential(*(login(process_timeout=8) for login in logins))
        # The synchronous credential takes `resource_id` and sends it as `mi_res_id`.
        chosen = {"resource_id": self.identity.resource_id} if self.identity.resource_id else None
        # Never by a proxy: the endpoint's header is a credential.
        options = load(".transport").client_options(proxied=False)
        credential = sdk.ManagedIdentityCredential(identity_config=chosen, **options)
        load(".transport").quiet()  # the loggers of what this has imported
        return credential

    def _failure(self, error: Exception) -> Failure:
        """Say what an error means: 400 is an identity that is not assigned, the rest may pass."""
        if not in_azure():
            return Failure("denied", "no developer's login gave a token on this machine", _SIGN_IN)
        answer = budget.answer  # the SDK's exceptions do not carry it
        if answer is None:
            return self._gate.close(_no_token(type(error).__name__))
        if answer.status_code == 400 and re.search(r"(?i)identity|\bmsi\b", answer.text):
            return not_assigned(self.identity)
        seconds = load(".transport").retry_after(answer)
        return self._gate.close(_no_token(f"HTTP {answer.status_code}", seconds))


class EmulatorCredential(Credential):
    """A token that opens nothing: an emulator accepts any, and gets none of the developer's."""

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        """Return what looks like a token, for an hour."""
        token_info = load("azure.core.credentials").AccessTokenInfo
        return token_info("eyJhbGciOiJIUzI1NiJ9.e30.AA", int(time()) + 3600)


def _no_token(answer: str, retry_after: float = 0.0) -> Failure:
    reason = f"the identity endpoint gave no token ({answer})"
    return Failure("transient", reason, _RESTART, retry_after)


def not_assigned(identity: Identity) -> Failure:
    """Return the failure of an app that does not have `identity`."""
    reason = f"no identity is assigned: the app does not have {identity}"
    if not has_endpoint():
        reason += "; WEBSITE_SITE_NAME and WEBSITE_SKU say that this is Azure: unset them elsewhere"
    ids = f" --identities {quote(identity.resource_id)}" if identity.resource_id else ""
    return Failure("denied", reason, f"az functionapp identity assign {site_arguments()}{ids}")


def site_arguments() -> str:
    """Return name and resource group of this app, as arguments of ``az functionapp``."""
    name = os.environ.get("WEBSITE_SITE_NAME", "<app>")
    group = os.environ.get("WEBSITE_RESOURCE_GROUP", "")
    # Not every plan sets the resource group.
    found = f'"$(az functionapp list --query "[?name==\'{name}\'].resourceGroup" --output tsv)"'
    return f"--name {quote(name)} --resource-group {quote(group) if group else found}"


open_credential = shared(Credential)
"""Return the one credential of an identity: all its readers share a token."""
