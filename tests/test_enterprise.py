"""What a platform team sets in main.bicepparam: each parameter changes what it says, and no more.

Sources of the limits: https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan,
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules and
https://learn.microsoft.com/azure/app-service/configure-authentication-file-based.
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from answers import ACTION_GROUP, IDENTITIES, LITERAL_ID, VAULT_SUBSCRIPTION
from baking import TEMPLATE, Bake
from bicep import with_parameters
from covering import covering
from infrastructure import SUBNET, WORKSPACE, ZONE, WhatIf
from invariants import OF_EVERY_DEPLOYMENT, modules_of, named_resources, resources_of

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


def network_of(*groups: str) -> str:
    """Subnets of the hub and its zones for these groups of endpoints, or no zones."""
    zones = "".join(f" {one}: '{ZONES[one]}'\n" for one in groups)
    subnets = f"appSubnetId: '{SUBNETS}/app', endpointSubnetId: '{SUBNETS}/endpoints'"
    return f"{{ {subnets}, zoneIds: {{\n{zones}}} }}" if groups else f"{{ {subnets} }}"


RULES = "properties.siteConfig.ipSecurityRestrictions"


def rule(number: int, address: str) -> str:
    """The values of an IP restriction."""
    values = {"ipAddress": address, "action": "Allow", "priority": 100 + number}
    values["name"] = f"allowed-{number}"
    return "; ".join(f"sites {RULES}.{number}.{name} = {one}" for name, one in values.items())


NAMES = {
    "<36>": 36 * "x",
    "<CLIENT>": CLIENT,
    "<CALLER>": CALLER,
    "<LOGS>": LOGS,
    "<SUBNETS>": SUBNETS,
    "<NETWORK>": network_of("vault", "blob", "Sql"),
    "<NETWORK WITH LOGS>": network_of("vault", "blob", "Sql").replace(ZONES["blob"], LOGS),
    "<NETWORK WITHOUT SQL>": network_of("vault", "blob"),
    "<NETWORK WITH SITES>": network_of("vault", "blob", "Sql", "sites"),
    "<NETWORK WITHOUT ZONES>": network_of(),
    "<ALERT>": ACTION_GROUP,
    "<ALERT WITHOUT GROUP>": ACTION_GROUP.replace("rg-on-call", ""),
    "<ALERT WITHOUT NAME>": ACTION_GROUP.rpartition("/")[0],
    "<ALERT 36>": ACTION_GROUP.replace(VAULT_SUBSCRIPTION, 36 * "x"),
    "<IDENTITY>": LITERAL_ID,
    "<IDENTITY TYPE>": LITERAL_ID.replace("Managed", "x"),
    "<SCALE>": "properties.functionAppConfig.scaleAndConcurrency",
    "<READY>": "sites properties.functionAppConfig.scaleAndConcurrency.alwaysReady",
    "<RULES>": RULES,
    "<FIRST RULE>": rule(0, "203.0.113.0/24"),
    "<SECOND RULE>": rule(1, "198.51.100.7/32"),
    "<ALL LOGS>": "; ".join(
        f"diagnosticSettings properties.{one}"
        for one in (
            *("logs.0.categoryGroup = allLogs", "metrics.0.category = AllMetrics"),
            "metrics.0.enabled = True",
        )
    ),
    "<SUBNETS GIVEN>": "- virtualNetworks; 2 - subnets; "
    f"sites properties.virtualNetworkSubnetId = {SUBNETS}/app",
    "<ENDPOINT>": f"privateEndpoints properties.subnet.id = {SUBNETS}/endpoints",
    "<RECORD>": "privateDnsZoneGroups properties.privateDnsZoneConfigs.0.properties.privateDnsZoneId"
    f" = {HUB}/{ZONE}/privatelink",
}


def table(text: str) -> list[list[str]]:
    """The cells of a table, with the names filled in: project, parameters, what is expected."""
    rows = [row.split(" | ") for row in text.strip().splitlines()]
    return [[re.sub("<[A-Z0-9 ]+>", lambda one: NAMES[one[0]], c.strip()) for c in r] for r in rows]


def given_by(parameters: str) -> dict[str, str]:
    """Parameters as a table has them, by their names."""
    return dict(one.split(" = ", 1) for one in parameters.split("; "))


# What a prediction has then that it has not without the parameters: each value of a resource that is
# changed, and the types of those that are new (+) or gone (-). The example below has what is in them.
EFFECTS = """
default | zoneRedundant = true | serverfarms properties.zoneRedundant = True; storageAccounts sku.name = Standard_ZRS
private | zoneRedundant = true | serverfarms properties.zoneRedundant = True; storageAccounts sku.name = Standard_ZRS
default | instanceMemoryMB = 4096 | sites <SCALE>.instanceMemoryMB = 4096
default | maximumInstanceCount = 40 | sites <SCALE>.maximumInstanceCount = 40
default | httpConcurrency = 16 | sites <SCALE>.triggers.http.perInstanceConcurrency = 16
default | alwaysReady = { http: 2, 'function:a': 1 } | <READY>.0.name = function:a; <READY>.0.instanceCount = 1; <READY>.1.name = http; <READY>.1.instanceCount = 2
default | logRetentionDays = 30 | workspaces properties.retentionInDays = 30
default | logDailyCapGB = 2 | workspaces properties.workspaceCapping.dailyQuotaGb = 2
default | logWorkspaceId = '<LOGS>' | - workspaces; components properties.WorkspaceResourceId = <LOGS>; diagnosticSettings properties.workspaceId = <LOGS>
default | diagnostics = true | 2 + diagnosticSettings; <ALL LOGS>
user    | diagnostics = true | 2 + diagnosticSettings
private | diagnostics = true | 3 + diagnosticSettings; <ALL LOGS>
default | allowedAddresses = ['203.0.113.0/24', '198.51.100.7/32'] | sites <RULES>DefaultAction = Deny; <FIRST RULE>; <SECOND RULE>
default | authClientId = '<CLIENT>'; authAllowedApplications = ['<CALLER>'] | + config
user    | tags = { team: 'x' } | workspaces tags.team = x; components tags.team = x; storageAccounts tags.team = x; serverfarms tags.team = x; sites tags.team = x; namespaces tags.team = x
private | privateInbound = true | sites properties.publicNetworkAccess = Disabled; + privateEndpoints; + privateDnsZoneGroups; + privateDnsZones; + virtualNetworkLinks
private | existingNetwork = <NETWORK WITH SITES> | 3 - privateDnsZones; 3 - virtualNetworkLinks; <SUBNETS GIVEN>; 4 <ENDPOINT>; <RECORD>.vaultcore.azure.net; <RECORD>.documents.azure.com; 2 <RECORD>.blob.core.windows.net
private user | existingNetwork = <NETWORK WITHOUT ZONES> | 2 - privateDnsZones; 2 - virtualNetworkLinks; 2 - privateDnsZoneGroups; <SUBNETS GIVEN>; 2 <ENDPOINT>
"""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give each value that has no parts, by its path."""
    for name, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict | list) and one:
            yield from leaves(one, f"{path}{name}.")
        elif name not in ("id", "type") or path:
            yield f"{path}{name}", one


