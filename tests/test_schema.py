"""The editor's schema for function.json accepts and marks what the app accepts and refuses."""

import json
import sys
from collections.abc import Callable

import pytest
from answers import EVERYTHING, IDENTITY_ID
from baking import Bake, run
from jsonschema import Draft7Validator

SECRET = {
    "name": "my_secret",
    "type": "keyVault",
    "direction": "in",
    "secretName": "my-secret",
    "vaultName": "my-key-vault",
    "identity": "system",
}


Complaints = Callable[..., list[str]]


@pytest.fixture
def complaints(bake: Bake) -> Complaints:
    """What the editor would say about bindings."""
    project = bake(**EVERYTHING)
    schema = json.loads((project / "functions.schema.json").read_text("utf-8"))
    Draft7Validator.check_schema(schema)

    def complain(*bindings: dict[str, object]) -> list[str]:
        found = Draft7Validator(schema).iter_errors({"bindings": list(bindings)})
        return [error.message for error in found]

    return complain


@pytest.mark.parametrize("identity", ["system", "user"])
def test_the_schema_accepts_what_is_rendered(
    bake: Bake, complaints: Complaints, identity: str
) -> None:
    files = list(bake(identity=identity, **EVERYTHING).glob("src/functions/*/function.json"))

    assert len(files) == 6
    for file in files:
        assert complaints(*json.loads(file.read_text("utf-8"))["bindings"]) == []


# Properties of a declaration, for the editor as for the app.
SETTINGS = {"SECRET_NAME": "my-secret", "VAULT": "my-key-vault", "STAGE": "dev", "ID": IDENTITY_ID}
KEY: dict[str, object] = {"type": "keyVaultKey", "secretName": None, "keyName": "a"}
TOKEN: dict[str, object] = {"type": "accessToken", "scope": "api://a/.default"}
TOKEN |= {"secretName": None, "vaultName": None}
ACCEPTED: list[dict[str, object]] = [
    {},
    KEY,
    TOKEN,
    {"secretVersion": "0123456789abcdef0123456789abcdef"},
    {"secretVersion": "abc"},
    {"secretName": "%SECRET_NAME%", "vaultName": "%VAULT%"},
    {"secretName": "api-%STAGE%", "vaultName": "kv-%STAGE%-%STAGE%"},
    {"vaultName": "https://my-key-vault.vault.azure.net/"},
    {"vaultName": "https://my-key-vault.vault.azure.cn:443"},
    {"vaultName": "https://%VAULT%.vault.azure.net"},
    {"vaultName": "a" * 24},
    {"vaultName": "https://localhost:4997"},
    {"vaultName": "https://127.0.0.1:8443/"},
    {"identity": "user", "identityId": IDENTITY_ID},
    {"identity": "user", "identityId": "%ID%"},
    {"jsonField": "password"},
    {"jsonField": "Connection string 1, in %STAGE%"},
]
REFUSED: list[dict[str, object]] = [
    {"name": "my-secret"},
    {"direction": "out"},
    {"secretName": "my_secret"},
    {"secretName": "{query.name}"},
    {"secretName": "my_%STAGE%"},
    {"secretVersion": "a" * 65},
    {"jsonField": "{query.field}"},
    {"jsonField": " "},
    {"jsonField": "a\nb"},
    {"jsonField": "a" * 128},
    {"jsonField": 1},
    {"vaultName": "http://localhost:4997"},
    {"vaultName": "https://localhost.example:4997"},
    {"vaultName": "https://localhost:4997/secrets"},
    {"vaultName": "https://127.0.0.2:4997"},
    {"vaultName": "my_vault"},
    {"vaultName": "a-" * 12 + "a"},
    {"vaultName": "http://my-key-vault.vault.azure.net/"},
    {"vaultName": "https://" + "a-" * 12 + "a.vault.azure.net/"},
    {"identity": "somebody"},
    {"identity": "user"},
    {"identity": "user", "identityId": "my-identity"},
    {"identityId": IDENTITY_ID},
    {"secret": "misspelt"},
    {"type": "keyvaultkey"},
    KEY | {"keyName": "a_b"},
    KEY | {"vaultName": None},
    TOKEN | {"scope": "api://{name}/.default"},
    TOKEN | {"scope": "User.Read"},
    TOKEN | {"vaultName": "my-kv"},
    *(dict[str, object]({name: None}) for name in ("name", "secretName", "vaultName", "identity")),
]


def test_the_schema_says_what_the_app_says(bake: Bake, complaints: Complaints) -> None:
    declarations = [
        {name: value for name, value in (SECRET | change).items() if value is not None}
        for change in (*ACCEPTED, *REFUSED)
    ]
    program = (
        "import json, os, sys; from identity_bindings.declarations import declare;"
        "os.environ |= json.loads(sys.argv[1]);"
        "print(json.dumps([not declare(one)[1] for one in json.load(sys.stdin)]))"
    )
    command = [sys.executable, "-c", program, json.dumps(SETTINGS)]
    printed = run(command, bake(**EVERYTHING) / "src", typed=json.dumps(declarations))
    expected = [True] * len(ACCEPTED) + [False] * len(REFUSED)

    of_app, of_editor = json.loads(printed), [not complaints(one) for one in declarations]

    for declaration, right, app, editor in zip(
        declarations, expected, of_app, of_editor, strict=True
    ):
        assert (app, editor) == (right, right), declaration


def test_the_schema_leaves_other_bindings_to_the_host(complaints: Complaints) -> None:
    other = {"name": "my_secret", "type": "queueTrigger", "anything": {"goes": [1]}, "identity": 5}

    assert complaints(other | {"direction": "in"}) == []
    assert complaints(other | {"direction": "inout"})  # Python has no such binding
