"""What the template's tests share: projects, rendered once for each set of answers."""

# ruff: noqa: E402
import os
import sys

# Tests import the engine and the helpers from the template's folder, where byte code would be
# rendered too.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from answers import VARIABLES, as_argument
from baking import TEMPLATE, Bake
from infrastructure import start_compiler
from pytest_cookies.plugin import Cookies


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies) -> Bake:
    """Render a project: `bake(identity="user")` gives its folder, for reading only.

    The same answers give the same folder; a test that writes works on a copy.
    """
    baked: dict[tuple[tuple[str, str], ...], Path] = {}

    def render(**answers: str) -> Path:
        key = tuple(sorted(answers.items()))
        if key not in baked:
            result = cookies_session.bake(
                extra_context={name: as_argument(value) for name, value in answers.items()},
                template=str(TEMPLATE),
            )
            assert result.exit_code == 0, result.exception
            assert result.project_path
            baked[key] = result.project_path
        return baked[key]

    return render


@pytest.fixture
def project(bake: Bake, answers: dict[str, str]) -> Path:
    """The project of the module's own fixture `answers`."""
    return bake(**answers)


@pytest.fixture(scope="session")
def compiler() -> Iterator[Any]:
    """The Bicep compiler, as a deployer has it who has set only what must be set."""
    yield from start_compiler(VARIABLES)


@pytest.fixture(scope="session")
def figures(record_testsuite_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """What was counted of combinations of answers, for the report of `pytest --junit-xml`."""
    figures: Counter[str] = Counter()
    yield figures
    for name, number in figures.items():
        record_testsuite_property(f"combinations.{name}", number)
