"""Sections of docs/benchmarks.md: tables of figures that were measured in this run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A heading, what was measured and how, and a table; the first column is text."""

    title: str
    text: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{self.text}\n\n{table}\n"


def duration(seconds: float) -> str:
    """A time as text, in a unit that suits it."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:,.0f} ns"
    if seconds < 1e-3:
        return f"{seconds * 1e6:,.1f} µs"
    return f"{seconds * 1e3:,.{0 if seconds >= 0.01 else 1}f} ms"


def ratio(number: float) -> str:
    """A ratio, with as many digits as it deserves."""
    return f"{number:.2f}" if number >= 0.1 else f"{number:.3f}"
