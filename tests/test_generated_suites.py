"""The rendered projects' own tests pass: of two sets in the fast run, of every pair in the slow."""

from pathlib import Path

import pytest
from answers import PAIRS
from baking import Bake, run_tests

FAST = ("default", "decorators-with-everything")
SUITES = [
    pytest.param(answers, id=name, marks=() if name in FAST else pytest.mark.slow)
    for name, answers in PAIRS.items()
]


@pytest.mark.parametrize("answers", SUITES)
def test_the_generated_suite(bake: Bake, answers: dict[str, str]) -> None:
    run_tests(bake(**answers))


def test_a_path_with_spaces_and_other_letters(bake: Bake, tmp_path: Path) -> None:
    project = tmp_path / "mein Büro" / "app"
    project.parent.mkdir()
    project.symlink_to(bake(), target_is_directory=True)

    run_tests(project, "tests/test_read_secret.py", "tests/contract/test_app.py")
