"""What a platform team sets in main.bicepparam: each parameter changes what it says, and no more.

Sources of the limits: https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan,
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules and
https://learn.microsoft.com/azure/app-service/configure-authentication-file-based.
"""

import copy
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers import ACTION_GROUP, IDENTITIES, LITERAL_ID, VAULT_SUBSCRIPTION
from baking import TEMPLATE, Bake
from bicep import DEPLOYMENT, with_parameters
from covering import covering
from infrastructure import (
    DIAGNOSTICS,
    ENDPOINT,
    INSIGHTS,
    LINK,
    NETWORK,
    PLAN,
    RECORD,
    SITE,
    STORAGE,
    SUBNET,
    WORKSPACE,
    ZONE,
    WhatIf,
    bicep,
    host_storage,
    only,
)
from invariants import modules_of, named_resources, resources_of

DOCS = TEMPLATE / "docs" / "enterprise.md"
SNAPSHOT = Path(__file__).parent / "snapshots" / "enterprise.json"
HUB = f"/subscriptions/{VAULT_SUBSCRIPTION}/resourceGroups/hub/providers"
LOGS = f"{HUB}/{WORKSPACE}/central"
SUBNETS = f"{HUB}/{SUBNET.rpartition('/')[0]}/spoke/subnets"
CLIENT, CALLER = "11111111-aaaa-bbbb-cccc-000000000001", "22222222-aaaa-bbbb-cccc-000000000002"
WORDS = {
    "vault": "vaultcore.azure.net",
    "blob": "blob.core.windows.net",
    "Sql": "documents.azure.com",
    "queue": "queue.core.windows.net",
    "table": "table.core.windows.net",
    "sites": "azurewebsites.net",
}
ZONES = {group: f"{HUB}/{ZONE}/privatelink.{word}" for group, word in WORDS.items()}

PROJECTS: dict[str, dict[str, str]] = {
    "default": {},
    "user": {
        **IDENTITIES["literal"],
        "vault_source": "existing",
        "vault": "contoso-vault",
        "vault_resource_group": f"{VAULT_SUBSCRIPTION}/rg-vaults",
        "vault_access": "rbac",
        "services": "service-bus",
    },
    "private": {"network": "private", "services": "blob-storage,cosmos-db"},
    "private user": {
        "network": "private",
        **IDENTITIES["created"],
        "vault_source": "existing",
        "vault": "contoso-vault",
        "vault_access": "granted",
    },
}
Change = Callable[[WhatIf, dict[str, str]], None]


def site(what_if: WhatIf) -> WhatIf:
    return dict(only(what_if, SITE))["properties"]  # type: ignore[no-any-return]


def remove(what_if: WhatIf, *kinds: str) -> None:
    what_if["predictedResources"] = [
        one for one in what_if["predictedResources"] if one["type"] not in kinds
    ]


def zones_of(project: str) -> list[str]:
    return ["vault", "blob", *(["Sql"] if "cosmos" in str(PROJECTS[project]) else [])]


# What each parameter changes in the prediction of a deployment without it. `row` has the others.


def redundant(what_if: WhatIf, row: dict[str, str]) -> None:
    only(what_if, PLAN)["properties"]["zoneRedundant"] = True
    host_storage(what_if)["sku"]["name"] = "Standard_ZRS"


def scaled(**properties: Any) -> Change:
    def change(what_if: WhatIf, row: dict[str, str]) -> None:
        site(what_if)["functionAppConfig"]["scaleAndConcurrency"] |= properties

    return change


def logged_centrally(what_if: WhatIf, row: dict[str, str]) -> None:
    remove(what_if, WORKSPACE)
    only(what_if, INSIGHTS)["properties"]["WorkspaceResourceId"] = LOGS
    for one in bicep.resources(what_if, DIAGNOSTICS):
        one["properties"]["workspaceId"] = LOGS


def kept(what_if: WhatIf, row: dict[str, str]) -> None:
    workspace = only(what_if, WORKSPACE)["properties"]
    workspace |= {"retentionInDays": 30, "workspaceCapping": {"dailyQuotaGb": 2}}


