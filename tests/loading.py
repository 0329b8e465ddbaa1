"""Loading the apps of projects, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from expectation import App, Declared


class Loader:
    """A process that loads apps, as a worker does: tests/index_apps.py."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("index_apps.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONUTF8": "1"},
            text=True,
            encoding="utf-8",
        )

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def load(self, project: Path, settings: dict[str, str]) -> App:
        """Load a project's app with the settings that its deployment writes."""
        # What only Azure knows is an expression: here the suffix of the cloud, which has a default.
        known = {name: value for name, value in settings.items() if not value.startswith("[")}
        assert self._process.stdin and self._process.stdout
        asked = json.dumps({"project": str(project), "settings": known})
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in found, found["error"]
        declared = {
            Declared(*(one[field] for field in Declared._fields)) for one in found["declared"]
        }
        return App(found["functions"], declared, found["problems"])
