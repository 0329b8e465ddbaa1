"""Every declaration under functions/ is right, and becomes what host and worker accept."""

from __future__ import annotations

import inspect
import re

import pytest
import worker
from conftest import Declared

TEXTS = {
    file.parent.name: file.read_text("utf-8-sig")
    for file in sorted(worker.FUNCTIONS.glob("*/function.json"))
}
TEXTS = {name: text for name, text in TEXTS.items() if not re.search(r'"disabled": *true', text)}


def _all(name: str, text: str) -> list[str]:
    return re.findall(rf'"{name}"\s*:\s*"([^"]*)"', text)


def test_no_declaration_has_a_mistake() -> None:
    from identity_bindings.declarations import read_declarations

    declarations = read_declarations(worker.FUNCTIONS, worker.declared_settings())

    assert [str(problem) for problem in declarations.problems] == []
    found = {function.name: len(function.secrets) for function in declarations.functions}
    for name, text in TEXTS.items():
        assert found[name] == len(_all("secretName", text))


def test_the_app_loads_without_an_error(
    declared: Declared, caplog: pytest.LogCaptureFixture
) -> None:
    functions = worker.load_app()

    assert set(TEXTS) <= set(functions)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("name", TEXTS)
def test_the_host_gets_only_what_it_knows(declared: Declared, name: str) -> None:
    from identity_bindings.grammar import is_ours

    function = worker.load_app()[name]

    # This is what the worker sends to the host, which refuses a type that it does not know.
    bindings = worker.bindings(function)

    expected = [kind for kind in _all("type", TEXTS[name]) if not is_ours({"type": kind})]
    assert sorted(binding["type"] for binding in bindings.values()) == sorted(expected)
    # The worker refuses a binding that is no parameter, and a parameter that is no binding.
    parameters = set(inspect.signature(function.get_user_function()).parameters) - {"context"}
    assert parameters == bindings.keys() - {"$return"}


@pytest.mark.parametrize("name", TEXTS)
def test_nobody_is_let_in_who_was_not_before(declared: Declared, name: str) -> None:
    bindings = worker.bindings(worker.load_app()[name])

    triggers = [binding for binding in bindings.values() if binding["type"] == "httpTrigger"]
    levels = _all("authLevel", TEXTS[name]) or ["function" for _ in triggers]
    assert [binding["authLevel"].lower() for binding in triggers] == [
        level.lower() for level in levels
    ]
