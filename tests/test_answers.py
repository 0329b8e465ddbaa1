"""What is accepted, what is refused, and what each prompt says about it."""

import json
from typing import Any

import pytest
from answers import DEFAULTS, IDENTITY_ID, VAULT_SUBSCRIPTION
from baking import TEMPLATE

from local_extensions.answers import QUESTIONS, problems

Answers = dict[str, Any]
DECORATORS: Answers = {"programming_model": "decorators"}
USER: Answers = {"identity": "user"}
EXISTING: Answers = {"vault_source": "existing", "vault": "my-kv"}

OTHER_SETTINGS = (
    *("AzureWebJobsStorage", "WEBSITE_NAME", "FUNCTIONS_EXTENSION", "AZURE_CLIENT_ID", "DOCUMENTS"),
    *("GITHUB_IDENTITY", "SECRET_REFRESH_SECONDS", "API_URL", "https_proxy"),
)
# What is refused: the answers, the prompt that is named, and what the line says. What no prompt
# accepts, such as control characters and look-alikes, tests/test_every_answer.py tries.
REFUSED: list[tuple[Answers, str, str]] = [
    ({"project_name": " "}, "project_name", "1 to 100 characters"),
    ({"project_name": "x" * 101}, "project_name", "1 to 100 characters"),
    ({"project_name": "two\nlines"}, "project_name", "one line"),
    ({"project_name": "bell\a"}, "project_name", "contains U+0007"),
    ({"project_slug": ""}, "project_slug", "2 to 32"),
    ({"project_slug": "a"}, "project_slug", "2 to 32"),
    ({"project_slug": "a" * 33}, "project_slug", "2 to 32"),
    ({"project_slug": "App"}, "project_slug", "lower-case"),
    ({"project_slug": "an--app"}, "project_slug", "single hyphens"),
    ({"project_slug": "app\n"}, "project_slug", "'app\\n'"),
    ({"project_slug": "aux"}, "project_slug", "Windows"),
    ({"project_slug": "my-microsoft-app"}, "project_slug", "Azure refuses"),
    ({"project_slug": "login-page"}, "project_slug", "Azure refuses"),
    ({"description": ""}, "description", "1 to 1000 characters"),
    ({"description": "x" * 1001}, "description", "1 to 1000 characters"),
    ({"description": "\u200b\u2800 \u00ad"}, "description", "some of them visible"),
    ({"description": "a\uffffb"}, "description", "contains U+FFFF"),
    ({"function_name": ""}, "function_name", "starting with a letter"),
    ({"function_name": "x" * 65}, "function_name", "1 to 64"),
    ({"function_name": "import"}, "function_name", "keyword"),
    ({"function_name": "Host"}, "function_name", "route of the Functions host"),
    ({"function_name": "adminTask"}, "function_name", "route of the Functions host"),
    ({"function_name": "NUL"}, "function_name", "Windows"),
    ({"function_name": "azure"}, "function_name", "module"),
    ({"function_name": "identity_bindings"}, "function_name", "module"),
    ({"identity_id": IDENTITY_ID}, "identity_id", "identity=user"),
    (USER | {"identity_id": f"{IDENTITY_ID}/"}, "identity_id", "not the resource id"),
    (
        USER | {"identity_id": IDENTITY_ID.replace("userAssignedIdentities", "x")},
        "identity_id",
        "not the resource id",
    ),
    (
        USER | {"identity_id": IDENTITY_ID.replace("1111-", "111-")},
        "identity_id",
        "not the resource",
    ),
    (USER | {"identity_id": "%MY-ID%"}, "identity_id", "not a %SETTING%"),
    (USER | {"identity_id": "%IDENTITY_ENDPOINT%"}, "identity_id", "another meaning"),
    (USER | {"identity_id": "%key_vault_name%"}, "vault", "app setting of the identity"),
    (USER | {"vault": "%KEY_VAULT_IDENTITY_ID%"}, "vault", "app setting of the identity"),
    ({"vault": ""}, "vault", "not a vault name"),
    ({"vault": "ab"}, "vault", "3 to 24"),
    ({"vault": "a" * 25}, "vault", "3 to 24"),
    ({"vault": "1vault"}, "vault", "starting with a letter"),
    ({"vault": "my_vault"}, "vault", "not a vault name"),
    ({"vault": "http://my-kv.vault.azure.net"}, "vault", "not a vault's URI"),
    ({"vault": "my-kv.vault.azure.net"}, "vault", "not a vault's URI"),
    ({"vault": "https://my-kv.vault.azure.net:8443/"}, "vault", "not a vault's URI"),
    ({"vault": "https://my-kv.vault.azure.net.evil.com/"}, "vault", "not a vault's URI"),
    ({"vault": "https://user@my-kv.vault.azure.net/"}, "vault", "not a vault's URI"),
    ({"vault": "https://my-kv.vault.microsoftazure.de/"}, "vault", "not a vault's URI"),
    ({"vault": "https://my-hsm.managedhsm.azure.net/"}, "vault", "managed HSM"),
    ({"vault": "%KEY VAULT%"}, "vault", "not a %SETTING%"),
    *(({"vault": f"%{name}%"}, "vault", "another meaning") for name in OTHER_SETTINGS),
    ({"vault_source": "existing"}, "vault", "does not name the vault"),
    ({"vault_resource_group": "my-group"}, "vault_resource_group", "vault_source=existing"),
    (EXISTING | {"vault_resource_group": "group."}, "vault_resource_group", "not a resource group"),
    (EXISTING | {"vault_resource_group": "sub/group"}, "vault_resource_group", "subscription-id/"),
    ({"secrets": ""}, "secrets", "not a secret name"),
    ({"secrets": "a,b_c"}, "secrets", "includes 'b_c'"),
    ({"secrets": "a,"}, "secrets", "includes ''"),
    ({"secrets": "Token,token"}, "secrets", "twice"),
    ({"secrets": "x" * 128}, "secrets", "1 to 127"),
    ({"secrets": ",".join(f"s{n}" for n in range(21))}, "secrets", "at most 20"),
    ({"key": "my_key"}, "key", "not a key name"),
    ({"key": "k" * 128}, "key", "1 to 127"),
    ({"services": "blob,cosmos-db,queue"}, "services", "includes 'blob', 'queue'; accepted"),
    ({"secrets": "a_b,c,C:\\d"}, "secrets", "includes 'a_b', 'C:\\d'; accepted"),
    ({"secrets": ",".join(f"s_{n}" for n in range(99))}, "secrets", "includes 's_0', 's_1', "),
    ({"vault": "C:\\Users\\me"}, "vault", "'C:\\Users\\me' is not"),
    ({"vault": "o'kv"}, "vault", '"o\'kv" is not'),
    ({"vault": "kv\u200b\u3164\x1b"}, "vault", "'kv\\u200b\\u3164\\x1b' is not"),
    ({"services": "cosmos-db,cosmos-db"}, "services", "twice"),
    ({"api_scope": "api://my-api"}, "api_scope", "not the scope"),
    ({"api_scope": "User.Read"}, "api_scope", "not the scope"),
    ({"api_scope": "http://my-api/.default"}, "api_scope", "not the scope"),
    ({"api_scope": f"api://{'x' * 250}/.default"}, "api_scope", "not the scope"),
    ({"function_name": "Sign_Document"}, "function_name", "sample function"),
    ({"vault_access": "granted"}, "vault_access", "only with vault_source=existing"),
    ({"project_name": "tag\U000e0041"}, "project_name", "U+E0041 TAG LATIN CAPITAL LETTER A"),
    ({"project_name": "zero\u200bwidth"}, "project_name", "U+200B ZERO WIDTH SPACE"),
    ({"project_name": "filler\u3164"}, "project_name", "U+3164 HANGUL FILLER"),
    ({"ci": True}, "ci", "accepted: github, none"),
    ({"vault": {"name": "kv"}}, "vault", "not text"),
    ({"network": "private", "services": "cosmos-db,service-bus"}, "services", "network=public"),
    (DECORATORS | {"function_name": "app"}, "function_name", "that function_app.py uses"),
    (DECORATORS | {"function_name": "list"}, "function_name", "a builtin"),
    (USER | {"identity_id": "%Group%", "vault": "%GROUP%"}, "identity_id", "project's commands"),
    ({"description": None}, "description", "not text"),
    ({"project_slug": ["a", "b"]}, "project_slug", "not text"),
]

