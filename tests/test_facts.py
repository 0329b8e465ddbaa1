"""What the answers mean: identities, vaults, parameters, and texts in other languages."""

import json
import tomllib

import pytest
import yaml
from answers import DEFAULTS, IDENTITY_ID, PAIRS

from local_extensions.facts import Facts, Secret, facts_of, quoted, with_parameters


def facts(**answers: str) -> Facts:
    return facts_of(DEFAULTS | answers)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"identity_id": ""}, {"identity_setting": "KEY_VAULT_IDENTITY_ID"}),
        ({"identity_id": " %MY_ID% "}, {"declared_identity_id": "%MY_ID%"}),
        (
            {"identity_id": IDENTITY_ID},
            {
                "declared_identity_id": IDENTITY_ID,
                "identity_subscription": "11111111-2222-3333-4444-555555555555",
                "identity_group": "shared-group",
                "identity_name": "shared-identity",
            },
        ),
        ({"vault": " %MY_KV% "}, {"declared_vault": "%MY_KV%", "vault_setting": "MY_KV"}),
        ({"vault": "https://my-kv.vault.azure.cn:443"}, {"vault_name": "my-kv"}),
        ({"vault_resource_group": "shared"}, {"vault_subscription": "", "vault_group": "shared"}),
        ({"vault_resource_group": "ID/shared"}, {"vault_subscription": "ID"}),
    ],
)
def test_what_an_answer_names(answers: dict[str, str], expected: dict[str, str]) -> None:
    found = facts(identity="user", **answers)

    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("secret", "parameter"),
    [
        ("my-application-secret", "my_application_secret"),
        ("mySecret", "my_secret"),
        ("myAPIKey", "my_api_key"),
        ("SQL2Password", "sql2_password"),
        ("--odd--name--", "odd_name"),
        ("---", "secret"),
        ("3rd-party", "secret_3rd_party"),
        ("import", "import_secret"),
        ("Req", "req_secret"),
        ("res", "res_secret"),
        ("context", "context_secret"),
        ("func", "func_secret"),
        ("json", "json_secret"),
    ],
)
def test_a_parameter(secret: str, parameter: str) -> None:
    assert [one.parameter for one in with_parameters([secret])] == [parameter]


def test_parameters_are_unique() -> None:
    secrets = with_parameters(["a-b", "aB", "a--b", "a-b-2"])

    assert [secret.parameter for secret in secrets] == ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]


TEXT = 'It\'s "quoted" \\ {{ 7*7 }} %d $HOME ${x} <b> é 日本 \U0001f600\n\ttwo'


def test_a_text_arrives_intact_in_four_languages() -> None:
    literal = quoted(TEXT)

    assert json.loads(literal) == TEXT
    assert yaml.safe_load(literal) == TEXT
    assert tomllib.loads(f"text = {literal}")["text"] == TEXT
    assert eval(literal, {}) == TEXT


@pytest.mark.parametrize(
    ("description", "written"),
    [
        (TEXT, TEXT),
        ("Signs `orders`: *all* of them, see [the docs](https://example.org).", None),
        ("```", "\\```"),
        ("One\n   ~~~~\ntwo", "One\n   \\~~~~\ntwo"),
        ("<!-- later", "\\<!-- later"),
        ("<Script>", "\\<Script>"),
        ("<scripture>", None),
        ("[Caller]: https://example.org", "\\[Caller]: https://example.org"),
    ],
)
def test_a_description_hides_nothing_of_the_readme(description: str, written: str | None) -> None:
    assert facts(description=description).description_in_markdown == (written or description)


FREE_TEXT = {"project_name", "description", "description_in_markdown", "project_name_quoted"}


@pytest.mark.parametrize("answers", PAIRS.values(), ids=PAIRS)
def test_facts_are_decisions_and_names(answers: dict[str, str]) -> None:
    """Sentences, commands and code belong in the templates, where a search finds them."""
    found = facts(**answers)
    names = [name for name in dir(Facts) if name[0] != "_" and name not in ("count", "index")]
    for name in set(names) - FREE_TEXT:
        value = getattr(found, name)
        for text in value if isinstance(value, list | tuple) else [value]:
            assert isinstance(text, bool | Secret) or " " not in text, name
