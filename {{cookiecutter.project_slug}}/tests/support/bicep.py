"""The Bicep compiler, and what its offline prediction of a deployment says about access.

What only Azure knows stays an expression, such as `[reference('…', …).identity.principalId]`.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

INFRA = Path(__file__).resolve().parents[2] / "infra"
SUBSCRIPTION = "00000000-0000-0000-0000-00000000a110"
TENANT = "00000000-0000-0000-0000-0000000000aa"
WHERE = f"--tenant-id {TENANT} --subscription-id {SUBSCRIPTION} --resource-group rg-test"
WHERE += " --location westeurope --deployment-name main"
# Where the deployment names an identity that exists.
IDENTITY = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-shared/providers"
IDENTITY += "/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared"

# Those that the tests name: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Azure Service Bus Data Receiver",
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
    "00000000-0000-0000-0000-000000000001": "Cosmos DB Built-in Data Reader",
    "00000000-0000-0000-0000-000000000002": "Cosmos DB Built-in Data Contributor",
}


def find_bicep() -> str | None:
    """Find the compiler: $BICEP, else `bicep` on PATH, else the one that `az bicep` installed."""
    azure = os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure"
    path = os.pathsep.join((os.environ.get("PATH", ""), str(Path(azure, "bin"))))
    return os.environ.get("BICEP") or shutil.which("bicep", path=path)


@functools.cache
def predict() -> tuple[list[str], dict[str, Any]]:
    """Predict the deployment of main.bicepparam: every warning and error, and its resources."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(shutil.copytree(INFRA, Path(folder, "infra")), "main.bicepparam")
        text = re.sub("^param cloud = .*", "", file.read_text("utf-8"), flags=re.MULTILINE)
        file.write_text(f"{text}\nparam cloud = 'AzureCloud'\n", "utf-8")
        variables = dict(os.environ)
        for line, name in re.findall(r"(.*)readEnvironmentVariable\('(\w+)'", text):
            variables.pop(name, None)  # of the person who runs the tests
            if line.startswith("param identityId"):
                variables[name] = IDENTITY
        words = [str(find_bicep()), "snapshot", str(file), "--mode", "overwrite", *WHERE.split()]
        done = subprocess.run(words, env=variables, capture_output=True, text=True)
        written = file.with_suffix(".snapshot.json")
        snapshot = json.loads(written.read_text("utf-8")) if written.exists() else {}
    told = [line.removeprefix(folder) for line in (done.stderr + done.stdout).splitlines()]
    return [line for line in told if " : " in line or "rror" in line], snapshot


class Grant(NamedTuple):
    who: str  # 'system', the resource id of a user-assigned identity, or an object id
    what: str  # a role's name, or a permission of an access policy such as 'secrets: get'
    where: str  # the resource's id


def resources(snapshot: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the predicted resources of a type."""
    return [one for one in snapshot["predictedResources"] if one["type"] == kind]


def app_settings(snapshot: dict[str, Any]) -> dict[str, str]:
    """Return the app settings that the deployment writes."""
    (settings,) = (
        one["properties"]
        for one in resources(snapshot, "Microsoft.Web/sites/config")
        if one["name"].endswith("/appsettings")
    )
    return dict(settings)


def grants(snapshot: dict[str, Any]) -> list[Grant]:
    """List what the deployment grants, by role and by access policy."""
    found = []
    for one in snapshot["predictedResources"]:
        properties, kind = one.get("properties", {}), one["type"].rpartition("/")[2]
        if kind in ("roleAssignments", "sqlRoleAssignments"):  # Cosmos DB has roles of its own
            role = properties["roleDefinitionId"].rpartition("/")[2]
            extended = re.match(r"\[extensionResourceId\('([^']+)'", one["id"])
            where = extended[1] if extended else one["id"].partition("/providers/Microsoft.Auth")[0]
            who = identity_of(properties["principalId"])
            found.append(Grant(who, ROLES.get(role, role), properties.get("scope", where)))
        where = one["id"].partition("/accessPolicies/")[0]
        for policy in properties.get("accessPolicies", []):
            who = identity_of(policy["objectId"])
            for of, names in policy["permissions"].items():
                found += [Grant(who, f"{of}: {name}", where) for name in names]
    return found


def identity_of(principal: str) -> str:
    """Read the identity of a principal from an expression like `[reference('<id>', …).principalId]`."""
    referred = re.fullmatch(r"\[reference\('([^']+)'.*\)(\.identity)?\.principalId\]", principal)
    if not referred:
        return principal
    return "system" if referred[2] and "/sites/" in referred[1] else referred[1]
