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
    "SHARED_IDENTITY": "/subscriptions/22222222-2222-2222-2222-222222222222"
    f"/resourceGroups/rg-at-deployment/providers/{SHARED}"
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

# Azure gives these settings a meaning that does not go with Flex Consumption, or they hold a key.
FORBIDDEN_SETTINGS = re.compile(
    r"AzureWebJobsStorage|FUNCTIONS_.*|WEBSITE_.*|SCM_.*|ENABLE_ORYX_BUILD|APPINSIGHTS_.*"
)
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


def expected(
    answers: dict[str, str], forecast: Forecast, setter: str = "", recovers: bool = False
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
    )


SITE = "Microsoft.Web/sites"
STORAGE = "Microsoft.Storage/storageAccounts"
INSIGHTS = "Microsoft.Insights/components"
WORKSPACE = "Microsoft.OperationalInsights/workspaces"
VAULT = "Microsoft.KeyVault/vaults"
POLICY = f"{VAULT}/accessPolicies"
ROLE = "Microsoft.Authorization/roleAssignments"


def only(forecast: Forecast, kind: str) -> dict[str, Any]:
    """Pick the one resource of a type."""
    found: list[dict[str, Any]] = bicep.resources(forecast, kind)
    (one,) = found
    return one


def it_makes_nothing_else(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Exactly these resources; a right or a resource more would be one that nobody asked for."""
    kinds = [WORKSPACE, INSIGHTS, STORAGE, f"{STORAGE}/blobServices"]
    kinds += [f"{STORAGE}/blobServices/containers", "Microsoft.Web/serverfarms", SITE]
    kinds += 2 * [f"{SITE}/basicPublishingCredentialsPolicies"] + [f"{SITE}/config"] + 2 * [ROLE]
    kinds += [ROLE if want.by_role else POLICY] * (2 if want.setter else 1)
    kinds += [VAULT, "Microsoft.Insights/diagnosticSettings"] if want.makes_vault else []
    kinds += ["Microsoft.ManagedIdentity/userAssignedIdentities"] if want.makes_identity else []
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
        (want.identity, "Storage Blob Data Owner", only(forecast, STORAGE)["id"]),
        (want.identity, "Monitoring Metrics Publisher", only(forecast, INSIGHTS)["id"]),
    }
    if want.setter:
        rights.add((want.setter, sets, want.vault))
    given = bicep.grants(forecast)
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
    if only(forecast, STORAGE)["properties"] != {
        "allowSharedKeyAccess": False,
        "defaultToOAuthAuthentication": True,
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    }:
        yield f"the storage account is {only(forecast, STORAGE)['properties']}"


def logs_know_no_keys(forecast: Forecast, want: Expected) -> Iterator[str]:
    """Application Insights and its workspace take data from identities only."""
    insights, workspace = only(forecast, INSIGHTS), only(forecast, WORKSPACE)
    if insights["properties"]["DisableLocalAuth"] is not True:
        yield "Application Insights lets in whoever has its key"
    if workspace["properties"]["features"] != {"disableLocalAuth": True}:
        yield "the workspace lets in whoever has its key"
    if insights["properties"]["WorkspaceResourceId"] != workspace["id"]:
        yield "Application Insights has no workspace"


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
    container = only(forecast, f"{STORAGE}/blobServices/containers")["name"].rpartition("/")[2]
    account = only(forecast, STORAGE)["id"]
    if f"'{account}'" not in storage["value"] or f"'{container}'" not in storage["value"]:
        yield f"the package lies at {storage['value']}"
    if config["scaleAndConcurrency"] != {"instanceMemoryMB": 2048, "maximumInstanceCount": 100}:
        yield f"the scale is {config['scaleAndConcurrency']}"
    if site["tags"].get("azd-service-name") != "api":
        yield "azd does not find the site"


def the_settings_are_exactly_these(forecast: Forecast, want: Expected) -> Iterator[str]:
    """What the declarations name, what the host needs to use the identity, and no key."""
    settings = bicep.app_settings(forecast)
    account, insights = only(forecast, STORAGE)["id"], only(forecast, INSIGHTS)["id"]
    wanted = {
        "AzureWebJobsStorage__blobServiceUri": f"[reference('{account}', *).primaryEndpoints.blob]",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"[reference('{insights}', *).ConnectionString]",
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Authorization=AAD",
        "KEY_VAULT_DNS_SUFFIX": "[substring(environment().suffixes.keyvaultDns, 1)]",
        **want.settings,
    }
    if want.identity != "system":
        client = f"reference('{want.identity}', *).clientId"
        wanted |= {
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": f"[{client}]",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": f"[format('ClientId={{0}};"
            f"Authorization=AAD', {client})]",
        }
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
    limits = {SITE: 32, STORAGE: 24}
    if want.makes_vault and not want.vault.endswith("/contoso-vault"):
        limits[VAULT] = 24
    for kind, limit in limits.items():
        name = only(forecast, kind)["name"]
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
    if keys := re.findall(r"list[A-Z]\w*\(|AccountKey=|getSecret", str(forecast)):
        yield f"asks for keys: {keys}"


INVARIANTS: list[Callable[[Forecast, Expected], Iterator[str]]] = [
    it_makes_nothing_else,
    the_site_carries_the_one_identity,
    the_rights_are_exactly_these,
    the_vault_is_safe,
    a_vault_in_the_other_mode_is_refused,
    storage_knows_no_keys,
    logs_know_no_keys,
    the_site_has_no_other_door,
    the_site_runs_on_flex_consumption,
    the_settings_are_exactly_these,
    names_are_unique_and_short,
    nothing_secret_leaves,
]


def wrong(forecast: Forecast, want: Expected) -> list[str]:
    """Say everything that does not hold."""
    return [f"{check.__name__}: {what}" for check in INVARIANTS for what in check(forecast, want)]
