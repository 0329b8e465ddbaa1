"""What must hold for the network of a private project, beside what infrastructure.py says of all.

A private project is a public one with a network around it: with the network taken off its forecast
again, every invariant of a public project holds for it. The rest is looked at here.
"""

import copy
import ipaddress
from collections.abc import Callable, Iterator

import infrastructure
from infrastructure import COSMOS, IDENTITIES, SITE, STORAGE, VAULT, Forecast, bicep, only

# Every combination: whose identity, whose vault and where, how it lets in, and what else is used.
COMBINATIONS = [
    {
        **IDENTITIES[identity],
        "vault": vault,
        "vault_source": source,
        "vault_resource_group": group,
        "vault_access": access,
        "services": services,
        "network": "private",
    }
    for identity in ("system", "created")
    for source, vault, group in (
        ("new", "%KEY_VAULT_NAME%", ""),
        ("existing", "contoso-vault", infrastructure.GROUPS["existing"][2]),
    )
    for access in infrastructure.ACCESSES
    for services in ("", "blob-storage", "cosmos-db", "blob-storage,cosmos-db")
]

NETWORK = "Microsoft.Network/virtualNetworks"
ZONE = "Microsoft.Network/privateDnsZones"
LINK = f"{ZONE}/virtualNetworkLinks"
ENDPOINT = "Microsoft.Network/privateEndpoints"
ENTRY = f"{ENDPOINT}/privateDnsZoneGroups"

# The zone of each group of endpoints, as the forecast leaves it: only Azure knows its own cloud.
ZONES = {
    "vault": "replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')",
    "blob": "format('privatelink.blob.{0}', environment().suffixes.storage)",
    "Sql": "replace(split(environment().portal, '/')[2], 'portal.', 'privatelink.documents.')",
}


def without_network(forecast: Forecast) -> Forecast:
    """Take off what makes a project private; what is left is a public one."""
    public = copy.deepcopy(forecast)
    public["predictedResources"] = [
        one
        for one in public["predictedResources"]
        if not one["type"].startswith("Microsoft.Network/")
    ]
    for one in public["predictedResources"]:
        for name in ("publicNetworkAccess", "networkAcls", "networkAclBypass"):
            one.get("properties", {}).pop(name, None)
    for name in ("virtualNetworkSubnetId", "outboundVnetRouting"):
        only(public, SITE)["properties"].pop(name, None)
    return public


def reached(answers: dict[str, str], forecast: Forecast) -> set[tuple[str, str]]:
    """List what the app must reach: each resource, and the group of its endpoint."""
    vault = infrastructure.expected(answers, without_network(forecast)).vault
    stores = bicep.resources(forecast, STORAGE)
    accounts = bicep.resources(forecast, COSMOS)
    count = 2 if "blob-storage" in answers["services"] else 1
    assert (len(stores), len(accounts)) == (count, int("cosmos-db" in answers["services"]))
    return {
        (vault, "vault"),
        *((one["id"], "blob") for one in stores),
        *((one["id"], "Sql") for one in accounts),
    }


Wanted = set[tuple[str, str]]


def nothing_is_open(forecast: Forecast, wanted: Wanted) -> Iterator[str]:
    """What is made lets in nobody from outside, no trusted service of Microsoft's either."""
    for kind in (STORAGE, VAULT, COSMOS):
        for one in bicep.resources(forecast, kind):
            properties = one["properties"]
            if properties.get("publicNetworkAccess") != "Disabled":
                yield f"{one['id']} is open to the world"
            if kind == COSMOS:
                closed = properties.get("networkAclBypass") == "None"
            else:
                rules = {"defaultAction": "Deny", "bypass": "None"}
                closed = properties.get("networkAcls") == rules
            if not closed:
                yield f"{one['id']} is passed by"


