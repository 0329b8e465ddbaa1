"""``python -m benchmarks``: prepare an environment and a project, measure, write the page.

The environment holds what the rendered project needs and the peers. Python 3.13 runs it, which the
default answers ask for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
PYTHON = BUILD / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PEERS = (
    *("aws-lambda-powertools", "aws-secretsmanager-caching", "boto3"),
    "aiohttp",  # the Azure SDK's way for coroutines
    "trustme",  # for the fake Key Vault
    "azure-functions-runtime",
    "azure-monitor-opentelemetry-exporter>=1.0.0b58",  # the recipe's
)


def main() -> int:
    """Prepare, measure, and write the page.

    Returns:
        The exit status of what failed, else 0.
    """
    shutil.rmtree(BUILD, ignore_errors=True)
    here = [sys.executable, "-m"]
    project = BUILD / "secure-function-app"
    # Byte code in the template's folder would be rendered with it.
    clean = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    render = [*here, "cookiecutter", ROOT, "--no-input", "--default-config", "--output-dir", BUILD]
    subprocess.run(render, check=True, env=clean)
    subprocess.run([*here, "uv", "venv", "--quiet", "--python", "3.13", BUILD / "venv"], check=True)
    install = [*here, "uv", "pip", "install", "--quiet", "--python", PYTHON, *PEERS]
    subprocess.run([*install, "-r", project / "src/requirements.txt"], check=True)
    # The project's tests/support has the fake Key Vault and the worker driver.
    paths = (project / "src", project / "tests", ROOT / "tests", ROOT / "tests/engine")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # starts are measured with byte code, as usual
    measure = [PYTHON, "-m", "benchmarks.measure", project, PAGE]
    return subprocess.run(measure, cwd=ROOT, check=False, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
