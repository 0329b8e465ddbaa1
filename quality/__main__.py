"""``python -m quality``: run all tests, mutate the engine, render beside a peer, write the page.

It runs in the environment of ``make test``, for hours rather than minutes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks import rendering
from benchmarks.environment import ROOT, uv_template
from benchmarks.page import page

from . import mutation, suite
from .claims import SECTIONS
from .page import broken, mutation_section, section, suite_section

BUILD = ROOT / "build" / "quality"
PAGE = ROOT / "docs" / "quality.md"
TEXT = (
    "Written by `make quality`, or `python -m quality`, in one run. Every figure is recorded by the"
    " test or the measurement that shows it, and the command fails where one is not what it must"
    " be. What a test shows in detail stands in its file."
)


def main() -> int:
    """Measure everything, and write the page.

    Returns:
        0 if every figure is what it must be, else 1.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    outcome = suite.run(BUILD / "tests.xml")
    mutated = mutation.run(BUILD / "mutation")
    with tempfile.TemporaryDirectory() as scratch:
        compared = rendering.templates(ROOT, uv_template(sys.executable))
        rendered = rendering.measure(compared, Path(scratch))
    sections = [
        suite_section(outcome),
        *(
            section(title, text, claims, outcome.figures)
            for title, (text, claims) in SECTIONS.items()
        ),
        mutation_section(mutated),
        rendered,
    ]
    PAGE.write_text(page("Quality", TEXT, sections), encoding="utf-8")
    print(f"Written to {PAGE}")
    wrong = [one for _, claims in SECTIONS.values() for one in broken(claims, outcome.figures)]
    wrong += [f"survived: {mutant}" for mutant in mutated.survivors]
    wrong += [f"explained.toml explains what is not there: {one}" for one in mutated.unknown]
    wrong += ["tests have failed"] * bool(outcome.status)
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
