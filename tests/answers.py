"""The named sets of answers that tests render, and a value of each kind for every prompt."""

from collections.abc import Mapping

from covering import Row, covering

from local_extensions.answers import QUESTIONS, problems

DEFAULTS = {
    prompt: first[0] if isinstance(first, list) else first for prompt, first in QUESTIONS.items()
} | {"project_slug": "secure-function-app"}
IDENTITY_ID = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/shared-group"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/shared-identity"
)

IDENTITY_GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-identities"
SHARED = "Microsoft.ManagedIdentity/userAssignedIdentities/id-shared"
LITERAL_ID = f"{IDENTITY_GROUP}/providers/{SHARED}"
# What the environment says at deployment, for the answer `%SHARED_IDENTITY%` and for an API.
VARIABLES = {
    "API_URL": "https://api.example/me",
    "SHARED_IDENTITY": "/subscriptions/22222222-2222-2222-2222-222222222222"
    f"/resourceGroups/rg-at-deployment/providers/{SHARED}",
}
VAULT_SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
SETTER = "44444444-4444-4444-4444-444444444444"
ACTION_GROUP = (
    f"/subscriptions/{VAULT_SUBSCRIPTION}/resourceGroups/rg-on-call/providers"
    "/Microsoft.Insights/actionGroups/on-call"
)
# What a deployer may set, beside what must be set.
GIVEN = {
    "SECRET_SETTER_OBJECT_ID": SETTER,
    "ALERT_ACTION_GROUP_ID": ACTION_GROUP,
    "RECOVER_VAULT": "true",
    "AZURE_ENV_NAME": "prod",
}

IDENTITIES = {
    "system": {"identity": "system"},
    "created": {"identity": "user"},
    "literal": {"identity": "user", "identity_id": LITERAL_ID},
    "setting": {"identity": "user", "identity_id": "%SHARED_IDENTITY%"},
}
VAULTS = {
    "new": ("%KEY_VAULT_NAME%", "contoso-vault", "https://contoso-vault.vault.azure.net/"),
    "existing": ("contoso-vault", "https://contoso-vault.vault.azure.net/"),
}
GROUPS = {
    "new": ("",),
    "existing": ("", "rg-vaults", f"{VAULT_SUBSCRIPTION}/rg-vaults"),
}
SERVICES = ("blob-storage", "cosmos-db", "service-bus")

# Every prompt with the values that make a difference. Each service is on or off by itself.
CHOICES: dict[str, tuple[str, ...]] = {
    **{prompt: tuple(found) for prompt, found in QUESTIONS.items() if isinstance(found, list)},
    "identity_id": ("", LITERAL_ID, "%SHARED_IDENTITY%"),
    "vault": (*VAULTS["new"], "https://contoso-vault.vault.usgovcloudapi.net/"),
    "vault_resource_group": GROUPS["existing"],
    "secrets": ("my-application-secret", "first,second-one,3rd"),
    "key": ("", "signing-key"),
    **{service: ("", service) for service in SERVICES},
    "api_scope": ("", "api://contoso/.default"),
}
# Texts, which choose nothing.
TEXTS = ("project_name", "project_slug", "description", "function_name")


def answers_of(row: Row) -> dict[str, str]:
    """Turn a row of choices, or a part of one, into answers."""
    answers = {name: value for name, value in row.items() if name not in SERVICES}
    if row.keys() & set(SERVICES):
        answers["services"] = ",".join(filter(None, (row.get(one) for one in SERVICES)))
    return answers


def row_of(answers: Mapping[str, str]) -> dict[str, str]:
    """Turn answers into the row of choices that they are; what is not answered is the first."""
    services = answers.get("services", "").split(",")
    given = {**answers, **{one: one if one in services else "" for one in SERVICES}}
    return {name: given.get(name, values[0]) for name, values in CHOICES.items()}


def allowed(row: Row) -> bool:
    """Ask the template's own check whether these choices go together."""
    answers = answers_of(row)
    return not any(
        one.prompt in answers and (not one.partner or one.partner in answers)
        for one in problems(answers)
    )


