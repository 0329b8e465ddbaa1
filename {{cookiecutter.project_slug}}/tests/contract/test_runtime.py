"""Microsoft's own runtime, the part of the worker that runs in Azure, accepts and runs this app.

It exists for Python 3.13 and later. Only the messages between host and worker are stand-ins.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from support import worker
from support.fixtures import Declared

if sys.version_info < (3, 13):
    pytest.skip("azure-functions-runtime needs Python 3.13", allow_module_level=True)
pytest.importorskip("azure_functions_runtime")

FUNCTION = "{{ (cookiecutter | facts).function_name }}"


@pytest.fixture
def runtime(declared: Declared) -> Iterator[worker.Runtime]:
    runtime = worker.Runtime()
    yield runtime
    runtime.close()


def test_it_indexes_and_loads_every_function(runtime: worker.Runtime) -> None:
    registered = worker.load_app()
    worker.restart()

    started = runtime.start()

    assert started.result.status == started.result.Success, started.result.exception
    functions = runtime.index()
    assert functions.keys() == registered.keys()
    for function in functions.values():
        assert "keyVault" not in {json.loads(one)["type"] for one in function.raw_bindings}
        loaded = runtime.load(function.function_id)
        assert loaded.result.status == loaded.result.Success


def test_a_call_is_answered(runtime: worker.Runtime) -> None:
    runtime.start()

    answer = runtime.call(runtime.index()[FUNCTION].function_id, "req", b"amount=100")

    assert answer.result.status == answer.result.Success, answer.result.exception
    assert answer.return_value.http.status_code == "200"


def test_a_call_fails_with_the_repair_where_the_vault_denies(
    runtime: worker.Runtime, declared: Declared
) -> None:
    for vault in declared.fake_key_vault.vaults.values():
        vault.readers = set()
    runtime.start()

    answer = runtime.call(runtime.index()[FUNCTION].function_id, "req")

    assert answer.result.status == answer.result.Failure
    told = answer.result.exception.message
    assert FUNCTION in told
    assert "accessPolicies/add" in told
    assert not any(token in str(answer) for token in declared.fake_key_vault.tokens)
