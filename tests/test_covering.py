"""Rows of choices hold every combination that a whole row can hold, always the same."""

from itertools import product

from covering import Row, covering, held, possible
from hypothesis import given, settings
from hypothesis import strategies as st

Choices = dict[str, tuple[str, ...]]
Pairs = frozenset[tuple[str, str]]


def goes(row: Row, forbidden: list[Pairs]) -> bool:
    return not any(pair <= row.items() for pair in forbidden)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Choices, list[Pairs]]:
    """Draw up to five choices of up to four values, and values that do not go together."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=5))
    choices = {f"c{n}": tuple(map(str, range(size))) for n, size in enumerate(sizes)}
    item = st.sampled_from([(name, value) for name in choices for value in choices[name]])
    return choices, draw(st.lists(st.frozensets(item, min_size=2, max_size=4), max_size=6))


@given(problems(), st.integers(1, 3))
@settings(deadline=None)
def test_every_combination_of_a_whole_row_is_held(
    problem: tuple[Choices, list[Pairs]], strength: int
) -> None:
    choices, forbidden = problem
    every = (dict(zip(choices, values, strict=True)) for values in product(*choices.values()))
    there_are = {one for row in every if goes(row, forbidden) for one in held(row, strength)}

    rows = covering(choices, strength, lambda row: goes(row, forbidden))

    assert all(row.keys() == choices.keys() and goes(row, forbidden) for row in rows)
    assert {one for row in rows for one in held(row, strength)} == there_are
    assert set(possible(choices, strength, lambda row: goes(row, forbidden))) == there_are
    # What is there already is not made again.
    assert rows == covering(choices, strength, lambda row: goes(row, forbidden), rows)
