"""scripts/connect-github.sh: what it does, and what it says when a step fails."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_bash
from answers import IDENTITY_ID
from baking import Bake
from stand_ins import Machine, Run

ANSWERS: dict[str, dict[str, str]] = {
    "default": {},
    "every-line": {
        "identity": "user",
        "identity_id": "%my_identity%",
        "vault_access": "rbac",
        "services": "service-bus,cosmos-db",
        "api_scope": "api://my-api/.default",
    },
}
IDENTITY = {"my_identity": IDENTITY_ID}

Connect = Callable[..., Run]


@pytest.fixture(params=ANSWERS)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return ANSWERS[request.param]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "bin")


@pytest.fixture
def connect(bake: Bake, machine: Machine) -> Connect:
    """Run the script, by the rules of an older bash as far as this one knows them."""

    def connect(*arguments: str, answers: str = "default", **variables: str) -> Run:
        script = bake(**ANSWERS[answers]) / "scripts/connect-github.sh"
        given = arguments or ("octo/app", "rg-app")
        return machine.run("bash", script, *given, BASH_COMPAT="3.2", **variables)

    return connect


# The text


def nodes(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    return [node, *(one for child in node.children for one in nodes(child))]


def test_it_is_short(project: Path) -> None:
    lines = (project / "scripts/connect-github.sh").read_text("utf-8").splitlines()

    assert len(lines) <= 60


def test_a_failure_inside_it_always_ends_it(project: Path) -> None:
    """In bash 3.2 `set -e` does not reach into a function in `$( )` or left of `||`."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    root = parser.parse((project / "scripts/connect-github.sh").read_bytes()).root_node
    assert not root.has_error

    kinds = [node.type for node in nodes(root)]
    assert "set -euo pipefail" in (project / "scripts/connect-github.sh").read_text("utf-8")
    assert "function_definition" not in kinds
    assert "pipeline" not in kinds
    for node in nodes(root):
        if node.type == "command_substitution":
            (command,) = node.named_children
            assert command.type in ("command", "redirected_statement")


# What bash had not in 3.2: https://git.savannah.gnu.org/cgit/bash.git/tree/CHANGES, from bash-4.0 on
NEWER = (
    r"\b(mapfile|readarray|coproc|declare -[Agnlu]|local -n|wait -n|shopt)\b|&>>|\|&"
    r"|\$\{\w+(\^|,|@\w)|\[\[ -[vR] |;;?&|\{[a-z]+\}[<>]|printf -v \w+\["
)


def test_it_uses_nothing_that_is_newer_than_bash_3_2(project: Path) -> None:
    text = (project / "scripts/connect-github.sh").read_text("utf-8")

    assert not re.search(NEWER, text)


def test_every_az_command_names_its_output(connect: Connect) -> None:
    for call in connect().calls:
        assert not call.startswith("az ") or " --output " in call, call


# A run


def test_a_fresh_run(connect: Connect) -> None:
    done = connect()

    assert done.status == 0, done.printed
    assert (
        done.printed
        == "Deployments are approved by id-7.\nocto/app can deploy into rg-app: push to main, and approve the deployment on GitHub.\n"
    )
    branches = {"protected_branches": False, "custom_branch_policies": True}
    assert done.state["environments"] == {
        "plan": {
            "patterns": ["refs/pull/*/merge"],
            "rules": {"deployment_branch_policy": branches},
        },
        "production": {
            "patterns": ["main"],
            "rules": {
                "reviewers": [{"type": "User", "id": 7}],
                "prevent_self_review": False,
                "deployment_branch_policy": branches,
            },
        },
    }
    assert done.state["variables"] == {
        "plan": {"AZURE_CLIENT_ID": "plan-client"},
        "production": {"AZURE_CLIENT_ID": "deploy-client"},
        "repository": {
            "AZURE_TENANT_ID": "tenant",
            "AZURE_SUBSCRIPTION_ID": "subscription",
            "AZURE_RESOURCE_GROUP": "rg-app",
        },
    }
    assert done.state["groups"] == {"rg-app": "westeurope"}
    assert done.state["reporting"] is True
    assert done.state["deployment"]["APP_PRINCIPAL_IDS"] == "[]"


OURS = {"project": "secure-function-app"}
USER_PRINCIPAL = {"principalId": "user-principal"}


