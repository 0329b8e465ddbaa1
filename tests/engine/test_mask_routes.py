"""Each route by which text leaves an app: masked, or one of those that docs/security.md lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from routes import NOT_COVERED, ROUTES
from support.worker import SRC

VALUES = {"plain": "Pa55w0rdOfTheApp", "signs": 'it\'s a "pass\\word" of ä\nand <a> second-line'}
SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
# What two of the routes do to a value before it leaves.
HALVES = ("two_writes", "wrapped_by_a_tool")


def run(value: str, route: str) -> str:
    script = str(Path(__file__).with_name("routes.py"))
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    command = [sys.executable, "-B", script, str(SRC), value, route]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, timeout=120
    )
    return done.stdout.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def outputs() -> dict[tuple[str, str], str]:
    """What each route lets out, for each value."""
    runs = [(value, route) for value in VALUES for route in ROUTES]
    with ThreadPoolExecutor(4) as threads:
        texts = threads.map(lambda one: run(VALUES[one[0]], one[1]), runs)
        return dict(zip(runs, texts, strict=True))


def shown(value: str, text: str) -> list[str]:
    """The forms of a value, and of its lines, that a text holds."""
    parts = [value, *value.splitlines()]
    forms = [form for part in parts for form in (part, repr(part)[1:-1], json.dumps(part)[1:-1])]
    return [form for form in forms if form in text]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("route", [name for name in ROUTES if name not in NOT_COVERED])
def test_a_route_shows_no_value(
    outputs: dict[tuple[str, str], str], route: str, value: str
) -> None:
    text = outputs[value, route]

    assert "***" in text
    assert shown(VALUES[value], text) == []


@pytest.mark.parametrize("route", NOT_COVERED)
def test_what_is_not_covered_shows_it(outputs: dict[tuple[str, str], str], route: str) -> None:
    text, value = outputs["plain", route], VALUES["plain"]

    assert "***" not in text
    assert value in (text.replace("\n", "") if route in HALVES else text)


def test_what_is_not_covered_is_documented() -> None:
    assert [name for name in NOT_COVERED if f"`{name}`" not in SECURITY.read_text("utf-8")] == []
