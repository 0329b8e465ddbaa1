"""What leaves a project by each way to deploy it, and what git commits: nothing private, all of the owner's."""

import shutil
from pathlib import Path

import pytest
import upload_rules
import yaml
from baking import Bake, run

# Names in which people keep secrets, and folders that appear by habit.
SECRET_NAMES = (
    *("secrets.local.json", "secrets.local.json~", "secrets.local.json.bak", "Secrets.Local.json"),
    *(".secrets.local.json.swp", "#secrets.local.json#", "secrets.local.prod.json", "secrets.json"),
    *("my-secrets.json", "secret_values.json", "local.settings.json", "local.settings.json.bak"),
    *("local.settings.json~", "local.settings.prod.json", "Local.settings.json", ".env", ".env~"),
    *(".env.local", ".env-prod", "prod.env", "prod.env.bak", "prod.env~"),
)
FOLDERS_OF_HABIT = {
    ".venv": "pyvenv.cfg lib/python3.13/site-packages/pip.py .lock",
    ".venv-3.13": "pyvenv.cfg",
    "venv": "pyvenv.cfg .lock lib/site.py",
    "env": "pyvenv.cfg .lock",
    "src_env": "pyvenv.cfg bin/python",
    "__azurite_db_blob__": "x.json",
    "__blobstorage__": "1a2b",
    "__queuestorage__": "1a2b",
    "__pycache__": "function_app.cpython-313.pyc",
    ".azure": "dev/config.json dev/other",
    ".python_packages": "lib/site-packages/x.py",
    ".pytest_cache": "v/cache",
    ".git": "config",
}
PLACES = ("", "functions/read_secret", "data")
OWNERS = (
    *("env.py", "tests.py", "secrets_store.py", "my_secrets.py", "venv_tools.py", "settings.json"),
    *("data/prices.json", "data/envelope.txt", "templates/secret-santa.html", "build/x.py"),
    *("functions/build/__init__.py", "functions/env/__init__.py", "functions/src_env_b/main.py"),
    *(f"functions/{name}/function.json" for name in ("build", "env", "tests", "venv", "infra")),
    "functions/get_secret.v2/x.py",
)


@pytest.fixture(scope="module")
def planted(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which somebody has worked: each private file in each place, and the owner's own."""
    project = tmp_path_factory.mktemp("planted") / "project"
    shutil.copytree(bake(), project)
    for root in ("", "src"):
        for place in PLACES if root else ("", "tests", "infra", "docs"):
            for name in SECRET_NAMES:
                _write(project / root / place / name, "PRIVATE")
    for folder, names in FOLDERS_OF_HABIT.items():
        for name in names.split():
            if folder != ".git":
                _write(project / "src" / folder / name, "PRIVATE")
            if folder.startswith("__") or folder in (".azure", ".venv"):
                _write(project / "src/functions/read_secret" / folder / name, "PRIVATE")
    for name in OWNERS:
        _write(project / "src" / name, "the owner's")
    return project


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")


def _private(project: Path, uploaded: set[str]) -> set[str]:
    return {name for name in uploaded if (project / name).read_bytes() == b"PRIVATE"}


RENDERED = {
    *("function_app.py", "host.json", "requirements.txt", "identity_bindings/__init__.py"),
    *("functions/read_secret/__init__.py", "functions/read_secret/function.json"),
}


@pytest.mark.parametrize("tool", [upload_rules.core_tools, upload_rules.azd])
def test_a_tool_uploads_all_of_the_owners_files_and_nothing_private(
    planted: Path, tool: upload_rules.Tool
) -> None:
    uploaded = tool(planted / "src")

    assert _private(planted / "src", uploaded) == set()
    assert set(OWNERS) | RENDERED <= uploaded


@pytest.fixture(scope="module")
def committed(planted: Path, own_home: Path) -> Path:
    """The same project after `git add --all` and a commit, as its owner does it."""
    for command in ("init --quiet", "add --all", "commit --quiet --message all"):
        run(["git", *command.split()], planted)
    return planted


def test_git_commits_all_of_the_owners_files_and_nothing_private(committed: Path) -> None:
    names = set(run(["git", "ls-files", "-z"], committed).split("\0")) - {""}

    assert _private(committed, names) == set()
    assert {f"src/{name}" for name in {*OWNERS, *RENDERED}} <= names
    assert "secrets.local.example.json" in names


def test_the_workflow_uploads_what_is_committed_in_src_and_nothing_else(
    committed: Path, tmp_path: Path
) -> None:
    workflow = yaml.safe_load((committed / ".github/workflows/ci.yml").read_text("utf-8"))
    checkout, pack, upload = workflow["jobs"]["test"]["steps"][:3]  # before anything is installed
    assert "checkout" in checkout["uses"] and "upload-artifact" in upload["uses"]

    run(
        ["bash", "-euo", "pipefail", "-c", pack["run"]],
        committed,
        env={"RUNNER_TEMP": str(tmp_path)},
    )

    assert upload["with"]["path"] == "${{ runner.temp }}/app"
    uploaded = upload_rules.action(tmp_path / "app")
    tracked = run(["git", "ls-files", "-z", "src"], committed).split("\0")
    assert {f"src/{name}" for name in uploaded} == set(tracked) - {""}
