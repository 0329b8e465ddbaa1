"""``python -m benchmarks``: prepare an environment and a project, measure, write the page.

The environment holds what the rendered project needs and the peers. It stands in build/benchmarks,
as the project does. Python 3.13 is taken where it is found: it is what the default answers ask for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
PEERS = (
    *("aws-lambda-powertools", "aws-secretsmanager-caching", "boto3"),
    "aiohttp",  # the Azure SDK's way for coroutines
    "trustme",  # for the double of Key Vault
    'azure-functions-runtime; python_version >= "3.13"',
)
UV_TEMPLATE = "cookiecutter-uv==0.2.0"


def main() -> int:
    """Prepare, measure, and write the page.

    Returns:
        The exit status of what failed, else 0.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # starts are measured with byte code, as usual
    BUILD.mkdir(parents=True, exist_ok=True)
    python = str(_environment())
    _install(python, "pip>=25.1", "cookiecutter>=2.7.1")
    project = _render(python)
    _install(python, "-r", str(project / "requirements.txt"), *PEERS)
    measure = [python, "-m", "benchmarks.measure", str(project), str(PAGE), uv_template(python)]
    # The project's own tests have the double and the few lines that stand for the worker.
    paths = {"PYTHONPATH": os.pathsep.join([str(project), str(project / "tests")])}
    return subprocess.run(measure, cwd=ROOT, check=False, env={**os.environ, **paths}).returncode


def _environment() -> Path:
    """A virtual environment of Python 3.13 where there is one, else of the Python that runs."""
    folder = BUILD / "venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        return python
    if sys.version_info < (3, 13):
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        for found in (shutil.which("python3.13"), *pyenv.glob("versions/3.13.*/bin/python")):
            # A shim of pyenv may stand for a version that is not switched on.
            make = [found or sys.executable, "-m", "venv", folder]
            if found and subprocess.run(make, capture_output=True, check=False).returncode == 0:
                return python
    venv.create(folder, clear=True, with_pip=True)
    return python


def _install(python: str, *what: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *what], check=True)


def _render(python: str) -> Path:
    projects = BUILD / "projects"
    shutil.rmtree(projects, ignore_errors=True)
    answers = ("--no-input", "--default-config", "--output-dir", str(projects))
    # Byte code in the template's folder would be rendered with it.
    clean = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    render = [python, "-m", "cookiecutter", str(ROOT), *answers]
    subprocess.run(render, check=True, env=clean, stdout=subprocess.DEVNULL)
    (project,) = projects.iterdir()
    return project


def uv_template(python: str) -> str:
    """The folder of the template cookiecutter-uv; empty where it cannot be had.

    The package's source archive holds it. UV_TEMPLATE names another folder to measure with.
    """
    if given := os.environ.get("UV_TEMPLATE"):
        return given
    folder = BUILD / UV_TEMPLATE.replace("==", "-").replace("cookiecutter-", "cookiecutter_")
    if not folder.exists():
        get = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run([*get, "--dest", str(BUILD), UV_TEMPLATE], check=False)
        if done.returncode:
            return ""
        with tarfile.open(folder.with_name(f"{folder.name}.tar.gz")) as archive:
            archive.extractall(BUILD, filter="data")
    return str(folder)


if __name__ == "__main__":
    sys.exit(main())
