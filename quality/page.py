"""docs/quality.md: what the tests prove, with the figures of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.page import Section

from .mutation import OUTCOMES, MutationResult
from .suite import Outcome


@dataclass(frozen=True)
class Claim:
    """A row of the page: what a figure counts, and what it must be.

    Attributes:
        figure: The name that a test records it under.
        text: What it counts.
        holds: Whether a value is good.
        must: The same in words; empty where any value will do.
    """

    figure: str
    text: str
    must: str = ""
    holds: Callable[[float], bool] = lambda value: True


def none(figure: str, text: str) -> Claim:
    """A claim that something never happens."""
    return Claim(figure, text, "0", lambda value: value == 0)


def least(figure: str, text: str, number: float) -> Claim:
    """A claim that a figure is at least `number`."""
    return Claim(figure, text, f"≥ {number:,g}", lambda value: value >= number)


def most(figure: str, text: str, number: float) -> Claim:
    """A claim that a figure is at most `number`."""
    return Claim(figure, text, f"≤ {number:,g}", lambda value: value <= number)


def section(title: str, text: str, claims: list[Claim], figures: Mapping[str, float]) -> Section:
    """The table of some claims. A figure that no test recorded is shown as missing."""
    rows = []
    for claim in claims:
        value = figures.get(claim.figure)
        shown = "missing" if value is None else f"{value:,.10g}"
        rows.append([claim.text, shown, claim.must])
    return Section(title, text, ["What", "figure", "must be"], rows)


def broken(claims: list[Claim], figures: Mapping[str, float]) -> list[str]:
    """A sentence for every claim that the figures do not bear out."""
    wrong = []
    for claim in claims:
        value = figures.get(claim.figure)
        if value is None:
            wrong.append(f"{claim.figure}: no test has recorded it.")
        elif not claim.holds(value):
            wrong.append(f"{claim.figure}: {value:,g}, and must be {claim.must}.")
    return wrong


def suite_section(outcome: Outcome) -> Section:
    """How the run of the tests went."""
    counts = outcome.counts
    rows = [[what, f"{counts[what]:,}"] for what in ("passed", "failed", "skipped")]
    rows.append(["minutes", f"{outcome.seconds / 60:.0f}"])
    text = 'All tests in one run, the slow ones too (`python -m pytest -m ""`).'
    return Section("The run", text, ["Tests", ""], rows)


def mutation_section(result: MutationResult) -> Section:
    """How many changes of the engine the tests have noticed, by module."""
    rows = [
        [f"`{module}`", *(f"{counts[end]:,}" for end in OUTCOMES)]
        for module, counts in sorted(result.counts.items())
    ]
    total = sum(result.counts.values(), Counter[str]())
    rows.append(["all", *(f"{total[end]:,}" for end in OUTCOMES)])
    text = (
        "Each mutant is one small change of the engine, as mutmut makes them; the tests that run the"
        " changed line are run until one fails. *Timeout*: a test hung, which is noticed too."
        " *Explained*: no test can tell, and `quality/explained.toml` says why. *Skipped*: only the"
        f" wording of a text for people changes. It took {result.seconds / 60:.0f} minutes"
        " (`python -m quality.mutation`)."
    )
    return Section("Mutation", text, ["Module", *OUTCOMES], rows)
