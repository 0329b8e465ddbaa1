"""What must hold for every project that the template can render.

Each invariant is a sentence that a reviewer may ask for. It looks at what the compiler makes of the
project's infra/ (its forecast of a deployment, or its template; never at text) or at the app that
was loaded, and yields a sentence for everything that is wrong. What the answers ask for is in
expectation.py.
"""

import copy
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
    ENDPOINT,
    INSIGHTS,
    KEY,
    LINK,
    NETWORK,
    POLICY,
    RECORD,
    ROLE,
    SITE,
    STORAGE,
    SUBNET,
    VAULT,
    WORKSPACE,
    ZONE,
    Forecast,
    bicep,
    host_storage,
    only,
    service,
)

Template = dict[str, Any]

FLEX_CONSUMPTION = json.loads(
    Path(__file__).with_name("schemas").joinpath("flex_consumption.json").read_text("utf-8")
)
# These hold a key.
FORBIDDEN_SETTINGS = re.compile(
    r"AzureWebJobsStorage|AzureWebJobsDashboard|APPINSIGHTS_.*|DOCUMENTS|ORDERS_DB|ORDERS_BUS"
    r"|.*__managedIdentityResourceId"
)
# In the place of what host.json says, where an alert waits for a single line.
SAMPLING = "AzureFunctionsJobHost__logging__applicationInsights__samplingSettings"
UNIQUE = re.compile(r"[a-z2-7]{13}")
QUEUES = ("Queue", "Table")


# Who may do what


