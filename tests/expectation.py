"""What a set of answers asks for: the facts that invariants.py holds a project to.

They are derived here on a way of their own: nothing in this file asks the template's facts.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from answers import SHARED, VARIABLES
from infrastructure import (
    BUS,
    CONTAINER,
    COSMOS,
    COSMOS_ROLE,
    ROLE,
    STORAGE,
    VAULT,
    WhatIf,
    bicep,
    only,
)


class Declared(NamedTuple):
    """A value that a function declares: what it is, where it is read, and by whose identity."""

    type: str
    what: str  # the secret's or key's name, or the scope of a token
    vault: str  # its URL; a token has none
    identity: str  # 'system', or a resource id


@dataclass(frozen=True)
class App:
    """What an app is once it is loaded, with the settings that its deployment writes."""

    functions: dict[str, list[str]]  # the types of the bindings that the host hears of
    declared: set[Declared]
    problems: list[str]


@dataclass(frozen=True)
class Expected:
    """What the answers ask for: one identity, and one vault that it may read."""

    identity: str  # 'system', or a resource id
    vault: str  # the vault's resource id
    settings: dict[str, str]
    functions: set[str]
    declared: set[Declared]
    makes_vault: bool
    makes_identity: bool
    access: str  # access-policy, rbac or granted
    setter: str = ""  # who may set secrets, by object id
    recovers: bool = False
    action_group: str = ""  # whom an alert goes to, by resource id
    other_vaults: tuple[str, ...] = ()  # that a deployer names, by resource id
    services: tuple[str, ...] = ()
    key: str = ""
    private: bool = False
    queues_and_tables: bool = False
    public_cloud: bool = True
    python: str = "3.13"

    @property
    def by_role(self) -> bool:
        """Whether access to the vault is given by roles."""
        return self.access == "rbac"


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


# The function that an option brings.
FUNCTIONS = {
    "key": "sign_document",
    "api_scope": "call_api",
    "blob-storage": "summarize_blob",
    "cosmos-db": "read_order",
    "service-bus": "ship_order",
}
# What a declaration needs in its vault, by role and by policy, and what setting secrets needs.
# There is no narrower built-in role; the public half of a key is what signatures are verified with.
BY_ROLE = {
    "keyVault": {"Key Vault Secrets User"},
    "keyVaultKey": {"Key Vault Crypto User"},
    "setter": {"Key Vault Secrets Officer"},
}
BY_POLICY = {
    "keyVault": {"secrets: get"},
    "keyVaultKey": {"keys: get", "keys: sign"},
    "setter": {"secrets: set"},
}


def expected(answers: dict[str, str], what_if: WhatIf, **given: Any) -> Expected:
    """Say what the answers ask for; only the names that Bicep chooses come from what-if.

    Args:
        answers: What is answered.
        what_if: What the compiler predicts.
        given: What a deployer sets beside, by the field of `Expected`.
    """
    asked = answers.get
    made = asked("vault_source") != "existing"
    settings = {}
    group = bicep.GROUP_ID
    if place := asked("vault_resource_group"):
        subscription, _, name = place.rpartition("/")
        group = f"/subscriptions/{subscription or bicep.SUBSCRIPTION}/resourceGroups/{name}"
    vault = asked("vault", "%KEY_VAULT_NAME%")
    if vault.startswith("%"):
        vault_name = settings[vault.strip("%")] = only(what_if, VAULT)["name"]
    else:
        vault_name = "contoso-vault"
    url = vault.rstrip("/") if "://" in vault else f"https://{vault_name}.vault.azure.net"

    identity = asked("identity_id", "")
    created = asked("identity") == "user" and not identity
    if asked("identity", "system") == "system":
        identity = "system"
    elif created:
        identity = f"{bicep.GROUP_ID}/providers/{SHARED}".replace("shared", "secure-function-app")
        settings["KEY_VAULT_IDENTITY_ID"] = identity
    elif identity.startswith("%"):
        name = identity.strip("%")
        identity = settings[name] = bicep.SURROUNDINGS["identityId"].strip("'")

    functions = {asked("function_name", "read_secret")}
    secrets = asked("secrets", "my-application-secret").split(",")
    declared = {Declared("keyVault", secret, url, identity) for secret in secrets}
    services = tuple(filter(None, asked("services", "").split(",")))
    functions |= {FUNCTIONS[service] for service in services}
    if key := asked("key", ""):
        functions.add(FUNCTIONS["key"])
        declared.add(Declared("keyVaultKey", key, url, identity))
    if scope := asked("api_scope"):
        functions.add(FUNCTIONS["api_scope"])
        declared.add(Declared("accessToken", scope, "", identity))
        settings["API_URL"] = VARIABLES["API_URL"]
    return Expected(
        identity=identity,
        vault=f"{group}/providers/{VAULT}/{vault_name}",
        settings=settings,
        functions=functions,
        declared=declared,
        makes_vault=made,
        makes_identity=created,
        access=asked("vault_access", "access-policy"),
        services=services,
        key=key,
        private=asked("network") == "private",
        python=asked("python_version", "3.13"),
        **given,
    )
