"""Each repair is a command that a shell and the Azure CLI understand, and does what it says."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
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

# Answers each command as Azure would, and notes what it was given.
AZ = f"""#!{sys.executable} -IS
import json, sys
from pathlib import Path
words = sys.argv[1:]
body = sys.stdin.read() if "@-" in words else None
with Path(__file__).with_name("calls").open("a") as calls:
    calls.write(json.dumps([Path(__file__).name, *words, *([body] if body else [])]) + "\\n")
said = " ".join(words)
if "--query id" in said and "keyvault" in said:
    print("{VAULT_ID}")
elif "list --query [?name" in said:
    print("rg-found")
elif "virtualNetworkSubnetId" in said:
    print("/subnets/app")
elif "--output json" in said:
    print(json.dumps({{"policy of": words[words.index("--query") + 1]}}))
else:
    print("the-principal")
"""


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SITE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], list[list[str]]]:
    """Run a repair's commands in a shell: what each program is given, in order."""
    for name in ("az", "python"):
        (tmp_path / name).write_text(AZ, "utf-8")
        (tmp_path / name).chmod(0o755)

    def run(repair: str) -> list[list[str]]:
        (tmp_path / "calls").write_text("", "utf-8")
        for command in commands(repair):
            environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
            subprocess.run(["sh", "-euc", command], env=environment, check=True)
        return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]

    return run


def commands(repair: str) -> list[str]:
    """The commands in a repair: all of it, or what is between backquotes."""
    return [repair] if repair.startswith("az ") else re.findall("`([^`]+)`", repair)


def identity(resource_id: str | None) -> Any:
    return importlib.import_module("identity_bindings.credentials").Identity(resource_id)


def assign(resource_id: str | None) -> str:
    module = importlib.import_module("identity_bindings.credentials")
    return str(module.not_assigned(identity(resource_id)).repair)


def repair_of(
    denial: str,
    noun: str = "secret",
    version: str | None = None,
    identity_id: str | None = None,
    in_azure: bool = True,
) -> str:
    """What repairs a denial of `api-key` in the vault `kv-a`."""
    room, kind = {"secret": ("vaults", "Vault"), "key": ("keys", "KeyVault")}[noun]
    make = getattr(importlib.import_module(f"identity_bindings.{room}"), kind)
    with mock.patch.dict(os.environ):
        if not in_azure:
            del os.environ["WEBSITE_SKU"]
        vault = make("https://kv-a.vault.azure.net", identity(identity_id))
        return str(vault.repairs("api-key", version, "203.0.113.7")[denial])


def every_repair() -> dict[str, str]:
    """Each repair of each kind of reader, by a name."""
    readers: dict[str, dict[str, Any]] = {
        "system": {},
        "user": {"identity_id": IDENTITY},
        "developer": {"in_azure": False},
    }
    found = {
        f"{noun} {denial} {reader} {version or 'newest'}": repair_of(
            denial, noun, version, **readers[reader]
        )
        for noun, denial, reader, version in product(
            ("secret", "key"), DENIALS, readers, (None, "0123456789abcdef0123456789abcdef")
        )
        if version is None or denial in ("404", "Disabled")
    }
    silences = importlib.import_module("identity_bindings.vaults")._SILENCES
    found["system not assigned"] = assign(None)
    found["user not assigned"] = assign(IDENTITY)
    found["no such host"] = silences["Failed to resolve"][1].format(vault="kv-a")
    return found


READERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "system": (
        *({}, "az functionapp identity show --name func-a --resource-group rg-(app)"),
        "ServicePrincipal",
    ),
    "user": ({"identity_id": IDENTITY}, f"az identity show --ids {IDENTITY}", "ServicePrincipal"),
    "developer": ({"in_azure": False}, "az ad signed-in-user show", "User"),
}
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
def test_what_a_repair_runs(run: Any, denial: str, reader: dict[str, Any], commands: str) -> None:
    calls = run(repair_of(denial, **reader))

    for call, command in zip(calls, commands.splitlines(), strict=True):
        assert " ".join(call).startswith(command)


def test_what_a_repair_says_beside_its_commands() -> None:
    version = repair_of("404", version="abc")
    assert "correct the version in the declaration, or leave it out" in version
    firewall = repair_of("ForbiddenByFirewall")
    assert "private endpoint" in firewall
    assert "service endpoint Microsoft.KeyVault" in firewall
    assert "network-rule" not in firewall


def test_an_access_policy_is_added_and_replaces_none(run: Any) -> None:
    for noun, permissions in (("secret", "secrets:['get']"), ("key", "keys:['get','sign']")):
        calls = run(repair_of("403", noun))

        (put,) = [call for call in calls if call[1] == "rest"]
        query = (
            "{properties:{accessPolicies:[{tenantId:properties.tenantId,objectId:'the-principal',"
            f"permissions:{{{permissions}}}}}]}}}}"
        )
        assert put[2:] == [
            *("--method", "put", "--url"),
            f"{VAULT_ID}/accessPolicies/add?api-version=2026-02-01",
            *("--body", "@-", json.dumps({"policy of": query}) + "\n"),
        ]


def test_an_unknown_resource_group_is_looked_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = run(assign(IDENTITY))
    assert command[-4:] == ["--resource-group", "rg-(app)", "--identities", IDENTITY]

    monkeypatch.delenv("WEBSITE_RESOURCE_GROUP")
    look_up, command = run(assign(None))
    assert look_up[4] == "[?name=='func-a'].resourceGroup"
    assert command == shlex.split(
        "az functionapp identity assign --name func-a --resource-group rg-found"
    )


def test_every_repair_is_one_line_of_commands_that_a_shell_understands(run: Any) -> None:
    every = every_repair()

    assert not any("\n" in repair for repair in every.values())
    assert all(commands(repair) for repair in every.values())
    # Those of a user-assigned identity differ in its id only, which other tests run.
    unique = {repair for name, repair in every.items() if "user" not in name}
    for repair in sorted(unique):
        assert run(repair), repair


@pytest.mark.slow
def test_the_azure_cli_parses_every_command(
    azure_cli: Path, tmp_path: Path, record_testsuite_property: Any
) -> None:
    """The Azure CLI that nobody has signed in to ends with 1 and asks for `az login`.

    A command that it does not understand ends with 2.
    """
    (tmp_path / "az").write_text(
        f"""#!{sys.executable} -IS
import os, subprocess, sys
from pathlib import Path
words = sys.argv[1:]
folder = Path(__file__).parent
environment = {{**os.environ, "AZURE_CONFIG_DIR": str(folder / "azure")}}
run = subprocess.run(["{azure_cli}", *words], env=environment, capture_output=True, text=True)
with (folder / "parsed").open("a") as parsed:
    parsed.write(" ".join(words) + "\\n")
if run.returncode != 1 or "az login" not in run.stderr:
    with (folder / "wrong").open("a") as wrong:
        wrong.write(f"{{words}}: {{run.returncode}}: {{run.stderr}}\\n")
print("/subscriptions/1/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-a")
""",
        "utf-8",
    )
    (tmp_path / "az").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    found = {
        command
        for repair in every_repair().values()
        for command in commands(repair)
        if command.startswith("az ")
    }

    parsed, wrong = tmp_path / "parsed", tmp_path / "wrong"
    for command in sorted(found):
        parsed.unlink(missing_ok=True)
        subprocess.run(["sh", "-uc", command], env=environment, check=False, capture_output=True)
        assert len(parsed.read_text("utf-8").splitlines()) >= command.count("az "), command

    assert not wrong.exists(), wrong.read_text("utf-8")
    record_testsuite_property("repairs.parsed", len(found))
