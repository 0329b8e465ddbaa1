"""uv.lock and src/requirements.txt lock what pyproject.toml declares, with hashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
REPAIR = "run `make lock`, and commit uv.lock and src/requirements.txt"
EXPORT = ["export", "--frozen", "--no-dev", "--no-annotate", "--no-header"]


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run uv on this project, without network."""
    command = [sys.executable, "-m", "uv", *arguments, "--offline", "--python", sys.executable]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_the_lock_matches_pyproject() -> None:
    checked = uv("lock", "--check")

    assert checked.returncode == 0, f"{REPAIR}:\n{checked.stderr}"


def test_what_is_deployed_is_what_is_locked() -> None:
    deployed = (PROJECT / "src/requirements.txt").read_text("utf-8").splitlines()
    locked = uv(*EXPORT).stdout.splitlines()

    differing = set(deployed) ^ set(locked)
    assert not [line for line in differing if not line.startswith("#")], REPAIR


def test_every_requirement_has_a_hash() -> None:
    text = (PROJECT / "src/requirements.txt").read_text("utf-8").replace("\\\n", "")

    for requirement in filter(None, text.splitlines()):
        assert requirement.startswith("#") or " --hash=sha256:" in requirement, (
            f"{requirement.split()[0]} has no hash: declare it in pyproject.toml, then {REPAIR}"
        )
