"""Rendering a project in a test."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent

# bake(identity="user") renders a project and returns its folder.
Bake = Callable[..., Path]


def run_tests(project: Path, *names: str) -> None:
    """Run a project's tests, or those of some files, as its owner would."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
