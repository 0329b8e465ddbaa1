"""Whatever is answered: every two choices, in the slow run every three, make a project that holds.

Each set of answers is rendered, compiled without a warning, forecast, and held to invariants.py; its
app is loaded beside the forecast. tests/test_generated_suites.py runs the suites of the same sets.
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
from expectation import App, Declared, expected
from infrastructure import SITE, VAULT, Forecast, bicep, compiled, only, unformatted
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
        forecast = compiler.snapshot(infra / "main.bicepparam")
        app = loader.load(project, bicep.app_settings(forecast))
        want = expected(answers, forecast)
        return [
            *warnings,
            *unformatted(compiler, infra),
            *wrong(forecast, want),
            *wrong_template(template, want),
            *wrong_app(app, forecast, want),
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


# What must not slip through: each breaks something good in one place, and names who must notice.
# Those of a forecast are in test_infrastructure.py and in test_network.py.


@pytest.fixture(scope="module")
def good(bake: Bake, compiler: Any, loader: Loader) -> tuple[App, Forecast, Template]:
    """The default project, with a key."""
    project = bake(key="signing-key")
    _, template = compiled(compiler, project / "infra")
    forecast = compiler.snapshot(project / "infra" / "main.bicepparam")
    return loader.load(project, bicep.app_settings(forecast)), forecast, template


def _declare_another_vault(app: App, forecast: Forecast, template: Template) -> None:
    url = "https://another-vault.vault.azure.net"
    app.declared.add(Declared("keyVault", "my-application-secret", url, "system"))


def _declare_another_identity(app: App, forecast: Forecast, template: Template) -> None:
    one = app.declared.pop()
    app.declared.add(one._replace(identity=choices.LITERAL_ID))


def _declare_no_key(app: App, forecast: Forecast, template: Template) -> None:
    (key,) = (one for one in app.declared if one.type == "keyVaultKey")
    app.declared.remove(key)


def _have_a_problem(app: App, forecast: Forecast, template: Template) -> None:
    app.problems.append("functions/read_secret/function.json: wrong")


def _lose_a_function(app: App, forecast: Forecast, template: Template) -> None:
    del app.functions["read_secret"]


def _send_a_declaration_to_the_host(app: App, forecast: Forecast, template: Template) -> None:
    app.functions["read_secret"].append("keyVault")


def _start_a_function_by_nothing(app: App, forecast: Forecast, template: Template) -> None:
    app.functions["read_secret"].remove("httpTrigger")


def _carry_another_identity(app: App, forecast: Forecast, template: Template) -> None:
    only(forecast, SITE)["identity"] = {
        "type": "SystemAssigned, UserAssigned",
        "userAssignedIdentities": {choices.LITERAL_ID: {}},
    }


def _grant_another_identity(app: App, forecast: Forecast, template: Template) -> None:
    (policy,) = only(forecast, f"{VAULT}/accessPolicies")["properties"]["accessPolicies"]
    policy["objectId"] = f"[reference('{choices.LITERAL_ID}', '2024-11-30').principalId]"


def _grant_elsewhere(app: App, forecast: Forecast, template: Template) -> None:
    policy = only(forecast, f"{VAULT}/accessPolicies")
    policy["id"] = policy["id"].replace("/kv-", "/ww-")


def _ask_for_a_password(app: App, forecast: Forecast, template: Template) -> None:
    template["parameters"]["password"] = {"type": "securestring"}


def _ask_for_a_password_in_a_module(app: App, forecast: Forecast, template: Template) -> None:
    vault = template["resources"]["vault"]["properties"]["template"]
    vault["parameters"]["password"] = {"type": "secureObject"}


def _write_the_vault_again(app: App, forecast: Forecast, template: Template) -> None:
    vault = template["resources"]["vault"]["properties"]["template"]["resources"]["vault"]
    del vault["@options"]


def _grant_without_a_look_at_the_mode(app: App, forecast: Forecast, template: Template) -> None:
    template["resources"]["vaultAccess"]["dependsOn"].remove("vaultMode")


def _pass_a_name_at_run_time(app: App, forecast: Forecast, template: Template) -> None:
    given = template["resources"]["access"]["properties"]["parameters"]
    given["insightsName"] = {"value": "[reference('monitoring').outputs.name.value]"}


def _name_a_deployment_as_others_do(app: App, forecast: Forecast, template: Template) -> None:
    template["resources"]["access"]["name"] = "access"


BREAKAGES: list[tuple[Callable[[App, Forecast, Template], None], str]] = [
    (_declare_another_vault, "what_is_declared_is_granted_and_no_more"),
    (_declare_another_vault, "the_app_is_what_was_asked_for"),
    (_declare_another_identity, "one_identity_is_declared_carried_and_granted"),
    (_declare_another_identity, "what_is_declared_is_granted_and_no_more"),
    (_declare_no_key, "what_is_declared_is_granted_and_no_more"),
    (_have_a_problem, "the_app_is_what_was_asked_for"),
    (_lose_a_function, "the_app_is_what_was_asked_for"),
    (_send_a_declaration_to_the_host, "no_declaration_reaches_the_host"),
    (_start_a_function_by_nothing, "no_declaration_reaches_the_host"),
    (_carry_another_identity, "one_identity_is_declared_carried_and_granted"),
    (_grant_another_identity, "one_identity_is_declared_carried_and_granted"),
    (_grant_another_identity, "what_is_declared_is_granted_and_no_more"),
    (_grant_elsewhere, "what_is_declared_is_granted_and_no_more"),
    (_ask_for_a_password, "no_parameter_is_a_secret"),
    (_ask_for_a_password_in_a_module, "no_parameter_is_a_secret"),
    (_write_the_vault_again, "what_others_write_is_written_once"),
    (
        _grant_without_a_look_at_the_mode,
        "a_vault_in_the_other_mode_stops_the_deployment",
    ),
    (_pass_a_name_at_run_time, "what_if_sees_everything"),
    (_name_a_deployment_as_others_do, "what_if_sees_everything"),
]


@pytest.mark.parametrize(("breaks", "noticed_by"), BREAKAGES)
def test_the_invariants_notice(
    good: tuple[App, Forecast, Template],
    breaks: Callable[[App, Forecast, Template], None],
    noticed_by: str,
) -> None:
    app, forecast, template = copy.deepcopy(good)
    want = expected({"key": "signing-key"}, forecast)
    assert wrong_template(template, want) + wrong_app(app, forecast, want) == []

    breaks(app, forecast, template)

    found = wrong_template(template, want) + wrong_app(app, forecast, want)
    assert noticed_by in [sentence.partition(":")[0] for sentence in found]
