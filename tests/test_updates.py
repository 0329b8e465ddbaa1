"""A project follows the template from one version to the next, with the commands of docs/updating.md.

What the owner changed stays.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from answers import SETS
from baking import PROJECT, TEMPLATE, Bake, change, copy_template, run
from pages import blocks

pytestmark = pytest.mark.usefixtures("own_home")

# What the second version does otherwise: in a file, this text for that one.
NEXT: list[tuple[str, str, str]] = [
    # A prompt more, whose answer is seen in the README.
    ("cookiecutter.json", '"ci": ["github", "none"],',
     '"ci": ["github", "none"],\n  "audience": ["colleagues", "customers"],'),
    ("cookiecutter.json", '"python_version": "Python version",',
     '"python_version": "Python version",\n    "audience": {"__prompt__": "Who calls it?"},'),
    ("local_extensions/facts.py", 'self.ci: str = answer["ci"]\n',
     'self.ci: str = answer["ci"]\n        self.audience = answer["audience"]\n'),
    (f"{PROJECT}/README.md", "\n## Test\n", "\nMade for {{ facts.audience }}.\n\n## Test\n"),
    # Another first answer, and one choice less.
    ("cookiecutter.json", '["3.13", "3.12", "3.11", "3.14"]', '["3.14", "3.13", "3.12"]'),
    # A stricter rule.
    ("local_extensions/answers.py", "MOST_SECRETS = 20", "MOST_SECRETS = 2"),
    # A correction of the engine.
    (f"{PROJECT}/src/identity_bindings/__init__.py", '__version__ = "', '__version__ = "99.'),
]  # fmt: skip
REMOVED, ADDED = ".vscode/tasks.json", "SUPPORT.md"


def save(repository: Path, message: str, *options: str) -> None:
    run(["git", "add", "--all", *options], repository)
    run(["git", "commit", "--quiet", "--allow-empty", "--message", message], repository)


def cruft(project: Path, *words: str, status: int = 0) -> str:
    return run(["cruft", *words], project, status)


@pytest.fixture(scope="module")
def template(own_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in two versions, tagged v1 and v2."""
    repository = copy_template(tmp_path_factory.mktemp("template") / "template")
    run(["git", "init", "--quiet", "--initial-branch=main"], repository)
    # The ignore list of a project is in the template too, and names files of the template.
    save(repository, "v1", "--force")
    run(["git", "tag", "v1"], repository)
    for name, old, new in NEXT:
        change(repository / name, old, new)
    (repository / PROJECT / REMOVED).unlink()
    (repository / PROJECT / ADDED).write_text("Ask us.\n", "utf-8")
    save(repository, "v2")
    return repository


def documented(begin: str, template: Path) -> list[str]:
    """The one block of docs/updating.md that begins so, as a command for this template."""
    page = TEMPLATE / "docs/updating.md"
    (block,) = {one for one in blocks(page, "sh") if one.startswith(begin)}
    block = block.replace("https://github.com/OWNER/REPOSITORY", str(template))
    block = block.replace("gh:OWNER/REPOSITORY", f"git+{template.as_uri()}")
    return ["bash", "-euc", block.replace("COMMIT", "v1").replace("make test", "true")]


def at_v1(command: list[str], *words: str) -> list[str]:
    """The first line of a block, for the first version of the template and without a question."""
    line = [command[2].splitlines()[0], "--checkout v1 --no-input", *words]
    return [*command[:2], " ".join(line)]


