"""Give the app's identity access to the API. The API's owner runs this, after `az login`.

    python scripts/grant_api_role.py PRINCIPAL ROLE

PRINCIPAL is the identity's object id: the output identityPrincipalId of the deployment. ROLE is the
value of an app role that the API's registration offers to applications, such as Orders.Read.
Running it again changes nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SCOPE = "{{ (cookiecutter | facts).api_scope }}"  # fmt: skip


def main(words: list[str] | None = None) -> str:
    """Assign the role.

    Returns:
        What was done.
    """
    parser = argparse.ArgumentParser(description="Give the app's identity access to the API.")
    parser.add_argument("principal", help="object id of the app's identity")
    parser.add_argument("role", help="value of the API's app role, such as Orders.Read")
    parser.add_argument("--api", default=SCOPE.removesuffix("/.default"), help="its identifier URI")
    given = parser.parse_args(words)

    api = az("ad", "sp", "show", "--id", given.api)
    role = role_of(api, given.role)
    graph = az("cloud", "show", "--query", "endpoints.microsoftGraphResourceId").rstrip("/")
    principals = f"{graph}/v1.0/servicePrincipals"
    assigned = az("rest", "--url", f"{principals}/{given.principal}/appRoleAssignments")["value"]
    if any(one["resourceId"] == api["id"] and one["appRoleId"] == role for one in assigned):
        return f"{given.principal} has the role {given.role} of {given.api} already."
    assignment = {"principalId": given.principal, "resourceId": api["id"], "appRoleId": role}
    # In a file, because the Windows command line changes quotes.
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder, "assignment.json")
        body.write_text(json.dumps(assignment), "utf-8")
        url = f"{principals}/{api['id']}/appRoleAssignedTo"
        az("rest", "--method", "post", "--url", url, "--body", f"@{body}")
    return (
        f"{given.principal} has the role {given.role} of {given.api}. Tokens that the app"
        " already has do not contain it: they last up to 24 hours."
    )


def role_of(api: dict[str, Any], value: str) -> str:
    """Return the id of a role that the API offers to applications."""
    roles = {
        role["value"]: role["id"]
        for role in api["appRoles"]
        if role["isEnabled"] and "Application" in role["allowedMemberTypes"]
    }
    if value not in roles:
        offered = ", ".join(sorted(roles)) or "none"
        sys.exit(f"The API offers no app role {value!r} to applications; it offers: {offered}")
    return str(roles[value])


def az(*words: str) -> Any:
    """Run the Azure CLI and return its output."""
    command = shutil.which("az")
    if not command:
        sys.exit("The Azure CLI is missing: https://aka.ms/azure-cli")
    run = subprocess.run(  # noqa: S603 - no shell, and words that argparse or Azure gave
        [command, *words, "--output", "json"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        sys.exit(run.stderr.strip())
    return json.loads(run.stdout or "null")


if __name__ == "__main__":
    print(main())
