{%- set facts = cookiecutter | facts -%}
"""infra/ is clean Bicep, and allows the app exactly what its functions declare."""

from __future__ import annotations

{% if facts.services -%}
import re
{% endif -%}
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from support import bicep, worker

INFRA = bicep.INFRA
{%- if facts.identity_by_setting %}
# The deployment reads the identity's id from the environment.
VARIABLES = {
    "{{ facts.identity_setting }}": (
        f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/rg-shared/providers"
        "/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared"
    )
}
{%- else %}
VARIABLES: dict[str, str] = {}
{%- endif %}
# What functions need of a grant on a vault, by policy and by role alike.
RIGHTS = {
    "secrets: get": {"get secrets"},
    bicep.ROLES[bicep.SECRETS_USER]: {"get secrets"},
{%- if facts.key %}
    "keys: get": {"get keys"},
    "keys: sign": {"sign with keys"},
    "12338af0-0e69-4776-bea7-57ae8d297424": {"get keys", "sign with keys"},  # Crypto User
{%- endif %}
}
Right = tuple[str, str, str]  # who, what, and in which vault


@pytest.fixture(scope="module")
def compiler() -> Iterator[bicep.Bicep]:
    """The Bicep compiler, where there is one."""
    command = bicep.find_bicep()
    if not command:
        pytest.skip("no Bicep compiler: set BICEP, or install one with `az bicep install`")
    compiler = bicep.Bicep(command, VARIABLES)
    try:
        if compiler.version() < bicep.OLDEST:
            pytest.skip(f"{command} is too old: update it with `az bicep upgrade`")
        yield compiler
    finally:
        compiler.close()


@pytest.mark.parametrize("name", ["main.bicep", "main.bicepparam"])
def test_it_compiles_without_a_warning(compiler: bicep.Bicep, name: str) -> None:
    diagnostics, _ = compiler.compile(INFRA / name)

    assert diagnostics == []


def test_it_is_formatted(compiler: bicep.Bicep) -> None:
    unformatted = [
        str(file.relative_to(INFRA))
        for file in sorted(INFRA.rglob("*.bicep*"))
        if file.suffix != ".json" and compiler.format(file) != file.read_text("utf-8")
    ]

    assert unformatted == [], "run `bicep format` on these"


@pytest.fixture(scope="module")
def snapshot(compiler: bicep.Bicep) -> dict[str, Any]:
    """What a deployment with the parameters of main.bicepparam would make."""
    return compiler.snapshot(INFRA / "main.bicepparam")


@pytest.fixture
def declared(snapshot: dict[str, Any]) -> dict[Right, str]:
    """Who needs what in which vault by the declarations, and the first binding that says so."""
    # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
    settings = {k: v for k, v in bicep.app_settings(snapshot).items() if not v.startswith("[")}
    declarations = worker.declarations(settings)
    assert [str(problem) for problem in declarations.problems] == []
    found: dict[Right, str] = {}
    for function, binding in declarations.bindings:
{%- if facts.api_scope %}
        if not hasattr(binding, "vault_url"):
            continue
{%- endif %}
        vault = (urlsplit(binding.vault_url).hostname or "").partition(".")[0]
        who = binding.identity.resource_id or "system"
        for what in needs(binding):
            right = (who.lower(), what, vault.lower())
            found.setdefault(right, f"{function}, {binding.name}")
    return found


def needs(binding: Any) -> set[str]:
    """What a declared binding needs to do in its vault."""
{%- if facts.key %}
    if hasattr(binding, "key_name"):
        return {"get keys", "sign with keys"}
{%- endif %}
    return {"get secrets"}


def test_the_app_may_do_what_its_functions_declare(
    snapshot: dict[str, Any], declared: dict[Right, str]
) -> None:
    for who, what, vault in sorted(declared.keys() - vault_grants(snapshot)):
        missing = "add the vault to otherVaults in infra/main.bicepparam"
        if who not in carried(snapshot):
            missing = "add the identity, as README.md says under 'Another identity'"
        pytest.fail(
            f"a function ({declared[who, what, vault]}) needs the right to {what!r} in the vault"
            f" {vault!r} as {who!r}, and infra/ does not give it: {missing}, or correct the"
            " declaration"
        )


def test_nobody_may_do_what_no_function_declares(
    snapshot: dict[str, Any], declared: dict[Right, str]
) -> None:
    # Every vault gets the same grant, so a right may be needed in another one.
    rights = {(who, what) for who, what, _ in declared}
    places = {(who, vault) for who, _, vault in declared}
    for who, what, vault in sorted(vault_grants(snapshot)):
        if (who, what) not in rights or (who, vault) not in places:
            pytest.fail(
                f"infra/ gives {who!r} the right to {what!r} in the vault {vault!r}, and no"
                " function declares that: take it out of infra/. A right that is deployed already"
                " stays until it is revoked: README.md has the command"
            )


def test_the_app_carries_the_identities_that_its_functions_declare(
    snapshot: dict[str, Any], declared: dict[Right, str]
) -> None:
    assert {who for who, _, _ in declared} <= carried(snapshot)


def carried(snapshot: dict[str, Any]) -> set[str]:
    """The identities of the app: 'system', and resource ids."""
    (site,) = bicep.resources(snapshot, "Microsoft.Web/sites")
    user_assigned = site["identity"].get("userAssignedIdentities", {})
    system = {"system"} if "SystemAssigned" in site["identity"]["type"] else set()
    return system | {id.lower() for id in user_assigned}

{%- if facts.private %}


def test_nobody_gets_in_from_outside_the_network(snapshot: dict[str, Any]) -> None:
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
            assert closed, f"{one['id']} is open to the world: set publicNetworkAccess: 'Disabled'"
            assert one["id"] in reached, (
                f"the app does not reach {one['id']}: add it to the targets of privateEndpoints in"
                " infra/main.bicep"
            )
{%- endif %}


def vault_grants(snapshot: dict[str, Any]) -> set[Right]:
    """Who may do what in which vault."""
    return {
        (who.lower(), what, where.rpartition("/")[2].lower())
        for who, grant, where in bicep.grants(snapshot)
        for what in RIGHTS.get(grant, {grant})
        if "/Microsoft.KeyVault/vaults/" in where
    }
{% if facts.services -%}
{% include 'test_connections.py.jinja' %}
{%- endif -%}
