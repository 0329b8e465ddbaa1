"""Everything in one run: ``python -m benchmarks.measure PROJECT PAGE``.

`python -m benchmarks` calls it, in the environment that it has made.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from . import log_line, outage, starts, warm
from .page import Section

TEXT = (
    "Written by `make benchmarks`, or `python -m benchmarks`, all in one run. Repetitions are"
    " interleaved, so that a busy moment hits all that is compared. Vault and identity are the"
    " project's fake Key Vault, on this machine. A ratio is this project's figure divided by that of"
    " the row: below 1 it takes less. In the table of starts, which names its ratios, it is divided"
    " by that of the column."
)
PACKAGES = (
    *("azure-functions", "azure-functions-runtime", "azure-identity", "azure-keyvault-secrets"),
    *("aws-lambda-powertools", "aws-secretsmanager-caching", "boto3"),
)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(project: Path, target: Path) -> None:
    """Measure, and write the page: where and with what it was measured, and the sections."""
    facts = {
        "Date": time.strftime("%Y-%m-%d"),
        "Machine": f"{_processor()}, {os.cpu_count()} processors, {platform.system()}",
        "Python": platform.python_version(),
        "Versions": ", ".join(f"{package} {version(package)}" for package in PACKAGES),
    }
    table = "\n".join(["| | |", "|---|---|", *(f"| {one} | {facts[one]} |" for one in facts)])
    parts = ["# Benchmarks", TEXT, table]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        measurements: tuple[Callable[[], Section], ...] = (
            lambda: warm.measure(scratch),
            log_line.measure,
            lambda: starts.measure(project, scratch),
            lambda: starts.measure_telemetry(project, scratch),
            lambda: outage.measure(scratch),
        )
        for measure in measurements:
            parts.append(str(measure()))
            print(parts[-1], flush=True)
    target.write_text("\n\n".join(parts), encoding="utf-8")
    print(f"Written to {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