def logs_all(what_if: WhatIf, row: dict[str, str]) -> None:
    everything = {
        "workspaceId": only(what_if, INSIGHTS)["properties"]["WorkspaceResourceId"],
        "logs": [{"categoryGroup": "allLogs", "enabled": True}],
        "metrics": [{"category": "AllMetrics", "enabled": True}],
    }
    for one in bicep.resources(what_if, DIAGNOSTICS):  # of a new vault
        one["properties"] = everything
    stores = [f"{one['id']}/blobServices/default" for one in bicep.resources(what_if, STORAGE)]
    for scope in (only(what_if, SITE)["id"], *stores):
        what_if["predictedResources"].append(
            {
                "id": f"{scope}/providers/{DIAGNOSTICS}/all",
                "type": DIAGNOSTICS,
                "name": "all",
                "apiVersion": "2021-05-01-preview",
                "properties": everything,
            }
        )


def tagged(what_if: WhatIf, row: dict[str, str]) -> None:
    for one in what_if["predictedResources"]:
        if "tags" in one:
            one["tags"] |= {"cost-center": "4711"}


def restricted(what_if: WhatIf, row: dict[str, str]) -> None:
    site(what_if)["siteConfig"] |= {
        "ipSecurityRestrictionsDefaultAction": "Deny",
        "ipSecurityRestrictions": [
            {
                "ipAddress": address,
                "action": "Allow",
                "priority": 100 + number,
                "name": f"allowed-{number}",
            }
            for number, address in enumerate(("203.0.113.0/24", "198.51.100.7/32"))
        ],
    }


def signed_in(what_if: WhatIf, row: dict[str, str]) -> None:
    app = only(what_if, SITE)
    what_if["predictedResources"].append(
        {
            "id": f"{app['id']}/config/authsettingsV2",
            "type": f"{SITE}/config",
            "name": f"{app['name']}/authsettingsV2",
            "apiVersion": "2025-03-01",
            "properties": {
                "platform": {"enabled": True},
                "globalValidation": {
                    "requireAuthentication": True,
                    "unauthenticatedClientAction": "Return401",
                    "excludedPaths": ["/runtime/webhooks/*"],
                },
                "httpSettings": {"requireHttps": True},
                "login": {"tokenStore": {"enabled": False}},
                "identityProviders": {
                    "azureActiveDirectory": {
                        "enabled": True,
                        "registration": {
                            "clientId": CLIENT,
                            "openIdIssuer": "[format('{0}{1}/v2.0', environment().authentication"
                            f".loginEndpoint, '{DEPLOYMENT['tenantId']}')]",
                        },
                        "validation": {
                            "allowedAudiences": [f"api://{CLIENT}"],
                            "defaultAuthorizationPolicy": {"allowedApplications": [CALLER]},
                        },
                    }
                },
            },
        }
    )


def in_the_hub(what_if: WhatIf, row: dict[str, str]) -> None:
    remove(what_if, NETWORK, SUBNET, ZONE, LINK)
    site(what_if)["virtualNetworkSubnetId"] = f"{SUBNETS}/app"
    for one in bicep.resources(what_if, ENDPOINT):
        one["properties"]["subnet"]["id"] = f"{SUBNETS}/endpoints"
    if row["network without zones"]:
        remove(what_if, RECORD)
    for one in bicep.resources(what_if, RECORD):
        (zone,) = one["properties"]["privateDnsZoneConfigs"]
        zone["properties"]["privateDnsZoneId"] = ZONES[zone["name"]]


def inbound(what_if: WhatIf, row: dict[str, str]) -> None:
    site(what_if)["publicNetworkAccess"] = "Disabled"
    zone = "privatelink.azurewebsites.net"
    (endpoint,) = (one for one in bicep.resources(what_if, ENDPOINT) if "pe-host" in one["name"])
    (record,) = (one for one in bicep.resources(what_if, RECORD) if "pe-host" in one["name"])
    made = json.loads(json.dumps([endpoint, record]).replace("pe-host", "pe-app"))
    made[0]["properties"]["privateLinkServiceConnections"] = [
        {
            "name": "sites",
            "properties": {
                "privateLinkServiceId": only(what_if, SITE)["id"],
                "groupIds": ["sites"],
            },
        }
    ]
    zone_id = f"{bicep.GROUP_ID}/providers/{ZONE}/{zone}"
    made[1]["properties"]["privateDnsZoneConfigs"] = [
        {"name": "sites", "properties": {"privateDnsZoneId": zone_id}}
    ]
    blob, link = bicep.resources(what_if, ZONE)[0], bicep.resources(what_if, LINK)[0]
    network = only(what_if, NETWORK)["name"]
    made += [
        {**blob, "id": zone_id, "name": zone},
        {
            **link,
            "id": f"{zone_id}/virtualNetworkLinks/{network}",
            "name": f"{zone}/{network}",
        },
    ]
    what_if["predictedResources"] += copy.deepcopy(made)