def what_is_reached_has_an_endpoint(forecast: Forecast, wanted: Wanted) -> Iterator[str]:
    """One private endpoint each, in the subnet for them, with an entry in the zone of its kind."""
    zones = {entry["name"].partition("/")[0]: entry for entry in bicep.resources(forecast, ENTRY)}
    made = []
    for endpoint in bicep.resources(forecast, ENDPOINT):
        if (
            endpoint["properties"]["subnet"]["id"]
            != f"{only(forecast, NETWORK)['id']}/subnets/endpoints"
        ):
            yield f"{endpoint['name']} stands in {endpoint['properties']['subnet']}"
        (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
        target = connection["properties"]["privateLinkServiceId"]
        (group,) = connection["properties"]["groupIds"]
        made.append((target, group))
        (zone,) = zones.pop(endpoint["name"])["properties"]["privateDnsZoneConfigs"]
        if zone["properties"]["privateDnsZoneId"] != zone_id(ZONES[group]):
            yield f"{endpoint['name']} is entered in {zone['properties']}"
    if zones:
        yield f"nothing is entered by {sorted(zones)}"
    if sorted(made) != sorted(wanted):
        yield f"the endpoints lead to {sorted(made)} instead of {sorted(wanted)}"


def zones_are_linked(forecast: Forecast, wanted: Wanted) -> Iterator[str]:
    """The zones that are needed; a name that they do not know is looked up in public."""
    names = sorted(f"[{ZONES[group]}]" for group in {group for _, group in wanted})
    if sorted(zone["name"] for zone in bicep.resources(forecast, ZONE)) != names:
        yield f"the zones are {[zone['name'] for zone in bicep.resources(forecast, ZONE)]}"
    network = only(forecast, NETWORK)
    links = bicep.resources(forecast, LINK)
    of_zones = sorted(f"[format('{{0}}/{{1}}', {n[1:-1]}, '{network['name']}')]" for n in names)
    if sorted(link["name"] for link in links) != of_zones:
        yield f"the links are {[link['name'] for link in links]}"
    for link in links:
        if link["properties"] != {
            "registrationEnabled": False,
            "resolutionPolicy": "NxDomainRedirect",
            "virtualNetwork": {"id": network["id"]},
        }:
            yield f"{link['name']} is {link['properties']}"


def the_app_goes_through_its_subnet(forecast: Forecast, wanted: Wanted) -> Iterator[str]:
    """A subnet that Flex Consumption takes, for the app alone, and all traffic through it."""
    network = only(forecast, NETWORK)
    (space,) = network["properties"]["addressSpace"]["addressPrefixes"]
    subnets = {one["name"]: one["properties"] for one in network["properties"]["subnets"]}
    if subnets.keys() != {"app", "endpoints"} or "_" in "".join(subnets):
        yield f"the subnets are {sorted(subnets)}"
        return
    app, endpoints = (
        ipaddress.ip_network(subnets[name]["addressPrefix"]) for name in ("app", "endpoints")
    )
    whole = ipaddress.ip_network(space)
    if app.prefixlen > 27 or app.overlaps(endpoints):
        yield f"the app's subnet is {app}, beside {endpoints}"
    if not (whole.overlaps(app) and whole.overlaps(endpoints)) or not whole.is_private:
        yield f"the network is {whole}"
    services = [one["properties"]["serviceName"] for one in subnets["app"].get("delegations", [])]
    if services != ["Microsoft.App/environments"]:
        yield f"the app's subnet is delegated to {services}"
    site = only(forecast, SITE)["properties"]
    if site.get("virtualNetworkSubnetId") != f"{network['id']}/subnets/app":
        yield f"the app stands in {site.get('virtualNetworkSubnetId')}"
    if site.get("outboundVnetRouting") != {"allTraffic": True}:
        yield f"the app sends {site.get('outboundVnetRouting')}"


INVARIANTS: list[Callable[[Forecast, Wanted], Iterator[str]]] = [
    nothing_is_open,
    what_is_reached_has_an_endpoint,
    zones_are_linked,
    the_app_goes_through_its_subnet,
]


def wrong(answers: dict[str, str], forecast: Forecast) -> list[str]:
    """Say everything that does not hold, with the network and without it."""
    public = without_network(forecast)
    wanted = reached(answers, forecast)
    found = [
        f"{check.__name__}: {what}" for check in INVARIANTS for what in check(forecast, wanted)
    ]
    return found + infrastructure.wrong(public, infrastructure.expected(answers, public))


def zone_id(zone: str) -> str:
    """Give the id of a zone as the forecast shows it."""
    return f"[resourceId('{bicep.SUBSCRIPTION}', 'rg-test', '{ZONE}', {zone})]"
