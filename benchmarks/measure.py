"""Everything in one run: ``python -m benchmarks.measure PROJECT PAGE``.

`python -m benchmarks` calls it, in the environment that it has made.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import log_line, outage, starts, warm
from .page import Section, page

TEXT = (
    "Written by `make benchmarks`, or `python -m benchmarks`, all in one run. Repetitions are"
    " interleaved, so that a busy moment hits all that is compared. Vault and identity are the"
    " project's fake Key Vault, on this machine. A ratio is this project's figure divided by that of"
    " the row: below 1 it takes less. In the table of starts, which names its ratios, it is divided"
    " by that of the column."
)


def main(project: Path, target: Path) -> None:
    """Measure and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        sections: list[Section] = []
        measurements: tuple[Callable[[], Section], ...] = (
            lambda: warm.measure(scratch),
            log_line.measure,
            lambda: starts.measure(project, scratch),
            lambda: starts.measure_telemetry(project, scratch),
            lambda: outage.measure(scratch),
        )
        for measure in measurements:
            sections.append(measure())
            print(f"{sections[-1]}", flush=True)
        target.write_text(page("Benchmarks", TEXT, sections), encoding="utf-8")
    print(f"Written to {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
