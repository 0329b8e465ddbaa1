"""``python -m benchmarks``: prepare an environment and a project, measure, write the page.

The environment holds what the rendered project needs and the peers.
"""

from __future__ import annotations

import os
import subprocess
import sys

from .environment import BUILD, RENDERING, ROOT, environment, install, render

PAGE = ROOT / "docs" / "benchmarks.md"
PEERS = (
    *("aws-lambda-powertools", "aws-secretsmanager-caching", "boto3"),
    "aiohttp",  # the Azure SDK's way for coroutines
    "trustme",  # for the fake Key Vault
    "azure-monitor-opentelemetry-exporter>=1.0.0b58",
    'azure-functions-runtime; python_version >= "3.13"',
)


def main() -> int:
    """Prepare, measure, and write the page.

    Returns:
        The exit status of what failed, else 0.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # starts are measured with byte code, as usual
    python = environment()
    install(python, *RENDERING)
    project = render(python, BUILD / "projects")
    install(python, "-r", str(project / "src/requirements.txt"))
    install(python, *PEERS)
    measure = [python, "-m", "benchmarks.measure", str(project), str(PAGE)]
    # The project's tests/support has the fake Key Vault and the worker driver.
    paths = (project / "src", project / "tests", ROOT / "tests", ROOT / "tests/engine")
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run(measure, cwd=ROOT, check=False, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
