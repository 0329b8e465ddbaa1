"""infra/github.bicep: whom Azure trusts, and what the workflow's identities may do."""

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import bicep
import pytest
import yaml
from answers import CONNECTION, ELSEWHERE, GITHUB, IDENTITY_ID
from baking import TEMPLATE, Bake, run_tests
from infrastructure import unformatted
from stand_ins import Machine

SETTER = "33333333-2222-3333-4444-555555555555"
PLAN, DEPLOY, APP, OTHER = (f"{number}0000000-0000-0000-0000-000000000000" for number in "1234")
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
DEFINITION = "Microsoft.Authorization/roleDefinitions"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
CREDENTIAL = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"


@pytest.fixture(params=GITHUB)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return GITHUB[request.param]


def predict(compiler: Any, project: Path, **variables: str) -> dict[str, Any]:
    """What the deployment of the connection would create, with other variables."""
    return dict(compiler.snapshot(project / "infra/github.bicepparam", variables))


def test_it_is_clean_for_every_answer(compiler: Any, project: Path) -> None:
    for name in ("github.bicep", "github.bicepparam"):
        assert compiler.compile(project / "infra" / name)[0] == []
    assert unformatted(compiler, project / "infra") == []
    prediction = compiler.snapshot(project / "infra/github.bicepparam")
    assert prediction["diagnostics"] == []


# Whom Azure trusts

PREFIX = "repo:octo@12/app@34"
OLD, NEW = "repo:octo/app:environment:{}", f"{PREFIX}:environment:{{}}"
IMMUTABLE = {"use_default": True, "sub_claim_prefix": PREFIX}
OWN = {"use_default": False}
SUBJECTS: list[tuple[Any, str]] = [
    ({"use_default": True}, OLD),
    (IMMUTABLE | {"use_immutable_subject": True}, NEW),
    (IMMUTABLE | {"use_immutable_subject": False}, NEW),
    (OWN | {"include_claim_keys": ["repo", "context"]}, OLD),
    (OWN | {"include_claim_keys": ["repository_id"]}, "repository_id:34"),
    (None, OLD),
    (OWN | {"include_claim_keys": ["repo", "context"], "sub_claim_prefix": PREFIX}, NEW),
    (
        OWN | {"include_claim_keys": ["repository_owner_id", "repository_id", "context"]},
        "repository_owner_id:12:repository_id:34:environment:{}",
    ),
    (OWN, OLD),
]


@pytest.mark.parametrize(("answer", "subject"), SUBJECTS)
def test_the_subject_is_what_the_tokens_of_the_repository_say(
    compiler: Any, bake: Bake, tmp_path: Path, answer: Any, subject: str
) -> None:
    """From GitHub's answer, through the script, to what Bicep predicts."""
    machine = Machine(tmp_path / "bin", subject=answer)
    done = machine.run("bash", bake() / "scripts/connect-github.sh", "octo/app", "rg-app")
    assert done.status == 0, done.printed
    given = {name: done.state["deployment"][name] for name in CONNECTION if "GITHUB" in name}

    prediction = predict(compiler, bake(), **given)

    credentials = {
        one["name"].partition("/")[0]: one["properties"]
        for one in bicep.resources(prediction, CREDENTIAL)
    }
    assert credentials == {
        f"id-secure-function-app-github-{identity}": {
            "issuer": "https://token.actions.githubusercontent.com",
            "audiences": ["api://AzureADTokenExchange"],
            "subject": subject.format(environment),
        }
        for identity, environment in (("plan", "plan"), ("deploy", "production"))
    }
    # Whoever writes in the app's group could change whom the identities trust.
    for one in bicep.resources(prediction, CREDENTIAL):
        assert "/resourceGroups/rg-test-github/" in one["id"]
    notes = prediction["outputs"]["notes"]
    assert ("environments do not separate plan from deploy" in str(notes)) == ("{}" not in subject)


def test_a_subject_that_changes_with_each_run_is_refused(compiler: Any, bake: Bake) -> None:
    answer = {"use_default": False, "include_claim_keys": ["repo", "job_workflow_ref"]}

    with pytest.raises(RuntimeError, match="claim job_workflow_ref, which is not the same"):
        predict(compiler, bake(), GITHUB_SUBJECT_FORMAT=json.dumps(answer))


