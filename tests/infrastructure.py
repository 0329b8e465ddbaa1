"""Reading what the Bicep compiler says of a project: its warnings, its template and its what-if."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bicep as bicep
import pytest

# What `bicep snapshot` says that a deployment would make.
WhatIf = dict[str, Any]

SITE = "Microsoft.Web/sites"
SCM = f"{SITE}/basicPublishingCredentialsPolicies"
PLAN = "Microsoft.Web/serverfarms"
STORAGE = "Microsoft.Storage/storageAccounts"
INSIGHTS = "Microsoft.Insights/components"
ALERT = "Microsoft.Insights/scheduledQueryRules"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"
WORKSPACE = "Microsoft.OperationalInsights/workspaces"
VAULT = "Microsoft.KeyVault/vaults"
POLICY = f"{VAULT}/accessPolicies"
KEY = f"{VAULT}/keys"
ROLE = "Microsoft.Authorization/roleAssignments"
COSMOS = "Microsoft.DocumentDB/databaseAccounts"
COSMOS_ROLE = f"{COSMOS}/sqlRoleAssignments"
BUS = "Microsoft.ServiceBus/namespaces"
CONTAINER = f"{STORAGE}/blobServices/containers"
NETWORK = "Microsoft.Network/virtualNetworks"
ZONE = "Microsoft.Network/privateDnsZones"
LINK = f"{ZONE}/virtualNetworkLinks"
ENDPOINT = "Microsoft.Network/privateEndpoints"
RECORD = f"{ENDPOINT}/privateDnsZoneGroups"
SUBNET = f"{NETWORK}/subnets"


def start_compiler(variables: dict[str, str]) -> Iterator[Any]:
    """Give a compiler that sees these variables of the environment, or skip the test."""
    command = bicep.find_bicep()
    if not command:
        pytest.skip("no Bicep compiler: set BICEP, or install one with `az bicep install`")
    compiler = bicep.Bicep(command, variables)
    yield compiler
    compiler.close()


_formatted: set[str] = set()  # Most files are the same in many projects.


def compiled(compiler: Any, infra: Path) -> tuple[list[str], dict[str, Any]]:
    """Compile main.bicepparam with main.bicep: every warning and error, and the template."""
    found: tuple[list[str], dict[str, Any]] = compiler.compile(infra / "main.bicepparam")
    return found


def unformatted(compiler: Any, infra: Path) -> list[str]:
    """List every file that is not as `bicep format` writes it."""
    found = []
    for file in infra.rglob("*.bicep*"):
        text = file.read_text("utf-8")
        if text in _formatted or compiler.format(file) == text:
            _formatted.add(text)
        else:
            found.append(file.name)
    return found


def only(what_if: WhatIf, kind: str) -> dict[str, Any]:
    """Pick the one resource of a type."""
    found: list[dict[str, Any]] = bicep.resources(what_if, kind)
    (one,) = found
    return one


def host_storage(what_if: WhatIf) -> dict[str, Any]:
    """Pick the storage account of the host, whose package container no other one has."""
    containers = bicep.resources(what_if, CONTAINER)
    (package,) = [one["id"] for one in containers if one["id"].endswith("/app-package")]
    accounts: list[dict[str, Any]] = bicep.resources(what_if, STORAGE)
    (account,) = [one for one in accounts if package.startswith(f"{one['id']}/")]
    return account


def service(what_if: WhatIf, name: str) -> dict[str, Any]:
    """Pick the resource that holds a service's data."""
    if name == "blob-storage":
        host = host_storage(what_if)
        accounts: list[dict[str, Any]] = bicep.resources(what_if, STORAGE)
        (account,) = [one for one in accounts if one != host]
        return account
    return only(what_if, {"cosmos-db": COSMOS, "service-bus": BUS}[name])
