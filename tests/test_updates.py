"""A project follows the template from one version to the next, with the commands of docs/updating.md.

What the owner changed stays.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TEMPLATE

PROJECT = "{{cookiecutter.project_slug}}"
# What the second version does otherwise: in a file, this text for that one.
NEXT: list[tuple[str, str, str]] = [
    # A prompt more, whose answer is seen in the README.
    ("cookiecutter.json", '"ci": ["github", "none"],',
     '"ci": ["github", "none"],\n  "audience": ["colleagues", "customers"],'),
    ("cookiecutter.json", '"python_version": "Python version",',
     '"python_version": "Python version",\n    "audience": {"__prompt__": "Who calls it?"},'),
    ("local_extensions/facts.py", "    ci: str\n", "    ci: str\n    audience: str\n"),
    ("local_extensions/facts.py", '        ci=answer["ci"],\n',
     '        ci=answer["ci"],\n        audience=answer["audience"],\n'),
    (f"{PROJECT}/README.md", "\n## Test\n", "\nMade for {{ facts.audience }}.\n\n## Test\n"),
    # Another first answer, and one choice less.
    ("cookiecutter.json", '["3.13", "3.12", "3.11", "3.14"]', '["3.14", "3.13", "3.12"]'),
    # A stricter rule.
    ("local_extensions/answers.py", "MOST_SECRETS = 20", "MOST_SECRETS = 2"),
    # A correction of the engine.
    (f"{PROJECT}/src/identity_bindings/__init__.py", '__version__ = "', '__version__ = "99.'),
]  # fmt: skip
REMOVED, ADDED = ".vscode/tasks.json", "SUPPORT.md"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command as somebody whose machine knows nothing of us."""
    home = tmp_path_factory.mktemp("home")
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.com"))
    }
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": tools}
    environment = os.environ | who | own

    def run(
        *command: str | Path, cwd: Path, status: int | None = 0, answers: str = ""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=cwd, env=environment, input=answers, capture_output=True, text=True
        )
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def template(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in two versions, tagged v1 and v2."""
    repository = tmp_path_factory.mktemp("template")
    listed = run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TEMPLATE
    )
    ours = ("benchmarks", "docs", "tests")  # of no use to a rendering
    for name in filter(None, listed.stdout.split("\0")):
        if name.partition("/")[0] not in ours and (TEMPLATE / name).is_file():
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, repository / name)
    run("git", "init", "--quiet", "--initial-branch=main", cwd=repository)
    # The ignore list of a project is in the template too, and names files of the template.
    run("git", "add", "--all", "--force", cwd=repository)
    save(run, repository, "v1")
    for name, old, new in NEXT:
        change(repository / name, old, new)
    (repository / PROJECT / REMOVED).unlink()
    (repository / PROJECT / ADDED).write_text("Ask us.\n", "utf-8")
    save(run, repository, "v2")
    return repository


def save(run: Run, repository: Path, tag: str) -> None:
    run("git", "add", "--all", cwd=repository)
    run("git", "commit", "--quiet", "--message", tag, cwd=repository)
    run("git", "tag", tag, cwd=repository)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text, f"{file}: {old!r}"
    file.write_text(text.replace(old, new, 1), "utf-8")


def documented(begin: str, template: Path) -> list[str]:
    """The one block of docs/updating.md that begins so, as a command for this template."""
    page = (TEMPLATE / "docs/updating.md").read_text("utf-8")
    blocks = [
        textwrap.dedent(one) for one in re.findall(r"^ *```sh\n(.*?)^ *```", page, re.M | re.S)
    ]
    (block,) = {one for one in blocks if one.startswith(begin)}
    block = block.replace("https://github.com/OWNER/REPOSITORY", str(template))
    block = block.replace("gh:OWNER/REPOSITORY", f"git+{template.as_uri()}")
    return ["bash", "-euc", block.replace("COMMIT", "v1").replace("make test", "true")]


def at_v1(command: list[str]) -> list[str]:
    """The first line of a block, for the first version of the template and without a question."""
    return [*command[:2], f"{command[2].splitlines()[0]} --checkout v1 --no-input"]


@pytest.fixture(scope="module")
def created(run: Run, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the first version, as `cruft create` makes it."""
    folder = tmp_path_factory.mktemp("created")
    run(*at_v1(documented("cruft create", template)), cwd=folder)
    project = folder / "secure-function-app"
    run("git", "init", "--quiet", "--initial-branch=main", cwd=project)
    save(run, project, "made")
    return project


@pytest.fixture
def project(created: Path, run: Run, template: Path, tmp_path: Path) -> Path:
    """A copy of it, that follows the newest version."""
    project = tmp_path / "secure-function-app"
    shutil.copytree(created, project)
    change(project / ".cruft.json", '"checkout": "v1"', '"checkout": null')
    save(run, project, "follow")
    return project


def edit(project: Path) -> None:
    """Change what owners change."""
    change(project / "README.md", "# Secure Function App\n", "# Our app\n")
    handler = project / "src/functions/read_secret/__init__.py"
    handler.write_text(handler.read_text("utf-8") + "\n# ours\n", "utf-8")
    (project / "src/functions/ours").mkdir()
    (project / "src/functions/ours/function.json").write_text("{}\n", "utf-8")


def assert_updated(project: Path) -> None:
    """What is new is there, and so is what the owner changed."""
    readme = (project / "README.md").read_text("utf-8")
    assert readme.startswith("# Our app\n")
    assert "\nMade for colleagues.\n" in readme
    assert (
        (project / "src/functions/read_secret/__init__.py").read_text("utf-8").endswith("# ours\n")
    )
    assert (project / "src/functions/ours/function.json").read_text("utf-8") == "{}\n"
    engine = (project / "src/identity_bindings/__init__.py").read_text("utf-8")
    assert '__version__ = "99.' in engine
    assert (project / "SUPPORT.md").read_text("utf-8") == "Ask us.\n"
    # What was answered once stays, whatever is the first answer now.
    image = json.loads((project / ".devcontainer/devcontainer.json").read_text("utf-8"))["image"]
    assert "-3.13-" in image


def test_a_fresh_project_is_up_to_date(created: Path, run: Run) -> None:
    run("cruft", "check", "--checkout", "v1", cwd=created)
    assert run("cruft", "diff", "--exit-code", cwd=created).stdout == ""


def test_an_update_keeps_what_the_owner_changed(project: Path, run: Run, template: Path) -> None:
    edit(project)
    save(run, project, "ours")

    run(*documented("cruft check", template), cwd=project, status=1)
    update = run(*documented("cruft update -y\ngit", template), cwd=project)
    assert f"+{Path(ADDED).name}" in update.stdout.replace("+++ b/", "+")

    assert_updated(project)
    assert not (project / REMOVED).exists()
    assert not list(project.rglob("*.rej"))
    state = json.loads((project / ".cruft.json").read_text("utf-8"))
    assert state["context"]["cookiecutter"]["audience"] == "colleagues"
    run(*documented("cruft check", template), cwd=project)


@pytest.mark.slow
def test_where_both_changed_the_same_line_both_are_shown(project: Path, run: Run) -> None:
    engine = project / "src/identity_bindings/__init__.py"
    change(engine, '__version__ = "', '__version__ = "our-')
    save(run, project, "ours")

    run("cruft", "update", "-y", cwd=project)

    text = engine.read_text("utf-8")
    assert "<<<<<<< " in text and '__version__ = "our-' in text and '__version__ = "99.' in text
    assert (
        "UU src/identity_bindings/__init__.py"
        in run("git", "status", "--porcelain", cwd=project).stdout
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "told", "good"),
    [
        (
            {"secrets": "a,b,c"},
            "secrets: 'a,b,c' names 3 secrets; accepted: at most 2",
            {"secrets": "a,b"},
        ),
        (
            {"python_version": "3.11"},
            "3.11 provided for choice variable python_version",
            {"python_version": "3.12"},
        ),
    ],
)
def test_an_answer_that_is_refused_now(
    run: Run,
    template: Path,
    tmp_path: Path,
    answers: dict[str, str],
    told: str,
    good: dict[str, str],
) -> None:
    command = at_v1(documented("cruft create", template))
    command[2] += f" --extra-context '{json.dumps(answers)}'"
    run(*command, cwd=tmp_path)
    project = tmp_path / "secure-function-app"
    change(project / ".cruft.json", '"checkout": "v1"', '"checkout": null')
    run("git", "init", "--quiet", cwd=project)
    save(run, project, "made")

    refused = run("cruft", "update", "-y", cwd=project, status=1)

    assert told in refused.stdout + refused.stderr
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""

    update = documented("cruft update -y --variables-to-update", template)
    update[2] = update[2].replace('{"secrets": "api-key,db-password"}', json.dumps(good))
    run(*update, cwd=project)

    assert (project / "SUPPORT.md").exists()
    run("cruft", "check", cwd=project)