def network_of(project: str, zones: bool, *more: str) -> str:
    given = f"{{ appSubnetId: '{SUBNETS}/app', endpointSubnetId: '{SUBNETS}/endpoints'"
    if zones:
        ids = "".join(f" {one}: '{ZONES[one]}'\n" for one in (*zones_of(project), *more))
        given += f", zoneIds: {{\n{ids}}}"
    return f"{given} }}"


# What is given, and what it changes.
CHOICES: dict[str, tuple[dict[str, str], Change]] = {
    "zoneRedundant": ({"zoneRedundant": "true"}, redundant),
    "alwaysReady": (
        {"alwaysReady": "{ http: 2, 'function:nightly': 1 }"},
        scaled(
            alwaysReady=[
                {"name": "function:nightly", "instanceCount": 1},
                {"name": "http", "instanceCount": 2},
            ]
        ),
    ),
    "scale": (
        {"instanceMemoryMB": "4096", "maximumInstanceCount": "40"},
        scaled(instanceMemoryMB=4096, maximumInstanceCount=40),
    ),
    "httpConcurrency": (
        {"httpConcurrency": "16"},
        scaled(triggers={"http": {"perInstanceConcurrency": 16}}),
    ),
    "privateInbound": ({"privateInbound": "true"}, inbound),
    "network with zones": ({}, in_the_hub),
    "network without zones": ({}, in_the_hub),
    "logs in the hub": ({"logWorkspaceId": f"'{LOGS}'"}, logged_centrally),
    "logs kept": ({"logRetentionDays": "30", "logDailyCapGB": "2"}, kept),
    "diagnostics": ({"diagnostics": "true"}, logs_all),
    "allowedAddresses": (
        {"allowedAddresses": "['203.0.113.0/24', '198.51.100.7/32']"},
        restricted,
    ),
    "authClientId": (
        {"authClientId": f"'{CLIENT}'", "authAllowedApplications": f"['{CALLER}']"},
        signed_in,
    ),
    "tags": ({"tags": "{ 'cost-center': '4711' }"}, tagged),  # last: what was added has them too
}
EXCLUDE_EACH_OTHER = (
    {"privateInbound", "allowedAddresses"},
    {"network with zones", "network without zones"},
    {"logs in the hub", "logs kept"},
)


def allowed(row: Any) -> bool:
    """Whether the choices of a row go together."""
    given = {name for name, value in row.items() if value == "on"}
    of_private = {one for one in given if one.startswith(("network", "private"))}
    private = "private" in row.get("project", "private")
    return (private or not of_private) and not any(one <= given for one in EXCLUDE_EACH_OTHER)


ROWS = covering({"project": [*PROJECTS], **{name: ["", "on"] for name in CHOICES}}, 2, allowed)


def given_by(row: dict[str, str]) -> dict[str, str]:
    """The parameters of a row, as Bicep expressions."""
    given = {
        name: one for choice in CHOICES if row[choice] for name, one in CHOICES[choice][0].items()
    }
    for choice in ("network with zones", "network without zones"):
        if row[choice]:
            more = ["sites"] if row["privateInbound"] else []
            given["existingNetwork"] = network_of(row["project"], "without" not in choice, *more)
    return given


@pytest.fixture
def write(bake: Bake, tmp_path: Path) -> Callable[..., Path]:
    """Write parameters into main.bicepparam of a project's copy, and give that file."""

    def write(project: str, **parameters: str) -> Path:
        infra = Path(shutil.copytree(bake(**PROJECTS[project]) / "infra", tmp_path / "infra"))
        file = infra / "main.bicepparam"
        file.write_text(with_parameters(infra, **parameters), "utf-8")
        return file

    return write


def by_id(what_if: WhatIf) -> dict[str, WhatIf]:
    return {one["id"]: one for one in what_if["predictedResources"]}


