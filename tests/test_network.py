"""A private project gives nobody else network access, and the app reaches what it needs."""

import re
from typing import Any

import pytest
from baking import Bake
from invariants import ZONES

EVERYTHING = {"network": "private", "services": "blob-storage,cosmos-db"}

# Each cloud's domains, as Azure documents them.
CLOUDS = {
    "AzureCloud": (
        {"keyvaultDns": ".vault.azure.net", "storage": "core.windows.net", "portal": "com"},
        ("vaultcore.azure.net", "blob.core.windows.net", "documents.azure.com"),
    ),
    "AzureChinaCloud": (
        {"keyvaultDns": ".vault.azure.cn", "storage": "core.chinacloudapi.cn", "portal": "cn"},
        ("vaultcore.azure.cn", "blob.core.chinacloudapi.cn", "documents.azure.cn"),
    ),
    "AzureUSGovernment": (
        {
            "keyvaultDns": ".vault.usgovcloudapi.net",
            "storage": "core.usgovcloudapi.net",
            "portal": "us",
        },
        ("vaultcore.usgovcloudapi.net", "blob.core.usgovcloudapi.net", "documents.azure.us"),
    ),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_zones_have_the_names_of_their_cloud(cloud: str) -> None:
    domains, names = CLOUDS[cloud]
    functions = {
        "replace": str.replace,
        "split": str.split,
        "format": lambda text, *values: text.format(*values),
    }
    for zone, name in zip(ZONES.values(), names, strict=False):
        known = zone.replace("environment().portal", f"'https://portal.azure.{domains['portal']}'")
        known = re.sub(r"environment\(\)\.suffixes\.(\w+)", lambda m: repr(domains[m[1]]), known)
        assert eval(known, functions) == f"privatelink.{name}"


def test_deployments_do_not_race_or_undo_what_others_attached(bake: Bake, compiler: Any) -> None:
    _, template = compiler.compile(bake(**EVERYTHING) / "infra" / "main.bicep")
    modules = template["resources"]
    resources = {
        name: module["properties"]["template"]["resources"]
        for name, module in modules.items()
        if name in ("network", "privateEndpoints")
    }

    after = set(modules["privateEndpoints"]["dependsOn"])
    assert {"access", "vaultAccess"} <= after
    for loop in resources["privateEndpoints"].values():
        assert (loop["copy"]["mode"], loop["copy"]["batchSize"]) == ("serial", 1)
    for subnet in ("network::appSubnet", "network::endpointSubnet"):
        assert resources["network"][subnet]["@options"].keys() == {"onlyIfNotExists"}