def test_a_second_run_changes_nothing_but_who_gets_roles(
    connect: Connect, machine: Machine
) -> None:
    first = connect()
    machine.set(
        sites=[
            {"tags": OURS, "identity": {"principalId": "system-principal"}},
            {"tags": OURS, "identity": {"userAssignedIdentities": {"id": USER_PRINCIPAL}}},
            {"tags": OURS, "identity": None},
            {"tags": {"project": "another"}, "identity": {"principalId": "of-another-app"}},
            {"tags": None, "identity": {"principalId": "of-an-app-without-tags"}},
        ]
    )

    second = connect("octo/app", "rg-app", "eastus")

    assert second.status == 0, second.printed
    for kept in ("environments", "variables", "groups"):
        assert second.state[kept] == first.state[kept]
    given = second.state["deployment"]
    assert given["APP_PRINCIPAL_IDS"] == '["system-principal", "user-principal"]'
    assert given["AZURE_LOCATION"] == "westeurope"  # where the group is


def test_no_identity_is_deleted(project: Path) -> None:
    """Its name could be that of another app's identity: `orders-github` beside `orders`."""
    assert "delete" not in (project / "scripts/connect-github.sh").read_text("utf-8")


TEAM = {"type": "Team", "id": 9}


ME, OTHER = [{"type": "User", "id": 7}], [{"type": "User", "id": 8}]
# Who approved before, whom REVIEWER names, and who approves then, of themselves or not.
APPROVALS: list[tuple[dict[str, Any], str, list[dict[str, Any]], bool]] = [
    *(
        ({"reviewers": one, "prevent_self_review": prevent}, "", one, prevent)
        for one in (OTHER, [TEAM, *ME])
        for prevent in (True, False)
    ),
    ({}, "", ME, False),
    ({}, "reviewer", OTHER, True),
    ({"reviewers": [TEAM], "prevent_self_review": False}, "reviewer", OTHER, True),
]


@pytest.mark.parametrize(("before", "reviewer", "reviewers", "prevent"), APPROVALS)
def test_who_approves_stays_unless_somebody_is_named(
    connect: Connect,
    machine: Machine,
    before: dict[str, Any],
    reviewer: str,
    reviewers: list[dict[str, Any]],
    prevent: bool,
) -> None:
    rules = before | {"wait_timer": 30}
    machine.set(environments={"production": {"patterns": ["main"], "rules": rules}})

    done = connect(REVIEWER=reviewer)

    assert done.status == 0, done.printed
    approval = {"reviewers": reviewers, "prevent_self_review": prevent, "wait_timer": 30}
    assert done.state["environments"]["production"]["rules"].items() >= approval.items()
    names = " or ".join(f"id-{one['id']}" for one in reviewers)
    assert f"Deployments are approved by {names}.\n" in done.printed


@pytest.mark.parametrize(
    "patterns", [["release/*", "main", "*"], ["tag main", "main2"], ["tag v*"]]
)
def test_nothing_else_can_use_an_environment(
    connect: Connect, machine: Machine, patterns: list[str]
) -> None:
    machine.set(
        environments={name: {"patterns": patterns, "rules": {}} for name in ("production", "plan")}
    )

    found = connect().state["environments"]

    assert list(filter(None, found["production"]["patterns"])) == ["main"]
    assert list(filter(None, found["plan"]["patterns"])) == ["refs/pull/*/merge"]


def test_what_a_deployment_reads_becomes_a_variable(connect: Connect) -> None:
    given = {"API_URL": "https://api.example", "ALERT_ACTION_GROUP_ID": "/groups/on-call"}

    done = connect(answers="every-line", **given, **IDENTITY)

    assert done.status == 0, done.printed
    variables = done.state["variables"]["repository"]
    assert variables.items() >= {**given, "my_identity": IDENTITY_ID}.items()
    assert "SECRET_SETTER_OBJECT_ID" not in variables
    assert done.state["deployment"]["APP_IDENTITY_ID"] == IDENTITY_ID
    assert list(variables)[-1] == "AZURE_RESOURCE_GROUP"  # then the workflow signs in


def test_a_variable_of_an_earlier_run_stays_in_force(connect: Connect) -> None:
    given = {"API_URL": "https://api.example", "ALERT_ACTION_GROUP_ID": "/groups/on-call"}
    given["SECRET_SETTER_OBJECT_ID"] = "setter"
    first = connect(answers="every-line", **given, **IDENTITY)

    second = connect(answers="every-line", API_URL="https://new.example")

    assert second.status == 0, second.printed
    expected = {**given, "API_URL": "https://new.example"}
    assert second.state["deployment"].items() >= expected.items()
    assert second.state["deployment"]["APP_IDENTITY_ID"] == IDENTITY_ID
    variables = {
        name: found["variables"]["repository"]
        for name, found in (("1", first.state), ("2", second.state))
    }
    assert variables["2"] == variables["1"] | expected