def it_makes_nothing_else(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Exactly these resources; a right or a resource more would be one that nobody asked for."""
    kinds = [WORKSPACE, INSIGHTS, STORAGE, f"{STORAGE}/blobServices"]
    kinds += [f"{STORAGE}/blobServices/containers", "Microsoft.Web/serverfarms", SITE]
    kinds += [f"{SITE}/basicPublishingCredentialsPolicies", f"{SITE}/config", ROLE, ROLE]
    kinds += [ROLE, ROLE] if want.queues_and_tables else []
    vaults = 0 if want.access == "granted" else 1 + len(want.other_vaults)
    kinds += [ROLE if want.by_role else POLICY] * (vaults + bool(want.setter))
    kinds += [ROLE] * vaults if want.key and want.by_role else []
    kinds += [KEY] if want.key and want.makes_vault else []
    for name in want.services:
        kinds += SERVICE_RESOURCES[name]
    kinds += [VAULT, "Microsoft.Insights/diagnosticSettings"] if want.makes_vault else []
    kinds += ["Microsoft.ManagedIdentity/userAssignedIdentities"] if want.makes_identity else []
    kinds += [ALERT] if want.action_group else []
    made = sorted(one["type"] for one in forecast["predictedResources"])
    if made != sorted(kinds):
        yield f"makes {made} instead of {sorted(kinds)}"


def the_site_carries_the_one_identity(forecast: Forecast, want: Expected) -> Iterator[str]:
    """The identity that is declared, and no second one."""
    carried = only(forecast, SITE)["identity"]
    system: Forecast = {"type": "SystemAssigned"}
    user = {"type": "UserAssigned", "userAssignedIdentities": {want.identity: {}}}
    if carried != (system if want.identity == "system" else user):
        yield f"the site carries {carried}"


def the_rights_are_exactly_these(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Read the vault's secrets, own the host's blobs, publish telemetry: all by one identity."""
    needs = BY_ROLE if want.by_role else BY_POLICY
    rights = {
        (want.identity, "Storage Blob Data Owner", host_storage(forecast)["id"]),
        (want.identity, "Monitoring Metrics Publisher", only(forecast, INSIGHTS)["id"]),
    }
    if want.queues_and_tables:
        account = host_storage(forecast)["id"]
        rights |= {(want.identity, f"Storage {one} Data Contributor", account) for one in QUEUES}
    if want.setter:
        rights |= {(want.setter, right, want.vault) for right in needs["setter"]}
    vaults: tuple[str, ...] = (want.vault, *want.other_vaults)
    if want.access == "granted":
        vaults = ()
    for vault in vaults:
        rights |= {(want.identity, right, vault) for right in needs["keyVault"]}
        if want.key:
            rights |= {(want.identity, right, vault) for right in needs["keyVaultKey"]}
    for name in want.services:
        where = service(forecast, name)["id"]
        rights |= {
            (want.identity, role, f"{where}{end}") for end, role in SERVICE_RIGHTS[name].items()
        }
    given = bicep.grants(forecast)
    for grant in sorted(rights.symmetric_difference(given)):
        yield f"{'lacks' if grant in rights else 'gives'} {tuple(grant)}"
    if len(given) != len(set(given)):
        yield "gives a right twice"
    for policy in bicep.resources(forecast, POLICY):
        if not policy["id"].endswith("/accessPolicies/add"):
            yield f"{policy['id']} takes away the policies of others"


# The vault


def the_vault_is_safe(forecast: Forecast, want: Expected) -> Iterator[str]:
    """A vault that is made cannot be purged, has one access mode, and its use is logged."""
    for vault in bicep.resources(forecast, VAULT):
        wanted: dict[str, Any] = {
            "createMode": "recover" if want.recovers else "default",
            "tenantId": bicep.DEPLOYMENT["tenantId"],
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": want.by_role,
            "enableSoftDelete": True,
            "softDeleteRetentionInDays": 90,
            "enablePurgeProtection": True,
        } | ({} if want.by_role else {"accessPolicies": []})
        if vault["properties"] != wanted:
            yield f"the vault is {vault['properties']}"
        logs = only(forecast, "Microsoft.Insights/diagnosticSettings")
        if not logs["id"].startswith(f"{vault['id']}/"):
            yield "the vault is not the one that is logged"
        if logs["properties"] != {
            "workspaceId": only(forecast, WORKSPACE)["id"],
            "logs": [{"categoryGroup": "audit", "enabled": True}],
        }:
            yield f"the vault's log is {logs['properties']}"


def a_key_that_is_made_signs_and_no_more(forecast: Forecast, want: Expected) -> Iterator[str]:
    """RSA with 3072 bits, in the vault that is made with it."""
    for key in bicep.resources(forecast, KEY):
        if key["id"] != f"{want.vault}/keys/{want.key}":
            yield f"the key is {key['id']}"
        if key["properties"] != {"kty": "RSA", "keySize": 3072, "keyOps": ["sign", "verify"]}:
            yield f"the key is {key['properties']}"


# No key, no password, nothing unencrypted


def storage_knows_no_keys(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Identities only, encrypted only, nothing anonymous, nothing copied to strangers."""
    for account in bicep.resources(forecast, STORAGE):
        if account["properties"] != {
            "allowSharedKeyAccess": False,
            "defaultToOAuthAuthentication": True,
            "allowBlobPublicAccess": False,
            "allowCrossTenantReplication": False,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
        }:
            yield f"the storage account {account['name']} is {account['properties']}"


def services_know_no_keys(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Cosmos DB and Service Bus accept identities only, and cost nothing while they are idle."""
    for account in bicep.resources(forecast, COSMOS):
        if account["properties"] != {
            "databaseAccountOfferType": "Standard",
            "capabilities": [{"name": "EnableServerless"}],
            "locations": [{"locationName": bicep.DEPLOYMENT["location"], "failoverPriority": 0}],
            "disableLocalAuth": True,
            "minimalTlsVersion": "Tls12",
        }:
            yield f"the Cosmos DB account is {account['properties']}"
    for namespace in bicep.resources(forecast, BUS):
        if namespace["properties"] != {"disableLocalAuth": True, "minimumTlsVersion": "1.2"}:
            yield f"the Service Bus namespace is {namespace['properties']}"


def logs_know_no_keys(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Application Insights and its workspace take data from identities only."""
    insights, workspace = only(forecast, INSIGHTS), only(forecast, WORKSPACE)
    if insights["properties"]["DisableLocalAuth"] is not True:
        yield "Application Insights accepts its key"
    if workspace["properties"]["features"] != {"disableLocalAuth": True}:
        yield "the workspace accepts its key"
    if insights["properties"]["WorkspaceResourceId"] != workspace["id"]:
        yield "Application Insights has no workspace"


def the_site_accepts_https_and_no_passwords(forecast: Forecast, want: Expected) -> Iterator[str]:
    """HTTPS, TLS 1.2 and up, no passwords for publishing."""
    site = only(forecast, SITE)["properties"]
    if site["httpsOnly"] is not True:
        yield "the site answers without TLS"
    if site["siteConfig"] != {
        "minTlsVersion": "1.2",
        "scmMinTlsVersion": "1.2",
    }:
        yield f"the site's configuration is {site['siteConfig']}"
    doors = bicep.resources(forecast, f"{SITE}/basicPublishingCredentialsPolicies")
    closed = {one["name"].rpartition("/")[2]: one["properties"]["allow"] for one in doors}
    if closed != {"scm": False}:
        yield f"publishing with a password is {closed}"


def nothing_that_flex_consumption_refuses_or_ignores(
    forecast: Forecast, want: Expected
) -> Iterator[str]:
    """No such property of the site or its configuration, no such setting, no FTP."""
    site = only(forecast, SITE)["properties"]
    for name in (*site, *site["siteConfig"]):
        if name.lower() in map(str.lower, FLEX_CONSUMPTION["properties"]):
            yield f"{name} is set"
    written = {name.upper() for name in bicep.app_settings(forecast)}
    for entry in site["siteConfig"].get("appSettings", []):
        written.add(entry["name"].upper())
    for name in sorted(written.intersection(FLEX_CONSUMPTION["settings"])):
        yield f"{name} is set"
    for policy in bicep.resources(forecast, f"{SITE}/basicPublishingCredentialsPolicies"):
        if policy["name"].endswith("/ftp"):
            yield "there is no FTP"


def no_permission_is_a_wildcard(forecast: Forecast, want: Expected) -> Iterator[str]:
    """No `*`, `all` or whole internet in permissions, actions, origins and addresses."""
    wildcard = re.compile(r"""(?<=[\[ ])['"](\*|.*/\*|all|0\.0\.0\.0/0)['"]""", re.IGNORECASE)
    for one in forecast["predictedResources"]:
        if one["type"] == ALERT:  # its dimensions include every message
            continue
        if found := wildcard.findall(json.dumps(one.get("properties", {}))):
            yield f"{one['type']} has {found}"


# What the app and its deployer get


def the_settings_are_exactly_these(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What the declarations name, what the host needs to use the identity, and no key."""
    settings = bicep.app_settings(forecast)
    account, insights = host_storage(forecast)["id"], only(forecast, INSIGHTS)["id"]
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
    runtime = only(forecast, SITE)["properties"]["functionAppConfig"]["runtime"]
    if runtime["version"] in ("3.11", "3.12"):
        wanted["PYTHON_ENABLE_INIT_INDEXING"] = "1"
    if want.action_group:
        wanted[f"{SAMPLING}__excludedTypes"] = "Request;Trace"
    for name in want.services:
        prefix, setting, value = CONNECTIONS[name]
        wanted[f"{prefix}__{setting}"] = value.format(service(forecast, name)["id"])
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
        for name, value in settings.items()
    }
    if written != wanted:
        yield f"the settings are {written} instead of {wanted}"
    for name in settings:
        if FORBIDDEN_SETTINGS.fullmatch(name):
            yield f"{name} is set"


def nothing_secret_leaves(forecast: Forecast, want: Expected) -> Iterator[str]:
    """The outputs are names, addresses and commands; no key is asked for anywhere."""
    if forecast["outputs"].keys() != {
        "appName",
        "appUrl",
        "identityPrincipalId",
        "vaultName",
        "vaultUri",
    }:
        yield f"the outputs are {sorted(forecast['outputs'])}"
    if keys := re.findall(r"list[A-Z]\w*\(|AccountKey=|SharedAccessKey|getSecret", str(forecast)):
        yield f"asks for keys: {keys}"


# What works


def the_site_runs_on_flex_consumption(forecast: Forecast, want: Expected) -> Iterator[str]:
    """The plan, the runtime, the scale, and a package that the identity itself fetches."""
    plan, site = only(forecast, "Microsoft.Web/serverfarms"), only(forecast, SITE)
    if plan["sku"] != {"name": "FC1", "tier": "FlexConsumption"}:
        yield f"the plan is {plan['sku']}"
    config = site["properties"]["functionAppConfig"]
    storage = config["deployment"]["storage"]
    if want.identity == "system":
        fetched_by = {"type": "SystemAssignedIdentity"}
    else:
        fetched_by = {
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": want.identity,
        }
    if storage["authentication"] != fetched_by:
        yield f"the package is fetched by {storage['authentication']}"
    account = host_storage(forecast)["id"]
    if f"'{account}'" not in storage["value"] or "'app-package'" not in storage["value"]:
        yield f"the package is at {storage['value']}"
    if config["scaleAndConcurrency"] != {"instanceMemoryMB": 2048, "maximumInstanceCount": 100}:
        yield f"the scale is {config['scaleAndConcurrency']}"
    if site["tags"].get("azd-service-name") != "api":
        yield "azd does not find the site"


def names_are_unique_and_short(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What must be unique in the world ends in a hash of the resource group, within its limit."""
    limits = {SITE: 32, STORAGE: 24, COSMOS: 44, BUS: 50}
    if want.makes_vault and not want.vault.endswith("/contoso-vault"):
        limits[VAULT] = 24
    for kind, limit in limits.items():
        for name in (one["name"] for one in bicep.resources(forecast, kind)):
            if len(name) > limit or not UNIQUE.fullmatch(name[-13:]):
                yield f"{kind} is named {name}"


def no_message_is_lost(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What cannot be handled, or is not taken in time, is kept in the dead-letter queue."""
    for queue in bicep.resources(forecast, f"{BUS}/queues"):
        if queue["properties"] != {
            "maxDeliveryCount": 5,
            "defaultMessageTimeToLive": "P14D",
            "deadLetteringOnMessageExpiration": True,
        }:
            yield f"the queue {queue['name']} is {queue['properties']}"


def the_alert_hears_of_a_denial_in_time(forecast: Forecast, want: Expected) -> Iterator[str]:
    """It looks for the app's own log line every 5 min, and notifies whom the deployer named."""
    for alert in bicep.resources(forecast, ALERT):
        properties = dict(alert["properties"])
        words = {name: properties.pop(name) for name in ("displayName", "description")}
        if not all(words.values()):
            yield f"the alert does not say what to do: {words}"
        (condition,) = properties.pop("criteria")["allOf"]
        if properties != {
            "severity": 1,
            "scopes": [only(forecast, INSIGHTS)["id"]],
            "evaluationFrequency": "PT5M",
            "windowSize": "PT5M",
            # The line comes once. No second one does not mean that all is well again.
            "autoMitigate": False,
            "actions": {"actionGroups": [want.action_group]},
        }:
            yield f"the alert is {properties}"
        if condition != {
            "query": f'traces | where message has "{bicep.alert_words()}"',
            "timeAggregation": "Count",
            "operator": "GreaterThan",
            "threshold": 0,
            "dimensions": [{"name": "message", "operator": "Include", "values": ["*"]}],
        }:
            yield f"the alert looks for {condition}"


# A private network


# The zone of each group of endpoints, as the forecast leaves it: only Azure knows its own cloud.
ZONES = {
    "vault": "replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')",
    "blob": "format('privatelink.blob.{0}', environment().suffixes.storage)",
    "Sql": "replace(split(environment().portal, '/')[2], 'portal.', 'privatelink.documents.')",
    "queue": "format('privatelink.queue.{0}', environment().suffixes.storage)",
    "table": "format('privatelink.table.{0}', environment().suffixes.storage)",
}


def reached(forecast: Forecast, want: Expected) -> set[tuple[str, str]]:
    """List what the app must reach: each resource, and the kind of its endpoint."""
    return {
        *((vault, "vault") for vault in (want.vault, *want.other_vaults)),
        *((one["id"], "blob") for one in bicep.resources(forecast, STORAGE)),
        *((one["id"], "Sql") for one in bicep.resources(forecast, COSMOS)),
        *(
            (host_storage(forecast)["id"], group)
            for group in ("queue", "table")
            if want.queues_and_tables
        ),
    }


def zone_id(zone: str) -> str:
    """Give the id of a zone as the forecast shows it."""
    return f"[resourceId('{bicep.SUBSCRIPTION}', 'rg-test', '{ZONE}', {zone})]"


def nothing_is_open(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What is created accepts no request from outside, nor of trusted services of Microsoft."""
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


def what_is_reached_has_an_endpoint(forecast: Forecast, want: Expected) -> Iterator[str]:
    """One private endpoint each, in the subnet for them, with an entry in the zone of its kind."""
    wanted = reached(forecast, want)
    zones = {entry["name"].partition("/")[0]: entry for entry in bicep.resources(forecast, RECORD)}
    made = []
    for endpoint in bicep.resources(forecast, ENDPOINT):
        if (
            endpoint["properties"]["subnet"]["id"]
            != f"{only(forecast, NETWORK)['id']}/subnets/endpoints"
        ):
            yield f"{endpoint['name']} is in {endpoint['properties']['subnet']}"
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


def zones_are_linked(forecast: Forecast, want: Expected) -> Iterator[str]:
    """The zones that are needed; a name that they do not know is looked up in public."""
    names = sorted(f"[{ZONES[kind]}]" for kind in {kind for _, kind in reached(forecast, want)})
    if sorted(zone["name"] for zone in bicep.resources(forecast, ZONE)) != names:
        yield f"the zones are {[zone['name'] for zone in bicep.resources(forecast, ZONE)]}"
    if tagged := [zone["name"] for zone in bicep.resources(forecast, ZONE) if "tags" in zone]:
        yield f"tags of one app are on shared zones: {tagged}"
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


def the_app_goes_through_its_subnet(forecast: Forecast, want: Expected) -> Iterator[str]:
    """A subnet that Flex Consumption takes, for the app alone, and all traffic through it."""
    network = only(forecast, NETWORK)
    (space,) = network["properties"]["addressSpace"]["addressPrefixes"]
    if "subnets" in network["properties"]:
        yield "the network lists its subnets, which deletes those of others"
    subnets = {
        one["name"].rpartition("/")[2]: one["properties"]
        for one in bicep.resources(forecast, SUBNET)
    }
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
        yield f"the app is in {site.get('virtualNetworkSubnetId')}"
    if site.get("outboundVnetRouting") != {"allTraffic": True}:
        yield f"the app sends {site.get('outboundVnetRouting')}"


# The template


def no_parameter_is_a_secret(template: Template, want: Expected) -> Iterator[str]:
    """Nobody is asked for a secret, in no module either."""
    text = json.dumps(template)
    if secure := re.findall(r'"type": "secure\w+"', text, re.IGNORECASE):
        yield f"asks for {secure}"


def what_others_write_is_written_once(template: Template, want: Expected) -> Iterator[str]:
    """A vault with policies, shared DNS zones, subnets: a snapshot does not show that."""
    written_once = {
        one["type"]
        for one in resources_of(template)
        if "onlyIfNotExists" in str(one.get("@options"))
    }
    wanted: set[str] = {VAULT} if want.makes_vault and not want.by_role else set()
    wanted |= {ZONE, SUBNET} if want.private else set()
    if written_once != wanted:
        yield f"{written_once} instead of {wanted} are written once"


def a_vault_in_the_other_mode_stops_the_deployment(
    template: Template, want: Expected
) -> Iterator[str]:
    """A module of its own reads the vault's mode and fails, and the grant depends on it."""
    modules = named_resources(template)
    if want.access == "granted":
        if "vaultAccess" in modules:
            yield "a vault that is not granted is looked at"
        return
    inside = list(named_resources(modules["vaultAccess"]["properties"]["template"]).values())
    (check,) = (one for one in inside if "template" in one.get("properties", ()))
    (grant,) = (one for one in inside if one["type"] == (ROLE if want.by_role else POLICY))
    sentence = "render the project with vault_access=" + (
        "access-policy" if want.by_role else "rbac"
    )
    output = check["properties"]["template"]["outputs"]["mode"]["value"]
    if "'enableRbacAuthorization'), true()" not in output or sentence not in output:
        yield f"the check of the mode is {output}"
    if "mode" not in str(grant["dependsOn"]):
        yield "the grant does not depend on the check of the mode"


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
    for one in named_resources(template).values():
        yield one
        if one["type"] == "Microsoft.Resources/deployments":
            yield from resources_of(one["properties"]["template"])


# The app and its declarations


def the_app_is_what_was_asked_for(app: App, forecast: Forecast, want: Expected) -> Iterator[str]:
    """It loads without a problem, with every function that the answers bring, and no other."""
    yield from app.problems
    if app.functions.keys() != want.functions:
        yield f"its functions are {sorted(app.functions)} instead of {sorted(want.functions)}"
    for one in sorted(app.declared ^ want.declared):
        yield f"{'declares' if one in app.declared else 'does not declare'} {tuple(one)}"


def no_declaration_reaches_the_host(app: App, forecast: Forecast, want: Expected) -> Iterator[str]:
    """The host knows no such binding, and would start none of the functions."""
    ours = {"keyvault", "keyvaultkey", "accesstoken"}
    for name, types in app.functions.items():
        if ours.intersection(map(str.lower, types)):
            yield f"{name} has {types}"
        if len([one for one in types if one.lower().endswith("trigger")]) != 1:
            yield f"{name} has {types}, and not one trigger"


def one_identity_is_declared_carried_and_granted(
    app: App, forecast: Forecast, want: Expected
) -> Iterator[str]:
    """The identity that reads, the identity of the site and the one that has access are the same."""
    site = only(forecast, SITE)["identity"]
    carried = set(site.get("userAssignedIdentities", ()))
    carried |= {"system"} if "SystemAssigned" in site["type"] else set()
    granted = {grant.who for grant in bicep.grants(forecast)} - {want.setter}
    declared = {one.identity for one in app.declared}
    if not declared == carried == granted or len(declared) != 1:
        yield f"{declared} is declared, {carried} is carried, {granted} is granted"


def what_is_declared_is_granted_and_no_more(
    app: App, forecast: Forecast, want: Expected
) -> Iterator[str]:
    """In each vault that a function names, the identity that it names has access to what it names."""
    if want.access == "granted":
        return
    needs = BY_ROLE if want.by_role else BY_POLICY
    declared = {
        (one.identity, right, urlsplit(one.vault).netloc.partition(".")[0])
        for one in app.declared
        if one.vault
        for right in needs[one.type]
    }
    granted = {
        (who, right, vault.rpartition("/")[2])
        for who, right, vault in bicep.grants(forecast)
        if f"/{VAULT}/" in vault and who != want.setter
    }
    for one in sorted(declared ^ granted):
        yield f"{'declares' if one in declared else 'grants'} {one}, and the other does not"


INFRASTRUCTURE = (
    it_makes_nothing_else,
    the_site_carries_the_one_identity,
    the_rights_are_exactly_these,
    the_vault_is_safe,
    a_key_that_is_made_signs_and_no_more,
    storage_knows_no_keys,
    services_know_no_keys,
    logs_know_no_keys,
    nothing_that_flex_consumption_refuses_or_ignores,
    no_permission_is_a_wildcard,
    the_site_accepts_https_and_no_passwords,
    the_settings_are_exactly_these,
    nothing_secret_leaves,
    the_site_runs_on_flex_consumption,
    names_are_unique_and_short,
    no_message_is_lost,
    the_alert_hears_of_a_denial_in_time,
)
PRIVATE = (
    nothing_is_open,
    what_is_reached_has_an_endpoint,
    zones_are_linked,
    the_app_goes_through_its_subnet,
)
TEMPLATE = (
    no_parameter_is_a_secret,
    what_others_write_is_written_once,
    a_vault_in_the_other_mode_stops_the_deployment,
    what_if_sees_everything,
)
APP = (
    the_app_is_what_was_asked_for,
    no_declaration_reaches_the_host,
    one_identity_is_declared_carried_and_granted,
    what_is_declared_is_granted_and_no_more,
)


def wrong(forecast: Forecast, want: Expected) -> list[str]:
    """Say everything that does not hold for a forecast.

    A private project is a public one with a network around it: with the network taken off, every
    invariant of a public one holds for it.
    """
    public = without_network(forecast) if want.private else forecast
    return [
        *_told((check.__name__, check(public, want)) for check in INFRASTRUCTURE),
        *_told((check.__name__, check(forecast, want)) for check in PRIVATE if want.private),
    ]


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


def wrong_template(template: Template, want: Expected) -> list[str]:
    """Say everything that does not hold for a compiled template."""
    return _told((check.__name__, check(template, want)) for check in TEMPLATE)


def wrong_app(app: App, forecast: Forecast, want: Expected) -> list[str]:
    """Say everything that does not hold for an app, beside the forecast of its deployment."""
    return _told((check.__name__, check(app, forecast, want)) for check in APP)


def _told(found: Iterable[tuple[str, Iterator[str]]]) -> list[str]:
    return [f"{name}: {what}" for name, sentences in found for what in sentences]
