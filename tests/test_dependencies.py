"""Rendered projects lock their dependencies: every answer, every Python, every platform."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from baking import Bake, run, run_tests
from interpreters import VERSIONS, interpreter

# The answers that add packages.
ANSWERS: dict[str, dict[str, str]] = {
    "none": {},
    "key": {"key": "my-key"},
    "api-scope": {"api_scope": "api://my-api/.default"},
    "both": {"key": "my-key", "api_scope": "api://my-api/.default", "python_version": "3.14"},
}
CONTRACT = "tests/contract/test_app.py"


@pytest.fixture(params=ANSWERS)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return ANSWERS[request.param]


def test_the_lock_is_what_uv_makes_of_pyproject(project: Path) -> None:
    run_tests(project, CONTRACT)


# A change that somebody forgets to lock: in a file, what a pattern matches for this.
STALE = [
    ("src/requirements.txt", r"\Z", "holidays==0.60\n"),
    ("src/requirements.txt", r"(?m)^    --hash=sha256:\w+ \\\n", ""),
    ("src/requirements.txt", r"(?m)^msal==.*\n(    .*\n)+", ""),
    ("pyproject.toml", '"azure-identity>=', '"holidays>=0.60",\n    "azure-identity>='),
    ("pyproject.toml", "azure-core>=[0-9.]+", "azure-core>=99"),
]


@pytest.mark.parametrize(("name", "pattern", "text"), STALE)
def test_a_stale_lock_is_noticed_and_the_command_is_named(
    bake: Bake, tmp_path: Path, name: str, pattern: str, text: str
) -> None:
    project = Path(shutil.copytree(bake(), tmp_path / "app"))
    changed, count = re.subn(pattern, text, (project / name).read_text("utf-8"), count=1)
    (project / name).write_text(changed, "utf-8")
    assert count == 1

    assert "make lock" in run_tests(project, CONTRACT, status=1)


@pytest.mark.slow
@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("version", VERSIONS)
def test_pip_installs_what_is_locked(bake: Bake, tmp_path: Path, version: str) -> None:
    project = bake(**ANSWERS["both"])
    python = interpreter(version)
    if python:
        run([python, "-m", "venv", str(tmp_path)], tmp_path)
        pip = [str(tmp_path / "bin/python"), "-m", "pip"]
        command = [*pip, "install", "--quiet"]
    else:  # pip evaluates markers for the Python that runs it: the nearest one
        nearest = next(filter(None, map(interpreter, reversed(VERSIONS))), sys.executable)
        pip = [nearest, "-m", "pip"]
        command = [*pip, "download", "--quiet", "--python-version", version, "--only-binary=:all:"]
        command += ["--dest", str(tmp_path)]

    run([*command, "--require-hashes", "-r", "src/requirements.txt"], project)

    if python:
        run([*pip, "check"], project)
