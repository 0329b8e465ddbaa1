"""Editor, container and make agree; the README's picture and every link are right."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers import SETS
from baking import TEMPLATE, run
from desk import Desk
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

from local_extensions.answers import QUESTIONS


@pytest.fixture(params=SETS)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return SETS[request.param]


def read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("file", ["azure.yaml", ".devcontainer/devcontainer.json"])
def test_the_schemas(project: Path, file: str) -> None:
    schema = TEMPLATE / "tests/schemas" / f"{Path(file).name.removesuffix('.json')}.json"
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), file]

    run(command, project)


def test_the_editor_and_the_container_agree(project: Path) -> None:
    container = read(project / ".devcontainer/devcontainer.json")
    (debugs,) = read(project / ".vscode/launch.json")["configurations"]
    tasks = read(project / ".vscode/tasks.json")["tasks"]

    assert debugs["preLaunchTask"] in [task["label"] for task in tasks]
    assert container["forwardPorts"] == [7071]  # where the host listens
    assert "make venv" in container["postCreateCommand"]
    has_github = any("github-cli" in feature for feature in container["features"])
    assert has_github == (project / ".github").exists()


def test_the_editor_runs_and_deploys_src(project: Path) -> None:
    settings = read(project / ".vscode/settings.json")
    tasks = read(project / ".vscode/tasks.json")["tasks"]

    assert settings["azureFunctions.projectSubpath"] == "src"
    assert settings["azureFunctions.deploySubpath"] == "src"
    assert settings["azureFunctions.pythonVenv"] == "../.venv"  # as seen from src/
    (start,) = [task for task in tasks if task["type"] == "func"]
    assert start["options"]["cwd"] == "${workspaceFolder}/src"
    declared = {str(file.relative_to(project)) for file in project.glob("src/functions/*/*.json")}
    for schema in settings.get("json.schemas", []):
        assert (project / schema["url"]).is_file()
        (pattern,) = schema["fileMatch"]
        assert {str(file.relative_to(project)) for file in project.glob(pattern[1:])} == declared


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_tells_its_targets(project: Path) -> None:
    # Without its own lines about folders, which it adds where these tests run under `make test`.
    make = ["make", "--no-print-directory", "help"]
    printed = run(make, project)

    makefile = (project / "Makefile").read_text("utf-8")
    targets = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[0].split()
    assert [line.split()[0] for line in printed.splitlines()] == targets


def test_local_settings_hold_no_secret(project: Path) -> None:
    values = read(project / "src/local.settings.json")["Values"]

    for name, value in (values | {"LOCAL_SECRETS_FILE": ""}).items():
        assert not re.search(r"key|password|token|secret", value, re.IGNORECASE), name
        assert value in ("", "UseDevelopmentStorage=true") or not name.startswith("AzureWebJobs")


def test_the_example_is_committed_and_what_is_local_is_not(project: Path, tmp_path: Path) -> None:
    clone = Path(shutil.copytree(project, tmp_path / "app"))
    for name in ("secrets.local.json", ".azurite/db.json"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text("{}", "utf-8")

    run(["git", "init", "--quiet"], clone)
    run(["git", "add", "--all"], clone)
    staged = run(["git", "ls-files"], clone).splitlines()

    assert "secrets.local.example.json" in staged
    assert not {"secrets.local.json", "src/local.settings.json", ".azurite/db.json"} & set(staged)


# The prompts in a terminal, and what is said at the end


@pytest.fixture
def conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Answer the prompts in a terminal: everything that its screen shows."""
    monkeypatch.delenv("NO_COLOR", raising=False)

    def conversation(answers: dict[str, str], **variables: str) -> str:
        terminal = Desk(tmp_path).terminal(env=variables)
        terminal.answer_all(**answers)
        assert terminal.finish() == 0, terminal.screen
        return terminal.screen

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
    page = (TEMPLATE / "docs/prompts.md").read_text("utf-8")

    assert f"| [`{prompt}`](#" in page
    assert re.search(rf"^## (\w+ and )?{prompt}( and \w+)?$", page, re.MULTILINE)


# Links of every page

MARKDOWN = MarkdownIt().enable("table").use(anchors_plugin, max_level=6)


def tokens(page: Path) -> list[Token]:
    parsed = MARKDOWN.parse(page.read_text("utf-8"))
    return [*parsed, *(child for one in parsed for child in one.children or ())]


def broken_links(pages: list[Path]) -> list[str]:
    """List the links that lead to no file of the folder, or to no heading of a page."""
    found = []
    for page in pages:
        links = [str(one.attrGet("href")) for one in tokens(page) if one.type == "link_open"]
        for link in links:
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            is_here = pages[0].parent in target.parents and target.exists()
            if not re.match("https?:", link) and not (
                is_here and (not anchor or anchor in {one.attrGet("id") for one in tokens(target)})
            ):
                found.append(f"{page.name}: {link}")
    return found


def test_the_template_has_no_broken_link() -> None:
    folder = TEMPLATE.resolve()

    assert (
        broken_links([folder / "README.md", *folder.glob("*.md"), *folder.glob("docs/*.md")]) == []
    )


def test_a_project_has_no_broken_link(project: Path) -> None:
    assert broken_links([project.resolve() / "README.md"]) == []
