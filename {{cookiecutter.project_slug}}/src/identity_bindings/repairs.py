"""What repairs a read that failed: a command of the Azure CLI, or a sentence where none helps."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SIGN_IN = (
    "run 'az login' or 'azd auth login', or put the value into the file that LOCAL_SECRETS_FILE"
    " names"
)
TRY_AGAIN = "the next read tries again; https://status.azure.com shows outages"
RESTART = "the next read tries again; if it lasts, restart the app"
CHECK_NETWORK = "the next read tries again; check the vault's name, its network and DNS"

_ROLES = {"secret": "Key Vault Secrets User", "key": "Key Vault Crypto User"}
_PERMISSIONS = {"secret": "--secret-permissions get", "key": "--key-permissions get sign"}


@dataclass(frozen=True)
class Read:
    """What was read, where and by whom.

    Attributes:
        noun: ``secret`` or ``key``.
        vault: The vault's name.
        name: The name of the secret or key.
        version: The version that the declaration pins; None is the newest.
        principal: The command that finds the principal id of who reads.
    """

    noun: str
    vault: str
    name: str
    version: str | None
    principal: str

    @property
    def item(self) -> str:
        """The secret or key as arguments of ``az keyvault``."""
        return f"--vault-name {self.vault} --name {self.name}"


def assign_identity(resource_id: str | None) -> str:
    """Assign the system-assigned identity, or the user-assigned one of this id, to this app."""
    identities = f" --identities {resource_id}" if resource_id else ""
    return f"az functionapp identity assign {site_arguments()}{identities}"


def _enable(read: Read) -> str:
    return f"az keyvault {read.noun} set-attributes {read.item} --enabled true"


def _join_network(read: Read) -> str:
    return "read from a network with a private endpoint and the vault's DNS"


def _open_firewall(read: Read) -> str:
    return f"'az keyvault network-rule list --name {read.vault}' shows whom it lets in"


def _assign_role(read: Read) -> str:
    return (
        f'az role assignment create --role "{_ROLES[read.noun]}" --scope $(az keyvault show'
        f" --name {read.vault} --query id --output tsv) --assignee-object-id {read.principal}"
    )


def _use_one_tenant(read: Read) -> str:
    return (
        f"vault and identity must be of one tenant: az keyvault show --name {read.vault}"
        " --query properties.tenantId"
    )


def _add_policy(read: Read) -> str:
    permissions = _PERMISSIONS[read.noun]
    return f"az keyvault set-policy --name {read.vault} {permissions} --object-id {read.principal}"


def _create(read: Read) -> str:
    command, arguments = {
        "secret": ("set", '--value "$VALUE"'),
        "key": ("create", "--kty RSA --size 3072"),
    }[read.noun]
    return f"az keyvault {read.noun} {command} {read.item} {arguments}"


OF_DENIAL: dict[str, Callable[[Read], str]] = {
    "Disabled": _enable,
    "ForbiddenByConnection": _join_network,
    "ForbiddenByFirewall": _open_firewall,
    "ForbiddenByRbac": _assign_role,
    "401": _use_one_tenant,
    "403": _add_policy,
    "404": _create,
}
"""What repairs a vault's denial, by its code or status."""


def principal(resource_id: str | None, in_azure: bool) -> str:
    """The command that finds the principal id of who reads, for use inside another command."""
    if not in_azure:
        return "$(az ad signed-in-user show --query id --output tsv)"
    user_assigned = f"az identity show --ids {resource_id}"
    shown = f"az functionapp identity show {site_arguments()}"
    return f"$({user_assigned if resource_id else shown} --query principalId --output tsv)"


def site_arguments(environment: Mapping[str, str] = os.environ) -> str:
    """Name and resource group of this app, as arguments of ``az functionapp``."""
    name = environment.get("WEBSITE_SITE_NAME", "<app>")
    return f"--name {name} --resource-group {environment.get('WEBSITE_RESOURCE_GROUP', '<group>')}"
