"""The Bicep compiler, and what its prediction of a deployment says about access.

`bicep snapshot` predicts offline which resources a deployment creates. What only Azure knows stays
an expression, such as `[reference('…/sites/my-app', …).identity.principalId]`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

INFRA = Path(__file__).resolve().parents[2] / "infra"
# The first version known to have the types of every resource in infra/.
OLDEST = (0, 49)

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

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
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


class Bicep:
    """One compiler process that answers many questions; each would else cost a start."""

    def __init__(self, command: str, variables: Mapping[str, str]) -> None:
        """Start the compiler; of the variables that infra/ reads, it sees only `variables`."""
        parameters = (INFRA / "main.bicepparam").read_text("utf-8")
        read_by_infra = re.findall(r"readEnvironmentVariable\('(\w+)'", parameters)
        inherited = {name: v for name, v in os.environ.items() if name not in read_by_infra}
        self._process = subprocess.Popen(
            [command, "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**inherited, **variables},
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def version(self) -> tuple[int, ...]:
        """Tell the compiler's version."""
        return tuple(map(int, re.findall(r"\d+", self._ask("version")["version"])[:3]))

    def compile(self, file: Path) -> tuple[list[str], dict[str, Any]]:
        """Compile a file with its modules: every warning and error, and the template."""
        if file.suffix == ".bicepparam":
            answer = self._ask("compileParams", path=str(file), parameterOverrides={})
        else:
            answer = self._ask("compile", path=str(file))
        found = [
            f"{Path(one['source']).name}:{one['range']['start']['line'] + 1}: "
            f"{one['level']} {one['code']}: {one['message']}"
            for one in answer["diagnostics"]
        ]
        return found, json.loads(answer.get("contents") or answer.get("template") or "{}")

    def format(self, file: Path) -> str:
        """Give the file's text as `bicep format` would write it."""
        return str(self._ask("format", path=str(file))["contents"])

    def snapshot(self, file: Path, **parameters: str) -> dict[str, Any]:
        """Predict the deployment of main.bicepparam.

        Args:
            file: The parameters file.
            parameters: Bicep expressions that replace its values.
        """
        text, template = file.read_text("utf-8"), file.with_name("main.bicep").read_text("utf-8")
        for name, value in (SURROUNDINGS | parameters).items():
            if re.search(rf"^param {name} ", template, re.MULTILINE):
                text = re.sub(rf"^param {name} = .*$", "", text, flags=re.MULTILINE)
                text += f"\nparam {name} = {value}\n"
        with tempfile.TemporaryDirectory() as folder:
            infra = Path(shutil.copytree(file.parent, Path(folder, "infra")))
            (infra / file.name).write_text(text, "utf-8")
            metadata = {"metadata": DEPLOYMENT, "externalInputs": []}
            answer = self._ask("getSnapshot", path=str(infra / file.name), **metadata)
        return dict(json.loads(answer["snapshot"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        question = {"jsonrpc": "2.0", "id": 1, "method": f"bicep/{method}", "params": parameters}
        body = json.dumps(question).encode()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()
        length = 0
        while header := self._process.stdout.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = json.loads(self._process.stdout.read(length) or "{}")
        if "result" not in answer:
            raise RuntimeError(f"bicep {method}: {answer.get('error', 'the compiler ended')}")
        return dict(answer["result"])


def alert_words() -> str:
    """Read which words the alert in infra/ looks for in the app's log."""
    text = (INFRA / "modules" / "monitoring.bicep").read_text("utf-8")
    (words,) = re.findall(r"""'traces \| where message has "([^"]+)"'""", text)
    return str(words)


class Grant(NamedTuple):
    """One grant: who may do what, and where."""

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
    for one in resources(snapshot, "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"):
        role = one["properties"]["roleDefinitionId"].rpartition("/")[2]
        who = _who(one["properties"]["principalId"])
        found.append(Grant(who, ROLES.get(role, role), one["properties"]["scope"]))
    for one in resources(snapshot, "Microsoft.Authorization/roleAssignments"):
        role = one["properties"]["roleDefinitionId"].rpartition("/")[2]
        scope = re.match(r"\[extensionResourceId\('([^']+)'", one["id"])
        where = scope[1] if scope else one["id"].partition("/providers/Microsoft.Authorization")[0]
        found.append(Grant(_who(one["properties"]["principalId"]), ROLES.get(role, role), where))
    for kind in ("Microsoft.KeyVault/vaults", "Microsoft.KeyVault/vaults/accessPolicies"):
        for one in resources(snapshot, kind):
            where = one["id"].partition("/accessPolicies/")[0]
            for policy in one["properties"].get("accessPolicies", []):
                for of, permissions in policy["permissions"].items():
                    for permission in permissions:
                        grant = Grant(_who(policy["objectId"]), f"{of}: {permission}", where)
                        found.append(grant)
    return found


def _who(principal: str) -> str:
    """Read whose principal it is from an expression like `[reference('<id>', …).principalId]`."""
    referred = re.fullmatch(r"\[reference\('([^']+)'.*\)(\.identity)?\.principalId\]", principal)
    if not referred:
        return principal
    return "system" if referred[2] and "/sites/" in referred[1] else referred[1]
