"""The function.json files say what is registered: no binding is lost, nobody else let in."""

from __future__ import annotations

import re

import pytest
from support import worker
from support.fixtures import Declared

TEXTS = {
    file.parent.name: file.read_text("utf-8-sig")
    for file in sorted(worker.FUNCTIONS.glob("*/function.json"))
}
TEXTS = {name: text for name, text in TEXTS.items() if not re.search(r'"disabled": *true', text)}


def _all(name: str, text: str) -> list[str]:
    return re.findall(rf'"{name}"\s*:\s*"([^"]*)"', text)


@pytest.mark.parametrize("name", TEXTS)
def test_every_binding_is_registered_or_filled_in(declared: Declared, name: str) -> None:
    filled_in = [of for of, _ in worker.declarations(worker.declared_settings()).bindings]
    registered = [one["type"] for one in worker.bindings(worker.load_app()[name]).values()]
    from identity_bindings.grammar import is_ours

    types = _all("type", TEXTS[name])
    ours = [kind for kind in types if is_ours({"type": kind})]
    assert sorted(registered + ours) == sorted(types)
    assert filled_in.count(name) == len(ours)


@pytest.mark.parametrize("name", TEXTS)
def test_nobody_is_let_in_who_was_not_before(declared: Declared, name: str) -> None:
    bindings = worker.bindings(worker.load_app()[name])

    triggers = [binding for binding in bindings.values() if binding["type"] == "httpTrigger"]
    levels = _all("authLevel", TEXTS[name]) or ["function" for _ in triggers]
    assert [binding["authLevel"].lower() for binding in triggers] == [
        level.lower() for level in levels
    ]
