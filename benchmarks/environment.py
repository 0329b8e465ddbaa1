"""What a measurement needs around it: an environment and a rendered project, both in build/.

Python 3.13 is used where it is found: the default answers ask for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "benchmarks"
RENDERING = ("pip>=25.1", "cookiecutter>=2.7.1")


def environment() -> str:
    """The Python of a virtual environment: 3.13 where there is one, else the Python that runs."""
    folder = BUILD / "venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        return str(python)
    if sys.version_info < (3, 13):
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        for found in (shutil.which("python3.13"), *pyenv.glob("versions/3.13.*/bin/python")):
            # A shim of pyenv may exist for a version that is not active.
            make = [found or sys.executable, "-m", "venv", folder]
            if found and subprocess.run(make, capture_output=True, check=False).returncode == 0:
                return str(python)
    venv.create(folder, clear=True, with_pip=True)
    return str(python)


def install(python: str, *what: str) -> None:
    """Install requirements, or the files that list them, into the environment of `python`."""
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *what], check=True)


def render(python: str, folder: Path, *answers: str) -> Path:
    """Render this template into an emptied `folder`, and return the project's own folder."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [python, "-m", "cookiecutter", str(ROOT), "--no-input", "--default-config"]
    # Byte code in the template's folder would be rendered with it.
    clean = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    where = ("--output-dir", str(folder))
    subprocess.run([*command, *where, *answers], check=True, env=clean, stdout=subprocess.DEVNULL)
    (project,) = folder.iterdir()
    return project
