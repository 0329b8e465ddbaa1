"""Whatever is answered: every two choices, in the slow run every three, make a project that holds.

Each set of answers is rendered, compiled without a warning, predicted, and held to invariants.py; its
app is loaded beside it. tests/test_generated_suites.py runs the suites of the same sets.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import answers as choices
import pytest
from answers import CHOICES, DEFAULTS, PAIRS, SETS, TEXTS, allowed, answers_of, row_of
from baking import Bake
from covering import held
from expectation import expected
from infrastructure import bicep, compiled, unformatted
from invariants import wrong, wrong_app, wrong_template
from loading import Loader

from local_extensions.answers import QUESTIONS


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    """A process that loads apps."""
    loader = Loader()
    yield loader
    loader.close()


WrongOf = Callable[[dict[str, str]], list[str]]


@pytest.fixture
def wrong_of(bake: Bake, compiler: Any, loader: Loader) -> WrongOf:
    """Say everything that does not hold for the project of a set of answers."""

    def wrong_of(answers: dict[str, str]) -> list[str]:
        project = bake(**answers)
        infra = project / "infra"
        warnings, template = compiled(compiler, infra)
        what_if = compiler.snapshot(infra / "main.bicepparam")
        app = loader.load(project, bicep.app_settings(what_if))
        want = expected(answers, what_if)
        return [
            *warnings,
            *unformatted(compiler, infra),
            *wrong(what_if, want),
            *wrong_template(template, want),
            *wrong_app(app, want),
        ]

    return wrong_of


@pytest.mark.parametrize("answers", PAIRS.values(), ids=PAIRS)
def test_every_pair(wrong_of: WrongOf, answers: dict[str, str]) -> None:
    assert wrong_of(answers) == []


@pytest.mark.slow
def test_every_triple(wrong_of: WrongOf) -> None:
    """Those that test_every_pair has not shown already."""
    triples = choices.triples()
    found = {name: wrong_of(answers) for name, answers in triples.items() if name not in PAIRS}
    assert {name: what for name, what in found.items() if what} == {}


def test_every_prompt_has_its_choices() -> None:
    """So a prompt or a choice that is new takes part by itself, or fails here."""
    prompts = answers_of({name: "" for name in CHOICES}).keys()

    assert prompts | set(TEXTS) == QUESTIONS.keys()
    first = answers_of({name: values[0] for name, values in CHOICES.items()})
    assert first == {prompt: DEFAULTS[prompt] for prompt in prompts} | {"services": ""}


@pytest.mark.parametrize(
    ("strength", "sets"),
    [
        (1, SETS),
        (2, PAIRS),
        pytest.param(3, None, marks=pytest.mark.slow),
    ],
)
def test_the_sets_hold_every_combination(
    strength: int, sets: dict[str, dict[str, str]] | None
) -> None:
    """Those of a thousand rows that are drawn, of which the sets know nothing."""
    rows = [row_of(answers) for answers in (sets or choices.triples()).values()]
    shown = {combination for row in rows for combination in held(row, strength)}
    draw = random.Random(1).choice
    drawn = ({name: draw(values) for name, values in CHOICES.items()} for _ in itertools.count())

    for row in itertools.islice(filter(allowed, drawn), 1000):
        assert shown.issuperset(held(row, strength)), row
    assert all(map(allowed, rows))
    assert len(set(map(str, rows))) == len(rows)