ACCEPTED: list[Answers] = [
    {},
    {"project_slug": "a1"},
    {"project_slug": "9-lives"},
    {"project_slug": "a" * 32},
    {
        "description": 'It\'s "quoted" \\ {{ 7*7 }} {% x %} %d $HOME ${x} <b> é 日本 \U0001f600\n\ttwo'
    },
    {"function_name": "readSecret2"},
    {"function_name": "app"},
    DECORATORS,
    USER,
    USER | {"identity_id": IDENTITY_ID},
    USER | {"identity_id": IDENTITY_ID.replace("resourceG", "resourceg")},
    USER | {"identity_id": "%SHARED_ID%"},
    USER | {"identity_id": "%KEY_VAULT_IDENTITY_ID%"},
    {"vault": "%MY_VAULT%"},
    {"vault": "my-kv"},
    {"vault": "https://my-kv.vault.azure.net"},
    {"vault": "https://my-kv.vault.azure.net:443/"},
    {"vault": "https://My-KV.vault.usgovcloudapi.net/"},
    {"vault": "https://my-kv.vault.azure.cn/"},
    {"vault": "https://my-kv.vault.sovcloud-api.fr/"},
    EXISTING,
    EXISTING | {"vault_access": "granted"},
    {"project_name": "Größe \u2764\ufe0f 日本"},
    {"description": "Zero\u200bwidth \u200d joiners are part of some languages"},
    EXISTING | {"vault_resource_group": "Rg_(größe).1"},
    EXISTING | {"vault_resource_group": f"{VAULT_SUBSCRIPTION}/group"},
    {"api_scope": f"api://{'x' * 249}/.default"},
    {"secrets": " one , two-2 , 3three "},
    {"secrets": ",".join(f"s{n}" for n in range(20))},
]