def name_of(row: dict[str, str]) -> str:
    return "-".join([row["project"], *(name for name in CHOICES if row[name])])


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_each_parameter_changes_what_it_says_and_no_more(
    bake: Bake, compiler: Any, write: Callable[..., Path], row: dict[str, str]
) -> None:
    wanted = compiler.snapshot(bake(**PROJECTS[row["project"]]) / "infra/main.bicepparam")
    parameters = write(row["project"], **given_by(row))

    assert compiler.compile(parameters)[0] == []
    predicted = compiler.snapshot(parameters)

    for name, (_, change) in CHOICES.items():
        if row[name]:
            change(wanted, row)
    assert by_id(predicted) == by_id(wanted)
    assert predicted["outputs"] == wanted["outputs"]


@pytest.mark.parametrize("project", PROJECTS)
def test_a_prefix_begins_each_name_within_its_limit(
    bake: Bake, compiler: Any, project: str
) -> None:
    parameters = bake(**PROJECTS[project]) / "infra/main.bicepparam"

    names, plain = (
        [one["name"] for one in compiler.snapshot(parameters, **given)["predictedResources"]]
        for given in ({"prefix": "'contoso-'"}, {})
    )

    own = [one for one in names if re.match("contoso-?[a-z]", one)]
    assert len(names) == len(plain)
    assert [
        one for one in names if one not in own and not re.match(r"\[|audit$|[0-9a-f-]{36}$", one)
    ] == []
    assert all(len(one) <= 24 for one in own if re.fullmatch("contosost[^/]*|contoso-kv[^/]*", one))
    assert any(one.startswith("contoso-func-") and len(one) <= 32 for one in own)


# Values that cannot work. Those that break a type are errors of the compiler and of ARM's
# validation, in the parameter's own line; what a type cannot express is in a sentence.