def follow(project: Path) -> Path:
    """Put a project that cruft created into git, and let it follow the template's newest version."""
    state = json.loads((project / ".cruft.json").read_text("utf-8"))
    (project / ".cruft.json").write_text(json.dumps(state | {"checkout": None}), "utf-8")
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    save(project, "created")
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A project of the first version, as `cruft create` makes it."""
    run(at_v1(documented("cruft create", template)), tmp_path)
    project = tmp_path / "secure-function-app"
    cruft(project, "check", "--checkout", "v1")
    assert cruft(project, "diff", "--exit-code") == ""
    return follow(project)


def edit(project: Path) -> None:
    """Change what owners change."""
    change(project / "README.md", "# Secure Function App\n", "# Our app\n")
    handler = project / "src/functions/read_secret/__init__.py"
    handler.write_text(handler.read_text("utf-8") + "\n# ours\n", "utf-8")
    (project / "src/functions/ours").mkdir()
    (project / "src/functions/ours/function.json").write_text("{}\n", "utf-8")
    save(project, "edited")


def assert_updated(project: Path) -> None:
    """What is new is there, and so is what the owner changed."""
    readme = (project / "README.md").read_text("utf-8")
    assert readme.startswith("# Our app\n")
    assert "\nMade for colleagues.\n" in readme
    handler = (project / "src/functions/read_secret/__init__.py").read_text("utf-8")
    assert handler.endswith("# ours\n")
    assert (project / "src/functions/ours/function.json").read_text("utf-8") == "{}\n"
    engine = (project / "src/identity_bindings/__init__.py").read_text("utf-8")
    assert '__version__ = "99.' in engine
    assert (project / ADDED).read_text("utf-8") == "Ask us.\n"
    # What was answered once stays, whatever is the first answer now.
    image = json.loads((project / ".devcontainer/devcontainer.json").read_text("utf-8"))["image"]
    assert "-3.13-" in image


def test_an_update_keeps_what_the_owner_changed(project: Path, template: Path) -> None:
    engine = "src/identity_bindings/__init__.py"
    change(project / engine, '__version__ = "', '__version__ = "our-')
    edit(project)

    run(documented("cruft check", template), project, status=1)
    update = run(documented("cruft update -y\ngit", template), project)
    assert f"+++ b/{ADDED}" in update

    assert_updated(project)
    assert not (project / REMOVED).exists()
    assert not list(project.rglob("*.rej"))
    # Where both changed a line, git marks both.
    assert '<<<<<<< ours\n__version__ = "our-' in (project / engine).read_text("utf-8")
    status = run(["git", "status", "--porcelain"], project)
    assert re.findall("^(?:U.|.U) (.*)", status, re.M) == [engine]
    state = json.loads((project / ".cruft.json").read_text("utf-8"))
    assert state["context"]["cookiecutter"]["audience"] == "colleagues"
    run(documented("cruft check", template), project)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "refusal", "good"),
    [
        ({"secrets": "a,b,c"}, "secrets: 'a,b,c' names 3 secrets;", {"secrets": "a,b"}),
        ({"python_version": "3.11"}, "3.11 provided for choice", {"python_version": "3.12"}),
    ],
)
def test_an_answer_that_is_refused_now(
    template: Path, tmp_path: Path, answers: dict[str, str], refusal: str, good: dict[str, str]
) -> None:
    context = f"--extra-context '{json.dumps(answers)}'"
    run(at_v1(documented("cruft create", template), context), tmp_path)
    project = follow(tmp_path / "secure-function-app")

    assert refusal in run(["bash", "-c", "cruft update -y 2>&1"], project, status=1)
    assert run(["git", "status", "--porcelain"], project) == ""

    update = documented("cruft update -y --variables-to-update", template)
    update[2] = update[2].replace('{"secrets": "api-key,db-password"}', json.dumps(good))
    run(update, project)
    cruft(project, "check")


BY_ARGUMENTS = "cookiecutter gh:OWNER/REPOSITORY --overwrite-if-exists"
BY_REPLAY = "cookiecutter gh:OWNER/REPOSITORY --replay"


@pytest.fixture
def unlinked(template: Path, tmp_path: Path) -> Path:
    """A project of the first version that cookiecutter made."""
    project = tmp_path / "secure-function-app"
    project.mkdir()
    run(at_v1(documented(BY_ARGUMENTS, template)), project)
    run(["git", "init", "--quiet"], project)
    save(project, "created")
    return project


@pytest.mark.slow
def test_a_project_that_cookiecutter_made_can_follow_too(unlinked: Path, template: Path) -> None:
    run(documented("cruft link", template), unlinked, typed="\n" * 40)
    edit(unlinked)

    cruft(unlinked, "update", "-y")

    assert_updated(unlinked)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [BY_ARGUMENTS, BY_REPLAY])
def test_rendering_again(unlinked: Path, template: Path, begin: str) -> None:
    """Without cruft: the newer version over the project, and git shows what changed."""
    edit(unlinked)
    command = documented(begin, template)
    command[2] = command[2].replace("--no-input", "--no-input python_version=3.13")

    run(command, unlinked, typed="\n" * 4)  # to whether to clone again, and the new prompt

    changed = run(["git", "status", "--porcelain"], unlinked).splitlines()
    assert sorted(changed) == [
        " M README.md",
        " M src/functions/read_secret/__init__.py",
        " M src/identity_bindings/__init__.py",
        "?? SUPPORT.md",
    ]
    # The owner takes back what the rendering overwrote.
    run(["git", "restore", "src/functions"], unlinked)
    change(unlinked / "README.md", "# Secure Function App\n", "# Our app\n")
    assert_updated(unlinked)


def test_cruft_too_refuses_to_lose_a_file(template: Path, tmp_path: Path) -> None:
    own = tmp_path / "out/secure-function-app/scripts/grant_api_role.py"
    own.parent.mkdir(parents=True)
    own.write_text("mine", "utf-8")

    cruft(tmp_path, "create", str(template), "--no-input", "-f", "--output-dir", "out", status=1)

    assert own.read_text("utf-8") == "mine"


# From before everything that is deployed moved to src/

# The last version whose app is at the project's top.
BEFORE = "c769e418fd3a6fc461e20b9db5992c6d3b6650ae"
OLD = ("default", "decorators-with-everything", "given-identity-named-vault")
HANDLER = "functions/read_secret/__init__.py"


@pytest.fixture(scope="module")
def history(own_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's history, and on top of it the files as they are now."""
    if run(["git", "log", "-1", "--format=%h", BEFORE], TEMPLATE, status=None) == "":
        pytest.skip("this clone does not have the history: git fetch --unshallow")
    clone = tmp_path_factory.mktemp("history") / "template"
    run(["git", "clone", "--quiet", TEMPLATE, clone], TEMPLATE)
    run(["git", "rm", "-r", "--quiet", "."], clone)
    save(copy_template(clone), "now", "--force")
    return clone


