"""infra/ is clean Bicep, and lets the app read what functions/ declares, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
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


def test_the_app_may_read_what_its_functions_declare_and_nothing_else(
    compiler: bicep.Bicep,
) -> None:
    from identity_bindings.declarations import read_declarations

    snapshot = compiler.snapshot(INFRA / "main.bicepparam")
    # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
    settings = {k: v for k, v in bicep.app_settings(snapshot).items() if not v.startswith("[")}
    declarations = read_declarations(worker.FUNCTIONS, settings)
    assert [str(problem) for problem in declarations.problems] == []

    declared: dict[tuple[str, str, str], str] = {}
    for function in declarations.functions:
        for secret in function.secrets:
            vault = (urlsplit(secret.vault_url).hostname or "").partition(".")[0]
            reader = (secret.identity.resource_id or "system").lower()
            declared.setdefault((reader, vault.lower(), "get"), f"{function.name}/{secret.name}")
    granted = set()
    for grant in bicep.grants(snapshot):
        if "/Microsoft.KeyVault/vaults/" in grant.where:
            reads = grant.what in ("secrets: get", bicep.ROLES[bicep.SECRETS_USER])
            vault = Path(grant.where).name.lower()
            granted.add((grant.who.lower(), vault, "get" if reads else grant.what))

    for reader, vault, _ in sorted(declared.keys() - granted):
        pytest.fail(
            f"functions/{declared[reader, vault, 'get']} reads the vault {vault!r} as {reader!r},"
            " and infra/ does not let it: add a module 'modules/vault-access.bicep' for this vault"
            " and this identity to infra/main.bicep, or correct the declaration"
        )
    for who, vault, what in sorted(granted - declared.keys()):
        pytest.fail(
            f"infra/ lets {who!r} {what!r} in the vault {vault!r}, and no function declares that:"
            " take it out of infra/main.bicep (what is deployed already stays: README.md has the"
            " command that revokes it)"
        )
