"""uv.lock and src/requirements.txt lock what pyproject.toml declares, with hashes."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
REPAIR = "run `make lock`, and commit uv.lock and src/requirements.txt"


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run uv on this project, without network."""
    command = [sys.executable, "-m", "uv", *arguments, "--offline", "--python", sys.executable]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_what_is_deployed_is_what_pyproject_declares() -> None:
    checked = uv("lock", "--check")
    assert checked.returncode == 0, f"{REPAIR}:\n{checked.stderr}"

    deployed = (PROJECT / "src/requirements.txt").read_text("utf-8").splitlines()
    locked = uv("export", "--frozen", "--no-dev", "--no-annotate", "--no-header").stdout
    differing = set(deployed) ^ set(locked.splitlines())
    assert not [line for line in differing if not line.startswith("#")], REPAIR
    text = "\n".join(deployed).replace("\\\n", "")
    bare = [one for one in text.splitlines() if one[:1] not in ("", "#") and "--hash=" not in one]
    assert bare == [], f"these have no hash: declare them in pyproject.toml, then {REPAIR}"