def differences(before: WhatIf, after: WhatIf) -> list[tuple[str, str, str]]:
    """List what differs: type, id, and the value by its path, or whether the resource is new or gone."""
    old, new = (
        {(one["type"].rpartition("/")[2], one["id"]): dict(leaves(one)) for one in resources}
        for resources in (before["predictedResources"], after["predictedResources"])
    )
    found = [(*key, "-") for key in old.keys() - new.keys()]
    found += [(*key, "+") for key in new.keys() - old.keys()]
    for key, values in new.items():
        earlier = old.get(key, {})
        found += [(*key, f"{path} is gone") for path in earlier.keys() - values.keys()]
        found += [
            (*key, f"{path} = {one}") for path, one in values.items() if earlier.get(path) != one
        ]
    return sorted(found)


@pytest.mark.parametrize(("project", "given", "effects"), table(EFFECTS))
def test_each_parameter_changes_what_it_says_and_no_more(
    bake: Bake, compiler: Any, project: str, given: str, effects: str
) -> None:
    parameters = bake(**PROJECTS[project]) / "infra/main.bicepparam"
    before, after = (compiler.snapshot(parameters, **one) for one in ({}, given_by(given)))

    found = differences(before, after)
    new = {one_id for _, one_id, how in found if how == "+"}
    counted = Counter(
        f"{how} {kind}" if how in "+-" else f"{kind} {how}"
        for kind, one_id, how in found
        if how == "+" or one_id not in new
    )
    assert {f"{n} {one}" if n > 1 else one for one, n in counted.items()} == set(
        effects.split("; ")
    )
    assert after["outputs"] == before["outputs"]


GIVEN = sorted({given for _, given, _ in table(EFFECTS)})
EXCLUDE_EACH_OTHER = (
    {"privateInbound", "allowedAddresses"},
    {"logWorkspaceId", "logRetentionDays"},
    {"logWorkspaceId", "logDailyCapGB"},
)


def allowed(row: Mapping[str, str]) -> bool:
    """Whether the parameters of a row go together."""
    given = [one for one in GIVEN if row.get(one)]
    names = [name for one in given for name in given_by(one)]
    project = row.get("project", "private")
    if {"existingNetwork", "privateInbound"} & set(names) and "private" not in project:
        return False
    if project != "private" and "Sql" in str(given):
        return False
    return len(set(names)) == len(names) and not any(
        one <= set(names) for one in EXCLUDE_EACH_OTHER
    )


