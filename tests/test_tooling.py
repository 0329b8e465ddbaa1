"""What stands around the code: editor, container, make, README. It agrees, and its commands run."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import TEMPLATE, Bake
from test_answers import IDENTITY_ID, Terminal

from local_extensions.answers import QUESTIONS

SETS: dict[str, dict[str, str]] = {
    "default": {},
    "parameter": {"identity": "user", "identity_id": "%SHARED_ID%", "ci": "none"},
    "existing": {"vault": "my-kv", "vault_source": "existing", "vault_access": "rbac"},
    "decorators": {
        "programming_model": "decorators",
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "secrets": "one,two",
        "api_scope": "api://my-api/.default",
        "network": "private",
    },
}


@pytest.fixture(params=SETS)
def project(bake: Bake, request: pytest.FixtureRequest) -> Path:
    return bake(**SETS[request.param])


def read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("file", ["azure.yaml", ".devcontainer/devcontainer.json"])
def test_the_schemas(project: Path, file: str) -> None:
    schema = TEMPLATE / "tests/schemas" / f"{Path(file).name.removesuffix('.json')}.json"
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), file]

    done = subprocess.run(command, cwd=project, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_editor_and_the_container_agree(project: Path) -> None:
    container = read(project / ".devcontainer/devcontainer.json")
    (debugs,) = read(project / ".vscode/launch.json")["configurations"]
    tasks = read(project / ".vscode/tasks.json")["tasks"]

    assert (
        container["customizations"]["vscode"]["extensions"]
        == read(project / ".vscode/extensions.json")["recommendations"]
    )
    assert debugs["preLaunchTask"] in [task["label"] for task in tasks]
    assert container["forwardPorts"] == [7071]  # where the host listens
    assert "make venv" in container["postCreateCommand"]
    has_github = any("github-cli" in feature for feature in container["features"])
    assert has_github == (project / ".github").exists()


def test_what_the_editor_runs_is_what_make_runs(project: Path) -> None:
    makefile = (project / "Makefile").read_text("utf-8")

    for task in read(project / ".vscode/tasks.json")["tasks"]:
        if task["type"] == "shell":
            for command in task["command"].split(" && "):
                assert f"\t$(RUN) {command.removeprefix('python ')}\n" in makefile


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_tells_its_targets(project: Path) -> None:
    # Without its own lines about folders, which it adds where these tests run under `make test`.
    make = ["make", "--no-print-directory", "help"]
    told = subprocess.run(make, cwd=project, capture_output=True, text=True, check=True)

    makefile = (project / "Makefile").read_text("utf-8")
    targets = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[0].split()
    assert [line.split()[0] for line in told.stdout.splitlines()] == targets


def test_the_hooks_are_pinned(project: Path) -> None:
    found = yaml.safe_load((project / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]

    for repository in found:
        assert repository["repo"] == "local" or re.fullmatch(r"v\d+\.\d+\.\d+", repository["rev"])
        for hook in repository["hooks"]:
            if repository["repo"] == "local":
                test = hook["entry"].split()[-1]
                assert (project / test).is_file()


def test_local_settings_hold_no_secret(project: Path) -> None:
    values = read(project / "local.settings.json")["Values"]

    for name, value in values.items():
        assert not re.search(r"key|password|token|secret", value, re.IGNORECASE), name
        assert value in ("", "UseDevelopmentStorage=true") or not name.startswith("AzureWebJobs")
    ignored = (project / ".gitignore").read_text("utf-8").splitlines()
    assert {"local.settings.json", "secrets.local.json"} <= set(ignored)


# The prompts in a terminal, and what is said at the end


@pytest.fixture
def conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Answer the prompts in a terminal: everything that its screen shows."""
    monkeypatch.delenv("NO_COLOR", raising=False)

    def conversation(answers: dict[str, str], **variables: str) -> str:
        terminal = Terminal("--output-dir", str(tmp_path), **variables)
        terminal.answer_all(**answers)
        assert terminal.finish() == 0, terminal.screen
        return terminal.screen.replace("\r\n", "\n").replace(str(tmp_path), "~")

    return conversation


def test_the_picture_in_the_readme_is_what_a_terminal_shows(
    conversation: Callable[..., str],
) -> None:
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    (picture,) = re.findall("^```text\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)

    shown = conversation(
        {"project_name": "Order Intake", "identity": "2", "secrets": "api-key,db-password"},
    )

    lines = [" ".join(line.split()) for line in picture.splitlines() if line.strip() != "…"]
    rest = " ".join(shown.split())
    for line in filter(None, lines):
        assert line in rest, line
        rest = rest.partition(line)[2]


@pytest.mark.parametrize(
    ("variables", "bold"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ],
)
def test_commands_are_emphasized_where_that_can_be_seen(
    conversation: Callable[..., str], variables: dict[str, str], bold: bool
) -> None:
    shown = conversation({}, **variables)

    assert ("\033[1mazd up\033[0m" in shown) == bold
    assert "azd up" in shown


@pytest.mark.parametrize("prompt", QUESTIONS)
def test_every_prompt_is_told(prompt: str) -> None:
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    page = (TEMPLATE / "docs/prompts.md").read_text("utf-8")

    assert f"| `{prompt}` | " in readme
    assert re.search(rf"^## (\w+ and )?{prompt}( and \w+)?$", page, re.MULTILINE)


# Links and commands of every page


def anchors(page: str) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)", page, re.MULTILINE)
    }


