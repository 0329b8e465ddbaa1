{%- set facts = cookiecutter | facts -%}
"""The workflow's identities: what infra/github.bicep allows them to do, and what it must not.

With CI_OUTPUT, a folder, the workflow gets the names of the functions and the predicted resources.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import bicep, worker
from support.fixtures import Declared

INFRA = bicep.INFRA
PERMISSIONS = json.loads(Path(__file__).with_name("azure_permissions.json").read_text("utf-8"))
PUBLISHED = {action.lower() for action in PERMISSIONS["actions"]}
WITHOUT_READ = {kind.lower() for kind in PERMISSIONS["types without a read"]}
ACTION = re.compile(r"Microsoft\.\w+/.*/(read|write|delete|action)", re.IGNORECASE)
# What returns a key, a token, an app setting or a secret. The exception is the public half of a key.
SENSITIVE = re.compile(
    r"\*|_master/|(?<!/vaults/)keys?/|masterkey|token/|publishxml|appsettings|connectionstrings"
    r"|config/web/|config/list|secrets?/|/list",
    re.IGNORECASE,
)
VARIABLES = {
    "AZURE_RESOURCE_GROUP": "rg-test",
    "AZURE_LOCATION": "westeurope",
    "GITHUB_REPOSITORY_IDS": '{"owner": "octo", "ownerId": 12, "name": "app", "id": 34}',
    "GITHUB_SUBJECT_FORMAT": '{"use_default": true}',
{%- if facts.identity_by_setting %}
    **dict.fromkeys(
        ("APP_IDENTITY_ID", "{{ facts.identity_setting }}"),
        f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/rg-shared/providers"
        "/Microsoft.ManagedIdentity/userAssignedIdentities/id-shared",
    ),
{%- endif %}
}
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


@pytest.fixture(scope="module")
def command() -> str:
    """The Bicep compiler, where there is one."""
    if found := bicep.find_bicep():
        return found
    pytest.skip("no Bicep compiler: set BICEP, or install one with `az bicep install`")


@pytest.fixture(scope="module")
def prediction(command: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """Every warning of the compiler, and what a deployment of infra/github.bicep creates."""
    infra = Path(shutil.copytree(INFRA, tmp_path_factory.mktemp("github") / "infra"))
    words = [command, "snapshot", str(infra / "github.bicepparam"), "--deployment-name", "github"]
    words += ["--tenant-id", bicep.DEPLOYMENT["tenantId"], "--location", "westeurope"]
    words += ["--subscription-id", bicep.SUBSCRIPTION]
    done = subprocess.run(words, env=os.environ | VARIABLES, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = (infra / "github.snapshot.json").read_text("utf-8")
    return done.stderr + done.stdout, json.loads(text)


def compiled(command: str, name: str) -> dict[str, Any]:
    """Compile a file of infra/ with its modules."""
    words = [command, "build", str(INFRA / name), "--stdout"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def plan_actions(prediction: tuple[str, Any]) -> list[str]:
    """What the identity of pull requests may do."""
    (role,) = (
        one["properties"]
        for one in bicep.resources(prediction[1], "Microsoft.Authorization/roleDefinitions")
        if one["properties"]["roleName"].startswith("Plan {{ facts.project_slug }} ")
    )
    (permissions,) = role["permissions"]
    assert permissions.keys() == {"actions"}
    return list(permissions["actions"])


def types(template: dict[str, Any]) -> set[str]:
    """The types of every resource of a compiled template and its modules, `existing` ones too."""
    resources = template.get("resources", {})
    found: set[str] = set()
    for one in resources.values() if isinstance(resources, dict) else resources:
        found.add(one["type"])
        if one["type"] == "Microsoft.Resources/deployments":
            found |= types(one["properties"]["template"])
    return found


def texts(value: Any) -> Iterator[str]:
    """Every text of a compiled template."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


def test_the_connection_compiles_without_a_warning(prediction: tuple[str, Any]) -> None:
    told, snapshot = prediction

    assert "Warning" not in told
    assert snapshot["diagnostics"] == []


def test_what_if_can_read_every_type_of_infra(command: str, plan_actions: list[str]) -> None:
    actions = {action.lower() for action in plan_actions}

    for kind in sorted(types(compiled(command, "main.bicep"))):
        readable = kind.rpartition("/")[0] if kind.lower() in WITHOUT_READ else kind
        assert f"{readable}/read".lower() in actions, (
            f"what-if cannot read {kind}: add '{readable}/read' to planActions in"
            " infra/modules/github-access.bicep, and deploy infra/github.bicep again"
        )


def test_every_action_is_published(command: str) -> None:
    template = compiled(command, "github.bicep")

    actions = {text for text in texts(template) if ACTION.fullmatch(text)}
    assert "Microsoft.Resources/deployments/whatIf/action" in actions
    for action in sorted(actions):
        assert action.lower() in PUBLISHED, (
            f"{action} is not in azure_permissions.json: Azure refuses actions that it does not"
            f" know, so look it up at {PERMISSIONS['source']} and add it"
        )


def test_what_if_reads_no_key_and_no_secret(plan_actions: list[str]) -> None:
    forbidden = [
        action
        for action in plan_actions
        if SENSITIVE.search(action)
        or not action.lower().endswith(("/read", "/deployments/whatif/action"))
    ]

    assert forbidden == [], f"these return secrets, or change something: {' '.join(forbidden)}"


def test_both_parameter_files_name_the_same_vaults() -> None:
    named = re.compile(r"^param otherVaults = (\[\]|\[.*?^\])", re.MULTILINE | re.DOTALL)
    app, connection = (
        named.findall((INFRA / name).read_text("utf-8")) or ["[]"]
        for name in ("main.bicepparam", "github.bicepparam")
    )

    assert connection == app


@pytest.mark.skipif("CI_OUTPUT" not in os.environ, reason="only in the workflow")
def test_the_workflow_gets_what_the_tests_found(
    snapshot: dict[str, Any], prediction: tuple[str, Any], declared: Declared
) -> None:
    folder = Path(os.environ["CI_OUTPUT"])
    folder.mkdir(parents=True, exist_ok=True)

    for name, predicted in (("main", snapshot), ("github", prediction[1])):
        # Scanners read a plain template, with every value in its place.
        template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0"}
        resources = {"resources": predicted["predictedResources"]}
        (folder / f"{name}.json").write_text(json.dumps(template | resources), "utf-8")
    names = sorted(worker.load_app())
    (folder / "functions.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")
