"""The errors of this package, and what one read yields: a reading, or why there is none.

Every message says what to do; none carries a secret's value.
"""

import json
import logging
import os
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from reprlib import Repr
from shlex import quote
from typing import Any, Literal, NamedTuple, Protocol

logger = logging.getLogger("identity_bindings")
"""The log of this package."""


def _handle(record: logging.LogRecord) -> None:
    with suppress(Exception):  # a filter or handler of the app must not stop the engine
        logging.Logger.handle(logger, record)


logger.handle = _handle  # type: ignore[method-assign]

_said: dict[tuple[object, ...], object] = {}


def say_once(*message: object) -> None:
    """Log a warning, which may have arguments, once in a process."""
    mine = object()
    if _said.setdefault(message, mine) is mine:
        logger.warning(*message)


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


class IdentityBindingError(Exception):
    """The base of every error that this package raises."""


class BindingUnavailableError(IdentityBindingError):
    """A declared value could not be read, so the function was not called.

    Its text is one line: the function, the binding, the secret and its vault, the identity, the
    reason, and the command or step that repairs it.
    """

    own = False  # whether the engine has raised it: then its text holds no value


@dataclass(frozen=True)
class Problem:
    """What is wrong with a declaration: where it is, its property, the value, what is accepted."""

    file: str
    property: str
    value: object
    allowed: str
    # What an import raised: the log shows its traceback.
    cause: BaseException | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        line = f"{self.file}: {self.property}: {_SHORT.repr(self.value)}: {self.allowed}"
        # One line of the log, whatever a name holds.
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


@dataclass(frozen=True)
class Reading:
    """A value as it was read."""

    value: Any = field(repr=False)
    note: str = ""  # what the log says about it once, such as that it has expired
    expires: float | None = None  # in seconds since 1970
    pinned: bool = False  # it cannot change, and is never read again
    lifetime: float = inf  # how many seconds it may be used, whatever fails
    origin: str = ""  # where it was read from, if not from the vault

    def field(self, name: str) -> "str | Failure":
        """Find a field of the value's JSON: a text, or a number or boolean as JSON writes it."""
        content, reason = self._content, "the field is not a text, number or boolean"
        if not isinstance(content, dict):
            reason = "the value is not a JSON object"
        elif name not in content:
            reason = "the field is missing"
        elif isinstance(found := content[name], str | bool):
            return found if isinstance(found, str) else json.dumps(found)
        return Failure("denied", reason, f"set the secret to a JSON object with the field '{name}'")

    @cached_property
    def _content(self) -> Any:
        """The value parsed as JSON, with numbers as text; None if it is not JSON."""
        with suppress(ValueError, RecursionError):
            return json.loads(self.value.removeprefix("\ufeff"), parse_int=str, parse_float=str)
        return None


@dataclass(frozen=True)
class Failure:
    """Why one read failed: the service denies it until somebody repairs the cause, or a fault.

    A shared one concerns all reads from the vault or by the identity; `retry_after` is then the
    time until one of them may try again.
    """

    kind: Literal["denied", "transient"]
    reason: str
    repair: str  # a command or a sentence
    retry_after: float = 0.0  # the seconds that the service asked to wait
    shared: bool = False


