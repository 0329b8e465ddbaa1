{%- set facts = cookiecutter | facts -%}
"""infra/ is clean Bicep, and gives the app exactly what its functions and bindings need."""

import os
import re
{%- if facts.ci == 'github' %}
import subprocess
{%- endif %}
{%- if not facts.granted %}
import warnings
{%- endif %}
from typing import Any

import pytest

from support import bicep, worker

if not bicep.find_bicep():
    repair = "set BICEP, or install one with `az bicep install`"
    pytest.skip(f"no Bicep compiler: {repair}", allow_module_level=True)

SECRETS, KEYS = {"secrets: get"}, {"keys: get", "keys: sign"}  # the permissions of an access policy
BY_ROLE = {"Key Vault Secrets User": SECRETS, "Key Vault Crypto User": KEYS}
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
# By a binding's property, what it names in a service.
PLACES = {"path": "containers", "queueName": "queues", "tableName": "tables", "topicName": "topics"}
IN_STORAGE = {"blobTrigger", "blob", "queueTrigger", "queue", "table"}
# What the host keeps in queues and tables of its storage account, whatever the connection is.
DURABLE = {"orchestrationTrigger", "activityTrigger", "entityTrigger", "durableClient"}
IDENTITY = "assign the identity, as README.md says under 'Use another identity'"
EVENT_GRID = "https://learn.microsoft.com/azure/azure-functions/functions-event-grid-blob-trigger"
Bindings = list[tuple[str, dict[str, Any], str, tuple[str, str]]]
Snapshot = dict[str, Any]


@pytest.fixture
def snapshot() -> Snapshot:
    """What a deployment creates."""
    found, snapshot = bicep.predict()
    assert snapshot, found
    return snapshot


def test_it_compiles_without_a_warning() -> None:
    assert bicep.predict()[0] == []


@pytest.fixture
def declared(snapshot: Snapshot) -> dict[Right, str]:
    """Who needs what in which vault, and the first binding that declares it."""
    deployed = bicep.app_settings(snapshot)
    for name in worker.declared_settings().keys() - deployed.keys():
        os.environ.pop(name, None)  # a setting of this machine
    # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
    settings = {k: v for k, v in deployed.items() if not v.startswith("[")}
    declarations = worker.declarations(settings)
    assert [str(problem) for problem in declarations.problems] == []
    found: dict[Right, str] = {}
    for function, binding in declarations.bindings:
        vault = getattr(binding, "vault_url", "").partition("://")[2].partition(".")[0].lower()
        who = (binding.identity.resource_id or "system").lower()
        for what in KEYS if hasattr(binding, "key_name") else SECRETS:
            if vault:  # an access token needs none
                found.setdefault((who, what, vault), f"{function}, {binding.name}")
    return found

{% if not facts.granted %}
def test_the_app_may_do_what_its_functions_declare_and_no_more(
    snapshot: Snapshot, declared: dict[Right, str]
) -> None:
    granted = {
        (who.lower(), what, where.rpartition("/")[2].lower())
        for who, grant, where in bicep.grants(snapshot)
        for what in BY_ROLE.get(grant, {grant})
        if "/Microsoft.KeyVault/vaults/" in where
    }
    for who, what, vault in sorted(declared.keys() - granted):
        repair = "add the vault to otherVaults in infra/main.bicepparam"
        repair = repair if who in assigned(snapshot) else IDENTITY
        pytest.fail(
            f"a function ({declared[who, what, vault]}) needs {what!r} in the vault {vault!r} as"
            f" {who!r}, and infra/ does not grant it: {repair}"
        )
    # Every vault gets the same grant, so a right may be needed in another one.
    rights = {(who, what) for who, what, _ in declared}
    places = {(who, vault) for who, _, vault in declared}
    others = (bicep.INFRA / "main.bicepparam").read_text("utf-8").lower()
    for who, what, vault in sorted(granted):
        if (who, what) in rights and (who, vault) in places:
            continue
        message = (
            f"infra/ grants {who!r} {what!r} in the vault {vault!r}, and no function declares that:"
            " remove it from infra/, and revoke it as README.md says"
        )
        if f"'{vault}'" in others or who not in working(snapshot) or what not in SECRETS:
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)  # the project's own vault may wait for its first use

{% endif %}
def test_the_app_has_the_identities_that_its_functions_declare(
    snapshot: Snapshot, declared: dict[Right, str]
) -> None:
    needed = {who for who, _, _ in declared}
    assert needed <= assigned(snapshot), IDENTITY
    unused = assigned(snapshot) - needed - working(snapshot)
    assert unused == set(), "no function uses these identities: remove them from infra/"


def working(snapshot: Snapshot) -> set[str]:
    """List the identities with access to more than vaults: the host's, and those of connections."""
    return {who.lower() for who, _, where in bicep.grants(snapshot) if "/vaults/" not in where}


def assigned(snapshot: Snapshot) -> set[str]:
    """List the identities of the app: 'system', and resource ids."""
    (site,) = bicep.resources(snapshot, "Microsoft.Web/sites")
    user_assigned = site["identity"].get("userAssignedIdentities", {})
    system = {"system"} if "SystemAssigned" in site["identity"]["type"] else set()
    return system | {one.lower() for one in user_assigned}

{%- if facts.private %}


def test_only_the_network_of_the_app_has_access(snapshot: Snapshot) -> None:
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
    """Each binding of the platform, with its function, its connection and what it needs."""
    return [
        (name, one, connection, NEEDS.get(f"{one['type']} {one['direction'].lower()}", ("", "")))
        for name, function in worker.load_app().items()
        for one in worker.bindings(function).values()
        for connection in [one.get("connection") or (HOST if one["type"] in IN_STORAGE else "")]
    ]