SHAPES = """
default | instanceMemoryMB = 1024
default | maximumInstanceCount = 0
default | maximumInstanceCount = 1001
default | alwaysReady = { http: 'two' }
default | httpConcurrency = 1001
default | zoneRedundant = 'yes'
default | logRetentionDays = 29
default | logRetentionDays = 731
default | logDailyCapGB = 0
default | tags = { team: 7 }
default | prefix = 'contosoltd'
default | vaultName = 'kkkkkkkkkkkkkkkkkkkkkkkkk'
default | allowedAddresses = '203.0.113.0/24'
default | authAllowedApplications = {}
default | otherVaults = [{ name: 'kv-a', group: 'rg' }]
default | existingNetwork = <NETWORK>
private | existingNetwork = { appSubnetId: 'x' }
private | existingNetwork = { appSubnetId: '', endpointSubnetId: 'x' }
private | existingNetwork = { appSubnetId: 'x', endpointSubnetId: 'x', dns: 'x' }
private | existingNetwork = <NETWORK WITHOUT SQL>
private | documentsAccountName = 'st'
user    | serviceBusName = 'sb-x'
"""
SENTENCES = """
default | project = 'My App_1' | project: 'My App_1': letters, digits and hyphens are expected
default | prefix = '1st-' | prefix: '1st': a letter is expected first
default | prefix = 'a--' | prefix: 'a-': a letter is expected first
default | prefix = 'a_b' | prefix: 'a_b': a letter is expected first
default | appName = '-app' | appName: '-app': letters, digits and hyphens
default | appName = 'my_app!' | appName: 'my_app!': letters, digits and hyphens are expected
default | storageAccountName = 'My_Store-1' | storageAccountName: .*: lower-case letters and digits
default | vaultName = 'kv_orders' | vaultName: 'kv_orders': a letter is expected
default | vaultName = 'kv--orders' | vaultName: 'kv--orders': a letter is
default | vaultName = '1kv' | vaultName: '1kv': a letter is expected first
default | vaultName = 'kv-' | vaultName: 'kv-': a letter is expected first
default | setterObjectId = 'ann@example.com' | setterObjectId: 'ann@example.com': a GUID is expected
default | otherVaults = [{ name: 'kv_a' }] | otherVaults: 'kv_a': a letter is
default | otherVaults = [{ name: 'kv-a' }, { name: 'KV-A' }] | otherVaults: each vault is expected once
default | otherVaults = [{ name: 'kv-a', subscription: '<CLIENT>' }] | otherVaults: .* with a resourceGroup
default | otherVaults = [{ name: 'kv-a', resourceGroup: 'rg', subscription: '<36>' }] | otherVaults: .* a GUID
user    | otherVaults = [{ name: 'Contoso-vault' }] | otherVaults: .* the app's own in vaultName only
setting | identityId = '' | identityId: '': set SHARED_IDENTITY to /subscriptions/…
setting | identityId = '<ALERT>' | identityId: .*: set SHARED_IDENTITY to
setting | identityId = '<IDENTITY>/' | identityId: .*: set SHARED_IDENTITY
setting | identityId = '<IDENTITY TYPE>' | identityId: .*: set SHARED_IDENTITY
default | alertActionGroupId = 'on-call' | alertActionGroupId: 'on-call': .*actionGroups/… is expected
default | alertActionGroupId = '<IDENTITY>' | alertActionGroupId: .*actionGroups/… is expected
default | alertActionGroupId = '<ALERT>/' | alertActionGroupId: .* is expected
default | alertActionGroupId = '<ALERT WITHOUT GROUP>' | alertActionGroupId: .* is expected
default | alertActionGroupId = '<ALERT 36>' | alertActionGroupId: .* is expected
default | alertActionGroupId = 'x'; setterObjectId = 'y' | alertActionGroupId: 'x': .*; setterObjectId: 'y':
private | documentsAccountName = 'stDocs' | documentsAccountName: 'stDocs': lower-case
private | documentsAccountName = 'st-docs' | documentsAccountName: 'st-docs': lower
private | documentsAccountName = 'st1'; storageAccountName = 'st1' | documentsAccountName: .*: a name that differs
private | cosmosAccountName = 'Orders' | cosmosAccountName: 'Orders': lower-case
private | cosmosAccountName = 'or_ders' | cosmosAccountName: 'or_ders': lower-case
private | cosmosAccountName = '-orders' | cosmosAccountName: '-orders': lower-case
user    | serviceBusName = '1-orders' | serviceBusName: '1-orders': a letter is
user    | serviceBusName = 'orders.bus' | serviceBusName: 'orders.bus': a letter is
user    | serviceBusName = 'orders-' | serviceBusName: 'orders-': a letter is
default | alwaysReady = { http: 0 } | alwaysReady: http 0: .* 1 to maximumInstance
default | alwaysReady = { cron: 1 } | alwaysReady: cron 1: http, blob, durable or
default | alwaysReady = { http: 3 }; maximumInstanceCount = 2 | alwaysReady: http 3: .* 1 to maximumInstanceCount
default | logWorkspaceId = 'central' | logWorkspaceId: 'central': /subscriptions/…/
default | logWorkspaceId = '<LOGS>/x/y' | logWorkspaceId: .*: /subscriptions/…/
default | logWorkspaceId = '<SUBNETS>/app' | logWorkspaceId: .* is expected
default | logWorkspaceId = '<LOGS>'; logRetentionDays = 30 | logWorkspaceId: an existing workspace has its own
default | logWorkspaceId = '<LOGS>'; logDailyCapGB = 1 | logWorkspaceId: .* retention and cap: remove
default | allowedAddresses = ['203.0.113.5/24'] | allowedAddresses: '203.0.113.5/24': a network
default | allowedAddresses = ['203.0.113.0/33'] | allowedAddresses: '203.0.113.0/33': a network
default | allowedAddresses = ['0.0.0.0/0'] | allowedAddresses: '0.0.0.0/0': a network
default | allowedAddresses = ['203.0.113.7'] | allowedAddresses: '203.0.113.7': a network
default | allowedAddresses = ['1.2.3.4.x/8'] | allowedAddresses: '1.2.3.4.x/8': a network
default | allowedAddresses = ['AzureCloud'] | allowedAddresses: 'AzureCloud': a network
default | authClientId = '<CLIENT>' | authClientId: it is expected together with
default | authAudiences = [''] | authAudiences: '': an audience is expected
default | authAudiences = ['api://x'] | authClientId: it is expected together with
default | authAllowedApplications = ['<CLIENT>'] | authClientId: .* together with authAllowedApplications
default | authClientId = 'api'; authAllowedApplications = ['*'] | authAllowedApplications: .*; authClientId: 'api': a GUID
private | networkAddresses = '10.0.0.0/26' | networkAddresses: .*: a network from /8 to /25 is expected
private | networkAddresses = '10.0.0.0' | networkAddresses: .*: a network from /8 to /25 is expected
private | networkAddresses = '10.0.0.0/x' | networkAddresses: .*: a network from /8 to /25 is expected
private | networkAddresses = '300.0.0.0/24' | networkAddresses: .*: a network from /8 to /25 is expected
private | networkAddresses = 'fd00::/24' | networkAddresses: .*: a network from /8 to /25 is expected
private | networkAddresses = '10.0.0.5/24' | networkAddresses: .*: a network from /8 to /25 is expected
private | networkAddresses = '10.0.0.0/1' | networkAddresses: .*: a network from /8 to /25 is expected
private | privateInbound = true; allowedAddresses = ['203.0.113.0/24'] | privateInbound: .*: remove allowedAddresses
private | existingNetwork = <NETWORK>; networkAddresses = '10.1.0.0/24' | existingNetwork: .*: remove networkAddresses
private | existingNetwork = <NETWORK>; storageQueuesAndTables = true | existingNetwork.zoneIds.queue: .*existingNetwork.zoneIds.table: the id of each zone
private | existingNetwork = <NETWORK>; privateInbound = true | existingNetwork.zoneIds.sites: the id of each zone
private | existingNetwork = { appSubnetId: '<SUBNETS>/the_app', endpointSubnetId: '<LOGS>' } | existingNetwork.endpointSubnetId: .* is expected; .*: Flex Consumption accepts no under
private | existingNetwork = { appSubnetId: '<SUBNETS>/a', endpointSubnetId: '<SUBNETS>/A' } | existingNetwork.endpointSubnetId: another subnet
private | existingNetwork = <NETWORK WITH LOGS> | existingNetwork.zoneIds.blob: .*: /subscriptions/…/Microsoft.Network/privateDnsZones/
"""
NAMES = {
    "<36>": 36 * "x",
    "<CLIENT>": CLIENT,
    "<LOGS>": LOGS,
    "<SUBNETS>": SUBNETS,
    "<NETWORK>": network_of("private", True),
    "<NETWORK WITH LOGS>": network_of("private", True).replace(ZONES["blob"], LOGS),
    "<NETWORK WITHOUT SQL>": network_of("default", True),
    "<ALERT>": ACTION_GROUP,
    "<ALERT WITHOUT GROUP>": ACTION_GROUP.replace("rg-on-call", ""),
    "<ALERT 36>": ACTION_GROUP.replace(VAULT_SUBSCRIPTION, 36 * "x"),
    "<IDENTITY>": LITERAL_ID,
    "<IDENTITY TYPE>": LITERAL_ID.replace("Managed", "x"),
}


