"""infra/ is clean Bicep, and lets the app read what functions/ declares, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import bicep
import pytest
import worker

INFRA = worker.PROJECT / "infra"
{%- set facts = cookiecutter | facts %}
{%- if facts.identity_source == 'parameter' %}
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
def declared(snapshot: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Who reads which vault by the declarations, and the first binding that says so."""
    from identity_bindings.declarations import read_declarations

    # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
    settings = {k: v for k, v in bicep.app_settings(snapshot).items() if not v.startswith("[")}
    declarations = read_declarations(worker.FUNCTIONS, settings)
    assert [str(problem) for problem in declarations.problems] == []
    found: dict[tuple[str, str], str] = {}
    for function in declarations.functions:
        for secret in function.secrets:
            vault = (urlsplit(secret.vault_url).hostname or "").partition(".")[0]
            reader = secret.identity.resource_id or "system"
            found.setdefault((reader.lower(), vault.lower()), f"{function.name}, {secret.name}")
    return found


def test_the_app_may_read_what_its_functions_declare(
    snapshot: dict[str, Any], declared: dict[tuple[str, str], str]
) -> None:
    granted = {grant[:2] for grant in vault_grants(snapshot) if grant[2] == "get"}

    for reader, vault in sorted(declared.keys() - granted):
        pytest.fail(
            f"functions/ ({declared[reader, vault]}) reads the vault {vault!r} as {reader!r}, and"
            " infra/ does not let it: add a module 'modules/vault-access.bicep' for this vault and"
            " this identity to infra/main.bicep, or correct the declaration"
        )


def test_nobody_may_do_what_no_function_declares(
    snapshot: dict[str, Any], declared: dict[tuple[str, str], str]
) -> None:
    for who, vault, what in vault_grants(snapshot):
        if what != "get" or (who, vault) not in declared:
            pytest.fail(
                f"infra/ gives {who!r} the right {what!r} in the vault {vault!r}, and no function"
                " declares that: take it out of infra/main.bicep. A right that is deployed already"
                " stays until it is revoked: README.md has the command"
            )


def test_the_app_carries_the_identities_that_its_functions_declare(
    snapshot: dict[str, Any], declared: dict[tuple[str, str], str]
) -> None:
    (site,) = bicep.resources(snapshot, "Microsoft.Web/sites")
    carried = {id.lower() for id in site["identity"].get("userAssignedIdentities", {})}
    if "SystemAssigned" in site["identity"]["type"]:
        carried.add("system")

    assert {reader for reader, _ in declared} <= carried


def vault_grants(snapshot: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Who may do what in which vault; to read secrets is `get`, by policy and by role alike."""
    reading = ("secrets: get", bicep.ROLES[bicep.SECRETS_USER])
    return [
        (who.lower(), where.rpartition("/")[2].lower(), "get" if what in reading else what)
        for who, what, where in bicep.grants(snapshot)
        if "/Microsoft.KeyVault/vaults/" in where
    ]
