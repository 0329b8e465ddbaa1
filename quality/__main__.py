"""``python -m quality [tests] [mutation] [rendering]``: measure, and write docs/quality.md.

It runs all tests, mutates the engine, and renders beside a peer, in the environment of ``make
test``; together that takes an hour. A part can be repeated by itself: the page takes the others
from their last run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import rendering
from benchmarks.environment import ROOT, uv_template
from benchmarks.page import Section, page

from . import mutation, suite
from .claims import SECTIONS
from .page import broken, mutation_section, section, suite_section

BUILD = ROOT / "build" / "quality"
PAGE = ROOT / "docs" / "quality.md"
TEXT = (
    "Written by `make quality`, or `python -m quality`. Every figure is recorded by the test or the"
    " measurement that shows it, and the command fails where one is not what it must be. What a"
    " test shows in detail stands in its file. Times are those of the parts' ends: "
)


@dataclass(frozen=True)
class Part:
    """What one part has measured.

    Attributes:
        sections: Its sections of the page.
        wrong: A sentence for every figure that is not what it must be.
        ended: When it was done, as text.
    """

    sections: Sequence[Section]
    wrong: Sequence[str] = ()
    ended: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M"))


def tests_part(outcome: suite.Outcome) -> Part:
    """The run of all tests, and the figures that they have recorded."""
    claims = [
        section(title, text, claims, outcome.figures) for title, (text, claims) in SECTIONS.items()
    ]
    wrong = [one for _, claims in SECTIONS.values() for one in broken(claims, outcome.figures)]
    wrong += ["tests have failed"] * bool(outcome.status)
    return Part([suite_section(outcome), *claims], wrong)


def mutation_part(result: mutation.MutationResult) -> Part:
    """What became of the engine's mutants."""
    wrong = [f"survived: {mutant}" for mutant in result.survivors]
    wrong += [f"explained.toml explains what is not there: {one}" for one in result.unknown]
    return Part([mutation_section(result)], wrong)


def rendering_part() -> Part:
    """The time of a rendering, beside that of a peer."""
    with tempfile.TemporaryDirectory() as scratch:
        compared = rendering.templates(ROOT, uv_template(sys.executable))
        return Part([rendering.measure(compared, Path(scratch))])


PARTS: dict[str, Callable[[], Part]] = {
    "tests": lambda: tests_part(suite.run(BUILD / "tests.xml")),
    "mutation": lambda: mutation_part(mutation.run(BUILD / "mutation")),
    "rendering": rendering_part,
}


def save(name: str, part: Part) -> None:
    """Keep what a part has measured."""
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / f"{name}.json").write_text(json.dumps(asdict(part), indent=1), "utf-8")


def saved(name: str) -> Part:
    """Read what a part has measured in its last run.

    Raises:
        SystemExit: It has never run.
    """
    file = BUILD / f"{name}.json"
    if not file.exists():
        raise SystemExit(f"{name} has not been measured yet: python -m quality {name}")
    content = json.loads(file.read_text("utf-8"))
    return Part(**content | {"sections": [Section(**one) for one in content["sections"]]})


def main(arguments: list[str] | None = None) -> int:
    """Measure the named parts, or all, and write the page.

    Returns:
        0 if every figure is what it must be, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m quality", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(PARTS)}; none means all")
    names = parser.parse_args(arguments).part or list(PARTS)
    if unknown := set(names) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    for name in names:
        save(name, PARTS[name]())
    parts = {name: saved(name) for name in PARTS}
    ends = ", ".join(f"{name} {part.ended}" for name, part in parts.items())
    sections = [one for part in parts.values() for one in part.sections]
    PAGE.write_text(page("Quality", f"{TEXT}{ends}.", sections), encoding="utf-8")
    print(f"Written to {PAGE}")
    wrong = [one for part in parts.values() for one in part.wrong]
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
