"""What may stand in a declaration of this package's own, word for word; and its kinds."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from folders import IDENTITY, call, declare, key_vault, load_folder

KNOWN = "name, type, direction, dataType, identity, identityId, secretName, secretVersion, jsonField, vaultName"
SETTINGS = {"BAD": "no secret's name", "GOOD": " api-key ", "PART": "key", "EMPTY": ""}
SECRET_NAME = "a secret's name: 1 to 127 letters, digits, -"
# What is changed in a good entry; the property and the value that are told, and what is allowed.
MISTAKES: list[tuple[dict[str, Any], str, Any, str]] = [
    ({"name": "a b"}, "keyVault.name", "a b", "the name of the handler's parameter"),
    ({"name": 7}, "keyVault.name", 7, "the name of the handler's parameter"),
    ({"direction": "out"}, "mySecret.direction", "out", "'in'"),
    ({"dataType": "binary"}, "mySecret.dataType", "binary", "'string', or leave it out"),
    (
        {"identity": "me"},
        "mySecret.identity",
        "me",
        "'system', or 'user' together with identityId",
    ),
    (
        {"identityId": IDENTITY},
        "mySecret.identityId",
        IDENTITY,
        "only with identity 'user'; leave it out",
    ),
    (
        {"secretname": "x"},
        "mySecret.secretname",
        "***",
        f"did you mean 'secretName'? allowed are {KNOWN}",
    ),
    (
        {"IDENTITYID": "x"},
        "mySecret.IDENTITYID",
        "***",
        f"did you mean 'identityId'? allowed are {KNOWN}",
    ),
    ({"password": "x"}, "mySecret.password", "***", f"allowed are {KNOWN}"),
    ({"secretName": None}, "mySecret.secretName", None, SECRET_NAME),
    ({"secretName": "a_b"}, "mySecret.secretName", "a_b", SECRET_NAME),
    (
        {"secretName": "%BAD%"},
        "mySecret.secretName",
        "%BAD%",
        f"what the app setting 'BAD' holds must be {SECRET_NAME}",
    ),
    (
        {"secretName": "%BAD%-%PART%"},
        "mySecret.secretName",
        "%BAD%-%PART%",
        f"what the app setting 'BAD', 'PART' holds must be {SECRET_NAME}",
    ),
    (
        {"secretName": "%ONE%%PART%%EMPTY%"},
        "mySecret.secretName",
        "%ONE%%PART%%EMPTY%",
        "the app setting 'ONE', 'EMPTY' is not set",
    ),
    *(
        (
            {"secretName": wrong},
            "mySecret.secretName",
            wrong,
            "no {…} expression: a caller must not choose what is read",
        )
        for wrong in ("{name}", "a{", "}a")
    ),
    ({"secretVersion": "a/b"}, "mySecret.secretVersion", "a/b", "a secret's version"),
    ({"vaultName": ""}, "mySecret.vaultName", "", "a vault's name or URI"),
]


@pytest.fixture
def grammar() -> Any:
    return importlib.import_module("identity_bindings.grammar")


def test_each_mistake_word_for_word(grammar: Any) -> None:
    for changes, prop, value, allowed in MISTAKES:
        entry = {**key_vault(), **changes}

        assert grammar.declare(entry, SETTINGS) == (None, [(prop, value, allowed)]), changes


def test_a_user_needs_its_id(grammar: Any) -> None:
    binding, mistakes = grammar.declare({**key_vault(), "identity": "user"}, {})

    assert binding is None
    ((prop, value, allowed),) = mistakes
    assert (prop, value) == ("mySecret.identityId", None)
    assert allowed.startswith("the resource id ")


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"type": "KEYVAULT", "direction": "IN", "dataType": "String"}, {}),
    ({"dataType": None, "secretVersion": None, "identityId": ""}, {}),
    ({"secretName": "%GOOD%"}, {}),
    ({"secretName": "api-%PART%"}, {}),
    ({"secretVersion": "0aZ"}, {"secret_version": "0aZ"}),
    (
        {"vaultName": "https://fabrikam.vault.azure.cn/"},
        {"vault_url": "https://fabrikam.vault.azure.cn"},
    ),
    ({"identity": "user", "identityId": IDENTITY}, {"identity": IDENTITY}),
]


def test_what_a_declaration_becomes(grammar: Any) -> None:
    plain = {"name": "mySecret", "secret_name": "api-key", "secret_version": None}
    plain |= {"vault_url": "https://contoso.vault.azure.net", "identity": None}
    plain["json_field"] = None

    for changes, made in GOOD:
        binding, mistakes = grammar.declare({**key_vault(), **changes}, SETTINGS)

        assert mistakes == []
        found = {**vars(binding), "identity": binding.identity.resource_id}
        assert found == {**plain, **made}, changes


def test_ours_is_what_has_a_kind(grammar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*grammar.kinds()] == ["keyvault", "keyvaultkey", "accesstoken"]
    # A project that does not ask for keys and tokens has no modules of these names.
    monkeypatch.setattr(grammar, "_MODULES", (".key_vault_secrets", ".not_there"))
    grammar.kinds.cache_clear()

    assert [*grammar.kinds()] == ["keyvault"]
    for binding, ours in (
        ({"type": "keyVault"}, True),
        ({"type": "KEYVAULT"}, True),
        ({"type": "keyVaultKey"}, False),
        ({"type": None}, False),
        ({}, False),
    ):
        assert grammar.is_ours(binding) is ours


KIND = """
import asyncio
from dataclasses import dataclass, replace
from identity_bindings.decorators import declared
from identity_bindings.errors import Reading
from identity_bindings.grammar import Kind, matching


@dataclass(frozen=True)
class Binding:
    name: str
    colour: str
    identity: object
    way: str = "sync"

    @property
    def key(self):
        return replace(self, name="")

    def for_async(self):
        return replace(self, way="async")

    def read(self):
        return Reading((self.colour, self.way))


KIND = Kind("{type}", {{"colour": matching("[a-z]+", "a colour")}}, Binding)


def paint(name, colour):
    return declared(KIND.type, {{"name": name, "colour": colour, "identity": "system"}})
"""


@pytest.mark.parametrize("module", ["keys", "access_tokens"])
def test_a_kind_is_a_module_that_may_be_there(
    optional_module: Callable[[str, str], Any], grammar: Any, tmp_path: Path, module: str
) -> None:
    paint = optional_module(module, KIND.format(type="Paint")).paint

    assert "paint" in grammar.kinds()

    @paint("one", "red")
    def plain(one: Any) -> Any:
        return one

    @paint("one", "red")
    async def asynchronous(one: Any) -> Any:
        return one

    assert plain() == ("red", "sync")
    assert asyncio.run(asynchronous()) == ("red", "async")

    entry = {"name": "one", "type": "paint", "identity": "system", "colour": "red"}
    for name, way in (("plain", "def"), ("asynchronous", "async def")):
        declare(tmp_path / "functions", name, f"{way} main(req, one): return one[1]\n", entry)
    functions = load_folder(tmp_path / "functions")
    assert call(functions["plain"]) == "sync"
    assert call(functions["asynchronous"]) == "async"