EVERYTHING = {
    "key": "signing-key",
    "services": ",".join(SERVICES),
    "api_scope": "api://contoso/.default",
}
# Each choice is in at least one of these, and each pair that shares code.
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "everything-by-a-created-identity": {
        "identity": "user",
        "vault_access": "rbac",
        "secrets": "first,second-one,3rd",
        "python_version": "3.12",
        **EVERYTHING,
    },
    "decorators": {
        "programming_model": "decorators",
        "vault": "contoso-vault",
        "vault_source": "existing",
        "vault_resource_group": f"{VAULT_SUBSCRIPTION}/rg-vaults",
        "vault_access": "rbac",
        "secrets": "first,second-one,3rd",
        "ci": "none",
    },
    "decorators-with-everything": {
        "programming_model": "decorators",
        "identity": "user",
        "identity_id": LITERAL_ID,
        "vault": "https://contoso-vault.vault.azure.net/",
        "vault_source": "existing",
        "vault_resource_group": "rg-vaults",
        "function_name": "SignBody",
        "python_version": "3.11",
        **EVERYTHING,
    },
    "given-identity-named-vault": {
        "identity": "user",
        "identity_id": "%SHARED_IDENTITY%",
        "vault": "contoso-vault",
        "network": "private",
        "python_version": "3.14",
    },
    "vault-in-another-cloud": {
        "project_name": 'It\'s {{ another }} "cloud"',
        "function_name": "app",  # tests/contract/ has a test_app.py, too
        "vault": "https://contoso-vault.vault.usgovcloudapi.net/",
        "vault_source": "existing",
        "vault_access": "granted",
        "key": "signing-key",
    },
}
# Every two choices that go together are in one of these: the sets above, and what they miss.
PAIRS = SETS | {
    f"pairs-{number}": answers_of(row)
    for number, row in enumerate(covering(CHOICES, 2, allowed, map(row_of, SETS.values())), 1)
    if number > len(SETS)
}


def triples() -> dict[str, dict[str, str]]:
    """Make sets in which every three choices that go together occur; PAIRS are the first."""
    rows = covering(CHOICES, 3, allowed, map(row_of, PAIRS.values()))
    further = enumerate(map(answers_of, rows[len(PAIRS) :]), len(PAIRS) + 1)
    return PAIRS | {f"triples-{number}": answers for number, answers in further}


# What makes a difference for the workflow and its connection to Azure.
ELSEWHERE = "99999999-8888-7777-6666-555555555555"  # a subscription
GITHUB: dict[str, dict[str, str]] = {
    "default": {},
    "everything": {
        "identity": "user",
        "vault_access": "rbac",
        "key": "my-key",
        "services": "blob-storage,cosmos-db",
        "network": "private",
    },
    "elsewhere": {
        "programming_model": "decorators",
        "identity": "user",
        "identity_id": "%SHARED_ID%",
        "vault": "https://my-kv.vault.azure.net/",
        "vault_source": "existing",
        "vault_resource_group": f"{ELSEWHERE}/their-group",
        "vault_access": "rbac",
        "services": "service-bus,cosmos-db",
    },
    "shared": {
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "vault": "my-kv",
        "vault_source": "existing",
        "vault_resource_group": "their-group",
        "network": "private",
    },
    "granted": {"vault": "my-kv", "vault_source": "existing", "vault_access": "granted"},
}

# What scripts/connect-github.sh sets for infra/github.bicepparam.
CONNECTION = {
    "AZURE_RESOURCE_GROUP": "rg-test",
    "AZURE_LOCATION": "westeurope",
    "GITHUB_REPOSITORY_IDS": '{"owner": "octo", "ownerId": 12, "name": "app", "id": 34}',
    "GITHUB_SUBJECT_FORMAT": '{"use_default": true}',
    "APP_IDENTITY_ID": IDENTITY_ID,
    "SHARED_ID": IDENTITY_ID,
}


def as_argument(answer: str) -> str:
    """Write an answer so that it survives cookiecutter's rendering of arguments."""
    if answer.isprintable() and not any(sign in answer for sign in ("{{", "{%", "{#")):
        return answer
    escaped = answer.encode("unicode_escape").decode().replace('"', '\\"')
    return f'{{{{ "{escaped}" }}}}'
