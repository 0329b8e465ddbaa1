{%- set facts = cookiecutter | facts -%}
"""Writes the resources that a deployment would make as one plain template, for a scanner.

    python scripts/forecast.py build/forecast

Scanners read Bicep only in part, and pass over a file that they cannot read. The compiler's forecast
holds every resource of every module, with its final values.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

import bicep  # noqa: E402

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
{%- if facts.identity_by_setting %}
# The deployment reads the identity's id from the environment; for a forecast any will do.
VARIABLES = {
    "{{ facts.identity_setting }}": (
        f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/rg-shared/providers"
        "/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared"
    )
}
{%- else %}
VARIABLES: dict[str, str] = {}
{%- endif %}


def forecast(folder: Path) -> int:
    """Write the template into a folder, and count its resources."""
    command = bicep.find_bicep()
    if not command:
        raise SystemExit("no Bicep compiler: set BICEP, or install one with `az bicep install`")
    compiler = bicep.Bicep(command, VARIABLES)
    try:
        found = compiler.snapshot(PROJECT / "infra" / "main.bicepparam")["predictedResources"]
    finally:
        compiler.close()
    folder.mkdir(parents=True, exist_ok=True)
    template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": found}
    (folder / "main.json").write_text(json.dumps(template, indent=2), "utf-8")
    return len(found)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python scripts/forecast.py FOLDER")
    print(f"{forecast(Path(sys.argv[1]))} resources")
