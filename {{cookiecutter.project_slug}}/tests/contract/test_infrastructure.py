{%- set facts = cookiecutter | facts -%}
"""infra/ is clean Bicep, and gives the app exactly what its functions and bindings need."""

import re
{%- if facts.ci == 'github' %}
import subprocess
{%- endif %}
{%- if not facts.granted %}
import warnings
{%- endif %}
from typing import Any
from urllib.parse import urlsplit

import pytest

from support import bicep, worker

# What functions need from a grant on a vault, by access policy and by role alike.
RIGHTS = {
    "secrets: get": {"get secrets"},
    "Key Vault Secrets User": {"get secrets"},
    "keys: get": {"get keys"},
    "keys: sign": {"sign with keys"},
    "Key Vault Crypto User": {"get keys", "sign with keys"},
}
Right = tuple[str, str, str]  # who, what, and in which vault

HOST = "AzureWebJobsStorage"
# By a binding's type and direction, the setting with the service's address, and the role:
# https://learn.microsoft.com/azure/azure-functions/functions-reference#grant-permission-to-the-identity
NEEDS = {
    "blob in": ("blobServiceUri", "Storage Blob Data Reader"),
    "blob out": ("blobServiceUri", "Storage Blob Data Contributor"),
    "cosmosDB in": ("accountEndpoint", "Cosmos DB Built-in Data Reader"),
    "cosmosDB out": ("accountEndpoint", "Cosmos DB Built-in Data Contributor"),
    "cosmosDBTrigger in": ("accountEndpoint", "Cosmos DB Built-in Data Contributor"),
    "serviceBusTrigger in": ("fullyQualifiedNamespace", "Azure Service Bus Data Receiver"),
    "serviceBus out": ("fullyQualifiedNamespace", "Azure Service Bus Data Sender"),
}
IN_STORAGE = {"blobTrigger", "blob", "queueTrigger", "queue", "table"}
# What the host keeps in queues and tables of its storage account, whatever the connection is.
DURABLE = {"orchestrationTrigger", "activityTrigger", "entityTrigger", "durableClient"}
EVENT_GRID = "https://learn.microsoft.com/azure/azure-functions/functions-event-grid-blob-trigger"
Bindings = list[tuple[str, dict[str, Any], str]]


def test_it_compiles_without_a_warning(predicted: tuple[list[str], dict[str, Any]]) -> None:
    assert predicted[0] == []


@pytest.fixture
def declared(snapshot: dict[str, Any]) -> dict[Right, str]:
    """Who needs what in which vault, and the first binding that declares it."""
    # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
    settings = {k: v for k, v in bicep.app_settings(snapshot).items() if not v.startswith("[")}
    declarations = worker.declarations(settings)
    assert [str(problem) for problem in declarations.problems] == []
    found: dict[Right, str] = {}
    for function, binding in declarations.bindings:
        if not hasattr(binding, "vault_url"):  # an access token
            continue
        vault = (urlsplit(binding.vault_url).hostname or "").partition(".")[0]
        who = binding.identity.resource_id or "system"
        needs = {"get secrets"}
        if hasattr(binding, "key_name"):
            needs = {"get keys", "sign with keys"}
        for what in needs:
            found.setdefault((who.lower(), what, vault.lower()), f"{function}, {binding.name}")
    return found

{% if not facts.granted %}
def test_the_app_may_do_what_its_functions_declare(
    snapshot: dict[str, Any], declared: dict[Right, str]
) -> None:
    for who, what, vault in sorted(declared.keys() - vault_grants(snapshot)):
        missing = "add the vault to otherVaults in infra/main.bicepparam"
        if who not in assigned(snapshot):
            missing = "assign the identity, as README.md says under 'Another identity'"
        pytest.fail(
            f"a function ({declared[who, what, vault]}) needs the right to {what!r} in the vault"
            f" {vault!r} as {who!r}, and infra/ does not give it: {missing}"
        )


