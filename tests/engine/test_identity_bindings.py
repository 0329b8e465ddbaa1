"""The engine's promises, each once: a declared secret arrives, and says nothing on its way."""

from __future__ import annotations

import asyncio
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from apps import ECHO
from folders import IDENTITY, call, declare, key_vault, load_folder
from support.fake_key_vault import FakeKeyVault

VALUE = "p4ss-w0rd-of-tests"


def test_the_package_is_these_names_and_a_version() -> None:
    engine: Any = importlib.import_module("identity_bindings")
    offered: dict[str, Any] = {}

    exec("from identity_bindings import *", offered)

    names = {"BindingUnavailableError", "Secret", "isolated", "key_vault_secret"}
    assert offered.keys() - {"__builtins__"} == names | {"refresh_secret", "register_functions"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", engine.__version__)


PASSED = """
from identity_bindings.injection import Secret

def main(req, one: str, two: str, three: Secret, four: str):
    return f"{one} {two} {three} {four}"
"""


@pytest.mark.parametrize("source", [PASSED, PASSED.replace("def main", "async def main")])
def test_values_that_the_caller_passes_are_used_and_nothing_is_read(
    fresh_worker: None, tmp_path: Path, source: str
) -> None:
    """As a unit test does: the worker passes none of these parameters."""
    names = ("one", "two", "three", "four")
    declare(tmp_path, "echo", source, *(key_vault(name, secretName=name) for name in names))
    function = load_folder(tmp_path)["echo"]

    assert call(function, one="1", two="2", three="3", four="") == "1 2 3 "


@pytest.mark.parametrize("way", ["def", "async def"])
def test_a_caller_may_pass_the_other_parameters_by_position(
    fake_key_vault: FakeKeyVault, tmp_path: Path, way: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "last", f"{way} main(req, one): return req, one\n", key_vault("one"))
    declare(tmp_path, "first", f"{way} main(one, req): return req, one\n", key_vault("one"))

    for function in load_folder(tmp_path).values():
        answer = function.get_user_function()(7)
        assert (asyncio.run(answer) if way == "async def" else answer) == (7, VALUE)


def test_without_a_value_the_call_fails_in_one_line(
    fake_key_vault: FakeKeyVault, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").secrets.clear()
    declare(tmp_path, "echo", ECHO, key_vault())

    with pytest.raises(Exception, match="cannot be read") as caught:
        call(load_folder(tmp_path)["echo"])

    head, repair = str(caught.value).split(". Repair: ")
    assert head == (
        "Function 'echo', binding 'mySecret': secret 'api-key' of vault"
        " 'https://contoso.vault.azure.net' cannot be read by the system-assigned identity:"
        " the vault has no such secret or version (HTTP 404 SecretNotFound)"
    )
    assert "\n" not in repair
    assert type(caught.value).__name__ == "BindingUnavailableError"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_user_assigned_identity_reads_by_its_resource_id(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a function of several secrets, vaults, clouds and identities."""
    monkeypatch.setenv("IDENTITY", IDENTITY)
    fake_key_vault.identities.add(IDENTITY)
    user = {"identity": "user", "identityId": "%IDENTITY%"}
    entries = []
    for name, vault, secret, who in (
        ("a", "contoso.vault.azure.net", "api-key", {}),
        ("b", "contoso.vault.azure.net", "other-key", {}),
        ("c", "fabrikam.vault.azure.cn", "api-key", user),
    ):
        fake_key_vault.vault(vault).readers = {IDENTITY if who else None}
        fake_key_vault.vault(vault).set(secret, f"the-value-of-{name}")
        entries.append(key_vault(name, vaultName=f"https://{vault}", secretName=secret, **who))
    declare(tmp_path, "three", "def main(req, a, b, c): return [a, b, c]\n", *entries)

    answer = call(load_folder(tmp_path)["three"])

    assert answer == ["the-value-of-a", "the-value-of-b", "the-value-of-c"]
    asked = {one.query.get("mi_res_id") for one in fake_key_vault.requests if one.query}
    assert IDENTITY in asked
