"""Each repair is a command that a shell and the Azure CLI understand, and does what it says."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

GROUP = "rg-shared (test)"
IDENTITY = (
    f"/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/{GROUP}"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared"
).replace(" ", "_")
SITE = {
    "WEBSITE_SITE_NAME": "func-a",
    "WEBSITE_SKU": "FlexConsumption",
    "WEBSITE_RESOURCE_GROUP": "rg-(app)",
}
VAULT_ID = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-a"
DENIALS = (
    *("Disabled", "ForbiddenByConnection", "ForbiddenByFirewall", "ForbiddenByRbac"),
    *("401", "403", "404"),
)

# Notes what it is given, and answers as Azure would. With REAL_AZ, that program is asked too, and
# its status and errors are noted beside.
AZ = f"""#!{sys.executable} -IS
import json, os, subprocess, sys
from pathlib import Path
words = sys.argv[1:]
call = [Path(__file__).name, *words, *([sys.stdin.read()] if "@-" in words else [])]
if program := os.environ.get("REAL_AZ"):
    done = subprocess.run([program, *words], capture_output=True, text=True)
    call += [done.returncode, done.stderr]
with Path(__file__).with_name("calls").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
said = " ".join(words)
if "--query id" in said and "keyvault" in said:
    print("{VAULT_ID}")
elif "list --query [?name" in said:
    print("rg-found")
elif "--output json" in said:
    print(json.dumps({{"policy of": words[words.index("--query") + 1]}}))
else:
    print("the-principal")
"""
Run = Callable[[str], list[list[Any]]]
RepairOf = Callable[..., str]


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SITE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a repair's commands in a shell: what each program is given, in order."""
    for name in ("az", "python"):
        (tmp_path / name).write_text(AZ, "utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def run(repair: str) -> list[list[Any]]:
        (tmp_path / "calls").write_text("", "utf-8")
        for command in commands(repair):
            subprocess.run(["sh", "-euc", command], check=True)
        return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]

    return run


def commands(repair: str) -> list[str]:
    """The commands in a repair: all of it, or what is between backquotes."""
    return [repair] if repair.startswith("az ") else re.findall("`([^`]+)`", repair)


@pytest.fixture
def repair_of(engine: Any) -> RepairOf:
    """Return what says how a denial of `api-key` in the vault `kv-a` is repaired."""
    makes = {"secret": engine.vaults.Vault}
    makes["key"] = importlib.import_module("identity_bindings.keys").KeyVault

    def repair_of(
        denial: str,
        noun: str = "secret",
        version: str | None = None,
        identity_id: str | None = None,
        in_azure: bool = True,
    ) -> str:
        identity = engine.credentials.Identity(identity_id)
        if denial == "not assigned":
            return str(engine.credentials.not_assigned(identity).repair)
        with mock.patch.dict(os.environ):
            if not in_azure:
                del os.environ["WEBSITE_SKU"]
            vault = makes[noun]("https://kv-a.vault.azure.net", identity)
            return str(vault.repairs("api-key", version, "203.0.113.7")[denial])

    return repair_of


# Who reads, what looks up its object id, and what it is for a role assignment.
READERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "system": (
        *({}, "az functionapp identity show --name func-a --resource-group rg-(app)"),
        "ServicePrincipal",
    ),
    "user": ({"identity_id": IDENTITY}, f"az identity show --ids {IDENTITY}", "ServicePrincipal"),
    "developer": ({"in_azure": False}, "az ad signed-in-user show", "User"),
}


@pytest.fixture
def every_repair(engine: Any, repair_of: RepairOf) -> list[str]:
    """Each repair of each kind of reader."""
    version = "0123456789abcdef0123456789abcdef"
    return [
        *(
            repair_of(denial, noun, pinned, **reader)
            for noun, denial, (reader, *_), pinned in product(
                ("secret", "key"), DENIALS, READERS.values(), (None, version)
            )
            if pinned is None or denial in ("404", "Disabled")
        ),
        *(repair_of("not assigned", identity_id=one) for one in (None, IDENTITY)),
        engine.vaults._SILENCES["Failed to resolve"][1].format(vault="kv-a"),
    ]


