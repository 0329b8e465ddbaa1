"""Each route by which text leaves an app: masked, or one of those that docs/security.md lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from routes import NOT_COVERED, ROUTES
from support.worker import SRC

PLAIN = "Pa55w0rdOfTheApp"
SIGNS = 'it\'s a "pass\\word" of ä\nand <a> second-line'
SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
# What two of the routes do to a value before it leaves.
HALVES = ("two_writes", "wrapped_by_a_tool")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What leaves by each route."""
    folder = tmp_path_factory.mktemp("routes")
    script = str(Path(__file__).with_name("routes.py"))
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    command = [sys.executable, "-B", script, str(SRC), str(folder), PLAIN, SIGNS]
    subprocess.run(command, env=environment, timeout=300, check=True)
    return {route: (folder / route).read_text("utf-8", "replace") for route in ROUTES}


@pytest.mark.parametrize("route", [name for name in ROUTES if name not in NOT_COVERED])
def test_a_route_shows_no_value(outputs: dict[str, str], route: str) -> None:
    text = outputs[route]

    assert "***" in text
    for part in (SIGNS, *SIGNS.splitlines()):
        for form in (part, repr(part)[1:-1], json.dumps(part)[1:-1]):
            assert form not in text


@pytest.mark.parametrize("route", NOT_COVERED)
def test_what_is_not_covered_shows_it(outputs: dict[str, str], route: str) -> None:
    text = outputs[route]

    assert "***" not in text
    assert PLAIN in (text.replace("\n", "") if route in HALVES else text)


def test_what_is_not_covered_is_documented() -> None:
    assert [name for name in NOT_COVERED if f"`{name}`" not in SECURITY.read_text("utf-8")] == []
