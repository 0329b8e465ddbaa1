"""Each trigger and binding finds its connection in infra/, by identity, with the role it needs."""

import re
from typing import Any

import pytest

from support import bicep, worker

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
