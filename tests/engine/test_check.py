"""``python -m identity_bindings check`` as people start it: a process of its own, in a terminal."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apps import AZURE, ECHO, HTTP, RES, VALUE, Project
from folders import IDENTITY, key_vault
from support import worker
from support.fake_key_vault import SUFFIXES, FakeKeyVault

DAY = 86_400
# Leads a new process to the fake_key_vault, as the fake Key Vault leads this one.
REDIRECT = """
import urllib3.util.connection as connection

original = connection.create_connection


def create_connection(address, *rest, **options):
    host, port = address
    return original(("127.0.0.1", {vault} if host.endswith({suffixes}) else port), *rest, **options)


connection.create_connection = create_connection
"""


@pytest.fixture
def project(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A project with its own engine, and the environment for processes in it."""
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    text = REDIRECT.format(vault=fake_key_vault.vault_port, suffixes=SUFFIXES)
    with Project(tmp_path / "app") as project:
        (tmp_path / "site").mkdir()
        (tmp_path / "site/sitecustomize.py").write_text(text)
        shutil.copytree(worker.SRC / "identity_bindings", project.folder / "identity_bindings")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        for name in (*AZURE[1:], "VAULT"):
            monkeypatch.delenv(name, raising=False)
        yield project


def check(project: Project, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the command, and return its exit status and what it printed. It printed no value."""
    done = subprocess.run(
        [sys.executable, "-m", "identity_bindings", "check", *arguments],
        cwd=project.folder,
        env=os.environ | environment,
        capture_output=True,
        timeout=60,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert VALUE not in out + err
    if "--json" not in arguments and "PYTHONIOENCODING" not in environment:
        assert max(map(len, out.splitlines()), default=0) <= 100
    assert "Traceback" not in err
    return done.returncode, out, err


# Each binding, and its repair where it cannot be read.
BINDINGS: dict[str, tuple[dict[str, Any], str]] = {
    "well": ({}, ""),
    "near": ({"secretName": "near"}, ""),
    "far": ({"secretName": "far"}, ""),
    "over": ({"secretName": "over"}, ""),
    "off": (
        {"secretName": "off"},
        "az keyvault secret set-attributes --vault-name contoso --name off --enabled true",
    ),
    "field": ({"jsonField": "user"}, "set the secret to a JSON object with the field 'user'"),
    "missing": (
        {"secretName": "missing"},
        "`az keyvault secret recover --vault-name contoso --name missing",
    ),
    "policies": ({"vaultName": "policies"}, "az keyvault show --name policies --query"),
    "roles": (
        {"vaultName": "roles"},
        'az role assignment create --role "Key Vault Secrets User"',
    ),
    "walled": ({"vaultName": "walled"}, "an approved private endpoint of the vault"),
    "user": ({"identity": "user", "identityId": IDENTITY}, f" --identities {IDENTITY}"),
}
FIELDS = {"function", "binding", "what", "identity", "result", "milliseconds", "repair", "ok"}


def test_a_row_for_each_binding_with_its_result_time_and_repair(
    project: Project, fake_key_vault: FakeKeyVault
) -> None:
    contoso = fake_key_vault.vault("contoso")
    for name, days in {"near": 29, "far": 31, "over": -1}.items():
        contoso.set(name, VALUE, exp=int(time.time()) + days * DAY)
    contoso.set("off", VALUE, enabled=False)
    for name, rbac in {"policies": False, "roles": True}.items():
        vars(fake_key_vault.vault(name)).update(readers=set(), rbac=rbac)
    fake_key_vault.vault("walled").firewall = True
    source = f"def main(req, {', '.join(BINDINGS)}): pass\n"
    entries = [key_vault(name, **changes) for name, (changes, _) in BINDINGS.items()]
    project.function("all", HTTP, RES, *entries, source=source)
    project.function("wrong", HTTP, RES, key_vault(vaultName="no vault", identity="me"))

    status, text, errors = check(project, "--json")

    assert (status, errors) == (1, "")
    found = json.loads(text)
    rows = {row["binding"]: row for row in found if row["function"] == "all"}
    assert rows.keys() == BINDINGS.keys()
    for name, (_, repair) in BINDINGS.items():
        row, fine = rows[name], not repair
        assert row.keys() == FIELDS
        assert row["ok"] == (row["milliseconds"] is not None) == fine
        assert ("field 'user' of secret" in row["what"]) == (name == "field")
        assert bool(row["repair"]) != fine
        assert repair in row["repair"]
    assert rows["well"]["result"] == rows["far"]["result"] == "ok"
    assert rows["near"]["result"].startswith("ok, but it expires on 20")
    assert rows["over"]["result"].startswith("ok, but it expired on 20")
    wrong = [row for row in found if row["function"] == "wrong"]
    assert len(wrong) == 2  # one for each error
    assert all(row["result"] == "wrong declaration" and not row["ok"] for row in wrong)
    assert "functions/wrong/function.json: mySecret.vaultName: 'no vault': " in str(wrong)


def test_all_is_well_whatever_the_app_prints(project: Project) -> None:
    prints = "import logging\nprint('loading')\nlog = logging.getLogger('of-the-app')\n"
    prints += "log.warning('it is late')\nlog.error('it is odd')\n"
    project.function("one", HTTP, RES, key_vault(), source=prints + ECHO)

    status, table, errors = check(project)

    assert (status, errors) == (0, "loading\nit is odd\n")
    head, row, what = table.splitlines()
    assert head.split() == ["function", "binding", "result", "time"]
    assert row.split()[:3] == ["one", "mySecret", "ok"]
    assert row.endswith("ms")
    assert what == (
        "  secret 'api-key' of vault 'https://contoso.vault.azure.net', read by the system-assigned"
        " identity"
    )
    status, text, errors = check(project, "--json")
    rows = json.loads(text)
    assert (len(rows), text) == (1, json.dumps(rows, indent=2) + "\n")


def test_the_table_has_100_columns_at_most(project: Project, fake_key_vault: FakeKeyVault) -> None:
    fake_key_vault.vault("contoso").readers = set()
    name = "a_very_long_name_" * 5
    source = ECHO.replace("mySecret", name)
    project.function(name, HTTP, RES, key_vault(name, secretName="a" * 127), source=source)

    status, table, _ = check(project)

    assert status == 1
    lines = [line.strip() for line in table.splitlines()]
    assert "a" * 60 in "".join(lines)
    assert "Repair: az keyvault show --name contoso" in " ".join(lines)
    assert not any(line.endswith(" ms") for line in lines)


def test_nothing_is_declared(project: Project) -> None:
    nothing = "There is nothing to check: no function declares a value.\n"
    assert check(project) == (2, nothing, "")
    assert check(project, "--json") == (2, "[]\n", "")


def test_an_app_that_cannot_be_loaded(project: Project) -> None:
    for source, word in {
        "import a_package_that_is_not_there": "a_package_that_is_not_there",
        "raise SystemExit(0)": "SystemExit",
        "def (": "SyntaxError",
        "import azure.functions as func\napp = again = func.FunctionApp()": "under one name",
        "app = None": "exactly one app",
    }.items():
        project.write("function_app.py", source)

        status, out, errors = check(project)

        assert (status, out) == (2, "")
        assert errors.startswith("function_app.py cannot be loaded: ")
        assert word in errors


def test_the_command_line_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    main: Any = importlib.import_module("identity_bindings.__main__")

    for arguments, status in {("--help",): 0, (): 2, ("chekc",): 2, ("check", "--yaml"): 2}.items():
        with pytest.raises(SystemExit) as ended:
            main.main([*arguments])
        assert ended.value.code == status

    printed = capsys.readouterr()
    assert printed.out.startswith("usage: python -m identity_bindings [-h] [--json] {check}\n")
    assert "print the rows as JSON" in printed.out
    for error in ("required: command", "invalid choice: 'chekc'", "unrecognized arguments: --yaml"):
        assert error in printed.err


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        pytest.param(
            {"WEBSITE_SKU": "FlexConsumption", "WEBSITE_RESOURCE_GROUP": "rg-app"},
            "no identity is assigned|"
            "az functionapp identity assign --name func-tests --resource-group rg-app",
            id="azure",
        ),
        pytest.param(
            {"WEBSITE_SITE_NAME": "", "PATH": ""},
            # A token or a key cannot be in that file.
            "read by the developer's own login|"
            "run 'az login' or 'azd auth login'; a secret may be in the file",
            id="home",
        ),
    ],
)
def test_without_an_identity(project: Project, environment: dict[str, str], words: str) -> None:
    project.function("one", HTTP, RES, key_vault())
    project.write("secrets.local.json", json.dumps({"api-key": VALUE}))

    status, table, _ = check(project, IDENTITY_ENDPOINT="", **environment)

    assert status == 1
    assert all(one in " ".join(table.split()) for one in words.split("|")), table


ODD = ("", "[]", "{", "7", '{"Values": []}', '{"Values": null}', "{}")


def test_local_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are set as `func start` sets them, and wrong ones end nothing."""
    values = {"TEXT": "a text", "NUMBER": 7, "SWITCH": True, "OBJECT": {"a": [1]}, "SET": "new"}
    monkeypatch.setenv("SET", "before")
    shutil.rmtree(project.folder / "identity_bindings")  # in this process it is the template's
    main: Any = importlib.import_module("identity_bindings.__main__")
    monkeypatch.setattr(main, "ROOT", project.folder)
    level = logging.getLogger("identity_bindings").level

    for content in (*ODD, json.dumps({"Values": values})):
        project.forget()
        project.write("local.settings.json", content)
        main.main(["check"])
        error = capsys.readouterr().err
        assert error.startswith("local.settings.json: line 1 is not valid JSON") == (
            content in ("", "{")
        )

    logging.getLogger("identity_bindings").setLevel(level)
    assert {name: os.environ[name] for name in values} == {
        **{"TEXT": "a text", "NUMBER": "7", "SWITCH": "true", "OBJECT": '{"a": [1]}'},
        "SET": "before",
    }
