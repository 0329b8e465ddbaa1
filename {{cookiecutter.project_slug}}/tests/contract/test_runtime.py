"""Microsoft's own runtime, the part of the worker that runs in Azure, accepts this app.

It exists for Python 3.13 and later. Only the messages between host and worker are stand-ins.
"""

from __future__ import annotations

import json
import sys

import pytest

from support import worker
from support.fixtures import Declared

if sys.version_info < (3, 13):
    pytest.skip("azure-functions-runtime needs Python 3.13", allow_module_level=True)
pytest.importorskip("azure_functions_runtime")


def test_it_indexes_and_loads_every_function(declared: Declared) -> None:
    registered = worker.load_app()
    worker.restart()
    runtime = worker.Runtime()

    try:
        started = runtime.start()

        assert started.result.status == started.result.Success, started.result.exception
        functions = runtime.index()
        assert functions.keys() == registered.keys()
        for function in functions.values():
            assert "keyVault" not in {json.loads(one)["type"] for one in function.raw_bindings}
            loaded = runtime.load(function.function_id)
            assert loaded.result.status == loaded.result.Success
    finally:
        runtime.close()