def broken_links(folder: Path, pages: list[Path]) -> list[str]:
    found = []
    for page in pages:
        text = page.read_text("utf-8")
        plain = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", plain):
            if re.match(r"(https?|mailto):", link):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            good = target.exists() and folder in target.resolve().parents
            if good and anchor:
                good = anchor in anchors(target.read_text("utf-8"))
            if not good:
                found.append(f"{page.relative_to(folder)}: {link}")
    return found


def test_the_template_has_no_broken_link() -> None:
    pages = [*TEMPLATE.glob("*.md"), *TEMPLATE.glob("docs/*.md")]

    assert len(pages) > 5
    assert broken_links(TEMPLATE.resolve(), [page.resolve() for page in pages]) == []


def test_a_project_has_no_broken_link(project: Path) -> None:
    assert broken_links(project.resolve(), [project.resolve() / "README.md"]) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# Here and there\n[x](b.md) [y](#here-and-there) [z](#nowhere) `[q](q.md)`\n[e](https://x.y)\n"
    )

    assert broken_links(tmp_path, [tmp_path / "a.md"]) == ["a.md: b.md", "a.md: #nowhere"]


def shell_blocks(page: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_every_command_is_well_formed(project: Path) -> None:
    for block in shell_blocks(project / "README.md"):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, block + done.stderr


STUB = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
call = [pathlib.Path(__file__).name, *sys.argv[1:]]
with (here / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps(call) + "\\n")
for pattern, answer in {
    "signed-in-user": "me", "identity show": "the-identity", "get-value AZURE_RESOURCE_GROUP": "rg",
    "appName": "func-1", "vaultName": "kv-1", "keys list": "the-key", "rand": "random",
}.items():
    if pattern in " ".join(call):
        print(answer)
"""


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("by", ["azd", "az"])
def test_the_readme_deploys_sets_and_calls(bake: Bake, tmp_path: Path, name: str, by: str) -> None:
    """The README's commands, run one after the other with stubs of the command lines."""
    project = bake(**SETS[name])
    for command in ("az", "azd", "func", "curl", "openssl"):
        (tmp_path / command).write_text(STUB.replace("{python}", sys.executable), "utf-8")
        (tmp_path / command).chmod(stat.S_IRWXU)
    blocks = shell_blocks(project / "README.md")
    deploys = {"azd": "\nazd up\n", "az": "\naz deployment group create "}[by]
    tells = {"azd": "$(azd env get-value appName)", "az": "$(az deployment group show "}[by]
    deploy = next(block for block in blocks if deploys in block)
    outputs = next(block for block in blocks if f'\nAPP="{tells}' in block)
    sets = next(block for block in blocks if "x-functions-key" in block)
    script = "\n".join(["set -eu", deploy, outputs, sets])

    if (project / "scripts/set_secret.sh").exists():  # has its own test
        script = script.replace("scripts/set_secret.sh", "az set_secret.sh")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "VALUE": "the-value"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "calls.jsonl").read_text("utf-8").splitlines()
    calls = [call for call in map(json.loads, lines) if call[0] != "openssl"]
    group = {"azd": "rg", "az": "rg-secure-function-app"}[by]
    if by == "azd":
        assert ["azd", "up"] in calls
    else:
        deployment = ["az", "deployment", "group", "create", "--resource-group", group]
        deployment += ["--name", "main", "--template-file", "infra/main.bicep"]
        assert [*deployment, "--parameters", "infra/main.bicepparam"] in calls
        assert ["func", "azure", "functionapp", "publish", "func-1"] in calls
    secrets = SETS[name].get("secrets", "my-application-secret").split(",")
    for secret in secrets:
        assert any("kv-1" in call and secret in call for call in calls)
    assert calls[-2] == ["az", "functionapp", "function", "keys", "list", "--resource-group", group,
                         "--name", "func-1", "--function-name", "read_secret",
                         "--query", "default", "--output", "tsv"]  # fmt: skip
    assert calls[-1] == ["curl", "--header", "x-functions-key: the-key", "--data", "amount=100",
                         "https://func-1.azurewebsites.net/api/read_secret"]  # fmt: skip