def test_the_app_has_the_tag_by_which_the_script_finds_it(compiler: Any, bake: Bake) -> None:
    project = bake(project_slug="orders")
    script = (project / "scripts/connect-github.sh").read_text("utf-8")

    prediction = compiler.snapshot(project / "infra/main.bicepparam")

    (site,) = bicep.resources(prediction, "Microsoft.Web/sites")
    assert site["tags"]["project"] == "orders"
    assert "[?tags.project=='orders']" in script


# What the deploy identity may assign: the condition, evaluated by its published grammar.
# https://learn.microsoft.com/azure/role-based-access-control/conditions-format

TOKEN = re.compile(
    r"\s*(?:(?P<action>ActionMatches\{'[^']+'\})"
    r"|@(?P<source>Request|Resource)\[[\w./]+:(?P<attribute>\w+)\]"
    r" (?P<operator>ForAny\w+:\w+) \{(?P<values>[^}]*)\}|(?P<word>AND|OR|[!()]))"
)


def allows(condition: str, action: str, **attributes: str) -> bool:
    """Evaluate a condition of version 2.0 for one role assignment."""
    python, position = "", 0
    while position < len(condition.rstrip()):
        token = TOKEN.match(condition, position)
        assert token, condition[position:]
        position = token.end()
        if token["word"]:
            python += {"AND": " and ", "OR": " or ", "!": " not "}.get(token["word"], token["word"])
        elif token["action"]:
            python += str(f"roleAssignments/{action}'" in token["action"])
        else:
            values = [one.strip().strip("'").lower() for one in token["values"].split(",")]
            value = attributes[token["attribute"]].lower()
            python += {
                "ForAnyOfAnyValues:GuidEquals": str(value in values),
                "ForAnyOfAnyValues:StringEqualsIgnoreCase": str(value in values),
                "ForAnyOfAllValues:GuidNotEquals": str(value not in values),
            }[token["operator"]]
    return bool(eval(python))


def condition_of(compiler: Any, project: Path, folder: Path, **parameters: Any) -> str:
    """The condition with these principals, which a deployment only learns as it runs."""
    infra = Path(shutil.copytree(project / "infra", folder / "infra"))
    given = {"planPrincipalId": PLAN, "deployPrincipalId": DEPLOY, **parameters}
    lines = [f"param {name} = {json.dumps(value)}" for name, value in given.items()]
    text = "using './modules/github-access.bicep'\n" + "\n".join(lines).replace('"', "'")
    (infra / "access.bicepparam").write_text(text + "\n", "utf-8")
    prediction = compiler.snapshot(infra / "access.bicepparam")
    (condition,) = (
        one["properties"]["condition"]
        for one in bicep.resources(prediction, ASSIGNMENT)
        if "condition" in one["properties"]
    )
    assert not condition.startswith("[")
    return str(condition)


def roles_of(project: Path) -> set[str]:
    """The ids of the roles in infra/modules/access.bicep."""
    text = (project / "infra/modules/access.bicep").read_text("utf-8").partition("\n}\n")[0]
    return set(re.findall(r"'([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'", text))


SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
OF_VAULT = {"4633458b-17de-408a-b874-0445c86b69e6", "12338af0-0e69-4776-bea7-57ae8d297424"}
ANOTHER_VAULT = f"{bicep.GROUP_ID}/providers/Microsoft.KeyVault/vaults/kv-another"


@pytest.mark.parametrize("apps", [[], [APP]], ids=["before", "after"])
@pytest.mark.parametrize(
    ("name", "setter", "where"),
    [
        ("default", "", bicep.GROUP_ID),
        ("everything", "", bicep.GROUP_ID),
        ("everything", SETTER, bicep.GROUP_ID),
        ("everything", SETTER, ANOTHER_VAULT),
    ],
)
def test_only_the_roles_of_infra_are_assigned_and_only_to_the_app(
    compiler: Any, bake: Bake, tmp_path: Path, name: str, setter: str, where: str, apps: list[str]
) -> None:
    """Before the first deployment to any service but the workflow; setting secrets to one person."""
    project = bake(**GITHUB[name])
    given = {"setterObjectId": setter} if setter else {}
    given["resourceId"] = where
    condition = condition_of(compiler, project, tmp_path, appPrincipalIds=apps, **given)

    assert roles_of(project) >= (OF_VAULT if name == "everything" else set())
    who = [(one, "ServicePrincipal") for one in (APP, PLAN, DEPLOY, OTHER)]
    who += [(SETTER, "User"), (OTHER, "User"), (OTHER, "Group")]
    for (principal, kind), role in itertools.product(who, (*roles_of(project), OWNER)):
        expected = kind == "ServicePrincipal" and principal in (apps or [APP, OTHER])
        if role == SECRETS_OFFICER:
            expected = principal == setter
        if where == ANOTHER_VAULT:
            expected &= role in OF_VAULT
        attributes = {"RoleDefinitionId": role, "PrincipalId": principal, "PrincipalType": kind}
        for action in ("write", "delete"):
            assert allows(condition, action, **attributes) == (expected and role != OWNER)
    assert len(condition) < 8192  # what Azure stores


