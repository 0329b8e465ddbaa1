"""A project made before everything that is deployed moved to src/ follows, as docs/updating.md says."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import TEMPLATE, Bake

# The last version whose app is at the project's top.
BEFORE = "c769e418fd3a6fc461e20b9db5992c6d3b6650ae"
ANSWERS = {
    "default": {},
    "decorators": {
        "programming_model": "decorators",
        "identity": "user",
        "key": "signing-key",
        "services": "blob-storage,service-bus",
        "ci": "none",
    },
    "existing": {
        "vault": "contoso-vault",
        "vault_source": "existing",
        "vault_resource_group": "rg-vaults",
        "vault_access": "rbac",
        "api_scope": "api://contoso/.default",
        "network": "private",
        "python_version": "3.12",
    },
}
Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command with a home and a git configuration of its own."""
    who = {f"GIT_{one}_NAME": "A" for one in ("AUTHOR", "COMMITTER")}
    who |= {f"GIT_{one}_EMAIL": "a@example.org" for one in ("AUTHOR", "COMMITTER")}
    home = {"HOME": str(tmp_path_factory.mktemp("home")), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*command: str | Path, cwd: Path) -> str:
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | who | home, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def template(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's history, and on top of it the files as they are now."""
    known = subprocess.run(
        ["git", "cat-file", "-e", BEFORE], cwd=TEMPLATE, capture_output=True, check=False
    )
    if known.returncode:
        pytest.skip("this clone does not have the history: git fetch --unshallow")
    clone = tmp_path_factory.mktemp("template") / "template"
    run("git", "clone", "--quiet", TEMPLATE, clone, cwd=TEMPLATE)
    run("git", "rm", "-r", "--quiet", ".", cwd=clone)
    listed = run("git", "ls-files", "-z", "-c", "-o", "--exclude-standard", cwd=TEMPLATE)
    for name in filter(None, listed.split("\0")):
        if (TEMPLATE / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, clone / name)
    _save(run, clone, "now")
    return clone


def _save(run: Run, repository: Path, message: str) -> None:
    run("git", "add", "--all", cwd=repository)
    run("git", "commit", "--quiet", "--allow-empty", "--message", message, cwd=repository)


def _cruft(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cruft", *map(str, arguments)]


@pytest.fixture
def old_project(run: Run, template: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a project as `cruft create` made it then; it follows the newest version."""

    def make(**answers: str) -> Path:
        context = [f"--extra-context={json.dumps(answers)}"] if answers else []
        run(*_cruft("create", template, "--checkout", BEFORE, "--no-input", *context), cwd=tmp_path)
        project = tmp_path / "secure-function-app"
        text = (project / ".cruft.json").read_text("utf-8")
        text = text.replace(f'"checkout": "{BEFORE}"', '"checkout": null')
        (project / ".cruft.json").write_text(text, "utf-8")
        run("git", "init", "--quiet", cwd=project)
        _save(run, project, "made")
        return project

    return make


def _committed(run: Run, project: Path) -> dict[str, str]:
    """The files that git knows or would add, with their texts."""
    listed = run("git", "ls-files", "-z", "-c", "-o", "--exclude-standard", cwd=project)
    names = [name for name in listed.split("\0") if name and (project / name).is_file()]
    return {name: (project / name).read_text("utf-8") for name in names if name != ".cruft.json"}


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_an_untouched_project_becomes_what_the_template_renders_now(
    bake: Bake, run: Run, old_project: Callable[..., Path], answers: dict[str, str]
) -> None:
    project = old_project(**answers)

    run(*_cruft("update", "-y"), cwd=project)

    fresh = shutil.copytree(bake(**answers), project.parent / "fresh")
    run("git", "init", "--quiet", cwd=fresh)
    updated, rendered = _committed(run, project), _committed(run, fresh)
    assert sorted(updated) == sorted(rendered)
    assert {name for name in rendered if updated[name] != rendered[name]} == set()
    assert not list(project.rglob("*.rej"))


HANDLER = "functions/read_secret/__init__.py"


def test_what_the_owner_edited_and_added_comes_along(
    run: Run, old_project: Callable[..., Path]
) -> None:
    project = old_project()
    handler = project / HANDLER
    handler.write_text(handler.read_text("utf-8") + "\n\n# edited by the owner\n", "utf-8")
    requirements = project / "requirements.txt"
    requirements.write_text(requirements.read_text("utf-8") + "holidays==0.60\n", "utf-8")
    shutil.copytree(project / "functions/read_secret", project / "functions/mine")
    (project / "shared.py").write_text("RATE = 7\n", "utf-8")
    (project / "secrets.local.json").write_text("{}", "utf-8")
    _save(run, project, "edited")

    run(*_cruft("update", "-y"), cwd=project)
    run("git", "mv", "functions/mine", "src/functions/mine", cwd=project)
    run("git", "mv", "shared.py", "src/shared.py", cwd=project)
    if handler.exists():  # the template has changed it too much to merge
        run("git", "mv", "--force", HANDLER, f"src/{HANDLER}", cwd=project)

    assert "# edited by the owner" in (project / "src" / HANDLER).read_text("utf-8")
    # The owner's list of requirements is kept: its packages now belong into pyproject.toml.
    assert "holidays==0.60" in (project / "requirements.txt").read_text("utf-8")
    assert (project / "src/functions/mine/function.json").is_file()
    assert (project / "src/shared.py").read_text("utf-8") == "RATE = 7\n"
    for moved in ("functions", "function_app.py", "host.json", "identity_bindings"):
        left = project / moved
        assert not left.is_file() and not [one for one in left.rglob("*") if one.is_file()]
        assert (project / "src" / moved).exists()
    assert (project / "secrets.local.json").exists()
    # Where the template and the owner changed the same lines, the owner's text stays and the
    # template's is beside it.
    for rejected in project.rglob("*.rej"):
        assert rejected.with_suffix("").exists(), rejected