@pytest.mark.parametrize(("answers", "prompt", "said"), REFUSED)
def test_a_wrong_answer_is_one_line(answers: Answers, prompt: str, said: str) -> None:
    (problem,) = problems(DEFAULTS | answers)

    line = str(problem)
    assert line.startswith(f"{prompt}: ")
    assert said in line
    assert "accepted" in line or "must be" in line
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize("answers", ACCEPTED)
def test_a_right_answer_is_no_problem(answers: Answers) -> None:
    assert problems(DEFAULTS | answers) == []


def test_all_wrong_answers_are_found_at_once_in_the_order_of_the_prompts() -> None:
    wrong = {"ci": "x", "secrets": "a,A", "vault": "my_vault", "project_slug": "../../x"}

    found = [problem.prompt for problem in problems(DEFAULTS | wrong)]

    assert found == ["project_slug", "vault", "secrets", "ci"]


def test_every_prompt_has_its_text_and_every_choice_its_label() -> None:
    configuration = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    prompts = configuration["__prompts__"]

    assert list(prompts) == list(QUESTIONS)
    for prompt, first in QUESTIONS.items():
        if isinstance(first, list) and prompt != "python_version":
            assert set(prompts[prompt]) == {"__prompt__", *first}
            assert all(prompts[prompt][choice].startswith(f"{choice} - ") for choice in first)