def test_every_resource_provider_is_registered(connect: Connect, bake: Bake) -> None:
    for answers in ANSWERS:
        registered = set(connect(answers=answers, **IDENTITY).state["providers"])
        text = "".join(
            file.read_text("utf-8")
            for file in (bake(**ANSWERS[answers]) / "infra").rglob("*.bicep")
        )
        used = set(re.findall(r"'(Microsoft\.\w+)/", text))
        # These two are always registered. Microsoft.App is for a network, also for a later one.
        assert registered >= used - {"Microsoft.Authorization", "Microsoft.Resources"}
        assert "Microsoft.App" in registered


def test_a_plan_without_required_reviewers(connect: Connect, machine: Machine) -> None:
    machine.set(plan="pro")

    done = connect()

    assert done.status == 0, done.printed
    assert "no required reviewers: what reaches main is deployed. Protect main" in done.printed
    assert "reviewers" not in done.state["environments"]["production"]["rules"]
    assert done.state["environments"]["production"]["patterns"] == ["main"]
    assert "Private vulnerability reporting is off" in done.printed


def test_a_plan_without_rules_connects_nothing(connect: Connect, machine: Machine) -> None:
    machine.set(plan="free")

    done = connect()

    assert done.status == 1
    assert "any branch could deploy: make the repository public, or change its plan" in done.printed
    assert not [call for call in done.calls if call.startswith("az ") or "variable set" in call]


def test_what_owners_of_other_groups_run_is_printed(connect: Connect, machine: Machine) -> None:
    machine.set(notes=["The owner of their-group must run: az deployment group create"])

    done = connect(ASSIGN_ELSEWHERE="false")

    assert "The owner of their-group must run" in done.printed
    assert done.state["deployment"]["ASSIGN_ELSEWHERE"] == "false"


# Failures

STEPS = {
    "gh api repos/octo/app --jq": "read the repository octo/app",
    "oidc/customization/sub": "read the repository octo/app",
    "gh api user --jq": "read the repository octo/app",
    "PUT repos/octo/app/environments/plan": "restrict the environments",
    "PUT repos/octo/app/environments/production": "restrict the environments",
    "api repos/octo/app/environments/production --jq": "read the repository octo/app",
    "actions/variables/ALERT_ACTION_GROUP_ID": "read the repository octo/app",
    "production/deployment-branch-policies --jq": "restrict the environments",
    "plan/deployment-branch-policies --silent": "restrict the environments",
    "az provider register": "register the resource providers",
    "az group exists": "find or create the resource group rg-app",
    "az group create": "find or create the resource group rg-app",
    "az group show": "find or create the resource group rg-app",
    "az resource list": "find or create the resource group rg-app",
    "az deployment sub create": "deploy infra/github.bicep (RoleAssignmentExists: README.md",
    "az deployment sub show": "deploy infra/github.bicep",
    "gh variable set AZURE_CLIENT_ID": "set the repository's variables",
    "gh variable set AZURE_RESOURCE_GROUP": "set the repository's variables",
}


def assert_ended_by(done: Run, call: str) -> None:
    """Expect that the step of a call is named, and that nothing runs after the call."""
    assert done.status != 0
    assert f"Not finished: {STEPS[call]}" in done.printed
    assert "can deploy into" not in done.printed
    assert [line for line in done.calls if call in line] == done.calls[-1:]


@pytest.mark.parametrize("call", STEPS)
def test_a_failed_step_is_named(connect: Connect, machine: Machine, call: str) -> None:
    machine.set(fails=call)

    assert_ended_by(connect(), call)


@pytest.mark.parametrize(
    "call", ["gh api user --jq", "az group create", "az deployment sub create"]
)
def test_the_run_after_an_interrupted_one_completes(
    connect: Connect, machine: Machine, call: str
) -> None:
    machine.set(interrupts=call)
    assert_ended_by(connect(), call)

    machine.set(interrupts="")
    second = connect()

    assert second.status == 0, second.printed
    assert second.state["variables"]["repository"]["AZURE_RESOURCE_GROUP"] == "rg-app"


@pytest.mark.parametrize("arguments", [("octo",), ("octo/app",), ("a/b", "c", "d", "e"), ("", "g")])
def test_wrong_arguments_change_nothing(connect: Connect, arguments: tuple[str, ...]) -> None:
    done = connect(*arguments)

    assert done.status == 1
    usage = "Usage: scripts/connect-github.sh OWNER/REPOSITORY RESOURCE_GROUP [REGION]\n"
    assert done.printed == usage
    assert done.calls == []


def test_an_identity_that_is_not_given_changes_nothing(connect: Connect) -> None:
    done = connect(answers="every-line")

    assert done.status != 0
    assert (
        "my_identity: must be the resource id of the identity that the app runs as" in done.printed
    )
    assert not [call for call in done.calls if "--method" in call or not call.startswith("gh api")]
