"""``python -m identity_bindings check``, its table in the log, and a developer's machine."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import folders
import pytest
from apps import AZURE, FUNCTION_APP
from folders import IDENTITY, declare, key_vault
from support.fake_key_vault import FakeKeyVault

ECHO = "def main(req, mySecret):\n    return mySecret\n"
VALUE = "the-value-of-it"
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Check]:
    """Return the command, run in tmp_path as if the app stood there."""
    (tmp_path / "function_app.py").write_text(FUNCTION_APP)
    monkeypatch.syspath_prepend(tmp_path)
    level = logging.getLogger("identity_bindings").level

    def run(*arguments: str) -> tuple[int, str, str]:
        main: Any = importlib.import_module("identity_bindings.__main__")
        monkeypatch.setattr(main, "ROOT", tmp_path)
        monkeypatch.setenv("LOCAL_SECRETS_FILE", str(tmp_path / "secrets.local.json"))
        status = main.main(["check", *arguments])
        printed = capsys.readouterr()
        assert VALUE not in printed.out + printed.err
        return status, printed.out, printed.err

    yield run
    logging.getLogger("identity_bindings").setLevel(level)


def declared(folder: Path, **entry: Any) -> None:
    declare(folder / "functions", "echo", ECHO, key_vault(**entry))


def test_all_is_well(fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declared(tmp_path)

    status, table, progress = check()

    assert (status, progress) == (0, "")  # in a pipe, nothing moves
    for cell in ("echo", "mySecret", "api-key", "contoso", "system-assigned", "ok", "ms"):
        assert cell in table


def test_json_for_programs(fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declared(tmp_path)
    declare(tmp_path / "functions", "other", ECHO, key_vault(secretName="not-there"))

    status, text, _ = check("--json")

    assert status == 1
    rows = {row["function"]: row for row in json.loads(text)}
    assert rows["echo"]["ok"] is True
    assert rows["echo"]["milliseconds"] >= 0
    assert rows["other"]["ok"] is False
    assert (
        "az keyvault secret recover --vault-name contoso --name not-there"
        in rows["other"]["repair"]
    )


def test_every_failure_comes_with_its_repair(
    fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path
) -> None:
    for vault in ("policy", "role"):
        fake_key_vault.vault(vault).set("api-key", VALUE)
        fake_key_vault.vault(vault).readers = set()
        declare(tmp_path / "functions", vault, ECHO, key_vault(vaultName=vault))
    fake_key_vault.vault("role").rbac = True
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    user = key_vault(identity="user", identityId=IDENTITY)
    declare(tmp_path / "functions", "identity", ECHO, user)
    declare(tmp_path / "functions", "wrong", ECHO, key_vault(vaultName="no vault"))

    status, table, _ = check()

    assert status == 1
    for repair in (
        "accessPolicies/add",
        "az role assignment create",
        "az functionapp identity assign",
        "no vault",
    ):
        assert repair in table


def test_values_are_read_in_parallel(
    fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path
) -> None:
    fake_key_vault.latency = 0.2
    for number in range(16):
        fake_key_vault.vault("contoso").set(f"key-{number}", VALUE)
        entry = key_vault(secretName=f"key-{number}")
        declare(tmp_path / "functions", f"f{number}", ECHO, entry)
    began = time.monotonic()

    status, _, _ = check()

    assert status == 0
    assert time.monotonic() - began < 16 * 0.2


def test_an_end_that_is_near_is_told(
    fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE, exp=int(time.time()) + 5 * 86_400)
    declared(tmp_path)

    status, table, _ = check()

    assert status == 0
    assert "expires on 20" in table


def test_an_app_that_does_not_load(check: Check, tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("import a_package_that_is_not_there\n")

    status, _, told = check()

    assert status == 2
    assert "a_package_that_is_not_there" in told


def test_another_app_on_the_path_is_not_taken(
    fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declared(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/function_app.py").write_text("raise ValueError('not this one')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "other"), *sys.path])

    assert check()[0] == 0


def test_the_command_line_explains_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no line is wrapped
    main: Any = importlib.import_module("identity_bindings.__main__")

    for arguments, status in {("--help",): 0, (): 2, ("chekc",): 2}.items():
        with pytest.raises(SystemExit) as ended:
            main.main([*arguments])
        assert ended.value.code == status

    told = capsys.readouterr()
    assert told.out.startswith("usage: python -m identity_bindings [-h] [--json] {check}\n")
    assert "can this app's identity read what is declared?" in told.out
    for text in ("read every declared value, print none", "print the rows as JSON"):
        assert text in told.out
    assert "the following arguments are required: command" in told.err
    assert "argument command: invalid choice: 'chekc'" in told.err


@pytest.fixture
def at_home(fake_key_vault: FakeKeyVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Azure: no identity endpoint, and no CLI with a login."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", *AZURE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")


def test_at_home_a_file_gives_values(
    at_home: None,
    fake_key_vault: FakeKeyVault,
    check: Check,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAULT", "")  # so that it is gone afterwards
    monkeypatch.delenv("VAULT")
    settings = {"Values": {"VAULT": "contoso"}}
    (tmp_path / "local.settings.json").write_text(json.dumps(settings))
    (tmp_path / "secrets.local.json").write_text(json.dumps({"API-key": VALUE}))
    declared(tmp_path, vaultName="%VAULT%")

    status, table, _ = check()

    assert status == 0, table
    assert fake_key_vault.requests == []


def test_at_home_without_a_login_the_repair_is_a_login(
    at_home: None, fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declared(tmp_path)

    status, table, _ = check()

    assert status == 1
    assert "az login" in table
    assert "LOCAL_SECRETS_FILE" in table


def test_in_azure_that_file_is_not_read(
    fake_key_vault: FakeKeyVault, check: Check, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso")
    (tmp_path / "secrets.local.json").write_text(json.dumps({"api-key": VALUE}))
    declared(tmp_path)

    status, table, _ = check()

    assert status == 1
    assert "az keyvault secret recover" in table


def test_in_azure_the_log_has_the_table_once(
    fake_key_vault: FakeKeyVault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "good", ECHO, key_vault())
    declare(tmp_path, "bad", ECHO, key_vault(secretName="not-there"))

    folders.load_folder(tmp_path)

    deadline = time.monotonic() + 10
    while len(told := _table(caplog)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    assert sorted(_table(caplog)) == sorted(told)
    levels = {text.split()[0]: level for level, text in told}
    assert levels == {"good": "INFO", "bad": "ERROR"}
    assert not any(VALUE in text for _, text in told)


def _table(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "identity_bindings" and record.threadName == "identity-report"
    ]