def table(text: str) -> list[list[str]]:
    """The cells of a table, with the names filled in: project, parameters, sentence."""
    rows = [row.split(" | ") for row in text.strip().splitlines()]
    return [[re.sub("<[A-Z0-9 ]+>", lambda one: NAMES[one[0]], c.strip()) for c in r] for r in rows]


@pytest.mark.parametrize(("project", "given"), table(SHAPES))
def test_a_value_of_the_wrong_shape_is_an_error_in_its_line(
    compiler: Any, write: Callable[..., Path], project: str, given: str
) -> None:
    parameters = write(project)
    text = parameters.read_text("utf-8")
    parameters.write_text(f"{text}\nparam {given}\n", "utf-8")

    errors = [one for one in compiler.compile(parameters)[0] if " Error " in one]

    beginning = text.count("\n") + 2
    lines = [int(one.split(":")[1]) for one in errors]
    assert errors
    assert all(line >= beginning for line in lines), errors


@pytest.mark.parametrize(("project", "given", "sentence"), table(SENTENCES))
def test_a_value_that_cannot_work_is_a_sentence_with_its_name(
    bake: Bake, compiler: Any, project: str, given: str, sentence: str
) -> None:
    answers = PROJECTS.get(project, IDENTITIES["setting"])
    parameters = dict(one.split(" = ", 1) for one in given.split("; "))

    with pytest.raises(RuntimeError) as caught:
        compiler.snapshot(bake(**answers) / "infra/main.bicepparam", **parameters)

    pattern = re.escape(sentence).replace(r"\.\*", ".*")
    assert re.search(f"'allTags' is not valid: (.*; )?{pattern}", str(caught.value))


# What only Azure knows of a subnet: a module reads it, and fails before anything is granted.

