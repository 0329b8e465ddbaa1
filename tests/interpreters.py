"""Every Python of this machine on which Azure Functions run."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from baking import run

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
DEFAULT = "3.13"  # of a project


def interpreter(version: str) -> str | None:
    """Find a Python: on the path, or beside the one that runs, as pyenv keeps them."""
    name = f"python{version}"
    places = [*Path.home().glob(".pyenv/versions/*"), *Path(sys.base_prefix).parent.glob("*")]
    beside = [place / "bin" / name for place in places if place.name.startswith(f"{version}.")]
    candidates = [*beside, *filter(None, [shutil.which(name)])]
    return next((str(found) for found in candidates if works(str(found))), None)


def works(python: str) -> bool:
    """Whether it starts, and can make virtual environments (Debian splits that off)."""
    try:
        return (
            subprocess.run([python, "-c", "import ensurepip"], capture_output=True).returncode == 0
        )
    except OSError:
        return False


def environment(python: str, version: str, project: Path) -> str:
    """Make a virtual environment with a project's locked packages, and keep it for the next run."""
    wanted = (project / "uv.lock").read_text("utf-8")
    stamp = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    place = Path(sys.prefix) / "interpreters" / f"{version}-{stamp}"
    made = str(place / "bin" / "python")
    if not (place / "made").exists():
        run([python, "-m", "venv", "--clear", str(place)], project)
        pip = [made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "pip>=25.1"], project)
        run([*pip, "--require-hashes", "-r", "src/requirements.txt"], project)
        run([*pip, "--group", "dev"], project)
        (place / "made").touch()
    return made
