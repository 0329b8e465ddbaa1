"""Whatever is answered: every two choices, in the slow run every three, make a project that holds.

Each set of answers is rendered, compiled without a warning, predicted, and held to invariants.py; its
app is loaded beside it. tests/test_generated_suites.py runs the suites of the same sets.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import answers as choices
import pytest
from answers import CHOICES, DEFAULTS, PAIRS, SETS, TEXTS, allowed, answers_of, row_of
from baking import Bake
from covering import held, possible
from expectation import App, expected
from infrastructure import WhatIf, bicep, compiled, unformatted
from invariants import (
    Template,
    wrong,
    wrong_app,
    wrong_template,
)
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
def wrong_of(bake: Bake, compiler: Any, loader: Loader, figures: Counter[str]) -> WrongOf:
    """Say everything that does not hold for the project of a set of answers."""

    def wrong_of(answers: dict[str, str]) -> list[str]:
        project = bake(**answers)
        infra = project / "infra"
        warnings, template = compiled(compiler, infra)
        figures["warnings"] += len(warnings)
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
def test_every_pair(wrong_of: WrongOf, figures: Counter[str], answers: dict[str, str]) -> None:
    figures["pairs.rows"] = len(PAIRS)

    assert wrong_of(answers) == []
    figures["pairs.compiled"] += 1


@pytest.mark.slow
def test_every_triple(wrong_of: WrongOf, figures: Counter[str]) -> None:
    """Those that test_every_pair has not shown already."""
    triples = choices.triples()
    figures["triples.rows"] = len(triples)

    found = {name: wrong_of(answers) for name, answers in triples.items() if name not in PAIRS}
    assert {name: what for name, what in found.items() if what} == {}
    figures["triples.compiled"] = len(PAIRS) + len(found)


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


# What the invariants of an app and of a template notice.
# Those of a what-if are in test_invariants.py.


@pytest.fixture(scope="module")
def good(bake: Bake, compiler: Any, loader: Loader) -> tuple[App, WhatIf, Template]:
    """The default project, with a key."""
    project = bake(key="signing-key")
    _, template = compiled(compiler, project / "infra")
    what_if = compiler.snapshot(project / "infra" / "main.bicepparam")
    return loader.load(project, bicep.app_settings(what_if)), what_if, template


def _replace(app: App, **fields: str) -> None:
    app.declared.add(app.declared.pop()._replace(**fields))


def _module(template: Template, name: str) -> Any:
    return template["resources"][name]["properties"]["template"]


ASKED_FOR = "the_app_is_what_was_asked_for"
HOST = "no_declaration_reaches_the_host"
# What is wrong then, and the invariants that name it.
BREAKAGES: list[tuple[Callable[[App, Template], Any], set[str]]] = [
    (lambda a, t: _replace(a, vault="https://another.vault.azure.net"), {ASKED_FOR}),
    (lambda a, t: _replace(a, identity=choices.LITERAL_ID), {ASKED_FOR}),
    (lambda a, t: _replace(a, what="another", type="keyVault"), {ASKED_FOR}),
    (lambda a, t: a.declared.pop(), {ASKED_FOR}),
    (lambda a, t: a.problems.append("function.json: wrong"), {ASKED_FOR}),
    (lambda a, t: a.functions.popitem(), {ASKED_FOR}),
    (lambda a, t: a.functions["read_secret"].append("keyVault"), {HOST}),
    (lambda a, t: a.functions["read_secret"].remove("httpTrigger"), {HOST}),
    (
        lambda a, t: _module(t, "access")["parameters"].update(x={"type": "secureObject"}),
        {"no_parameter_is_a_secret"},
    ),
    (
        lambda a, t: t["resources"]["vault"].pop("@options"),
        {"what_others_write_is_written_once"},
    ),
    (
        lambda a, t: _module(t, "vaultAccess")["resources"][0]["dependsOn"].clear(),
        {"a_vault_in_the_other_mode_stops_the_deployment"},
    ),
    (
        lambda a, t: t["resources"]["access"].update(name="access"),
        {"what_if_sees_everything"},
    ),
]


@pytest.mark.parametrize(("breaks", "noticed_by"), BREAKAGES)
def test_the_invariants_notice(
    good: tuple[App, WhatIf, Template],
    breaks: Callable[[App, Template], Any],
    noticed_by: set[str],
) -> None:
    app, what_if, template = copy.deepcopy(good)
    want = expected({"key": "signing-key"}, what_if)
    assert wrong_template(template, want) + wrong_app(app, want) == []

    breaks(app, template)

    found = wrong_template(template, want) + wrong_app(app, want)
    assert noticed_by <= {sentence.partition(":")[0] for sentence in found}