ROWS = covering({"project": [*PROJECTS], **{one: ["", "on"] for one in GIVEN}}, 2, allowed)


@pytest.fixture
def write(bake: Bake, tmp_path: Path) -> Callable[..., Path]:
    """Write parameters into main.bicepparam of a project's copy, and give that file."""

    def write(project: str, **parameters: str) -> Path:
        infra = Path(shutil.copytree(bake(**PROJECTS[project]) / "infra", tmp_path / "infra"))
        file = infra / "main.bicepparam"
        file.write_text(with_parameters(infra, **parameters), "utf-8")
        return file

    return write


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["project"]))
def test_every_two_parameters_go_together(
    compiler: Any, write: Callable[..., Path], row: dict[str, str]
) -> None:
    given = "; ".join(one for one in GIVEN if row[one])
    parameters = write(row["project"], **(given_by(given) if given else {}))

    assert compiler.compile(parameters)[0] == []
    what_if = compiler.snapshot(parameters)
    assert [found for invariant in OF_EVERY_DEPLOYMENT for found in invariant(what_if)] == []


def test_a_prefix_begins_each_name_within_its_limit(bake: Bake, compiler: Any) -> None:
    for answers in PROJECTS.values():
        parameters = bake(**answers) / "infra/main.bicepparam"
        what_if = compiler.snapshot(parameters, prefix="'contoso-'")

        names = [one["name"] for one in what_if["predictedResources"]]
        own = [one for one in names if re.match("contoso-?[a-z]", one)]
        others = "".join(one for one in names if one not in own)
        assert re.fullmatch(r"(\[.*?\]|audit|[0-9a-f-]{36})*", others)
        for kind, most in {"contosost": 24, "contoso-kv": 24, "contoso-func-": 32}.items():
            assert all(len(one) <= most for one in own if one.startswith(kind) and "/" not in one)


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
default | alertActionGroupId = '<ALERT WITHOUT NAME>' | alertActionGroupId: .* is expected
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


@pytest.mark.parametrize("identity", ["system", "user"])
@pytest.mark.parametrize("access", ["access-policy", "rbac"])
def test_every_grant_waits_for_the_check_of_the_subnets(
    bake: Bake, compiler: Any, access: str, identity: str
) -> None:
    answers = PROJECTS["private"] | {"vault_access": access, "identity": identity}
    _, template = compiler.compile(bake(**answers) / "infra/main.bicep")
    resources = named_resources(template)
    check = resources["existingNetworkCheck"]["properties"]["template"]

    def before(name: str) -> set[str]:
        earlier = set(resources.get(name, {}).get("dependsOn", []))
        return earlier.union(*map(before, earlier))

    assert "fail(join(" in check["outputs"]["checked"]["value"]
    assert "existing" in str(check["resources"])
    granting = {
        name
        for name, module in modules_of(template).items()
        for one in resources_of(module["properties"]["template"])
        if one["type"].endswith(("/roleAssignments", "/sqlRoleAssignments", "/accessPolicies"))
    }
    assert granting == {"access", "vaultAccess"}
    for name in (*granting, "app", "settings"):
        assert "existingNetworkCheck" in before(name), name


# docs/enterprise.md


def blocks(page: Path = DOCS) -> list[str]:
    return re.findall(r"^```bicep\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def test_the_example_changes_what_it_changed(bake: Bake, compiler: Any, tmp_path: Path) -> None:
    (example,) = (one for one in blocks() if one.startswith("using"))
    infra = Path(shutil.copytree(bake(network="private") / "infra", tmp_path / "infra"))
    parameters = infra / "main.bicepparam"
    names = {"environmentName": "'prod'", "prefix": "'contoso-'"}
    before = compiler.snapshot(parameters, **names)
    parameters.write_text(f"{example}param cloud = 'AzureCloud'\n", "utf-8")

    assert compiler.compile(parameters)[0] == []
    assert compiler.format(parameters) == parameters.read_text("utf-8")
    found = [" ".join(one) for one in differences(before, compiler.snapshot(parameters))]

    if os.environ.get("UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    # If the difference is wanted, run this with UPDATE_SNAPSHOT=1 and commit the file.
    assert found == json.loads(SNAPSHOT.read_text("utf-8"))
    # The host has system keys for these paths: it makes them itself, and keeps them in its storage.
    assert re.search(r"excludedPaths\.0 = /runtime/webhooks/\*\n", "\n".join(found))
    assert not re.search("systemKeys|host/keys|excludedPaths.1", str(found))
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