def test_every_connection_is_by_the_identity_of_the_app(
    snapshot: Snapshot, bindings: Bindings
) -> None:
    settings = bicep.app_settings(snapshot).keys()  # pytest would print the values, too
    assert HOST not in settings, f"{HOST} is a connection string: use an identity, {HOST}__…"
    by_user = set() if "system" in assigned(snapshot) else {"credential", "clientId"}
    queues = "Storage Queue Data Contributor" in {what for _, what, _ in bicep.grants(snapshot)}

    for function, binding, name, (address, _) in bindings:
        kind = binding["type"]
        in_queues = kind in ("queueTrigger", "queue", "table") and name == HOST
        assert queues or not (in_queues or kind in DURABLE or kind == "blobTrigger"), (
            f"{function}: {kind} needs queues and tables of the host: set"
            " `param storageQueuesAndTables = true` in infra/main.bicepparam"
        )
        assert kind != "blobTrigger" or str(binding.get("source")).lower() == "eventgrid", (
            f"{function}: on Flex Consumption a blobTrigger needs source EventGrid: {EVENT_GRID}"
        )
        unknown = set(re.findall(r"%([\w.:-]+)%", str(binding))) - settings
        assert not unknown, f"{function}, {binding['name']}: infra/ has no app setting {unknown}"
        assert name not in settings, f"{name} is a connection string: use an identity, {name}__…"
        found = {one.removeprefix(f"{name}__") for one in settings if one.startswith(f"{name}__")}
        needed = {address} | by_user if address and name != HOST else set()
        assert not name or (found and needed <= found), (
            f"{function}: the connection {name!r} of {kind} is not configured: add"
            f" {name}__{', '.join(sorted(needed)) or '…'} to infra/main.bicep"
        )


def test_the_app_may_do_what_its_bindings_do_and_no_more(
    snapshot: Snapshot, bindings: Bindings
) -> None:
    settings = bicep.app_settings(snapshot)
    needed = {
        (role, _place(one, settings)): f"{function}, {one['type']}"
        for function, one, connection, (_, role) in bindings
        if role and connection != HOST
    }
    parts = re.compile(f"(/({'|'.join(PLACES.values())}|dbs)/.+)?$")  # "" is a whole account
    granted = {(what, parts.search(where)[0]) for _, what, where in bicep.grants(snapshot)}

    used = {
        ((role, place), (role, part))
        for role, place in needed
        for what, part in granted
        if what == role and f"{place}/".startswith(f"{part}/")
    }
    unmet = needed.keys() - {one for one, _ in used}
    missing = [f"{needed[role, place]} needs {role} on …{place}" for role, place in unmet]
    assert missing == [], "add these to infra/modules/access.bicep"
    unused = [f"{role} on …{part}" for role, part in granted - {one for _, one in used} if part]
    assert unused == [], "no binding needs these: remove them from infra/modules/access.bicep"


def _place(binding: dict[str, Any], settings: dict[str, str]) -> str:
    for name in PLACES.keys() & binding.keys():
        text = binding[name].partition("/")[0]
        return f"/{PLACES[name]}/{settings.get(text.strip('%'), text)}"
    return f"/dbs/{binding['databaseName']}/colls/{binding['containerName']}"

{%- if facts.ci == 'github' %}


GITHUB = pytest.mark.skipif(not (bicep.INFRA / "github.bicep").exists(), reason="no connection")
# Types whose read returns a key or a secret. (That of a vault's keys returns the public half.)
RETURNED = re.compile(r"Microsoft\.Web/.*(keys|token)|.*/secrets", re.IGNORECASE)
# What what-if does besides reading the resources themselves, in lower case.
ALSO = {
    "microsoft.resources/deployments/whatif/action",
    "microsoft.resources/subscriptions/resourcegroups/read",
    "microsoft.web/sites/basicpublishingcredentialspolicies/scm/read",
}


@GITHUB
def test_what_if_can_read_every_type_of_infra_and_nothing_else() -> None:
    text = (bicep.INFRA / "modules/github-access.bicep").read_text("utf-8")
    (block,) = re.findall(r"(?ms)^var planActions = \[(.*?)^\]", text)
    actions = {action.lower(): action for action in re.findall("'(.+?)'", block)}
    words = [str(bicep.find_bicep()), "build", str(bicep.INFRA / "main.bicep"), "--stdout"]
    template = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    kinds = set(re.findall(r'"type": "([\w.]+/[\w./]+?)(?:/accessPolicies)?"', template))

    for kind in sorted(kind for kind in kinds if not RETURNED.fullmatch(kind)):
        assert f"{kind}/read".lower() in actions, (
            f"what-if cannot read {kind}: add '{kind}/read' to planActions in"
            " infra/modules/github-access.bicep, and deploy infra/github.bicep again"
        )
    sources = "".join(file.read_text("utf-8") for file in bicep.INFRA.rglob("*.bicep"))
    kinds |= set(re.findall(r"'([\w.]+/[\w./]+)@", sources))  # those that exist already, too
    reads = {f"{kind}/read".lower() for kind in kinds if not RETURNED.fullmatch(kind)}
    others = " ".join(text for one, text in actions.items() if one not in ALSO | reads)
    assert not others, f"no type of infra/ needs these; they may return a secret or a key: {others}"


@GITHUB
def test_both_parameter_files_name_the_same_vaults() -> None:
    app, connection = (
        re.findall(r"(?ms)^param otherVaults = (\[.*?\])$", file.read_text("utf-8")) or ["[]"]
        for file in (bicep.INFRA / "main.bicepparam", bicep.INFRA / "github.bicepparam")
    )
    assert connection == app, (
        "otherVaults differs in infra/main.bicepparam and infra/github.bicepparam: make both the"
        " same, and run scripts/connect-github.sh again"
    )
{%- endif %}
