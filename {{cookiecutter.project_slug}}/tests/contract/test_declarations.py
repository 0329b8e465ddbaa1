"""Every declaration is right, and becomes what host and worker accept."""

from __future__ import annotations

import inspect

import pytest
from support import worker
from support.fixtures import Declared


def test_no_declaration_has_a_mistake() -> None:
    declarations = worker.declarations(worker.declared_settings())

    assert [str(mistake) for mistake in declarations.mistakes] == []


def test_the_app_loads_without_an_error(
    declared: Declared, caplog: pytest.LogCaptureFixture
) -> None:
    functions = worker.load_app()

    assert declared.identities.keys() <= functions.keys()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_host_and_worker_get_only_what_they_know(declared: Declared) -> None:
    functions = worker.load_app()
    from identity_bindings.grammar import is_ours

    for name, function in functions.items():
        # This is what the worker sends to the host, which refuses a type that it does not know.
        bindings = worker.bindings(function)
        assert not [binding for binding in bindings.values() if is_ours(binding)], name
        # The worker refuses a binding that is no parameter, and a parameter that is no binding.
        parameters = set(inspect.signature(function.get_user_function()).parameters) - {"context"}
        assert parameters == bindings.keys() - {"$return"}, name