def test_nobody_may_do_what_no_function_declares(
    snapshot: dict[str, Any], declared: dict[Right, str]
) -> None:
    # Every vault gets the same grant, so a right may be needed in another one.
    rights = {(who, what) for who, what, _ in declared}
    places = {(who, vault) for who, _, vault in declared}
    others = (bicep.INFRA / "main.bicepparam").read_text("utf-8").lower()
    for who, what, vault in sorted(vault_grants(snapshot)):
        if (who, what) in rights and (who, vault) in places:
            continue
        message = (
            f"infra/ gives {who!r} the right to {what!r} in the vault {vault!r}, and no function"
            " declares that: remove it from infra/, and revoke it as README.md says"
        )
        if f"'{vault}'" in others or who not in working(snapshot) or what != "get secrets":
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)  # the project's own vault may wait for its first use


def vault_grants(snapshot: dict[str, Any]) -> set[Right]:
    """List who may do what in which vault."""
    return {
        (who.lower(), what, where.rpartition("/")[2].lower())
        for who, grant, where in bicep.grants(snapshot)
        for what in RIGHTS.get(grant, {grant})
        if "/Microsoft.KeyVault/vaults/" in where
    }

{% endif %}
def test_the_app_has_the_identities_that_its_functions_declare(
    snapshot: dict[str, Any], declared: dict[Right, str]
) -> None:
    needed = {who for who, _, _ in declared}
    assert needed <= assigned(snapshot), "assign these, as README.md says under 'Another identity'"
    unused = assigned(snapshot) - needed - working(snapshot)
    assert unused == set(), "no function uses these identities: remove them from infra/"


def working(snapshot: dict[str, Any]) -> set[str]:
    """List the identities with access to more than vaults: the host's, and those of connections."""
    return {who.lower() for who, _, where in bicep.grants(snapshot) if "/vaults/" not in where}


def assigned(snapshot: dict[str, Any]) -> set[str]:
    """List the identities of the app: 'system', and resource ids."""
    (site,) = bicep.resources(snapshot, "Microsoft.Web/sites")
    user_assigned = site["identity"].get("userAssignedIdentities", {})
    system = {"system"} if "SystemAssigned" in site["identity"]["type"] else set()
    return system | {id.lower() for id in user_assigned}

{%- if facts.private %}


def test_only_the_network_of_the_app_has_access(snapshot: dict[str, Any]) -> None:
    reached = {
        connection["properties"]["privateLinkServiceId"]
        for endpoint in bicep.resources(snapshot, "Microsoft.Network/privateEndpoints")
        for connection in endpoint["properties"]["privateLinkServiceConnections"]
    }
    for kind in (
        "Microsoft.Storage/storageAccounts",
        "Microsoft.KeyVault/vaults",
        "Microsoft.DocumentDB/databaseAccounts",
    ):
        for one in bicep.resources(snapshot, kind):
            closed = one["properties"].get("publicNetworkAccess") == "Disabled"
            assert closed, f"{one['id']} is public: set publicNetworkAccess: 'Disabled'"
            assert one["id"] in reached, (
                f"the app has no network access to {one['id']}: add it to the targets of"
                " privateEndpoints in infra/main.bicep"
            )
{%- endif %}


@pytest.fixture
def bindings() -> Bindings:
    """Each binding of the platform, with its function and its connection."""
    return [
        (name, one, one.get("connection") or (HOST if one["type"] in IN_STORAGE else ""))
        for name, function in worker.load_app().items()
        for one in worker.bindings(function).values()
    ]


def test_the_host_storage_serves_every_trigger(
    snapshot: dict[str, Any], bindings: Bindings
) -> None:
    queues = "Storage Queue Data Contributor" in {what for _, what, _ in bicep.grants(snapshot)}

    for function, binding, connection in bindings:
        kind = binding["type"]
        in_queues = kind in ("queueTrigger", "queue", "table") and connection == HOST
        if not queues and (in_queues or kind in DURABLE or kind == "blobTrigger"):
            pytest.fail(
                f"{function}: {kind} needs queues and tables of the host: set"
                " `param storageQueuesAndTables = true` in infra/main.bicepparam"
            )
        by_event_grid = str(binding.get("source")).lower() == "eventgrid"
        assert kind != "blobTrigger" or by_event_grid, (
            f"{function}: on Flex Consumption a blobTrigger needs source EventGrid: {EVENT_GRID}"
        )


