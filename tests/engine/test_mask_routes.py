"""Each route of docs/security.md by which text leaves an app is masked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from routes import ROUTES
from support.worker import SRC

VALUE = 'it\'s a "pass\\word" of ä\nand <a> second-line'


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What leaves by each route."""
    folder = tmp_path_factory.mktemp("routes")
    script = str(Path(__file__).with_name("routes.py"))
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    command = [sys.executable, "-B", script, str(SRC), str(folder), VALUE]
    subprocess.run(command, env=environment, timeout=300, check=True)
    return {route: (folder / route).read_text("utf-8", "replace") for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_shows_no_value(outputs: dict[str, str], route: str) -> None:
    text = outputs[route]

    assert "***" in text
    for part in (VALUE, *VALUE.splitlines()):
        for form in (part, repr(part)[1:-1], json.dumps(part)[1:-1]):
            assert form not in text