# Other resource groups


def granted(prediction: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Which identity gets which role where."""
    names = {
        one["id"]: re.sub(" [a-z0-9]{13}$", "", one["properties"]["roleName"])
        for one in bicep.resources(prediction, DEFINITION)
    }
    found = set()
    for one in bicep.resources(prediction, ASSIGNMENT):
        properties = one["properties"]
        who = re.search(r"-github-(plan|deploy)'", properties["principalId"])
        role = properties["roleDefinitionId"]
        scope = re.search(
            r"extensionResourceId\('([^']+)'|'([^']+)', '([^']+)', '" + ASSIGNMENT, one["id"]
        )
        assert who and scope, one["id"]
        place = scope[1].rpartition("/providers/")[2] if scope[1] else scope[3]
        found.add((who[1], names.get(role, role.rpartition("/")[2]), place))
    return found


CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
CONNECT = "Connect to vault"
IDENTITY_OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
AT_HOME = {
    ("plan", "Plan secure-function-app", "rg-test"),
    ("deploy", CONTRIBUTOR, "rg-test"),
    ("deploy", ADMINISTRATOR, "rg-test"),
}
VAULT = "Microsoft.KeyVault/vaults/my-kv"
IN_THEIR_GROUP = {
    ("plan", "Plan elsewhere", "their-group"),
    ("deploy", "Deploy elsewhere", "their-group"),
}


def on_the_identity(identity_id: str) -> set[tuple[str, str, str]]:
    """The roles on an identity that exists."""
    identity = identity_id.partition("/providers/")[2]
    return {("plan", READER, identity), ("deploy", IDENTITY_OPERATOR, identity)}


ROLES: dict[str, set[tuple[str, str, str]]] = {
    "default": set(),
    "granted": set(),
    "elsewhere": {
        *(*IN_THEIR_GROUP, *on_the_identity(IDENTITY_ID)),
        ("deploy", ADMINISTRATOR, VAULT),
    },
    "shared": {*IN_THEIR_GROUP, *on_the_identity(IDENTITY_ID), ("deploy", CONNECT, VAULT)},
}


@pytest.mark.parametrize("name", ROLES)
def test_the_roles_are_exactly_these(compiler: Any, bake: Bake, name: str) -> None:
    prediction = compiler.snapshot(bake(**GITHUB[name]) / "infra/github.bicepparam")

    assert granted(prediction) == AT_HOME | ROLES[name]


APPROVE = "Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action"
ADD_POLICY = "Microsoft.KeyVault/vaults/accessPolicies/write"
THEIRS = {"vault": "my-kv", "vault_source": "existing", "vault_resource_group": "their-group"}


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("access", ["access-policy", "rbac", "granted"])
def test_on_a_vault_of_others_the_deployment_does_only_what_it_must(
    compiler: Any, bake: Bake, access: str, private: bool
) -> None:
    project = bake(**THEIRS, vault_access=access, network="private" if private else "public")

    prediction = compiler.snapshot(project / "infra/github.bicepparam")

    needed = {ADD_POLICY} if access == "access-policy" else set()
    needed |= {APPROVE} if private else set()
    (found,) = [
        set(one["properties"]["permissions"][0]["actions"])
        for one in bicep.resources(prediction, DEFINITION)
        if one["properties"]["roleName"].startswith(CONNECT)
    ] or [set()]
    assert found == (needed and {"Microsoft.KeyVault/vaults/read", *needed})
    expected = {("deploy", CONNECT, VAULT)} if needed else set()
    expected |= {("deploy", ADMINISTRATOR, VAULT)} if access == "rbac" else set()
    expected |= IN_THEIR_GROUP if access != "granted" else set()  # else nothing is deployed there
    assert granted(prediction) == AT_HOME | expected


CLOUDS = {
    "%KEY_VAULT_NAME%": ("azurecloud", "api://AzureADTokenExchange"),
    "my-kv": ("azurecloud", "api://AzureADTokenExchange"),
    "https://my-kv.vault.azure.net/": ("azurecloud", "api://AzureADTokenExchange"),
    "https://my-kv.vault.azure.cn": ("azurechinacloud", "api://AzureADTokenExchangeChina"),
    "https://My-KV.Vault.USGovCloudAPI.net:443/": (
        "azureusgovernment",
        "api://AzureADTokenExchangeUSGov",
    ),
}


@pytest.mark.parametrize("vault", CLOUDS)
def test_the_workflow_signs_in_to_the_cloud_of_the_vault(
    compiler: Any, bake: Bake, vault: str
) -> None:
    """https://learn.microsoft.com/graph/api/resources/federatedidentitycredential has the audiences."""
    project = bake(vault=vault)
    text = (project / ".github/workflows/ci.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]

    logins = [
        step["with"]
        for job in jobs.values()
        for step in job["steps"]
        if step.get("uses", "").startswith("azure/login@")
    ]
    prediction = compiler.snapshot(project / "infra/github.bicepparam")
    credentials = bicep.resources(prediction, CREDENTIAL)

    environment, audience = CLOUDS[vault]
    # https://github.com/Azure/login/blob/master/action.yml has the defaults.
    assert [
        (one.get("environment", "azurecloud"), one.get("audience", "api://AzureADTokenExchange"))
        for one in logins
    ] == [(environment, audience)] * 2
    assert [one["properties"]["audiences"] for one in credentials] == [[audience]] * 2


def test_other_vaults_get_their_roles_or_their_owners_get_a_command(
    compiler: Any, bake: Bake, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    parameters = project / "infra/github.bicepparam"
    text = parameters.read_text("utf-8")
    vault = "{ name: 'their-vault', resourceGroup: 'their-group' }"
    here = "{ name: 'our-vault' }"
    parameters.write_text(text.replace("otherVaults = []", f"otherVaults = [{vault}, {here}]"))
    on_call = f"/subscriptions/{ELSEWHERE}/resourceGroups/on-call/providers/Microsoft.Insights/actionGroups/team"

    prediction = predict(compiler, project, ALERT_ACTION_GROUP_ID=on_call)
    of_owners = predict(compiler, project, ALERT_ACTION_GROUP_ID=on_call, ASSIGN_ELSEWHERE="false")

    assert granted(prediction) - AT_HOME == {
        ("plan", "Plan elsewhere", "their-group"),
        ("deploy", "Deploy elsewhere", "their-group"),
        ("deploy", CONNECT, "Microsoft.KeyVault/vaults/their-vault"),
        ("deploy", READER, "Microsoft.Insights/actionGroups/team"),
    }
    assert prediction["outputs"]["notes"] == []
    assert granted(of_owners) == AT_HOME
    notes = str(of_owners["outputs"]["notes"])  # an expression: it has principals
    assert "must run: az deployment group create --subscription" in notes
    for name in ("'their-group'", "vaults/their-vault'", f"'{ELSEWHERE}'", "'on-call'", on_call):
        assert name in notes


FAULTS = [
    ("default", {"ALERT_ACTION_GROUP_ID": "on-call"}, "alertActionGroupId: 'on-call': /subscr"),
    ("default", {"ALERT_ACTION_GROUP_ID": IDENTITY_ID}, "alertActionGroupId: .*actionGroups/… is"),
    ("elsewhere", {"APP_IDENTITY_ID": "id"}, "identityId: 'id': /subscriptions/…"),
    ("elsewhere", {"APP_IDENTITY_ID": ""}, "identityId: .*userAssignedIdentities/… is expected"),
]


@pytest.mark.parametrize(("name", "variables", "sentence"), FAULTS)
def test_a_parameter_that_cannot_work_ends_the_deployment_with_its_name(
    compiler: Any, bake: Bake, name: str, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RuntimeError, match=f"'identityGroup' .* is not valid: {sentence}"):
        predict(compiler, bake(**GITHUB[name]), **variables)


# The contract that comes with each project notices


def contract(project: Path) -> str:
    """What the project's own test of the connection prints."""
    if not bicep.find_bicep():
        pytest.skip("no Bicep compiler")
    names = ("tests/contract/test_infrastructure.py", "-k", "what_if or parameter_files")
    return run_tests(project, *names, status=1)


def allow(infra: Path, action: str) -> None:
    """Add an action to the plan role."""
    file = infra / "modules/github-access.bicep"
    text = file.read_text("utf-8").replace("planActions = [", f"planActions = [\n  '{action}'")
    file.write_text(text, "utf-8")


FORBIDDEN = [
    "*",
    "*/read",
    "Microsoft.Web/sites/*/read",
    "Microsoft.Web/sites/hostruntime/host/_master/read",
    "Microsoft.Web/sites/functions/keys/read",
    "Microsoft.Web/sites/hostruntime/functions/keys/read",
    "Microsoft.Web/sites/functions/masterkey/read",
    "Microsoft.Web/sites/functions/token/read",
    "Microsoft.Web/sites/config/appsettings/read",
    "Microsoft.Web/sites/config/web/appsettings/read",
    "Microsoft.Web/sites/config/web/connectionstrings/read",
    "Microsoft.Web/sites/publishxml/read",
    "Microsoft.Web/sites/config/list/action",
    "Microsoft.Storage/storageAccounts/listKeys/action",
    "Microsoft.Storage/storageAccounts/listAccountSas/action",
    "Microsoft.Web/sites/functions/listSecrets/action",
    "Microsoft.DocumentDB/databaseAccounts/readonlykeys/action",
    "Microsoft.ServiceBus/namespaces/authorizationRules/listkeys/action",
    "Microsoft.KeyVault/vaults/secrets/read",
    "Microsoft.Web/sites/write",
]


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        (
            "resource extra 'Microsoft.Web/connections@2016-06-01' = {\n"
            "  name: 'extra'\n  location: location\n}\n",
            "Microsoft.Web/connections",
        ),
        (
            "resource topic 'Microsoft.EventGrid/topics@2022-06-15' existing = { name: 'topic' }\n"
            "output topic string = topic.properties.endpoint\n",
            "Microsoft.EventGrid/topics",
        ),
    ],
    ids=["created", "read"],
)
def test_the_contract_names_what_is_missing(
    bake: Bake, tmp_path: Path, resource: str, kind: str
) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    for name, text in {
        "bicep": resource,
        "bicepparam": "param otherVaults = [{ name: 'kv-x' }]\n",
    }.items():
        with (project / f"infra/main.{name}").open("a", encoding="utf-8") as file:
            file.write(f"\n{text}")

    printed = contract(project)

    assert f"what-if cannot read {kind}: add '{kind}/read' to planActions in" in printed
    assert "otherVaults differs in infra/main.bicepparam and infra/github.bicepparam" in printed


def test_the_contract_forbids_every_action_that_reads_a_key_or_a_secret(
    bake: Bake, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    allow(project / "infra", "'\n  '".join(FORBIDDEN))
    with (project / "infra/main.bicep").open("a", encoding="utf-8") as file:  # even of a known type
        file.write(
            "\nresource key 'Microsoft.Web/sites/functions/keys@2024-11-01' existing = {\n"
            "  name: 'app/function/key'\n}\n"
        )

    found = re.findall("(?m)^E .*may return a secret or a key: (.*)$", contract(project))[0]

    assert found.split() == FORBIDDEN


# Azure refuses a role with an action that it does not know

PERMISSIONS = json.loads((TEMPLATE / "tests/azure_permissions.json").read_text("utf-8"))
ACTION = re.compile(r'"(Microsoft\.\w+/[\w/.*]+/(read|write|delete|action))"', re.IGNORECASE)


def unpublished(template: dict[str, Any]) -> set[str]:
    """The actions of a compiled template's roles that Microsoft's list does not have."""
    published = {action.lower() for action in PERMISSIONS["actions"]}
    found = {one[0] for one in ACTION.findall(json.dumps(template))}
    assert "Microsoft.Resources/deployments/whatIf/action" in found
    return {action for action in found if action.lower() not in published}


def test_every_action_is_published(compiler: Any, project: Path) -> None:
    assert unpublished(compiler.compile(project / "infra/github.bicep")[1]) == set()
