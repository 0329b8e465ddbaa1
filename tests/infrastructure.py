"""What must hold for every infrastructure that the template can render.

Each invariant looks at the compiler's forecast of a deployment (`bicep snapshot`), not at text, and
yields a sentence for everything that is wrong. What is expected is derived here, from the answers,
on a way of its own: nothing in this file asks the template's facts.
"""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Forecast = dict[str, Any]

TEMPLATE = Path(__file__).parent.parent
PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"


def _the_projects_own(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, PROJECT / "tests" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # A __pycache__ in the template would be copied into every project.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = writes
    return module


# The generated tests bring the compiler's client and the reading of a forecast; these use the same.
bicep = _the_projects_own("bicep")

IDENTITY_GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-identities"
SHARED = "Microsoft.ManagedIdentity/userAssignedIdentities/id-shared"
LITERAL_ID = f"{IDENTITY_GROUP}/providers/{SHARED}"
# What the environment says at deployment, for the answer `%SHARED_IDENTITY%`.
VARIABLES = {
    "API_URL": "https://api.example/me",
    "SHARED_IDENTITY": "/subscriptions/22222222-2222-2222-2222-222222222222"
    f"/resourceGroups/rg-at-deployment/providers/{SHARED}",
}
VAULT_SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"

IDENTITIES = {
    "system": {"identity": "system"},
    "created": {"identity": "user"},
    "literal": {"identity": "user", "identity_id": LITERAL_ID},
    "setting": {"identity": "user", "identity_id": "%SHARED_IDENTITY%"},
}
VAULTS = {
    "new": ("%KEY_VAULT_NAME%", "contoso-vault", "https://contoso-vault.vault.azure.net/"),
    "existing": ("contoso-vault", "https://contoso-vault.vault.azure.net/"),
}
GROUPS = {
    "new": ("",),
    "existing": ("", "rg-vaults", f"{VAULT_SUBSCRIPTION}/rg-vaults"),
}
ACCESSES = ("access-policy", "rbac")

# Every combination of these answers that the template allows.
COMBINATIONS = [
    {
        **identity,
        "vault": vault,
        "vault_source": source,
        "vault_resource_group": group,
        "vault_access": access,
    }
    for identity in IDENTITIES.values()
    for source, vaults in VAULTS.items()
    for vault in vaults
    for group in GROUPS[source]
    for access in ACCESSES
]

SERVICES = ("blob-storage", "cosmos-db", "service-bus")
# Every option beside secrets: each service alone, all and none, with and without a key and an API.
OPTIONS = [
    {"services": services, "key": key, "api_scope": api_scope}
    for services in ("", *SERVICES, ",".join(SERVICES))
    for key in ("", "signing-key")
    for api_scope in ("", "api://contoso/.default")
    if services or key or api_scope
]
OPTION_COMBINATIONS = [
    {
        **IDENTITIES[identity],
        "vault": "%KEY_VAULT_NAME%",
        "vault_source": "new",
        "vault_resource_group": "",
        "vault_access": access,
        **options,
    }
    for options in OPTIONS
    for identity in ("system", "created")
    for access in ACCESSES
]
# The rest of what can meet: other identities, and a vault that Bicep does not make.
OPTION_COMBINATIONS += [
    {
        **identity,
        "vault": "contoso-vault",
        "vault_source": "existing",
        "vault_resource_group": GROUPS["existing"][2],
        "vault_access": access,
        **OPTIONS[-1],
    }
    for identity in IDENTITIES.values()
    for access in ACCESSES
]

# Azure gives these settings a meaning that does not go with Flex Consumption, or they hold a key.
FORBIDDEN_SETTINGS = re.compile(
    r"AzureWebJobsStorage|FUNCTIONS_.*|WEBSITE_.*|SCM_.*|ENABLE_ORYX_BUILD|APPINSIGHTS_.*"
    r"|DOCUMENTS|ORDERS_DB|ORDERS_BUS|.*__managedIdentityResourceId"
)
# In the place of what host.json says, where an alert waits for a single line.
SAMPLING = "AzureFunctionsJobHost__logging__applicationInsights__samplingSettings"
UNIQUE = re.compile(r"[a-z2-7]{13}")


@dataclass(frozen=True)
class Expected:
    """What the answers ask for: one identity, and one vault that it may read."""

    identity: str  # 'system', or a resource id
    vault: str  # the vault's resource id
    settings: dict[str, str]
    makes_vault: bool
    makes_identity: bool
    by_role: bool
    setter: str = ""  # who may set secrets, by object id
    recovers: bool = False
    action_group: str = ""  # whom an alert goes to, by resource id
    services: tuple[str, ...] = ()
    key: str = ""


def expected(
    answers: dict[str, str],
    forecast: Forecast,
    setter: str = "",
    recovers: bool = False,
    action_group: str = "",
) -> Expected:
    """Say what the answers ask for; only the names that Bicep chooses come from the forecast."""
    made = answers["vault_source"] == "new"
    settings = {}
    group = bicep.GROUP_ID
    if place := answers["vault_resource_group"]:
        subscription, _, name = place.rpartition("/")
        group = f"/subscriptions/{subscription or bicep.SUBSCRIPTION}/resourceGroups/{name}"
    if answers["vault"].startswith("%"):
        vault_name = settings[answers["vault"].strip("%")] = only(forecast, VAULT)["name"]
    else:
        vault_name = "contoso-vault"

    if answers.get("api_scope"):
        settings["API_URL"] = VARIABLES["API_URL"]
    identity = answers.get("identity_id", "")
    created = answers["identity"] == "user" and not identity
    if answers["identity"] == "system":
        identity = "system"
    elif created:
        identity = f"{bicep.GROUP_ID}/providers/{SHARED}".replace("shared", "secure-function-app")
        settings["KEY_VAULT_IDENTITY_ID"] = identity
    elif identity.startswith("%"):
        name = identity.strip("%")
        identity = settings[name] = VARIABLES[name]
    return Expected(
        identity=identity,
        vault=f"{group}/providers/{VAULT}/{vault_name}",
        settings=settings,
        makes_vault=made,
        makes_identity=created,
        by_role=answers["vault_access"] == "rbac",
        setter=setter if made else "",
        recovers=recovers,
        action_group=action_group,
        services=tuple(filter(None, answers.get("services", "").split(","))),
        key=answers.get("key", ""),
    )


SITE = "Microsoft.Web/sites"
STORAGE = "Microsoft.Storage/storageAccounts"
INSIGHTS = "Microsoft.Insights/components"
ALERT = "Microsoft.Insights/scheduledQueryRules"
WORKSPACE = "Microsoft.OperationalInsights/workspaces"
VAULT = "Microsoft.KeyVault/vaults"
POLICY = f"{VAULT}/accessPolicies"
KEY = f"{VAULT}/keys"
ROLE = "Microsoft.Authorization/roleAssignments"
COSMOS = "Microsoft.DocumentDB/databaseAccounts"
COSMOS_ROLE = f"{COSMOS}/sqlRoleAssignments"
BUS = "Microsoft.ServiceBus/namespaces"
CONTAINER = f"{STORAGE}/blobServices/containers"

# What each service brings: resources, and rights by the end of what they reach.
SERVICE_RESOURCES = {
    "blob-storage": [STORAGE, f"{STORAGE}/blobServices", CONTAINER, CONTAINER, ROLE, ROLE],
    "cosmos-db": [
        *(COSMOS, f"{COSMOS}/sqlDatabases", f"{COSMOS}/sqlDatabases/containers", COSMOS_ROLE)
    ],
    "service-bus": [BUS, f"{BUS}/queues", f"{BUS}/queues", ROLE, ROLE],
}
SERVICE_RIGHTS = {
    "blob-storage": {
        "/blobServices/default/containers/documents": "Storage Blob Data Reader",
        "/blobServices/default/containers/summaries": "Storage Blob Data Contributor",
    },
    "cosmos-db": {"/dbs/shop/colls/orders": "Cosmos DB Built-in Data Reader"},
    "service-bus": {
        "/queues/orders": "Azure Service Bus Data Receiver",
        "/queues/shipments": "Azure Service Bus Data Sender",
    },
}
ROLES = {
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Azure Service Bus Data Receiver",
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Azure Service Bus Data Sender",
    "00000000-0000-0000-0000-000000000001": "Cosmos DB Built-in Data Reader",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
}
# Each service's connection, the setting that says where it is, and what of the service that is.
CONNECTIONS = {
    "blob-storage": ("DOCUMENTS", "blobServiceUri", "[reference('{}', *).primaryEndpoints.blob]"),
    "cosmos-db": ("ORDERS_DB", "accountEndpoint", "[reference('{}', *).documentEndpoint]"),
    "service-bus": (
        "ORDERS_BUS",
        "fullyQualifiedNamespace",
        "[split(split(reference('{}', *).serviceBusEndpoint, '/')[2], ':')[0]]",
    ),
}


def only(forecast: Forecast, kind: str) -> dict[str, Any]:
    """Pick the one resource of a type."""
    found: list[dict[str, Any]] = bicep.resources(forecast, kind)
    (one,) = found
    return one


def host_storage(forecast: Forecast) -> dict[str, Any]:
    """Pick the storage account of the host, whose package container no other one has."""
    containers = bicep.resources(forecast, CONTAINER)
    (package,) = [one["id"] for one in containers if one["id"].endswith("/app-package")]
    accounts: list[dict[str, Any]] = bicep.resources(forecast, STORAGE)
    (account,) = [one for one in accounts if package.startswith(f"{one['id']}/")]
    return account


def service(forecast: Forecast, name: str) -> dict[str, Any]:
    """Pick the resource that a service's data stands in."""
    if name == "blob-storage":
        host = host_storage(forecast)
        accounts: list[dict[str, Any]] = bicep.resources(forecast, STORAGE)
        (account,) = [one for one in accounts if one != host]
        return account
    return only(forecast, {"cosmos-db": COSMOS, "service-bus": BUS}[name])


def all_grants(forecast: Forecast) -> list[Any]:
    """List every right that the deployment gives, those of Cosmos DB's own roles too."""
    found = [one._replace(what=ROLES.get(one.what, one.what)) for one in bicep.grants(forecast)]
    for one in bicep.resources(forecast, COSMOS_ROLE):
        role = one["properties"]["roleDefinitionId"].rpartition("/")[2]
        who = bicep._who(one["properties"]["principalId"])
        found.append(bicep.Grant(who, ROLES.get(role, role), one["properties"]["scope"]))
    return found


def it_makes_nothing_else(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Exactly these resources; a right or a resource more would be one that nobody asked for."""
    kinds = [WORKSPACE, INSIGHTS, STORAGE, f"{STORAGE}/blobServices"]
    kinds += [f"{STORAGE}/blobServices/containers", "Microsoft.Web/serverfarms", SITE]
    kinds += 2 * [f"{SITE}/basicPublishingCredentialsPolicies"] + [f"{SITE}/config"] + 2 * [ROLE]
    kinds += [ROLE if want.by_role else POLICY] * (2 if want.setter else 1)
    kinds += [ROLE] if want.key and want.by_role else []
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
    reads = "Key Vault Secrets User" if want.by_role else "secrets: get"
    sets = "Key Vault Secrets Officer" if want.by_role else "secrets: set"
    rights = {
        (want.identity, reads, want.vault),
        (want.identity, "Storage Blob Data Owner", host_storage(forecast)["id"]),
        (want.identity, "Monitoring Metrics Publisher", only(forecast, INSIGHTS)["id"]),
    }
    if want.setter:
        rights.add((want.setter, sets, want.vault))
    uses_keys = ("Key Vault Crypto User",) if want.by_role else ("keys: get", "keys: sign")
    if want.key:
        rights |= {(want.identity, right, want.vault) for right in uses_keys}
    for name in want.services:
        where = service(forecast, name)["id"]
        rights |= {
            (want.identity, role, f"{where}{end}") for end, role in SERVICE_RIGHTS[name].items()
        }
    given = all_grants(forecast)
    for grant in sorted(rights.symmetric_difference(given)):
        yield f"{'lacks' if grant in rights else 'gives'} {tuple(grant)}"
    if len(given) != len(set(given)):
        yield "gives a right twice"
    for policy in bicep.resources(forecast, POLICY):
        if not policy["id"].endswith("/accessPolicies/add"):
            yield f"{policy['id']} takes away the policies of others"


def the_vault_is_safe(forecast: Forecast, want: Expected) -> Iterator[str]:
    """A vault that is made cannot be purged, has one access mode, and its use is logged."""
    for vault in bicep.resources(forecast, VAULT):
        wanted = {
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


def a_vault_in_the_other_mode_is_refused(forecast: Forecast, want: Expected) -> Iterator[str]:
    """An existing vault may ignore the right that it is given: then the deployment must fail."""
    uri = forecast["outputs"]["vaultUri"]
    if want.makes_vault:
        # The forecast knows the mode of a vault that is made, and has followed the good branch.
        if not re.fullmatch(rf"\[reference\('{re.escape(want.vault)}', '[^']+'\)\.vaultUri\]", uri):
            yield f"the vault's URI is {uri}"
        return
    mode = "access-policy" if want.by_role else "rbac"
    by_role = rf"\[if\(equals\(tryGet\(reference\('{re.escape(want.vault)}', '[^']+'\), "
    by_role += r"'enableRbacAuthorization'\), true\(\)\), "
    good, bad = (
        r"reference\([^?]+\.vaultUri",
        rf"fail\(.*'The vault .+ goes by .+ vault_access={mode}\.'.*\)",
    )
    branches = f"{good}, {bad}" if want.by_role else f"{bad}, {good}"
    if not re.fullmatch(rf"{by_role}{branches}\)\]", uri):
        yield f"the vault's URI is {uri}"


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
    """Cosmos DB and Service Bus let in identities only, and cost nothing while nobody comes."""
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


def no_message_is_lost(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What cannot be handled, or is not taken in time, is kept in the dead-letter queue."""
    for queue in bicep.resources(forecast, f"{BUS}/queues"):
        if queue["properties"] != {
            "maxDeliveryCount": 5,
            "defaultMessageTimeToLive": "P14D",
            "deadLetteringOnMessageExpiration": True,
        }:
            yield f"the queue {queue['name']} is {queue['properties']}"


def a_key_that_is_made_signs_and_no_more(forecast: Forecast, want: Expected) -> Iterator[str]:
    """RSA with 3072 bits, in the vault that is made with it."""
    for key in bicep.resources(forecast, KEY):
        if key["id"] != f"{want.vault}/keys/{want.key}":
            yield f"the key is {key['id']}"
        if key["properties"] != {"kty": "RSA", "keySize": 3072, "keyOps": ["sign", "verify"]}:
            yield f"the key is {key['properties']}"


def logs_know_no_keys(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Application Insights and its workspace take data from identities only."""
    insights, workspace = only(forecast, INSIGHTS), only(forecast, WORKSPACE)
    if insights["properties"]["DisableLocalAuth"] is not True:
        yield "Application Insights lets in whoever has its key"
    if workspace["properties"]["features"] != {"disableLocalAuth": True}:
        yield "the workspace lets in whoever has its key"
    if insights["properties"]["WorkspaceResourceId"] != workspace["id"]:
        yield "Application Insights has no workspace"


def the_alert_hears_of_a_denial_in_time(forecast: Forecast, want: Expected) -> Iterator[str]:
    """It looks for the app's own log line every 5 min, and tells whom the deployer named."""
    for alert in bicep.resources(forecast, ALERT):
        told = dict(alert["properties"])
        words = {name: told.pop(name) for name in ("displayName", "description")}
        if not all(words.values()):
            yield f"the alert does not say what to do: {words}"
        (condition,) = told.pop("criteria")["allOf"]
        if told != {
            "severity": 1,
            "scopes": [only(forecast, INSIGHTS)["id"]],
            "evaluationFrequency": "PT5M",
            "windowSize": "PT5M",
            # The line comes once. No second one does not mean that all is well again.
            "autoMitigate": False,
            "actions": {"actionGroups": [want.action_group]},
        }:
            yield f"the alert is {told}"
        if condition != {
            "query": f'traces | where message has "{bicep.alert_words()}"',
            "timeAggregation": "Count",
            "operator": "GreaterThan",
            "threshold": 0,
            "dimensions": [{"name": "message", "operator": "Include", "values": ["*"]}],
        }:
            yield f"the alert looks for {condition}"


def the_site_has_no_other_door(forecast: Forecast, want: Expected) -> Iterator[str]:
    """HTTPS, TLS 1.2 and up, no FTP, no passwords for publishing."""
    site = only(forecast, SITE)["properties"]
    if site["httpsOnly"] is not True:
        yield "the site answers without TLS"
    if site["siteConfig"] != {
        "minTlsVersion": "1.2",
        "scmMinTlsVersion": "1.2",
        "ftpsState": "Disabled",
    }:
        yield f"the site's configuration is {site['siteConfig']}"
    doors = bicep.resources(forecast, f"{SITE}/basicPublishingCredentialsPolicies")
    closed = {one["name"].rpartition("/")[2]: one["properties"]["allow"] for one in doors}
    if closed != {"ftp": False, "scm": False}:
        yield f"publishing with a password is {closed}"


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
        yield f"the package lies at {storage['value']}"
    if config["scaleAndConcurrency"] != {"instanceMemoryMB": 2048, "maximumInstanceCount": 100}:
        yield f"the scale is {config['scaleAndConcurrency']}"
    if site["tags"].get("azd-service-name") != "api":
        yield "azd does not find the site"


def the_settings_are_exactly_these(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What the declarations name, what the host needs to use the identity, and no key."""
    settings = bicep.app_settings(forecast)
    account, insights = host_storage(forecast)["id"], only(forecast, INSIGHTS)["id"]
    wanted = {
        "AzureWebJobsStorage__blobServiceUri": f"[reference('{account}', *).primaryEndpoints.blob]",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"[reference('{insights}', *).ConnectionString]",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD",
        "KEY_VAULT_DNS_SUFFIX": "[substring(environment().suffixes.keyvaultDns, 1)]",
        **want.settings,
    }
    if want.action_group:
        wanted[f"{SAMPLING}__excludedTypes"] = "Request;Trace"
    for name in want.services:
        prefix, setting, value = CONNECTIONS[name]
        wanted[f"{prefix}__{setting}"] = value.format(service(forecast, name)["id"])
    if want.identity != "system":
        client = f"reference('{want.identity}', *).clientId"
        wanted |= {
            "AzureWebJobsStorage__credential": "managedidentity",
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


def names_are_unique_and_short(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What must be unique in the world ends in a hash of the resource group, within its limit."""
    limits = {SITE: 32, STORAGE: 24, COSMOS: 44, BUS: 50}
    if want.makes_vault and not want.vault.endswith("/contoso-vault"):
        limits[VAULT] = 24
    for kind, limit in limits.items():
        for name in (one["name"] for one in bicep.resources(forecast, kind)):
            if len(name) > limit or not UNIQUE.fullmatch(name[-13:]):
                yield f"{kind} is named {name}"


def nothing_secret_leaves(forecast: Forecast, want: Expected) -> Iterator[str]:
    """The outputs are names, addresses and commands; no key is asked for anywhere."""
    if forecast["outputs"].keys() != {
        "appName",
        "appUrl",
        "identityPrincipalId",
        "vaultName",
        "vaultUri",
        "setSecretCommands",
    }:
        yield f"the outputs are {sorted(forecast['outputs'])}"
    if keys := re.findall(r"list[A-Z]\w*\(|AccountKey=|SharedAccessKey|getSecret", str(forecast)):
        yield f"asks for keys: {keys}"


INVARIANTS: list[Callable[[Forecast, Expected], Iterator[str]]] = [
    it_makes_nothing_else,
    the_site_carries_the_one_identity,
    the_rights_are_exactly_these,
    the_vault_is_safe,
    a_vault_in_the_other_mode_is_refused,
    storage_knows_no_keys,
    services_know_no_keys,
    no_message_is_lost,
    a_key_that_is_made_signs_and_no_more,
    logs_know_no_keys,
    the_alert_hears_of_a_denial_in_time,
    the_site_has_no_other_door,
    the_site_runs_on_flex_consumption,
    the_settings_are_exactly_these,
    names_are_unique_and_short,
    nothing_secret_leaves,
]


def wrong(forecast: Forecast, want: Expected) -> list[str]:
    """Say everything that does not hold."""
    return [f"{check.__name__}: {what}" for check in INVARIANTS for what in check(forecast, want)]
