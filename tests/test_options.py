"""Each option brings its files, settings and requirements, and nothing is there of any other."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from baking import Bake
from jsonschema import Draft7Validator

OPTIONS = {
    "key": {"key": "signing-key"},
    "blob-storage": {"services": "blob-storage"},
    "cosmos-db": {"services": "cosmos-db"},
    "service-bus": {"services": "service-bus"},
    "api": {"api_scope": "api://contoso/.default"},
}
EVERYTHING = {
    **OPTIONS["key"],
    **OPTIONS["api"],
    "services": "service-bus, blob-storage ,cosmos-db",
}

# What each option adds to a project, by the folder where it stands.
FILES = {
    "key": {
        "functions/sign_document/__init__.py",
        "functions/sign_document/function.json",
        "identity_bindings/keys.py",
        "tests/fake_keys.py",
        "tests/test_sign_document.py",
    },
    "blob-storage": {
        "functions/summarize_blob/__init__.py",
        "functions/summarize_blob/function.json",
        "infra/modules/blob.bicep",
        "tests/test_summarize_blob.py",
    },
    "cosmos-db": {
        "functions/read_order/__init__.py",
        "functions/read_order/function.json",
        "infra/modules/cosmos.bicep",
        "tests/test_read_order.py",
    },
    "service-bus": {
        "functions/ship_order/__init__.py",
        "functions/ship_order/function.json",
        "infra/modules/service-bus.bicep",
        "tests/test_ship_order.py",
    },
    "api": {
        "functions/call_api/__init__.py",
        "functions/call_api/function.json",
        "identity_bindings/access_tokens.py",
        "scripts/grant_api_role.py",
        "tests/test_call_api.py",
        "tests/test_grant_api_role.py",
    },
}
REQUIREMENTS = {"key": {"azure-keyvault-keys>=4.10"}, "api": {"requests>=2.32.2"}}
# How to tell that a file speaks of an option.
WORDS = {
    "key": r"keyVaultKey|CryptographyClient|sign_document|fake_keys|Crypto User",
    "blob-storage": r"summarize_blob|DOCUMENTS|stdocs",
    "cosmos-db": r"read_order|ORDERS_DB|[Cc]osmos|DocumentDB",
    "service-bus": r"ship_order|ORDERS_BUS|[Ss]ervice ?[Bb]us|shipments",
    "api": r"call_api|API_URL|accessToken|grant_api_role",
}
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
# The same in every project, whole: the engine finds by itself which of its files are there.
ENGINE = "identity_bindings/"


def _files(project: Path) -> dict[str, Path]:
    found = {file.relative_to(project): file for file in project.rglob("*") if file.is_file()}
    return {at.as_posix(): file for at, file in found.items() if not CACHES.intersection(at.parts)}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_brings_its_files_and_no_other(bake: Bake, option: str) -> None:
    without, project = _files(bake()), _files(bake(**OPTIONS[option]))

    assert project.keys() - without.keys() == FILES[option]
    assert without.keys() <= project.keys()


def test_all_options_together_bring_what_each_brings(bake: Bake) -> None:
    without, project = _files(bake()), _files(bake(**EVERYTHING))

    assert project.keys() - without.keys() == set().union(*FILES.values())


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_needs_its_packages_and_no_other(bake: Bake, option: str) -> None:
    without, needed = (
        set((project / "requirements.txt").read_text("utf-8").splitlines())
        for project in (bake(), bake(**OPTIONS[option]))
    )

    assert needed - without == REQUIREMENTS.get(option, set())
    assert without <= needed


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("identity", ["system", "user"])
def test_nothing_speaks_of_an_option_that_is_not_chosen(
    bake: Bake, option: str, identity: str
) -> None:
    others = [other for other in OPTIONS if other != option]
    projects = [bake(identity=identity)]
    projects += [bake(identity=identity, **OPTIONS[other]) for other in others]
    for project in projects:
        for name, file in _files(project).items():
            if not name.startswith(ENGINE):
                found = re.search(WORDS[option], file.read_text("utf-8"))
                assert not found, f"{name} speaks of {found and found[0]}"


@pytest.mark.parametrize("answers", [{}, *OPTIONS.values(), EVERYTHING])
@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_no_folder_is_empty(bake: Bake, answers: dict[str, str], model: str) -> None:
    project = bake(programming_model=model, **answers)
    folders = [folder for folder in project.rglob("*") if folder.is_dir()]

    assert [folder for folder in folders if not os.listdir(folder)] == []


def _complaints(project: Path, *bindings: dict[str, Any]) -> list[str]:
    schema = json.loads((project / "functions.schema.json").read_text("utf-8"))
    Draft7Validator.check_schema(schema)
    found = Draft7Validator(schema).iter_errors({"bindings": list(bindings)})
    return [error.message for error in found]


@pytest.mark.parametrize("identity", ["system", "user"])
def test_the_editor_accepts_every_declaration(bake: Bake, identity: str) -> None:
    project = bake(identity=identity, **EVERYTHING)
    files = list(project.glob("functions/*/function.json"))

    assert len(files) == 6
    for file in files:
        assert _complaints(project, *json.loads(file.read_text("utf-8"))["bindings"]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "keyVaultKey", "keyName": "a_b", "vaultName": "my-kv"},
        {"type": "keyVaultKey", "keyName": "a"},
        {"type": "keyvaultkey", "secretName": "a", "vaultName": "my-kv"},
        {"type": "accessToken", "scope": "api://{name}/.default"},
        {"type": "accessToken", "scope": "User.Read"},
        {"type": "accessToken", "scope": "api://a/.default", "vaultName": "my-kv"},
    ],
)
def test_the_editor_marks_a_wrong_declaration(bake: Bake, wrong: dict[str, Any]) -> None:
    binding = {"name": "it", "direction": "in", "identity": "system"}

    assert _complaints(bake(**EVERYTHING), binding | wrong)
