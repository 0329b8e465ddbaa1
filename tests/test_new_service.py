"""A new service is a few files: patches/table-storage.patch adds Azure Table Storage.

The template does not ship it. Where a change of the template makes the patch fail, change the patch.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE

PATCH = Path(__file__).parent / "patches" / "table-storage.patch"
OURS = ("tests", "benchmarks", "quality")  # not rendered


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with the new service."""
    folder = tmp_path_factory.mktemp("new-service") / "template"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TEMPLATE,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith(OURS) and (TEMPLATE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name)
    # Outside a repository git would look for one around the folder.
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    done = subprocess.run(
        ["git", "apply", "--verbose", str(PATCH)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_it_changes_and_adds_few_files_which_contributing_names() -> None:
    patch = PATCH.read_text("utf-8")
    touched = re.findall("^diff --git a/(.+) b/", patch, re.MULTILINE)
    added = re.findall("^--- /dev/null\n[+]{3} b/(.+)$", patch, re.MULTILINE)

    assert len(touched) - len(added) <= 9
    assert len(added) <= 7
    section = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8").partition("## Add a service\n")[2]
    section = section.partition("\n## ")[0]
    for name in touched:
        name = name.removeprefix("{{cookiecutter.project_slug}}/")
        name = name.replace("table-storage", "<service>").replace("record_price", "<sample>")
        assert f"`{name}`" in section, f"CONTRIBUTING.md: {name}"


@pytest.mark.parametrize(
    "answers",
    [[], ["programming_model=decorators", "identity=user", "network=private"]],
    ids=["default", "decorators"],
)
def test_a_project_of_it_passes_its_tests(
    template: Path, tmp_path: Path, answers: list[str]
) -> None:
    words = ["--no-input", "--default-config", "services=table-storage", *answers]
    render = [sys.executable, "-m", "cookiecutter", str(template), "-o", str(tmp_path), *words]
    done = subprocess.run(render, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    project = tmp_path / "secure-function-app"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    for tool in (
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--no-cache", "--check"],
        ["pytest", "-q", "-p", "no:cacheprovider"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *tool],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "record_price" in (project / "README.md").read_text("utf-8")
