"""Who reads: the app's managed identity in Azure, the developer's own login elsewhere."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from .readings import Failure, ReadError

if TYPE_CHECKING:
    from azure.core.credentials import (
        AccessTokenInfo,
        SupportsTokenInfo,
        TokenRequestOptions,
    )

CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0
"""How long one request may wait. The SDK's own 300 s would hold a function for minutes."""

CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": CONNECT_SECONDS,
    "read_timeout": READ_SECONDS,
    # Sources repeat a read themselves: they know how long a caller may wait.
    "retry_total": 0,
}

_RESOURCE_ID = re.compile(
    r"/subscriptions/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/resourceGroups/[\w.()-]{1,90}"
    r"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[A-Za-z0-9][\w-]{2,127}",
    re.IGNORECASE,
)
_IN_AZURE = ("WEBSITE_SITE_NAME", "WEBSITE_POD_NAME", "CONTAINER_NAME")
_logger = logging.getLogger("identity_bindings")


@dataclass(frozen=True)
class Identity:
    """Whose identity reads: the system-assigned one, or a user-assigned one by resource id."""

    resource_id: str | None = None

    def __str__(self) -> str:
        if self.resource_id is None:
            return "the system-assigned identity"
        return f"the user-assigned identity '{self.resource_id}'"


def is_resource_id(text: str) -> bool:
    """Whether `text` is the resource id of a user-assigned identity."""
    return _RESOURCE_ID.fullmatch(text) is not None


def has_endpoint(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the platform offers managed identities to this process.

    Source: https://learn.microsoft.com/azure/app-service/overview-managed-identity
    """
    return bool(environment.get("IDENTITY_ENDPOINT") and environment.get("IDENTITY_HEADER"))


def in_azure(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process runs in Azure, with or without an identity."""
    return has_endpoint(environment) or any(environment.get(name) for name in _IN_AZURE)


class Credential:
    """The tokens of one identity, for every Azure SDK client. Thread-safe, one request at a time.

    In Azure it is exactly the declared managed identity, never a chain that falls back to another.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._lock = threading.Lock()
        self._source: SupportsTokenInfo | None = None
        self._answer: tuple[int, str] = (0, "")

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Get a token, from the SDK's cache where it holds one.

        Raises:
            ReadError: There is no token. Its failure says why, and what repairs it.
        """
        with self._lock:
            self._answer = (0, "")
            try:
                if self._source is None:
                    self._source = self._open()
                return self._source.get_token_info(*scopes, options=options or {})
            except ReadError:
                raise
            except Exception as error:
                # The SDK remembers a bad answer for a while. A new credential asks again.
                self._source = None
                failure = self._failure(type(error).__name__)
        raise ReadError(failure)

    def forget(self) -> None:
        """Drop the tokens that the SDK holds, so that the next one is new."""
        with self._lock:
            self._source = None

    def _open(self) -> SupportsTokenInfo:
        if has_endpoint():
            from azure.identity import ManagedIdentityCredential

            _quieten()
            # The synchronous credential takes `resource_id` and sends it as `mi_res_id`.
            resource_id = self.identity.resource_id
            return ManagedIdentityCredential(
                identity_config={"resource_id": resource_id} if resource_id else None,
                raw_response_hook=self._remember,
                **CLIENT_OPTIONS,
            )
        if in_azure():
            raise ReadError(not_assigned(self.identity))
        from azure.identity import (
            AzureCliCredential,
            AzureDeveloperCliCredential,
            ChainedTokenCredential,
        )

        return ChainedTokenCredential(
            AzureCliCredential(process_timeout=8), AzureDeveloperCliCredential(process_timeout=8)
        )

    def _failure(self, error: str) -> Failure:
        """Say what a failed token request means.

        The endpoint answers 400 where the identity does not exist or is not assigned to the app;
        everything else may pass by itself.
        """
        if not in_azure():
            return Failure(
                "denied",
                "no developer's login gave a token on this machine",
                "run 'az login' or 'azd auth login', or put the value into secrets.local.json",
            )
        status, text = self._answer
        if status == 400 and re.search(r"identity|\bmsi\b", text, re.IGNORECASE):
            return not_assigned(self.identity)
        answer = f"HTTP {status}" if status else error
        return Failure(
            "transient",
            f"the identity endpoint gave no token ({answer})",
            "the next read tries again; if it lasts, restart the app",
        )

    def _remember(self, response: Any) -> None:
        """Keep status and error text of the endpoint: the SDK's exceptions do not carry them."""
        http_response = response.http_response
        status = http_response.status_code
        self._answer = (status, http_response.text() if status >= 400 else "")


def not_assigned(identity: Identity) -> Failure:
    """That the app does not have `identity`, which is certain where there is no endpoint."""
    identities = f" --identities {identity.resource_id}" if identity.resource_id else ""
    return Failure(
        "denied",
        f"no identity is assigned: the app does not have {identity}",
        f"az functionapp identity assign {site_arguments()}{identities}",
    )


def _quieten() -> None:
    """Keep the SDK's own loggers from telling addresses, and answers that they cannot read.

    A level that somebody has set is theirs.
    """
    for name, level in (("azure.core", logging.WARNING), ("azure.identity", logging.CRITICAL)):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)


@cache
def open_credential(identity: Identity) -> Credential:
    """Return the one credential of `identity`: all its readers share a token."""
    return Credential(identity)


def site_arguments(environment: Mapping[str, str] = os.environ) -> str:
    """Name and resource group of this app, as arguments of ``az functionapp``."""
    name = environment.get("WEBSITE_SITE_NAME", "<app>")
    return f"--name {name} --resource-group {environment.get('WEBSITE_RESOURCE_GROUP', '<group>')}"


def principal(identity: Identity) -> str:
    """The command that finds an identity's principal id, for use inside another command."""
    shown = f"az functionapp identity show {site_arguments()}"
    if identity.resource_id:
        shown = f"az identity show --ids {identity.resource_id}"
    return f"$({shown} --query principalId --output tsv)"
