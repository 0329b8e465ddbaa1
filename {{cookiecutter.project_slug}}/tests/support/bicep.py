"""The Bicep compiler, and what its prediction of a deployment says about access.

`bicep snapshot` predicts offline which resources a deployment creates. What only Azure knows stays
an expression, such as `[reference('…/sites/my-app', …).identity.principalId]`.
"""

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
DEPLOYMENT = {
    "tenantId": "00000000-0000-0000-0000-0000000000aa",
    "subscriptionId": SUBSCRIPTION,
    "resourceGroup": "rg-test",
    "location": "westeurope",
    "deploymentName": "main",
}
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-test"
# Parameters that a deployment takes from its surroundings, as Bicep expressions.
SURROUNDINGS = {
    "cloud": "'AzureCloud'",
    "identityId": f"'/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-shared/providers"
    "/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared'",
}

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
    if named := os.environ.get("BICEP") or shutil.which("bicep"):
        return named
    azure = Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure")
    installed = azure / "bin" / ("bicep.exe" if os.name == "nt" else "bicep")
    return str(installed) if installed.is_file() else None


def predict(command: str) -> tuple[list[str], dict[str, Any]]:
    """Predict the deployment of main.bicepparam: every warning and error, and its resources."""
    with tempfile.TemporaryDirectory() as folder:
        infra = Path(shutil.copytree(INFRA, Path(folder, "infra")))
        file = infra / "main.bicepparam"
        file.write_text(with_parameters(INFRA), "utf-8")
        words = [command, "snapshot", str(file), "--mode", "overwrite"]
        for name, value in DEPLOYMENT.items():
            words += ["--" + re.sub("([A-Z])", r"-\1", name).lower(), value]
        read = re.findall(r"readEnvironmentVariable\('(\w+)'", file.read_text("utf-8"))
        variables = {name: value for name, value in os.environ.items() if name not in read}
        done = subprocess.run(words, env=variables, capture_output=True, text=True)
        written = infra / "main.snapshot.json"
        snapshot = json.loads(written.read_text("utf-8")) if written.exists() else {}
    told = [line.removeprefix(folder) for line in (done.stderr + done.stdout).splitlines()]
    return [line for line in told if " : " in line or "rror" in line], snapshot


def with_parameters(infra: Path, **parameters: str) -> str:
    """Return main.bicepparam with Bicep expressions for what a deployment gets from outside."""
    text, template = ((infra / f"main.{end}").read_text("utf-8") for end in ("bicepparam", "bicep"))
    for name, value in (SURROUNDINGS | parameters).items():
        if re.search(rf"^param {name} ", template, re.MULTILINE):
            text = re.sub(rf"^param {name} = .*$", "", text, flags=re.MULTILINE)
            text += f"\nparam {name} = {value}\n"
    return text


class Grant(NamedTuple):
    who: str  # 'system', the resource id of a user-assigned identity, or an object id
    what: str  # a role's name, or a permission of an access policy such as 'secrets: get'
    where: str  # the resource's id


def resources(snapshot: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the predicted resources of a type."""
    return [one for one in snapshot["predictedResources"] if one["type"] == kind]


def app_settings(snapshot: dict[str, Any]) -> dict[str, str]:
    """Return the app settings that the deployment writes."""
    (settings,) = resources(snapshot, "Microsoft.Web/sites/config")
    return dict(settings["properties"])


def grants(snapshot: dict[str, Any]) -> list[Grant]:
    """List what the deployment grants, by role and by access policy."""
    found = []
    # Cosmos DB has roles of its own.
    kinds = ("DocumentDB/databaseAccounts/sqlRoleAssignments", "Authorization/roleAssignments")
    for one in [one for kind in kinds for one in resources(snapshot, f"Microsoft.{kind}")]:
        properties = one["properties"]
        role = properties["roleDefinitionId"].rpartition("/")[2]
        extended = re.match(r"\[extensionResourceId\('([^']+)'", one["id"])
        where = extended[1] if extended else one["id"].partition("/providers/Microsoft.Auth")[0]
        who = identity_of(properties["principalId"])
        found.append(Grant(who, ROLES.get(role, role), properties.get("scope", where)))
    for kind in ("Microsoft.KeyVault/vaults", "Microsoft.KeyVault/vaults/accessPolicies"):
        for one in resources(snapshot, kind):
            where = one["id"].partition("/accessPolicies/")[0]
            for policy in one["properties"].get("accessPolicies", []):
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
