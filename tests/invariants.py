"""What must hold for every project that the template can render.

Each invariant is a sentence that a reviewer may ask for. It looks at what the compiler makes of the
project's infra/ (its what-if of a deployment, or its template; never at text) or at the app that
was loaded, and yields a sentence for everything that is wrong. What the answers ask for is in
expectation.py.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from expectation import (
    BY_POLICY,
    BY_ROLE,
    CONNECTIONS,
    SERVICE_RESOURCES,
    SERVICE_RIGHTS,
    App,
    Expected,
)
from infrastructure import (
    ALERT,
    BUS,
    COSMOS,
    COSMOS_ROLE,
    DIAGNOSTICS,
    ENDPOINT,
    INSIGHTS,
    KEY,
    LINK,
    NETWORK,
    PLAN,
    POLICY,
    RECORD,
    ROLE,
    SCM,
    SITE,
    STORAGE,
    SUBNET,
    VAULT,
    WORKSPACE,
    ZONE,
    WhatIf,
    bicep,
    host_storage,
    only,
    service,
)

Template = dict[str, Any]

FLEX_CONSUMPTION = json.loads(
    Path(__file__).with_name("schemas").joinpath("flex_consumption.json").read_text("utf-8")
)
# In the place of what host.json says, where an alert waits for a single line.
SAMPLING = "AzureFunctionsJobHost__logging__applicationInsights__samplingSettings"
UNIQUE = re.compile(r"[a-z2-7]{13}")
QUEUES = ("Queue", "Table")
# The zone of each group of endpoints, as what-if leaves it: only Azure knows its own cloud.
ZONES = {
    "vault": "replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')",
    "blob": "format('privatelink.blob.{0}', environment().suffixes.storage)",
    "Sql": "replace(split(environment().portal, '/')[2], 'portal.', 'privatelink.documents.')",
    "queue": "format('privatelink.queue.{0}', environment().suffixes.storage)",
    "table": "format('privatelink.table.{0}', environment().suffixes.storage)",
}


# Who may do what


def it_makes_nothing_else(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """Exactly these resources; a right or a resource more would be one that nobody asked for."""
    kinds = [WORKSPACE, INSIGHTS, STORAGE, f"{STORAGE}/blobServices"]
    kinds += [f"{STORAGE}/blobServices/containers", PLAN, SITE, SCM, f"{SITE}/config", ROLE, ROLE]
    kinds += [ROLE, ROLE] if want.queues_and_tables else []
    vaults = 0 if want.access == "granted" else 1 + len(want.other_vaults)
    kinds += [ROLE if want.by_role else POLICY] * (vaults + bool(want.setter))
    kinds += [ROLE] * vaults if want.key and want.by_role else []
    kinds += [KEY] if want.key and want.makes_vault else []
    for name in want.services:
        kinds += SERVICE_RESOURCES[name]
    kinds += [VAULT, DIAGNOSTICS] if want.makes_vault else []
    kinds += ["Microsoft.ManagedIdentity/userAssignedIdentities"] if want.makes_identity else []
    kinds += [ALERT] if want.action_group else []
    if want.private:
        targets = reached(what_if, want)
        kinds += [NETWORK, SUBNET, SUBNET, *[ENDPOINT, RECORD] * len(targets)]
        kinds += [ZONE, LINK] * len({group for _, group in targets})
    made = sorted(one["type"] for one in what_if["predictedResources"])
    if made != sorted(kinds):
        yield f"makes {made} instead of {sorted(kinds)}"


def the_site_has_the_one_identity(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """The identity that is declared, and no second one."""
    assigned = only(what_if, SITE)["identity"]
    system: WhatIf = {"type": "SystemAssigned"}
    user = {"type": "UserAssigned", "userAssignedIdentities": {want.identity: {}}}
    if assigned != (system if want.identity == "system" else user):
        yield f"the site has {assigned}"


def the_rights_are_exactly_these(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """Read the vault's secrets, own the host's blobs, publish telemetry: all by one identity."""
    needs, account = BY_ROLE if want.by_role else BY_POLICY, host_storage(what_if)["id"]
    rights = {("Storage Blob Data Owner", account)}
    rights |= {("Monitoring Metrics Publisher", only(what_if, INSIGHTS)["id"])}
    for name in QUEUES if want.queues_and_tables else ():
        rights.add((f"Storage {name} Data Contributor", account))
    for vault in () if want.access == "granted" else (want.vault, *want.other_vaults):
        rights |= {(right, vault) for right in needs["keyVault"]}
        rights |= {(right, vault) for right in needs["keyVaultKey"] if want.key}
    for name in want.services:
        where = service(what_if, name)["id"]
        rights |= {(role, f"{where}{end}") for end, role in SERVICE_RIGHTS[name].items()}
    wanted = {(want.identity, *right) for right in rights}
    wanted |= {(want.setter, right, want.vault) for right in needs["setter"] if want.setter}
    given = bicep.grants(what_if)
    for grant in sorted(wanted.symmetric_difference(given)):
        yield f"{'lacks' if grant in wanted else 'gives'} {tuple(grant)}"
    if len(given) != len(set(given)):
        yield "gives a right twice"
    for policy in bicep.resources(what_if, POLICY):
        if not policy["id"].endswith("/accessPolicies/add"):
            yield f"{policy['id']} takes away the policies of others"


# What a resource is


def the_properties_are_exactly_these(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """Identities only, encrypted only, in the app's network only, on Flex Consumption.

    No data that is lost, no vault that is purged, nothing that costs while nobody uses it.
    """
    wanted = properties(what_if, want)
    for one in what_if["predictedResources"]:
        found = dict(one.get("properties", {}))
        if one["type"] == ALERT and not (found.pop("displayName") and found.pop("description")):
            yield "the alert does not say what to do"
        if found != wanted.get(one["type"], found if one["type"] in ELSEWHERE else {}):
            yield f"{one['id']} is {found}"
    if only(what_if, PLAN)["sku"] != {"name": "FC1", "tier": "FlexConsumption"}:
        yield f"the plan is {only(what_if, PLAN)['sku']}"
    if only(what_if, SITE)["tags"].get("azd-service-name") != "api":
        yield "azd does not find the site"
    if [one["name"] for one in bicep.resources(what_if, SCM) if not one["name"].endswith("/scm")]:
        yield "only scm accepts passwords on Flex Consumption"
    on_vault = {DIAGNOSTICS: "/", KEY: f"/keys/{want.key}"}
    for one in (one for kind in on_vault for one in bicep.resources(what_if, kind)):
        if not one["id"].startswith(f"{want.vault}{on_vault[one['type']]}"):
            yield f"{one['id']} is not of the vault"


# The properties of these are looked at by other invariants, or give no access.
ELSEWHERE = {ROLE, POLICY, COSMOS_ROLE, ENDPOINT, RECORD, SUBNET, PLAN, f"{SITE}/config"}
ELSEWHERE |= {f"{COSMOS}/sqlDatabases", f"{COSMOS}/sqlDatabases/containers"}


def properties(what_if: WhatIf, want: Expected) -> dict[str, dict[str, Any]]:
    """The properties of the resources of a type."""
    workspace, account = only(what_if, WORKSPACE)["id"], host_storage(what_if)["id"]
    disabled: dict[str, Any] = {"publicNetworkAccess": "Disabled"} if want.private else {}
    closed = disabled | {"networkAcls": {"defaultAction": "Deny", "bypass": "None"}}
    network = only(what_if, NETWORK)["id"] if want.private else ""
    routed = {
        "virtualNetworkSubnetId": f"{network}/subnets/app",
        "outboundVnetRouting": {"allTraffic": True},
    }
    fetched_by = {"type": "SystemAssignedIdentity"}
    if want.identity != "system":
        fetched_by = {"type": "UserAssignedIdentity"}
        fetched_by["userAssignedIdentityResourceId"] = want.identity
    blobs = f"reference('{account}', '2026-04-01').primaryEndpoints.blob"
    return {
        SITE: {
            "serverFarmId": only(what_if, PLAN)["id"],
            "httpsOnly": True,
            "siteConfig": {"minTlsVersion": "1.2", "scmMinTlsVersion": "1.2"},
            "functionAppConfig": {
                "deployment": {
                    "storage": {
                        "type": "blobContainer",
                        "value": f"[format('{{0}}{{1}}', {blobs}, 'app-package')]",
                        "authentication": fetched_by,
                    }
                },
                "runtime": {"name": "python", "version": want.python},
                "scaleAndConcurrency": {"instanceMemoryMB": 2048, "maximumInstanceCount": 100},
            },
            **(routed if want.private else {}),
        },
        SCM: {"allow": False},
        STORAGE: {
            "allowSharedKeyAccess": False,
            "defaultToOAuthAuthentication": True,
            "allowBlobPublicAccess": False,
            "allowCrossTenantReplication": False,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
            **(closed if want.private else {}),
        },
        VAULT: {
            "createMode": "recover" if want.recovers else "default",
            "tenantId": bicep.DEPLOYMENT["tenantId"],
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": want.by_role,
            "enableSoftDelete": True,
            "softDeleteRetentionInDays": 90,
            "enablePurgeProtection": True,
            **({} if want.by_role else {"accessPolicies": []}),
            **(closed if want.private else {}),
        },
        KEY: {"kty": "RSA", "keySize": 3072, "keyOps": ["sign", "verify"]},
        DIAGNOSTICS: {
            "workspaceId": workspace,
            "logs": [{"categoryGroup": "audit", "enabled": True}],
        },
        COSMOS: {
            "databaseAccountOfferType": "Standard",
            "capabilities": [{"name": "EnableServerless"}],
            "locations": [{"locationName": bicep.DEPLOYMENT["location"], "failoverPriority": 0}],
            "disableLocalAuth": True,
            "minimalTlsVersion": "Tls12",
            **(disabled | {"networkAclBypass": "None"} if want.private else {}),
        },
        BUS: {"disableLocalAuth": True, "minimumTlsVersion": "1.2"},
        # What cannot be handled, or is not taken in time, is kept in the dead-letter queue.
        f"{BUS}/queues": {
            "maxDeliveryCount": 5,
            "defaultMessageTimeToLive": "P14D",
            "deadLetteringOnMessageExpiration": True,
        },
        INSIGHTS: {
            "Application_Type": "web",
            "DisableLocalAuth": True,
            "WorkspaceResourceId": workspace,
        },
        WORKSPACE: {
            "sku": {"name": "PerGB2018"},
            "retentionInDays": 90,
            "features": {"disableLocalAuth": True},
        },
        # It looks for the app's own log line, and notifies whom the deployer named.
        ALERT: {
            "severity": 1,
            "scopes": [only(what_if, INSIGHTS)["id"]],
            "evaluationFrequency": "PT5M",
            "windowSize": "PT5M",
            "criteria": {
                "allOf": [
                    {
                        "query": f'traces | where message has "{bicep.alert_words()}"',
                        "timeAggregation": "Count",
                        "operator": "GreaterThan",
                        "threshold": 0,
                        "dimensions": [{"name": "message", "operator": "Include", "values": ["*"]}],
                    }
                ]
            },
            # The line comes once. No second one does not mean that all is well again.
            "autoMitigate": False,
            "actions": {"actionGroups": [want.action_group]},
        },
        # Without `subnets`, which deletes those of others.
        NETWORK: {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}},
        LINK: {
            "registrationEnabled": False,
            "resolutionPolicy": "NxDomainRedirect",
            "virtualNetwork": {"id": network},
        },
    }


def nothing_that_flex_consumption_refuses_or_ignores(
    what_if: WhatIf, want: object = None
) -> Iterator[str]:
    """No such property of the site or its configuration, and no such setting."""
    site = only(what_if, SITE)["properties"]
    refused = [name.lower() for name in FLEX_CONSUMPTION["properties"]]
    for name in (*site, *site["siteConfig"]):
        if name.lower() in refused:
            yield f"{name} is set"
    for name in {"appSettings"} & site["siteConfig"].keys() | {
        name for name in bicep.app_settings(what_if) if name.upper() in FLEX_CONSUMPTION["settings"]
    }:
        yield f"{name} is set"


def no_permission_is_a_wildcard(what_if: WhatIf, want: object = None) -> Iterator[str]:
    """No `*`, `all` or whole internet in permissions, actions, origins and addresses."""
    wildcard = re.compile(r"""(?<=[\[ ])['"](\*|[^'"]*/\*|all|0\.0\.0\.0/0)['"]""", re.IGNORECASE)
    for one in what_if["predictedResources"]:
        found = set(wildcard.findall(json.dumps(one.get("properties", {}))))
        found -= {"/runtime/webhooks/*"}  # paths that need a system key instead of a token
        if found and one["type"] != ALERT:  # its dimensions include every message
            yield f"{one['type']} has {found}"


def names_are_unique_and_short(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """What must be unique in the world ends in a hash of the resource group, within its limit."""
    limits = {SITE: 32, STORAGE: 24, COSMOS: 44, BUS: 50}
    if want.makes_vault and not want.vault.endswith("/contoso-vault"):
        limits[VAULT] = 24
    for kind, limit in limits.items():
        for name in (one["name"] for one in bicep.resources(what_if, kind)):
            if len(name) > limit or not UNIQUE.fullmatch(name[-13:]):
                yield f"{kind} is named {name}"


# What the app and its deployer get


def the_settings_are_exactly_these(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """What the declarations name, what the host needs to use the identity, and no key."""
    account, insights = host_storage(what_if)["id"], only(what_if, INSIGHTS)["id"]
    wanted = {
        "AzureWebJobsStorage__accountName": account.rpartition("/")[2],
        "AzureWebJobsStorage__credential": "managedidentity",
        "SECRET_REFRESH_SECONDS": "300",
        "SECRET_GRACE_SECONDS": "900",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"[reference('{insights}', *).ConnectionString]",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD",
        "KEY_VAULT_DNS_SUFFIX": "[substring(environment().suffixes.keyvaultDns, 1)]",
        **want.settings,
    }
    if want.python in ("3.11", "3.12"):
        wanted["PYTHON_ENABLE_INIT_INDEXING"] = "1"
    for name in () if want.public_cloud else ("blob", "queue", "table"):
        value = f"[reference('{account}', *).primaryEndpoints.{name}]"
        wanted[f"AzureWebJobsStorage__{name}ServiceUri"] = value
    if want.action_group:
        wanted[f"{SAMPLING}__excludedTypes"] = "Request;Trace"
    for name in want.services:
        prefix, setting, value = CONNECTIONS[name]
        wanted[f"{prefix}__{setting}"] = value.format(service(what_if, name)["id"])
    if want.identity != "system":
        client = f"reference('{want.identity}', *).clientId"
        wanted |= {
            "AzureWebJobsStorage__clientId": f"[{client}]",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"[format('ClientId={{0}};"
            f"Authorization=AAD', {client})]",
        }
        for name in want.services:
            wanted[f"{CONNECTIONS[name][0]}__credential"] = "managedidentity"
            wanted[f"{CONNECTIONS[name][0]}__clientId"] = f"[{client}]"
    written = {
        name: re.sub(r"(reference\('[^']+'), '[^']+'\)", r"\1, *)", value)
        for name, value in bicep.app_settings(what_if).items()
    }
    if written != wanted:
        yield f"the settings are {written} instead of {wanted}"


def nothing_secret_leaves(what_if: WhatIf, want: object = None) -> Iterator[str]:
    """The outputs are names and addresses; no key is asked for anywhere."""
    outputs = {"appName", "appUrl", "identityPrincipalId", "vaultName", "vaultUri"}
    if what_if["outputs"].keys() != outputs:
        yield f"the outputs are {sorted(what_if['outputs'])}"
    if keys := re.findall(r"list[A-Z]\w*\(|AccountKey=|SharedAccessKey|getSecret", str(what_if)):
        yield f"asks for keys: {keys}"


# A private network


def reached(what_if: WhatIf, want: Expected) -> set[tuple[str, str]]:
    """List what the app must reach: each resource, and the group of its endpoint."""
    more = QUEUES if want.queues_and_tables else ()
    return {
        *((vault, "vault") for vault in (want.vault, *want.other_vaults)),
        *((one["id"], "blob") for one in bicep.resources(what_if, STORAGE)),
        *((one["id"], "Sql") for one in bicep.resources(what_if, COSMOS)),
        *((host_storage(what_if)["id"], group.lower()) for group in more),
    }


def what_is_reached_has_an_endpoint(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """One private endpoint each, in the subnet for them, with an entry in the zone of its group."""
    records = {one["name"]: one["properties"] for one in bicep.resources(what_if, RECORD)}
    made = []
    for endpoint in bicep.resources(what_if, ENDPOINT):
        found = endpoint["properties"]
        if found["subnet"] != {"id": f"{only(what_if, NETWORK)['id']}/subnets/endpoints"}:
            yield f"{endpoint['name']} is in {found['subnet']}"
        (connection,) = found["privateLinkServiceConnections"]
        (group,) = connection["properties"]["groupIds"]
        made.append((connection["properties"]["privateLinkServiceId"], group))
        (record,) = records.pop(f"{endpoint['name']}/default")["privateDnsZoneConfigs"]
        zone = f"[resourceId('{bicep.SUBSCRIPTION}', 'rg-test', '{ZONE}', {ZONES[group]})]"
        if record["properties"] != {"privateDnsZoneId": zone}:
            yield f"{endpoint['name']} is entered in {record['properties']}"
    if sorted(made) != sorted(reached(what_if, want)) or records:
        yield f"the endpoints lead to {sorted(made)}, and {sorted(records)} to none"


def zones_are_linked(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """The zones that are needed, without tags of one app, because several apps share them."""
    groups = {group for _, group in reached(what_if, want)}
    network = only(what_if, NETWORK)["name"]
    linked = (f"[format('{{0}}/{{1}}', {ZONES[group]}, '{network}')]" for group in groups)
    for kind, names in {ZONE: (f"[{ZONES[group]}]" for group in groups), LINK: linked}.items():
        found = bicep.resources(what_if, kind)
        if sorted(one["name"] for one in found) != sorted(names):
            yield f"{kind} are {[one['name'] for one in found]}"
        if kind == ZONE and any("tags" in one for one in found):
            yield "a shared zone has tags of one app"


def the_subnets_are_those_of_flex_consumption(what_if: WhatIf, want: Expected) -> Iterator[str]:
    """At least a /27, without `_` in its name, for the app alone."""
    delegation = {"name": "flex-consumption"}
    found = {one["name"]: one["properties"] for one in bicep.resources(what_if, SUBNET)}
    network = only(what_if, NETWORK)["name"]
    app = {"properties": {"serviceName": "Microsoft.App/environments"}} | delegation
    if found != {
        f"{network}/app": {"addressPrefix": "10.0.0.0/26", "delegations": [app]},
        f"{network}/endpoints": {"addressPrefix": "10.0.0.64/26", "defaultOutboundAccess": False},
    }:
        yield f"the subnets are {found}"


# The template


def no_parameter_is_a_secret(template: Template, want: Expected) -> Iterator[str]:
    """Nobody is asked for a secret, in no module either."""
    if secure := re.findall(r'"type": "secure\w+"', json.dumps(template), re.IGNORECASE):
        yield f"asks for {secure}"


def what_others_write_is_written_once(template: Template, want: Expected) -> Iterator[str]:
    """A vault with policies, shared DNS zones, subnets: a snapshot does not show that."""
    once = {one["type"] for one in resources_of(template) if "onlyIf" in str(one.get("@options"))}
    wanted: set[str] = {VAULT} if want.makes_vault and not want.by_role else set()
    wanted |= {ZONE, SUBNET} if want.private else set()
    if once != wanted:
        yield f"{once} instead of {wanted} are written once"


def a_vault_in_the_other_mode_stops_the_deployment(
    template: Template, want: Expected
) -> Iterator[str]:
    """A module reads the mode of each vault and fails, and the grants depend on it."""
    modules = modules_of(template)
    outputs = modules["access"]["properties"]["template"].get("outputs", {})
    if want.access == "granted":
        if "vaultAccess" in modules or outputs:
            yield "a vault that is not granted is looked at"
        return
    found = outputs["vaultModes"]["copy"]["input"]
    sentence = f"vault_access={'access-policy' if want.by_role else 'rbac'}"
    right = r"if\(equals\(tryGet\(reference\(.*\), 'enableRbacAuthorization'\), true\(\)\), "
    right += "'rbac', fail" if want.by_role else "fail.*, 'access-policy'"
    if not re.search(right, found) or sentence not in found:
        yield f"the check of the mode is {found}"
    if "access" not in modules["vaultAccess"]["dependsOn"]:
        yield "the grants do not depend on the check of the mode"


def private_endpoints_come_last_and_one_by_one(template: Template, want: Expected) -> Iterator[str]:
    """An account and a subnet accept one change at a time."""
    if not want.private:
        return
    module = modules_of(template)["privateEndpoints"]
    granting = {"access"} if want.access == "granted" else {"access", "vaultAccess"}
    if not granting <= set(module["dependsOn"]):
        yield f"they wait for {module['dependsOn']} only"
    for one in named_resources(module["properties"]["template"]).values():
        if (one["copy"].get("mode"), one["copy"].get("batchSize")) != ("serial", 1):
            yield f"{one['type']} are created at the same time"


def what_if_sees_everything(template: Template, want: Expected) -> Iterator[str]:
    """Only principal ids reach a module at run time; what-if skips modules that know less.

    https://learn.microsoft.com/azure/azure-resource-manager/templates/deploy-what-if#short-circuiting
    """
    for name, module in modules_of(template).items():
        for parameter, given in module["properties"].get("parameters", {}).items():
            if "reference(" in json.dumps(given) and parameter != "principalId":
                yield f"{name} gets {parameter} from {given}"
        if "parameters('project')" not in module["name"]:
            yield f"the deployment {module['name']} does not have the project in its name"


def named_resources(template: Template) -> dict[str, Any]:
    """The resources of a template by symbolic names; an older template has a list of them."""
    found = template["resources"]
    return found if isinstance(found, dict) else {one["name"]: one for one in found}


def modules_of(template: Template) -> dict[str, Any]:
    """The modules of a template."""
    kind = "Microsoft.Resources/deployments"
    return {name: one for name, one in named_resources(template).items() if one["type"] == kind}


def resources_of(template: Template) -> Iterator[dict[str, Any]]:
    """Every resource of a template and of its modules."""
    yield from named_resources(template).values()
    for module in modules_of(template).values():
        yield from resources_of(module["properties"]["template"])


# The app and its declarations


def the_app_is_what_was_asked_for(app: App, want: Expected) -> Iterator[str]:
    """It loads without a problem, with every function that the answers bring, and no other."""
    yield from app.problems
    if app.functions.keys() != want.functions:
        yield f"its functions are {sorted(app.functions)} instead of {sorted(want.functions)}"
    for one in sorted(app.declared ^ want.declared):
        yield f"{'declares' if one in app.declared else 'does not declare'} {tuple(one)}"


def no_declaration_reaches_the_host(app: App, want: Expected) -> Iterator[str]:
    """The host knows no such binding, and would start none of the functions."""
    for name, types in app.functions.items():
        if {"keyvault", "keyvaultkey", "accesstoken"}.intersection(map(str.lower, types)):
            yield f"{name} has {types}"
        if len([one for one in types if one.lower().endswith("trigger")]) != 1:
            yield f"{name} has {types}, and not one trigger"


OF_EVERY_DEPLOYMENT = (  # whatever is asked for
    nothing_that_flex_consumption_refuses_or_ignores,
    no_permission_is_a_wildcard,
    nothing_secret_leaves,
)
INFRASTRUCTURE = (
    it_makes_nothing_else,
    the_site_has_the_one_identity,
    the_rights_are_exactly_these,
    the_properties_are_exactly_these,
    names_are_unique_and_short,
    the_settings_are_exactly_these,
    *OF_EVERY_DEPLOYMENT,
)
PRIVATE = (
    what_is_reached_has_an_endpoint,
    zones_are_linked,
    the_subnets_are_those_of_flex_consumption,
)
TEMPLATE = (
    no_parameter_is_a_secret,
    what_others_write_is_written_once,
    a_vault_in_the_other_mode_stops_the_deployment,
    private_endpoints_come_last_and_one_by_one,
    what_if_sees_everything,
)
APP = (the_app_is_what_was_asked_for, no_declaration_reaches_the_host)


def wrong(what_if: WhatIf, want: Expected) -> list[str]:
    """Say everything that does not hold for a what-if."""
    return _told((*INFRASTRUCTURE, *(PRIVATE if want.private else ())), what_if, want)


def wrong_template(template: Template, want: Expected) -> list[str]:
    """Say everything that does not hold for a compiled template."""
    return _told(TEMPLATE, template, want)


def wrong_app(app: App, want: Expected) -> list[str]:
    """Say everything that does not hold for an app."""
    return _told(APP, app, want)


def _told(checks: tuple[Callable[[Any, Expected], Iterator[str]], ...], *of: Any) -> list[str]:
    return [f"{check.__name__}: {what}" for check in checks for what in check(*of)]