@pytest.fixture
def old_project(history: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a project as `cruft create` made it then."""

    def make(**answers: str) -> Path:
        context = [f"--extra-context={json.dumps(answers)}"] if answers else []
        words = ("create", str(history), "--checkout", BEFORE, "--no-input", *context)
        cruft(tmp_path, *words)
        return follow(tmp_path / "secure-function-app")

    return make


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(SETS[name], id=name, marks=() if name == OLD[1] else pytest.mark.slow)
        for name in OLD
    ],
)
def test_an_untouched_old_project_becomes_what_the_template_renders_now(
    bake: Bake, old_project: Callable[..., Path], answers: dict[str, str]
) -> None:
    project = old_project(**answers)

    cruft(project, "update", "-y")

    save(project, "updated")
    run(["git", "rm", "-r", "--quiet", "."], project)
    shutil.copytree(bake(**answers), project, dirs_exist_ok=True)
    run(["git", "add", "--all"], project)
    assert run(["git", "status", "--porcelain"], project).split() == ["D", ".cruft.json"]


def test_what_the_owner_of_an_old_project_edited_and_added_stays(
    old_project: Callable[..., Path],
) -> None:
    project = old_project()
    for name, text in {HANDLER: "\n\n# ours\n", "requirements.txt": "holidays==0.60\n"}.items():
        with (project / name).open("a", encoding="utf-8") as file:
            file.write(text)
    shutil.copytree(project / "functions/read_secret", project / "functions/mine")
    (project / "secrets.local.json").write_text("{}", "utf-8")
    save(project, "edited")

    cruft(project, "update", "-y")
    run(["git", "mv", "functions/mine", "src/functions/mine"], project)
    if (project / HANDLER).exists():  # the template has changed it too much to merge
        run(["git", "mv", "--force", HANDLER, f"src/{HANDLER}"], project)

    assert "# ours" in (project / "src" / HANDLER).read_text("utf-8")
    # The owner's list of requirements is kept: its packages now belong into pyproject.toml.
    assert "holidays==0.60" in (project / "requirements.txt").read_text("utf-8")
    assert (project / "src/functions/mine/function.json").is_file()
    for moved in ("functions", "function_app.py", "host.json", "identity_bindings"):
        left = project / moved
        assert not left.is_file() and not [one for one in left.rglob("*") if one.is_file()]
        assert (project / "src" / moved).exists()
    assert (project / "secrets.local.json").exists()
    # Where the template and the owner changed the same lines, the owner's text stays and the
    # template's is beside it.
    for rejected in project.rglob("*.rej"):
        assert rejected.with_suffix("").exists(), rejected