@pytest.mark.slow
def test_a_project_that_cookiecutter_made_can_follow_too(
    run: Run, template: Path, tmp_path: Path
) -> None:
    project = tmp_path / "secure-function-app"
    project.mkdir()
    run(*at_v1(documented("cookiecutter", template)), cwd=project)
    run("git", "init", "--quiet", cwd=project)
    save(run, project, "made")

    run(*documented("cruft link", template), cwd=project, answers="\n" * 40)
    edit(project)
    save(run, project, "ours")
    run("cruft", "update", "-y", cwd=project)

    assert_updated(project)


@pytest.mark.slow
def test_rendering_again(run: Run, template: Path, tmp_path: Path) -> None:
    """Without cruft: the newer version over the project, and git shows what changed."""
    command = documented("cookiecutter", template)
    project = tmp_path / "secure-function-app"
    project.mkdir()
    run(*at_v1(command), cwd=project)
    run("git", "init", "--quiet", cwd=project)
    edit(project)
    save(run, project, "ours")

    command[2] = command[2].replace("--no-input", "--no-input python_version=3.13")
    run(*command, cwd=project)

    changed = run("git", "status", "--porcelain", cwd=project).stdout.splitlines()
    assert sorted(changed) == [
        " M README.md",
        " M src/functions/read_secret/__init__.py",
        " M src/identity_bindings/__init__.py",
        "?? SUPPORT.md",
    ]
    # The owner takes back what the rendering overwrote.
    run("git", "restore", "src/functions", cwd=project)
    change(project / "README.md", "# Secure Function App\n", "# Our app\n")
    assert_updated(project)
