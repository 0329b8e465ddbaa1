"""Whatever is answered: every two choices, in the slow run every three, make a project that holds.

Each set of answers is rendered, compiled without a warning, forecast, and held to invariants.py; its
app is loaded beside the forecast. tests/test_generated_suites.py runs the suites of the same sets.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import choices
import pytest
from baking import Bake
from choices import CHOICES, PAIRS, SETS, TEXTS, allowed, answers_of, row_of
from covering import held, possible
from expectation import expected
from infrastructure import bicep, unformatted, warnings
from invariants import wrong, wrong_app, wrong_template
from loading import load_app
from test_answers import DEFAULTS

from local_extensions.answers import QUESTIONS


def wrong_of(compiler: Any, project: Path, answers: dict[str, str]) -> list[str]:
    """Say everything that does not hold for a rendered project."""
    infra = project / "infra"
    _, template = compiler.compile(infra / "main.bicep")
    forecast = compiler.snapshot(infra / "main.bicepparam")
    want = expected(answers, forecast)
    app = load_app(project, bicep.app_settings(forecast))
    return [
        *unformatted(compiler, infra),
        *wrong(forecast, want),
        *wrong_template(template, want),
        *wrong_app(app, forecast, want),
    ]


@pytest.mark.parametrize("answers", PAIRS.values(), ids=PAIRS)
def test_every_pair(
    bake: Bake, compiler: Any, figures: Counter[str], answers: dict[str, str]
) -> None:
    project = bake(**answers)

    told = warnings(compiler, project / "infra")

    figures["warnings"] += len(told)
    assert told == []
    assert wrong_of(compiler, project, answers) == []
    figures["pairs.compiled"] += 1
    figures["pairs.rows"] = len(PAIRS)


@pytest.mark.slow
def test_every_triple(bake: Bake, compiler: Any, figures: Counter[str]) -> None:
    """Those that test_every_pair has not shown already."""
    triples = choices.triples()
    found = {}
    for name, answers in triples.items():
        if name not in PAIRS:
            project = bake(**answers)
            told = warnings(compiler, project / "infra")
            figures["warnings"] += len(told)
            found[name] = told + wrong_of(compiler, project, answers)
    figures["triples.rows"] = len(triples)

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
    rows = [row_of(answers) for answers in (sets or choices.triples()).values()]
    shown = {combination for row in rows for combination in held(row, strength)}

    assert shown == set(possible(CHOICES, strength, allowed))
    assert len(set(map(str, rows))) == len(rows)


@pytest.mark.parametrize(
    ("pair", "goes"),
    [
        ({"identity": "system", "identity_id": choices.LITERAL_ID}, False),
        ({"identity": "user", "identity_id": choices.LITERAL_ID}, True),
        ({"identity": "user", "identity_id": ""}, True),
        ({"vault_source": "new", "vault_resource_group": "rg-vaults"}, False),
        ({"vault_source": "existing", "vault_resource_group": "rg-vaults"}, True),
        ({"vault_source": "existing", "vault": "%KEY_VAULT_NAME%"}, False),
        ({"network": "private", "service-bus": "service-bus"}, False),
        ({"network": "private", "blob-storage": "blob-storage"}, True),
        ({"blob-storage": "blob-storage"}, True),
        ({}, True),
    ],
)
def test_what_goes_together_is_what_the_template_says(pair: dict[str, str], goes: bool) -> None:
    assert allowed(pair) == goes
