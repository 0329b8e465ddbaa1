"""Covering arrays: few rows in which every combination of so many choices occurs at least once.

Why of our own: allpairspy leaves combinations out where some are refused (of this template's it
misses 5 pairs and 2,096 triples), and covertable has to be given the choices that each refusal is
about, which only the template's own check knows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

Choices = Mapping[str, Sequence[str]]
Row = Mapping[str, str]  # a value for each choice; a combination has one for some of them
Combination = frozenset[tuple[str, str]]
# Asked for incomplete rows too: what it refuses, it refuses in every row that holds it.
Allowed = Callable[[Row], bool]


def covering(
    choices: Choices, strength: int, allowed: Allowed, first: Iterable[Row] = ()
) -> list[dict[str, str]]:
    """Return rows that hold every possible combination of `strength` choices.

    The rows `first` come first, as they are. Each further one begins with a combination that is
    still missing, and takes for each other choice the value that adds the most missing ones. The
    same arguments give the same rows.
    """
    rows = [dict(row) for row in first]
    missing = dict.fromkeys(_possible(choices, strength, allowed))
    for row in rows:
        _strike(missing, row, strength)
    most_values_first = sorted(choices, key=lambda name: -len(choices[name]))
    while missing:
        row = dict(next(iter(missing)))
        for name in (name for name in most_values_first if name not in row):
            values = [v for v in choices[name] if _completes(choices, allowed, row | {name: v})]
            row[name] = max(values, key=lambda v: _adds(missing, row, (name, v), strength))
        rows.append({name: row[name] for name in choices})
        _strike(missing, row, strength)
    return rows


def _possible(choices: Choices, strength: int, allowed: Allowed) -> list[Combination]:
    """List every combination that at least one whole row can hold."""
    return [
        frozenset(zip(names, values, strict=True))
        for names in combinations(choices, strength)
        for values in product(*(choices[name] for name in names))
        if _completes(choices, allowed, dict(zip(names, values, strict=True)))
    ]


def held(row: Row, strength: int) -> Iterator[Combination]:
    """Give the combinations that a row holds."""
    return map(frozenset, combinations(row.items(), strength))


def _completes(choices: Choices, allowed: Allowed, row: Row) -> bool:
    """Whether a row can be completed."""
    if not allowed(row):
        return False
    left = next((name for name in choices if name not in row), None)
    return left is None or any(
        _completes(choices, allowed, {**row, left: value}) for value in choices[left]
    )


def _strike(missing: dict[Combination, None], row: Row, strength: int) -> None:
    for combination in held(row, strength):
        missing.pop(combination, None)


def _adds(
    missing: Mapping[Combination, None], row: Row, item: tuple[str, str], strength: int
) -> int:
    return sum(
        frozenset((*others, item)) in missing for others in combinations(row.items(), strength - 1)
    )
