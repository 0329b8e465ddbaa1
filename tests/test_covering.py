"""Rows of choices hold every combination that can stand, in few rows and always the same."""

from itertools import product

from covering import Row, completes, covering, held, possible
from hypothesis import given, settings
from hypothesis import strategies as st

Pairs = frozenset[tuple[str, str]]

SWITCHES = {name: ("on", "off") for name in "abcdefgh"}


def whole_rows(choices: dict[str, tuple[str, ...]], forbidden: list[Pairs]) -> list[dict[str, str]]:
    """List every row that there is."""
    rows = (dict(zip(choices, values, strict=True)) for values in product(*choices.values()))
    return [row for row in rows if goes(row, forbidden)]


def goes(row: Row, forbidden: list[Pairs]) -> bool:
    return not any(pair <= row.items() for pair in forbidden)


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], list[Pairs]]:
    """Up to five choices of up to four values, and two to four values that do not go together."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=5))
    choices = {f"c{n}": tuple(map(str, range(size))) for n, size in enumerate(sizes)}
    item = st.sampled_from([(name, value) for name in choices for value in choices[name]])
    forbidden = draw(st.lists(st.frozensets(item, min_size=2, max_size=4), max_size=6))
    return choices, forbidden


@given(problems(), st.integers(1, 3))
@settings(deadline=None)
def test_every_combination_of_a_whole_row_is_held(
    problem: tuple[dict[str, tuple[str, ...]], list[Pairs]], strength: int
) -> None:
    choices, forbidden = problem
    there_are = {one for row in whole_rows(choices, forbidden) for one in held(row, strength)}

    rows = covering(choices, strength, lambda row: goes(row, forbidden))

    assert all(row.keys() == choices.keys() and goes(row, forbidden) for row in rows)
    assert {one for row in rows for one in held(row, strength)} == there_are
    assert set(possible(choices, strength, lambda row: goes(row, forbidden))) == there_are
    assert rows == covering(choices, strength, lambda row: goes(row, forbidden))


def test_there_are_few_rows() -> None:
    """Of eight switches there are 256 rows."""
    assert len(covering(SWITCHES, 2, lambda row: True)) <= 9
    assert len(covering(SWITCHES, 3, lambda row: True)) <= 24


def test_what_is_there_already_is_not_made_again() -> None:
    pairs = covering(SWITCHES, 2, lambda row: True)

    assert covering(SWITCHES, 2, lambda row: True, pairs) == pairs
    triples = covering(SWITCHES, 3, lambda row: True, pairs)
    assert triples[: len(pairs)] == pairs
    assert len({tuple(row.items()) for row in triples}) == len(triples)


def test_what_can_stand_in_no_whole_row_is_left_out() -> None:
    """Neither half is refused by itself: what is missing goes with neither value of a third."""
    choices = {"a": ("1", "2"), "b": ("1", "2"), "c": ("1", "2")}
    forbidden = [frozenset({("a", "1"), ("c", "1")}), frozenset({("b", "1"), ("c", "2")})]

    assert not completes(choices, lambda row: goes(row, forbidden), {"a": "1", "b": "1"})
    assert frozenset({("a", "1"), ("b", "1")}) not in possible(
        choices, 2, lambda row: goes(row, forbidden)
    )


def test_nothing_goes_together() -> None:
    choices = {"a": ("1", "2"), "b": ("1", "2"), "c": ("1", "2")}

    assert covering(choices, 2, lambda row: len(row) < 3) == []
