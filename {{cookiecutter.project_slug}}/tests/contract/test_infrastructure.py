{%- set facts = cookiecutter | facts -%}
"""infra/ is clean Bicep, and allows the app exactly what its functions declare."""

import warnings
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
