"""Every test and every fault that the docs name exists."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from baking import TEMPLATE, Bake, run
from pages import blocks

DOCS = {name: TEMPLATE / "docs" / name for name in ("how-it-works.md", "security.md")}
FAULTS = TEMPLATE / "tests" / "engine" / "faults.py"


def _sources() -> Iterator[Path]:
    yield from (TEMPLATE / "tests").rglob("*.py")
    yield from (TEMPLATE / "{{cookiecutter.project_slug}}" / "tests").glob("*.py")


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    """The faults of the table ROWS: the name of each, and how it counts."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROWS":
            for text in re.findall(r"Row\(\*?\(?'([\w-]+)', (True|False)", ast.unparse(node.value)):
                yield text[0], "denied" if text[1] == "True" else "transient"


def test_the_table_of_faults_has_the_rows_that_are_tested() -> None:
    text = DOCS["how-it-works.md"].read_text(encoding="utf-8")
    shown = re.findall(r"^\| `([\w-]+)` \|.*\| (denied|transient) \|", text, re.MULTILINE)

    assert len(shown) > 20
    assert shown == list(_rows(FAULTS))


@pytest.mark.parametrize("name", DOCS)
def test_every_test_that_is_named_exists(name: str) -> None:
    named = set(
        re.findall(r"`((?:test|the|nothing|storage|logs|what)_\w+)`", DOCS[name].read_text("utf-8"))
    )
    defined = {
        one for file in _sources() for one in re.findall(r"def (\w+)\(", file.read_text("utf-8"))
    }

    assert len(named) > 5
    assert named - defined == set()


def test_the_refusal_in_the_prompts_page_is_what_cookiecutter_prints(tmp_path: Path) -> None:
    page = (TEMPLATE / "docs/prompts.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(Some answers.*?)^```", page, re.M | re.S)
    answers = re.findall(r"^  (\w+): '([^']+)' ", shown, re.M)
    command = [sys.executable, "-m", "cookiecutter", TEMPLATE, "--no-input", "--default-config"]
    given = [f"{prompt}={value}" for prompt, value in answers]

    assert run([*command, *given], tmp_path, status=1) == shown
    assert not list(tmp_path.iterdir())


def test_the_readme_shows_the_declaration_of_a_project(bake: Bake) -> None:
    project = bake(vault="my-key-vault-name")
    declared = json.loads((project / "src/functions/read_secret/function.json").read_text("utf-8"))

    assert [one["type"] for one in declared["bindings"]] == ["httpTrigger", "http", "keyVault"]
    (shown,) = blocks(TEMPLATE / "README.md", "json")
    assert json.loads(shown) == declared["bindings"][2]