DELEGATED = "[{ properties: { serviceName: 'Microsoft.App/environments' } }]"
APP, ENDPOINTS = (f"existingNetwork.{one}SubnetId: " for one in ("app", "endpoint"))
NOT_DELEGATED = f"{APP}a subnet that is delegated to Microsoft.App/environments is expected"
HERE, NOT_HERE = "westeurope", "a subnet in westeurope is expected"
SUBNET_FAULTS = [
    ("West Europe", DELEGATED, "10.1.0.0/27", HERE, []),
    ("northeurope", DELEGATED, "10.1.0.0/27", HERE, [f"{APP}northeurope: {NOT_HERE}"]),
    (
        HERE,
        DELEGATED.replace("App/env", "Web/x"),
        "10.1.0.0/24', '10.2.0.0/24",
        HERE,
        [NOT_DELEGATED],
    ),
    (HERE, DELEGATED, "10.1.0.0/28", HERE, [f"{APP}10.1.0.0/28: a /27 or larger is expected"]),
    (HERE, "[]", "10.1.0.0/24", "uksouth", [f"{ENDPOINTS}uksouth: {NOT_HERE}", NOT_DELEGATED]),
]


@pytest.mark.parametrize(("app", "delegations", "addresses", "endpoints", "found"), SUBNET_FAULTS)
def test_a_subnet_that_cannot_serve_is_named(
    compiler: Any,
    write: Callable[..., Path],
    app: str,
    delegations: str,
    addresses: str,
    endpoints: str,
    found: list[str],
) -> None:
    infra = write("private").parent
    subnet = f"location: '{app}', delegations: {delegations}, addresses: ['{addresses}']"
    (infra / "try.bicep").write_text(
        "import { problemsOfSubnets } from 'modules/existing-network.bicep'\n"
        f"output found string[] = filter(problemsOfSubnets('{HERE}', {{ {subnet} }},"
        f" {{ location: '{endpoints}' }}), one => !empty(one))\n",
        "utf-8",
    )
    (infra / "try.bicepparam").write_text("using './try.bicep'\n", "utf-8")

    assert compiler.snapshot(infra / "try.bicepparam")["outputs"]["found"] == found


@pytest.mark.parametrize("project", [name for name in PROJECTS if "private" in name])
@pytest.mark.parametrize("access", ["access-policy", "rbac"])
@pytest.mark.parametrize("identity", ["system", "user"])
def test_every_grant_waits_for_the_check_of_the_subnets(
    bake: Bake, compiler: Any, project: str, access: str, identity: str
) -> None:
    answers = PROJECTS[project] | {"vault_access": access, "identity": identity}
    if identity == "system":
        answers = answers | {"identity_id": ""}
    _, template = compiler.compile(bake(**answers) / "infra/main.bicep")
    resources = named_resources(template)
    check = resources["existingNetworkCheck"]
    (failure,) = check["properties"]["template"]["outputs"].values()

    def before(name: str) -> set[str]:
        earlier = set(resources.get(name, {}).get("dependsOn", []))
        return earlier.union(*map(before, earlier))

    assert "fail(join(" in failure["value"]
    assert "existing" in str(check["properties"]["template"]["resources"])
    granting = [
        name
        for name, module in modules_of(template).items()
        for one in resources_of(module["properties"]["template"])
        if one["type"].endswith(("/roleAssignments", "/sqlRoleAssignments", "/accessPolicies"))
    ]
    assert {"access", "vaultAccess"} <= set(granting)
    assert all("existingNetworkCheck" in before(name) for name in granting)
    assert {"app", "settings"} <= {n for n in resources if "existingNetworkCheck" in before(n)}


def test_a_webhook_of_the_host_needs_a_system_key_and_no_token(bake: Bake, compiler: Any) -> None:
    """https://learn.microsoft.com/azure/app-service/configure-authentication-file-based has `/*`."""
    given = CHOICES["authClientId"][0]
    what_if = compiler.snapshot(bake() / "infra/main.bicepparam", **given)

    (sign_in,) = (
        one["properties"]
        for one in bicep.resources(what_if, f"{SITE}/config")
        if one["name"].endswith("/authsettingsV2")
    )
    excluded = sign_in["globalValidation"]["excludedPaths"]
    patterns = [re.compile(re.escape(one).replace(r"\*", ".*")) for one in excluded]

    # https://learn.microsoft.com/azure/azure-functions/functions-bindings-event-grid-trigger and
    # https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-http-api
    webhooks = [f"/runtime/webhooks/{one}" for one in ("EventGrid", "blobs", "durabletask/x/y")]
    others = ["/api/read_secret", "/admin/functions", "/runtime", "/", "/api/runtime/webhooks/x"]
    for path in (*webhooks, *others):
        assert any(one.fullmatch(path) for one in patterns) == (path in webhooks)
    # No key of the host is set: it makes its system keys itself, and keeps them in its storage.
    assert not re.search("systemKeys|host/keys", json.dumps(what_if))


