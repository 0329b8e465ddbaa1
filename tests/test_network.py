"""A private project gives nobody else network access, and the app reaches what it needs."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
from baking import Bake
from expectation import expected
from infrastructure import (
    COSMOS,
    ENDPOINT,
    LINK,
    NETWORK,
    RECORD,
    SITE,
    STORAGE,
    SUBNET,
    VAULT,
    ZONE,
    Forecast,
    bicep,
    only,
)
from invariants import ZONES, wrong, zone_id

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
        assert eval(known, functions) == f"privatelink.{name}"  # an expression of ours


# What must not slip through: each breaks a good forecast in one place, and names who must notice.
def _of(forecast: Forecast, kind: str) -> Forecast:
    return dict(bicep.resources(forecast, kind)[-1]["properties"])


def _subnet(forecast: Forecast, name: str) -> Forecast:
    (subnet,) = (
        one for one in bicep.resources(forecast, SUBNET) if one["name"].endswith(f"/{name}")
    )
    properties: Forecast = subnet["properties"]
    return properties


def _list_subnets(forecast: Forecast) -> None:
    only(forecast, NETWORK)["properties"]["subnets"] = []


def _tag_a_shared_zone(forecast: Forecast) -> None:
    bicep.resources(forecast, ZONE)[0]["tags"] = {"azd-env-name": "one"}


def _open_storage(forecast: Forecast) -> None:
    bicep.resources(forecast, STORAGE)[0]["properties"]["publicNetworkAccess"] = "Enabled"


def _open_documents(forecast: Forecast) -> None:
    del bicep.resources(forecast, STORAGE)[1]["properties"]["publicNetworkAccess"]


def _open_the_vault(forecast: Forecast) -> None:
    del only(forecast, VAULT)["properties"]["publicNetworkAccess"]


def _open_orders(forecast: Forecast) -> None:
    only(forecast, COSMOS)["properties"]["publicNetworkAccess"] = "SecuredByPerimeter"


def _let_services_pass_by(forecast: Forecast) -> None:
    only(forecast, VAULT)["properties"]["networkAcls"]["bypass"] = "AzureServices"


def _let_cosmos_be_passed_by(forecast: Forecast) -> None:
    only(forecast, COSMOS)["properties"]["networkAclBypass"] = "AzureServices"


def _forget_an_endpoint(forecast: Forecast) -> None:
    last = bicep.resources(forecast, ENDPOINT)[-1]
    made = forecast["predictedResources"]
    forecast["predictedResources"] = [one for one in made if last["name"] not in one["name"]]


def _lead_elsewhere(forecast: Forecast) -> None:
    (connection,) = _of(forecast, ENDPOINT)["privateLinkServiceConnections"]
    connection["properties"]["privateLinkServiceId"] += "x"


def _reach_another_group(forecast: Forecast) -> None:
    (connection,) = _of(forecast, ENDPOINT)["privateLinkServiceConnections"]
    connection["properties"]["groupIds"] = ["blob"]


def _enter_another_zone(forecast: Forecast) -> None:
    (zone,) = _of(forecast, RECORD)["privateDnsZoneConfigs"]
    zone["properties"]["privateDnsZoneId"] = zone_id(ZONES["blob"])


def _stand_in_the_apps_subnet(forecast: Forecast) -> None:
    subnet = _of(forecast, ENDPOINT)["subnet"]
    subnet["id"] = subnet["id"].replace("/endpoints", "/app")


def _end_at_the_zone(forecast: Forecast) -> None:
    bicep.resources(forecast, LINK)[0]["properties"]["resolutionPolicy"] = "Default"


def _link_another_network(forecast: Forecast) -> None:
    bicep.resources(forecast, LINK)[0]["properties"]["virtualNetwork"] = {"id": "x"}


def _forget_a_link(forecast: Forecast) -> None:
    forecast["predictedResources"].remove(bicep.resources(forecast, LINK)[0])


def _delegate_to_the_other_plan(forecast: Forecast) -> None:
    subnet = _subnet(forecast, "app")
    subnet["delegations"][0]["properties"]["serviceName"] = "Microsoft.Web/serverFarms"


def _make_it_small(forecast: Forecast) -> None:
    subnet = _subnet(forecast, "app")
    subnet["addressPrefix"] = "10.0.0.0/28"


def _overlap(forecast: Forecast) -> None:
    subnet = _subnet(forecast, "endpoints")
    subnet["addressPrefix"] = "10.0.0.32/27"


def _name_it_with_an_underscore(forecast: Forecast) -> None:
    subnet = bicep.resources(forecast, SUBNET)[0]
    subnet["name"] = subnet["name"].replace("/app", "/the_app")


def _stay_outside(forecast: Forecast) -> None:
    del only(forecast, SITE)["properties"]["virtualNetworkSubnetId"]


def _route_some(forecast: Forecast) -> None:
    only(forecast, SITE)["properties"]["outboundVnetRouting"] = {"applicationTraffic": True}


def _allow_shared_keys(forecast: Forecast) -> None:
    bicep.resources(forecast, STORAGE)[0]["properties"]["allowSharedKeyAccess"] = True


BREAKAGES: list[tuple[Callable[[Forecast], None], str]] = [
    (_open_storage, "nothing_is_open"),
    (_open_documents, "nothing_is_open"),
    (_open_the_vault, "nothing_is_open"),
    (_open_orders, "nothing_is_open"),
    (_let_services_pass_by, "nothing_is_open"),
    (_let_cosmos_be_passed_by, "nothing_is_open"),
    (_forget_an_endpoint, "what_is_reached_has_an_endpoint"),
    (_lead_elsewhere, "what_is_reached_has_an_endpoint"),
    (_reach_another_group, "what_is_reached_has_an_endpoint"),
    (_enter_another_zone, "what_is_reached_has_an_endpoint"),
    (_stand_in_the_apps_subnet, "what_is_reached_has_an_endpoint"),
    (_end_at_the_zone, "zones_are_linked"),
    (_tag_a_shared_zone, "zones_are_linked"),
    (_list_subnets, "the_app_goes_through_its_subnet"),
    (_link_another_network, "zones_are_linked"),
    (_forget_a_link, "zones_are_linked"),
    (_delegate_to_the_other_plan, "the_app_goes_through_its_subnet"),
    (_make_it_small, "the_app_goes_through_its_subnet"),
    (_overlap, "the_app_goes_through_its_subnet"),
    (_name_it_with_an_underscore, "the_app_goes_through_its_subnet"),
    (_stay_outside, "the_app_goes_through_its_subnet"),
    (_route_some, "the_app_goes_through_its_subnet"),
    (_allow_shared_keys, "storage_knows_no_keys"),
]


@pytest.fixture(scope="module")
def good(bake: Bake, compiler: Any) -> Forecast:
    """The forecast of a project that has everything."""
    return dict(compiler.snapshot(bake(**EVERYTHING) / "infra" / "main.bicepparam"))


@pytest.mark.parametrize(("breaks", "noticed_by"), BREAKAGES)
def test_the_invariants_notice(
    good: Forecast, breaks: Callable[[Forecast], None], noticed_by: str
) -> None:
    broken = copy.deepcopy(good)

    breaks(broken)

    found = wrong(broken, expected(EVERYTHING, good))
    assert noticed_by in [sentence.partition(":")[0] for sentence in found]


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