class ReadError(IdentityBindingError):
    """One read failed. Passes the failure from the clients to the source."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class AnswerRefused(ValueError):
    """An answer that the transport does not accept. Its text says why, and nothing of the answer."""


class Readable(Protocol):
    """What a source reads."""

    @property
    def key(self) -> Hashable:
        """Equal for two declarations that one source can serve."""

    def read(self) -> Reading:
        """Read the value now. Blocks. Raises ReadError if there is none."""


SIGN_IN = (
    "run 'az login' or 'azd auth login', or put the value into the file that LOCAL_SECRETS_FILE"
    " names"
)
TRY_AGAIN = "the next read tries again; https://status.azure.com shows outages"
EMULATOR = "the emulator must run, have the secret, and be trusted: see REQUESTS_CA_BUNDLE"
RESTART = "the next read tries again; if it lasts, restart the app"

_ROLES = {"secret": "Key Vault Secrets User", "key": "Key Vault Crypto User"}
_PERMISSIONS = {"secret": "secrets:['get']", "key": "keys:['get','sign']"}
_CREATE = {
    "secret": "python scripts/set_secrets.py {name} --vault {vault}",
    "key": "az keyvault key create --vault-name {vault} --name {name} --kty RSA --size 3072"
    " --ops sign verify",
}


class Read(NamedTuple):
    """What was read, where and by whom."""

    noun: str  # secret or key
    vault: str
    name: str
    version: str | None  # None is the newest
    identity_id: str | None  # None is the system-assigned identity
    in_azure: bool
    address: str = ""  # of the client, where the vault reports it


def assign_identity(resource_id: str | None) -> str:
    """Assign the system-assigned identity, or the user-assigned one of this id, to this app."""
    identities = f" --identities {quote(resource_id)}" if resource_id else ""
    return f"az functionapp identity assign {site_arguments()}{identities}"


def repair_of_denial(code: str, read: Read) -> str:
    """What repairs a vault's denial, by its code or status: a command, or a sentence.

    A command works as it is printed, in a POSIX shell and in PowerShell; in a sentence it is between
    backquotes.
    """
    noun, vault, name, version = read[:4]
    item, app = f"--vault-name {vault} --name {name}", site_arguments()
    vault_id = f"$(az keyvault show --name {vault} --query id --output tsv)"
    shown = f"az functionapp identity show {app}"
    if read.identity_id:
        shown = f"az identity show --ids {quote(read.identity_id)}"
    principal_id = f"$({shown} --query principalId --output tsv)"
    place, kind = "the app's network", "ServicePrincipal"
    if not read.in_azure:
        principal_id = "$(az ad signed-in-user show --query id --output tsv)"
        place, kind = "this machine's network", "User"
    join = (
        f"{place} needs an approved private endpoint of the vault, and the vault's private DNS zone:"
        f' `az network private-endpoint-connection list --id "{vault_id}"`'
    )
    add = f"az keyvault network-rule add --name {vault} --ip-address"
    recover = f"`az keyvault {noun} recover {item}` recovers it if it was deleted"
    create = _CREATE[noun].format(vault=vault, name=name)
    restore = f"{recover}, `{create}` creates it"
    if version:
        restore = (
            f"`az keyvault {noun} list-versions {item}` lists the versions that exist:"
            f" correct the version in the declaration, or leave it out; {recover}"
        )
    pinned = f" --version {version}" if version else ""
    policy = (
        f"{{tenantId:properties.tenantId,objectId:'{principal_id}',"
        f"permissions:{{{_PERMISSIONS[noun]}}}}}"
    )
    return {
        "Disabled": f"az keyvault {noun} set-attributes {item}{pinned} --enabled true",
        "ForbiddenByConnection": join,
        "ForbiddenByFirewall": f"{join}, or a subnet that has the service endpoint Microsoft.KeyVault"
        " and that the vault's network rules allow"
        if read.in_azure
        else f"{add} {quote(read.address or '<address>')}",
        "ForbiddenByRbac": f'az role assignment create --role "{_ROLES[noun]}" --scope "{vault_id}"'
        f' --assignee-object-id "{principal_id}" --assignee-principal-type {kind}',
        "401": "the vault and the identity must be in the same tenant; the vault's is:"
        f" `az keyvault show --name {vault} --query properties.tenantId`",
        # 'az keyvault set-policy' would replace what the identity may do with secrets.
        "403": f'az keyvault show --name {vault} --query "{{properties:{{accessPolicies:[{policy}]}}}}"'
        " --output json | az rest --method put --url"
        f' "{vault_id}/accessPolicies/add?api-version=2026-02-01"'
        " --body '@-'",
        "404": restore,
    }[code]


def repair_of_silence(sign: str, vault: str) -> str:
    """What repairs a vault that does not answer, by what happened."""
    found = {
        "unresolved": f"`az keyvault show --name {vault}` shows whether the vault exists,"
        f" `az keyvault recover --name {vault}` recovers a deleted one; if it exists, check the"
        " DNS of the app's network",
        "untrusted": "something between the app and the vault answers instead of it, such as a proxy"
        " that inspects TLS: exempt the vault's host name",
        "foreign": "another service answers instead of the vault: check KEY_VAULT_DNS_SUFFIX and the"
        " DNS of the app's network",
    }
    return found.get(sign, "the next read tries again; check the vault's name, its network and DNS")


def site_arguments() -> str:
    """Name and resource group of this app, as arguments of ``az functionapp``."""
    name = os.environ.get("WEBSITE_SITE_NAME", "<app>")
    group = os.environ.get("WEBSITE_RESOURCE_GROUP", "")
    # Not every plan sets the resource group.
    found = f'"$(az functionapp list --query "[?name==\'{name}\'].resourceGroup" --output tsv)"'
    return f"--name {quote(name)} --resource-group {quote(group) if group else found}"