# docs/enterprise.md


def blocks(page: Path = DOCS) -> list[str]:
    return re.findall(r"^```bicep\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def test_the_example_is_predicted_as_it_was(bake: Bake, compiler: Any, tmp_path: Path) -> None:
    (example,) = (one for one in blocks() if one.startswith("using"))
    infra = Path(shutil.copytree(bake(network="private") / "infra", tmp_path / "infra"))
    parameters = infra / "main.bicepparam"
    parameters.write_text(f"{example}param cloud = 'AzureCloud'\n", "utf-8")

    assert compiler.compile(parameters)[0] == []
    assert compiler.format(parameters) == parameters.read_text("utf-8")
    predicted = compiler.snapshot(parameters)

    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(predicted, indent=1, ensure_ascii=False) + "\n", "utf-8")
    # If the difference is wanted, run this with UPDATE_SNAPSHOT=1 and commit the file.
    assert predicted == json.loads(SNAPSHOT.read_text("utf-8"))
    kinds = {one["type"] for one in predicted["predictedResources"]}
    assert not kinds & {NETWORK, SUBNET, ZONE, LINK, WORKSPACE}
    assert len(bicep.resources(predicted, ENDPOINT)) == len(bicep.resources(predicted, RECORD)) == 3
    assert all(
        "/rg-test/" in one["id"] or "'rg-test'" in one["id"]
        for one in predicted["predictedResources"]
    )
    assert example.count("\n") <= 22


@pytest.mark.parametrize("snippet", [one for one in blocks() if not one.startswith("using")])
def test_each_snippet_compiles(compiler: Any, write: Callable[..., Path], snippet: str) -> None:
    parameters = write("private")
    parameters.write_text(parameters.read_text("utf-8") + snippet, "utf-8")

    assert compiler.compile(parameters)[0] == []
    compiler.snapshot(parameters)


@pytest.mark.parametrize("project", ["default", "private"])
def test_each_parameter_in_the_readme_compiles(
    bake: Bake, compiler: Any, write: Callable[..., Path], project: str
) -> None:
    snippets = [
        one for one in blocks(bake(**PROJECTS[project]) / "README.md") if one.startswith("param")
    ]
    parameters = write(project)
    text = parameters.read_text("utf-8")
    names = [one.split()[1] for one in snippets]
    text = re.sub(rf"^param ({'|'.join(names)}) = .*\n", "", text, flags=re.M)
    parameters.write_text(text + "".join(snippets), "utf-8")

    assert "authClientId" in names
    assert ("existingNetwork" in names) == (project == "private")
    assert compiler.compile(parameters)[0] == []


def test_the_tables_have_every_parameter_with_its_default(bake: Bake) -> None:
    text = DOCS.read_text("utf-8")
    declared: dict[str, str] = {}
    for answers in PROJECTS.values():
        main = (bake(**answers) / "infra/main.bicep").read_text("utf-8")
        declared |= dict(re.findall(r"^param (\w+) [^=\n]+(?:= (.+))?$", main, re.M))
    in_readme = {"location", "environmentName", "cloud", "secretRefreshSeconds", "networkAddresses"}
    in_readme |= {"secretGraceSeconds", "storageQueuesAndTables", "alertActionGroupId"}
    in_readme |= {"otherVaults", "recoverVault", "setterObjectId"}

    shown = dict(re.findall(r"^\| `(\w+)` \| `?([^|]*?)`? \|", text, re.M))

    for name, default in declared.items():
        assert f"`{name}`" in text or f"param {name}" in text or name in in_readme, name
        if name in shown and re.fullmatch(r"\d+|false|true", default):
            assert shown[name] == default
    assert set(re.findall(r"^param (\w+) ", text, re.M)) <= declared.keys()