SECRET = "--vault-name kv-a --name api-key"
# A denial, and how each command of its repair begins.
CALLS: list[tuple[str, dict[str, Any], str]] = [
    (
        *("404", {}),
        f"az keyvault secret recover {SECRET}\npython scripts/set_secrets.py api-key --vault kv-a",
    ),
    (
        *("404", {"noun": "key"}),
        f"az keyvault key recover {SECRET}\naz keyvault key create {SECRET}",
    ),
    (
        *("404", {"version": "abc"}),
        f"az keyvault secret list-versions {SECRET}\naz keyvault secret recover {SECRET}",
    ),
    (
        *("Disabled", {"version": "abc"}),
        f"az keyvault secret set-attributes {SECRET} --version abc --enabled true",
    ),
    (
        *("ForbiddenByFirewall", {"in_azure": False}),
        "az keyvault network-rule add --name kv-a --ip-address 203.0.113.7",
    ),
    *(
        (
            *("ForbiddenByRbac", reader),
            f"az keyvault show --name kv-a --query id --output tsv\n{look_up}\n"
            f"az role assignment create --role Key Vault Secrets User --scope {VAULT_ID}"
            f" --assignee-object-id the-principal --assignee-principal-type {kind}",
        )
        for reader, look_up, kind in READERS.values()
    ),
]


@pytest.mark.parametrize(("denial", "reader", "commands"), CALLS)
def test_what_a_repair_runs(
    run: Run, repair_of: RepairOf, denial: str, reader: dict[str, Any], commands: str
) -> None:
    calls = run(repair_of(denial, **reader))

    for call, command in zip(calls, commands.splitlines(), strict=True):
        assert " ".join(call).startswith(command)


def test_what_a_repair_says_beside_its_commands(repair_of: RepairOf) -> None:
    version = repair_of("404", version="abc")
    assert "correct the version in the declaration, or leave it out" in version
    firewall = repair_of("ForbiddenByFirewall")
    assert "private endpoint" in firewall
    assert "service endpoint Microsoft.KeyVault" in firewall
    assert "network-rule" not in firewall


def test_an_access_policy_is_added_and_replaces_none(run: Run, repair_of: RepairOf) -> None:
    for noun, permissions in (("secret", "secrets:['get']"), ("key", "keys:['get','sign']")):
        (put,) = [call for call in run(repair_of("403", noun)) if call[1] == "rest"]

        query = (
            "{properties:{accessPolicies:[{tenantId:properties.tenantId,objectId:'the-principal',"
            f"permissions:{{{permissions}}}}}]}}}}"
        )
        assert put[2:] == [
            *("--method", "put", "--url"),
            f"{VAULT_ID}/accessPolicies/add?api-version=2026-02-01",
            *("--body", "@-", json.dumps({"policy of": query}) + "\n"),
        ]


def test_an_unknown_resource_group_is_looked_up(
    run: Run, repair_of: RepairOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assign = ["az", "functionapp", "identity", "assign", "--name", "func-a", "--resource-group"]
    (command,) = run(repair_of("not assigned", identity_id=IDENTITY))
    assert command == [*assign, "rg-(app)", "--identities", IDENTITY]

    monkeypatch.delenv("WEBSITE_RESOURCE_GROUP")
    look_up, command = run(repair_of("not assigned"))
    assert look_up[4] == "[?name=='func-a'].resourceGroup"
    assert command == [*assign, "rg-found"]


def test_every_repair_is_one_line_of_commands_that_a_shell_understands(
    run: Run, every_repair: list[str]
) -> None:
    assert not any("\n" in repair for repair in every_repair)
    # Those of a user-assigned identity differ in its id only, which other tests run.
    for repair in sorted({one for one in every_repair if IDENTITY not in one}):
        assert run(repair), repair


@pytest.mark.slow
def test_the_azure_cli_parses_every_command(
    azure_cli: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
    every_repair: list[str],
    record_testsuite_property: Any,
) -> None:
    """The Azure CLI that nobody has signed in to ends with 1 and asks for `az login`.

    A command that it does not understand ends with 2.
    """
    monkeypatch.setenv("REAL_AZ", str(azure_cli))
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))
    found = {one for repair in every_repair for one in commands(repair) if one.startswith("az ")}

    calls = [call for command in sorted(found) for call in run(command)]

    for *words, status, errors in calls:
        assert status == 1, (words, errors)
        assert "az login" in errors, words
    record_testsuite_property("repairs.parsed", len(found))