def test_every_connection_is_by_the_identity_of_the_app(
    snapshot: dict[str, Any], bindings: Bindings
) -> None:
    settings = bicep.app_settings(snapshot)
    (site,) = bicep.resources(snapshot, "Microsoft.Web/sites")
    by_user = {"credential", "clientId"} if "UserAssigned" in site["identity"]["type"] else set()

    for function, binding, name in filter(lambda one: one[2], bindings):
        assert name not in settings, f"{name} is a connection string: use an identity, {name}__…"
        found = {one.removeprefix(f"{name}__") for one in settings if one.startswith(f"{name}__")}
        address = NEEDS.get(_kind(binding), ("", ""))[0]
        needed = {address} | by_user if address and name != HOST else set()
        assert found and needed <= found, (
            f"{function}: the connection {name!r} of {binding['type']} is not configured: add"
            f" {name}__{', '.join(sorted(needed)) or '…'} to infra/modules/settings.bicep"
        )


def test_the_app_may_do_what_its_bindings_do_and_no_more(
    snapshot: dict[str, Any], bindings: Bindings
) -> None:
    needed = {
        (NEEDS[_kind(binding)][1], _place(binding)): f"{function}, {binding['type']}"
        for function, binding, connection in bindings
        if _kind(binding) in NEEDS and connection != HOST
    }
    parts = [(what, re.search(r"/(containers|queues)/[^/]+$|/dbs/.+$", where))
             for _, what, where in bicep.grants(snapshot)]  # fmt: skip
    granted = {(what, part[0]) for what, part in parts if part}

    missing = [f"{needed[one]} needs {one[0]} on …{one[1]}" for one in needed.keys() - granted]
    assert missing == [], "add these to infra/modules/access.bicep and infra/roles.bicep"
    unused = [f"{role} on …{where}" for role, where in granted - needed.keys()]
    assert unused == [], "no binding needs these: remove them from infra/modules/access.bicep"


def _kind(binding: dict[str, Any]) -> str:
    return f"{binding['type']} {binding['direction'].lower()}"


def _place(binding: dict[str, Any]) -> str:
    if "path" in binding:
        return f"/containers/{binding['path'].partition('/')[0]}"
    if "queueName" in binding:
        return f"/queues/{binding['queueName']}"
    return f"/dbs/{binding['databaseName']}/colls/{binding['containerName']}"

{%- if facts.ci == 'github' %}


# What returns a key, a token, an app setting or a secret, but for the public half of a vault's key.
SENSITIVE = re.compile(
    r"\*|_master/|(?<!/vaults/)keys?/|masterkey|token/|publishxml|appsettings|connectionstrings"
    r"|config/web/|config/list|secrets?/|/list",
    re.IGNORECASE,
)


def test_what_if_can_read_every_type_and_no_key_or_secret(
    predicted: tuple[list[str], dict[str, Any]],
) -> None:
    text = (bicep.INFRA / "modules/github-access.bicep").read_text("utf-8")
    (block,) = re.findall(r"^var planActions = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    actions = re.findall("'(.+?)'", block)
    harmless = re.compile(".*/(read|deployments/whatIf/action)", re.IGNORECASE)
    forbidden = [one for one in actions if SENSITIVE.search(one) or not harmless.match(one)]
    assert forbidden == [], f"these return secrets, or change something: {' '.join(forbidden)}"

    words = [str(bicep.find_bicep()), "build", str(bicep.INFRA / "main.bicep"), "--stdout"]
    template = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    for kind in sorted(set(re.findall(r'"type": "([\w.]+/[\w./]+)"', template))):
        readable = kind.removesuffix("/accessPolicies")  # part of the vault
        assert f"{readable}/read".lower() in {action.lower() for action in actions}, (
            f"what-if cannot read {kind}: add '{readable}/read' to planActions in"
            " infra/modules/github-access.bicep, and deploy infra/github.bicep again"
        )


def test_both_parameter_files_name_the_same_vaults() -> None:
    named = re.compile(r"^param otherVaults = (\[\]|\[.*?^\])", re.MULTILINE | re.DOTALL)
    app, connection = (
        named.findall((bicep.INFRA / name).read_text("utf-8")) or ["[]"]
        for name in ("main.bicepparam", "github.bicepparam")
    )

    assert connection == app, (
        "otherVaults differs in infra/main.bicepparam and infra/github.bicepparam: make both the"
        " same, and run scripts/connect-github.sh again"
    )
{%- endif %}
