"""A project follows the template from one version to the next, and keeps what its owner changed."""

import json
import os
import shutil
import subprocess
import sys
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
    (f"{PROJECT}/README.md", "## Test it\n", "Made for {{ facts.audience }}.\n\n## Test it\n"),
    # Another first answer, and one choice less.
    ("cookiecutter.json", '["3.13", "3.12", "3.11", "3.14"]', '["3.14", "3.13", "3.12"]'),
    # A stricter rule.
    ("local_extensions/answers.py", "MOST_SECRETS = 20", "MOST_SECRETS = 2"),
    # A correction of the engine.
    (f"{PROJECT}/identity_bindings/__init__.py", '__version__ = "', '__version__ = "99.'),
]  # fmt: skip
REMOVED, ADDED = f"{PROJECT}/LICENSE", f"{PROJECT}/SUPPORT.md"

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
    environment = os.environ | who | {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(
        *command: str | Path, cwd: Path, status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
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
    save(run, repository, "v1")
    for name, old, new in NEXT:
        change(repository / name, old, new)
    (repository / REMOVED).unlink()
    (repository / ADDED).write_text("Ask us.\n", "utf-8")
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


def cruft(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cruft", *map(str, arguments)]


@pytest.fixture(scope="module")
def created(run: Run, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the first version, as `cruft create` makes it."""
    folder = tmp_path_factory.mktemp("created")
    run(*cruft("create", template, "--checkout", "v1", "--no-input"), cwd=folder)
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
    handler = project / "functions/read_secret/__init__.py"
    handler.write_text(handler.read_text("utf-8") + "\n# ours\n", "utf-8")
    (project / "functions/ours").mkdir()
    (project / "functions/ours/function.json").write_text("{}\n", "utf-8")


def assert_updated(project: Path) -> None:
    """What is new is there, and so is what the owner changed."""
    readme = (project / "README.md").read_text("utf-8")
    assert readme.startswith("# Our app\n")
    assert "\nMade for colleagues.\n" in readme
    assert (project / "functions/read_secret/__init__.py").read_text("utf-8").endswith("# ours\n")
    assert (project / "functions/ours/function.json").read_text("utf-8") == "{}\n"
    engine = (project / "identity_bindings/__init__.py").read_text("utf-8")
    assert '__version__ = "99.' in engine
    assert (project / "SUPPORT.md").read_text("utf-8") == "Ask us.\n"
    # What was answered once stays, whatever is the first answer now.
    image = json.loads((project / ".devcontainer/devcontainer.json").read_text("utf-8"))["image"]
    assert image.endswith(":3.13")


def test_a_fresh_project_is_up_to_date(created: Path, run: Run) -> None:
    run(*cruft("check", "--checkout", "v1"), cwd=created)
    assert run(*cruft("diff", "--exit-code"), cwd=created).stdout == ""


def test_an_update_keeps_what_the_owner_changed(project: Path, run: Run) -> None:
    edit(project)
    save(run, project, "ours")

    run(*cruft("check"), cwd=project, status=1)
    run(*cruft("update", "--skip-apply-ask"), cwd=project)

    assert_updated(project)
    assert not (project / "LICENSE").exists()
    assert not list(project.rglob("*.rej"))
    state = json.loads((project / ".cruft.json").read_text("utf-8"))
    assert state["context"]["cookiecutter"]["audience"] == "colleagues"
    run(*cruft("check"), cwd=project)


@pytest.mark.slow
def test_where_both_changed_the_same_line_both_are_shown(project: Path, run: Run) -> None:
    engine = project / "identity_bindings/__init__.py"
    change(engine, '__version__ = "', '__version__ = "our-')
    save(run, project, "ours")

    run(*cruft("update", "--skip-apply-ask"), cwd=project)

    text = engine.read_text("utf-8")
    assert "<<<<<<< " in text and '__version__ = "our-' in text and '__version__ = "99.' in text
    assert (
        "UU identity_bindings/__init__.py"
        in run("git", "status", "--porcelain", cwd=project).stdout
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "told", "good"),
    [
        ({"secrets": "a,b,c"}, "secrets: 'a,b,c' names more than 2 secrets", {"secrets": "a,b"}),
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
    context = json.dumps(answers)
    command = cruft(
        "create", template, "--checkout", "v1", "--no-input", "--extra-context", context
    )
    run(*command, cwd=tmp_path)
    project = tmp_path / "secure-function-app"
    change(project / ".cruft.json", '"checkout": "v1"', '"checkout": null')
    run("git", "init", "--quiet", cwd=project)
    save(run, project, "made")

    refused = run(*cruft("update", "--skip-apply-ask"), cwd=project, status=1)

    assert told in refused.stdout + refused.stderr
    assert run("git", "status", "--porcelain", cwd=project).stdout == ""

    update = cruft("update", "--skip-apply-ask", "--variables-to-update", json.dumps(good))
    run(*update, cwd=project)

    assert (project / "SUPPORT.md").exists()
    run(*cruft("check"), cwd=project)


@pytest.mark.slow
def test_a_project_that_cookiecutter_made_can_follow_too(
    run: Run, template: Path, tmp_path: Path
) -> None:
    made = [
        sys.executable,
        "-m",
        "cookiecutter",
        f"git+{template.as_uri()}",
        "--checkout",
        "v1",
        "--no-input",
    ]
    run(*made, cwd=tmp_path)
    project = tmp_path / "secure-function-app"
    run("git", "init", "--quiet", cwd=project)
    save(run, project, "made")

    run(*cruft("link", template, "--checkout", "v1", "--no-input"), cwd=project)
    change(project / ".cruft.json", '"checkout": "v1"', '"checkout": null')
    edit(project)
    save(run, project, "ours")
    run(*cruft("update", "--skip-apply-ask"), cwd=project)

    assert_updated(project)


@pytest.mark.slow
def test_rendering_again(run: Run, template: Path, tmp_path: Path) -> None:
    """Without cruft: the newer version over the project, and git shows what changed."""
    command = [sys.executable, "-m", "cookiecutter", f"git+{template.as_uri()}", "--no-input"]
    run(*command, "--checkout", "v1", cwd=tmp_path)
    project = tmp_path / "secure-function-app"
    run("git", "init", "--quiet", cwd=project)
    edit(project)
    save(run, project, "ours")

    again = ("--checkout", "v2", "--overwrite-if-exists", "--output-dir", "..")
    run(*command, *again, "python_version=3.13", cwd=project)

    changed = run("git", "status", "--porcelain", cwd=project).stdout.splitlines()
    assert sorted(changed) == [
        " M README.md",
        " M functions/read_secret/__init__.py",
        " M identity_bindings/__init__.py",
        "?? SUPPORT.md",
    ]
    # The owner takes back what the rendering overwrote.
    run("git", "restore", "functions", cwd=project)
    change(project / "README.md", "# Secure Function App\n", "# Our app\n")
    assert_updated(project)
