"""The engine and a project stay small enough to be read."""

import ast
import io
import tokenize
from collections.abc import Callable
from pathlib import Path

from baking import TEMPLATE, Bake

ENGINE = TEMPLATE / "{{cookiecutter.project_slug}}" / "src" / "identity_bindings"
OPTIONAL = {"keys.py", "access_tokens.py"}
MOST_LINES_OF_CODE = 2_416
MOST_FILES = 18
MOST_LINES_OF_A_FILE = 300
# Of a project with the default answers, blank lines and comments too
MOST_FILES_OF_A_PROJECT = 60
MOST_LINES_OF_A_PROJECT = 1_909  # without the engine and infra/
MOST_LINES_OF_TESTS = 984
MOST_LINES_OF_A_README = 578
NOT_COUNTED = {"README.md", "functions.schema.json", "requirements.txt", "uv.lock"}

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def lines_of_code(source: str) -> int:
    """Count the lines that hold code: no blank line, comment or docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_lines_of_code() -> None:
    source = '"""A docstring\n\nof lines."""\n\n# why\nx = (\n    1,\n)\n\ndef f():\n    "doc"\n    return x\n'

    assert lines_of_code(source) == 5


def test_the_engine_is_within_its_budget(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    # The files of optional bindings come on top, where the answers ask for them.
    files: dict[Path, str] = {
        file: file.read_text(encoding="utf-8")
        for file in ENGINE.glob("*.py")
        if file.name not in OPTIONAL
    }
    code = sum(map(lines_of_code, files.values()))
    longest = max(len(text.splitlines()) for text in files.values())
    record_testsuite_property("engine.lines_of_code", code)
    record_testsuite_property("engine.longest_file", longest)

    assert 10 < len(files) <= MOST_FILES
    assert code <= MOST_LINES_OF_CODE
    assert longest <= MOST_LINES_OF_A_FILE


def test_a_project_is_within_its_budget(
    bake: Bake, record_testsuite_property: Callable[[str, object], None]
) -> None:
    project = bake()
    files = [file for file in project.rglob("*") if file.is_file()]
    lines = {
        file.relative_to(project): len(file.read_text("utf-8").splitlines())
        for file in files
        if file.name not in NOT_COUNTED
    }
    tests = sum(count for file, count in lines.items() if file.parts[0] == "tests")
    own = sum(
        count
        for file, count in lines.items()
        if file.parts[0] != "infra" and "identity_bindings" not in file.parts
    )
    for name, count in {"files": len(files), "lines_of_tests": tests, "own_lines": own}.items():
        record_testsuite_property(f"project.{name}", count)

    assert len(files) <= MOST_FILES_OF_A_PROJECT
    assert own <= MOST_LINES_OF_A_PROJECT
    assert tests <= MOST_LINES_OF_TESTS
    assert len((project / "README.md").read_text("utf-8").splitlines()) <= MOST_LINES_OF_A_README
