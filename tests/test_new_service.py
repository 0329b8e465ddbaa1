"""A new service is a few files: patches/table-storage.patch adds Azure Table Storage.

The template does not ship it. Where a change of the template makes the patch fail, change the patch.
"""

import re
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE, copy_template, render, run, run_tests

PATCH = Path(__file__).parent / "patches" / "table-storage.patch"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with the new service."""
    folder = copy_template(tmp_path_factory.mktemp("new-service") / "template")
    # Outside a repository git would look for one around the folder.
    run(["git", "init", "--quiet"], folder)
    run(["git", "apply", PATCH], folder)
    return folder


def test_it_changes_and_adds_few_files_which_contributing_names() -> None:
    patch = PATCH.read_text("utf-8")
    touched = re.findall("^diff --git a/(.+) b/", patch, re.MULTILINE)
    added = re.findall("^--- /dev/null\n[+]{3} b/(.+)$", patch, re.MULTILINE)

    assert len(touched) - len(added) <= 8
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
    project = render(template, tmp_path, "services=table-storage", *answers)

    for check in (["check"], ["format", "--check"]):
        run([sys.executable, "-m", "ruff", *check, "--no-cache"], project)
    run_tests(project)
    assert "record_price" in (project / "README.md").read_text("utf-8")
