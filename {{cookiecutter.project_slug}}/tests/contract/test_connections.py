"""Each trigger and binding finds its connection in infra/, by identity, with the role it needs."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from support import bicep, worker

HOST = "AzureWebJobsStorage"
PARAMETER = "set `param storageQueuesAndTables = true` in infra/main.bicepparam"


class Needs(NamedTuple):
    """What a binding needs: the setting with the service's address, and a role."""

    setting: str
    role: str


# By a binding's type and direction:
# https://learn.microsoft.com/azure/azure-functions/functions-reference#grant-permission-to-the-identity
NEEDS = {
    "blob in": Needs("blobServiceUri", "Storage Blob Data Reader"),
    "blob out": Needs("blobServiceUri", "Storage Blob Data Contributor"),
    "cosmosDB in": Needs("accountEndpoint", "Cosmos DB Built-in Data Reader"),
    "cosmosDB out": Needs("accountEndpoint", "Cosmos DB Built-in Data Contributor"),
    "cosmosDBTrigger in": Needs("accountEndpoint", "Cosmos DB Built-in Data Contributor"),
    "serviceBusTrigger in": Needs("fullyQualifiedNamespace", "Azure Service Bus Data Receiver"),
    "serviceBus out": Needs("fullyQualifiedNamespace", "Azure Service Bus Data Sender"),
}
# What the host keeps in queues and tables of its storage account, whatever the connection is.
DURABLE = {"orchestrationTrigger", "activityTrigger", "entityTrigger", "durableClient"}
IN_QUEUES_AND_TABLES = DURABLE | {"blobTrigger"}
IN_STORAGE = {"blobTrigger", "blob", "queueTrigger", "queue", "table"}


@pytest.fixture
def bindings() -> list[tuple[str, dict[str, Any]]]:
    """Each binding of the platform, with the name of its function."""
    functions = worker.load_app()
    return [
        (name, one)
        for name, function in functions.items()
        for one in worker.bindings(function).values()
    ]


def connection(binding: dict[str, Any]) -> str:
    """The name of a binding's connection; without one, storage bindings use the host's account."""
    return str(binding.get("connection") or (HOST if binding["type"] in IN_STORAGE else ""))


def test_the_host_storage_serves_every_trigger(
    snapshot: dict[str, Any], bindings: list[tuple[str, dict[str, Any]]]
) -> None:
    granted = {what for _, what, _ in bicep.grants(snapshot)}
    has_queues_and_tables = "Storage Queue Data Contributor" in granted

    for function, binding in bindings:
        kind = binding["type"]
        in_queues = kind in ("queueTrigger", "queue", "table") and connection(binding) == HOST
        if (in_queues or kind in IN_QUEUES_AND_TABLES) and not has_queues_and_tables:
            pytest.fail(f"{function}: {kind} needs queues and tables of the host: {PARAMETER}")
        if kind == "blobTrigger" and str(binding.get("source")).lower() != "eventgrid":
            pytest.fail(
                f"{function}: on Flex Consumption a blobTrigger needs source EventGrid:"
                " https://learn.microsoft.com/azure/azure-functions/functions-event-grid-blob-trigger"
            )


def test_every_connection_is_configured(
    snapshot: dict[str, Any], bindings: list[tuple[str, dict[str, Any]]]
) -> None:
    settings = bicep.app_settings(snapshot)

    for function, binding in bindings:
        name = connection(binding)
        found = [one for one in settings if one == name or one.startswith(f"{name}__")]
        if name and not found:
            pytest.fail(
                f"{function}: the connection {name!r} of {binding['type']} has no app setting:"
                f" add {name}__… to infra/modules/settings.bicep"
            )
        assert name not in found, f"{name} is a connection string: use an identity, {name}__…"


def test_every_connection_is_by_the_identity_of_the_app(
    snapshot: dict[str, Any], bindings: list[tuple[str, dict[str, Any]]]
) -> None:
    (site,) = bicep.resources(snapshot, "Microsoft.Web/sites")
    by_user = {"credential", "clientId"} if "UserAssigned" in site["identity"]["type"] else set()

    for function, binding in bindings:
        name, needs = connection(binding), needs_of(binding)
        if name != HOST and needs:
            written = {one for one in bicep.app_settings(snapshot) if one.startswith(f"{name}__")}
            assert written >= {f"{name}__{one}" for one in {needs.setting} | by_user}, function


def test_the_app_may_do_what_its_bindings_do_and_no_more(
    snapshot: dict[str, Any], bindings: list[tuple[str, dict[str, Any]]]
) -> None:
    needed = {
        (needs.role, place(binding)): f"{function}, {binding['type']}"
        for function, binding in bindings
        if (needs := needs_of(binding)) and connection(binding) != HOST
    }
    granted = service_grants(snapshot)

    missing = [f"{needed[one]} needs {one[0]} on …{one[1]}" for one in needed if one not in granted]
    assert missing == [], "add these to infra/modules/access.bicep and infra/roles.bicep"
    unused = [f"{role} on …{where}" for role, where in granted if (role, where) not in needed]
    assert unused == [], "no binding needs these: remove them from infra/modules/access.bicep"


def needs_of(binding: dict[str, Any]) -> Needs | None:
    """What a binding needs, where this file knows its type."""
    return NEEDS.get(f"{binding['type']} {binding['direction'].lower()}")


def place(binding: dict[str, Any]) -> str:
    """Where a binding works, as the end of a resource's id."""
    if "path" in binding:
        return f"/containers/{binding['path'].partition('/')[0]}"
    if "queueName" in binding:
        return f"/queues/{binding['queueName']}"
    return f"/dbs/{binding['databaseName']}/colls/{binding['containerName']}"


def service_grants(snapshot: dict[str, Any]) -> set[tuple[str, str]]:
    """List each role on the part of a service that bindings work with, not the host's own ones."""
    found = set()
    for _, what, where in bicep.grants(snapshot):
        part = re.search(r"/(containers|queues)/[^/]+$|/dbs/.+$", where)
        if part and "/Microsoft.KeyVault/vaults/" not in where:
            found.add((what, part[0]))
    return found
