{%- set facts = cookiecutter | facts -%}
"""Every declaration is valid, and what it declares arrives. No handler of the app is called."""

import difflib
import importlib
import inspect
{%- if facts.ci == 'github' %}
import os
{%- endif %}
import re
import subprocess
import sys
from collections.abc import Iterator
{%- if facts.ci == 'github' %}
from pathlib import Path
{%- endif %}
from typing import Any
from unittest import mock

import azure.functions as func
import pytest

from support import worker
from support.fake_key_vault import Declared


def test_everything_that_is_to_be_deployed_is_in_src() -> None:
    top, src = worker.PROJECT, worker.SRC
    files = [top / "host.json", top / "function_app.py"]
    files += [*top.glob("[!.]*/function.json"), *top.glob("[!.]*/*/function.json")]
    for file in [one for one in files if one.exists() and one.parents[1] != worker.FUNCTIONS]:
        right = f"functions/{file.parent.name}/" if file.name == "function.json" else ""
        wrong = file.relative_to(top).as_posix()
        pytest.fail(f"{wrong} is not deployed, or not found there: move it to {src.name}/{right}")
    for file in worker.FUNCTIONS.glob("*/*"):
        close = difflib.get_close_matches(file.name.lower(), ["function.json"], cutoff=0.85)
        if close and file.name != "function.json":
            pytest.fail(f"{file.relative_to(top).as_posix()}: did you mean function.json?")
    version = worker.read_json(src / "host.json").get("version")
    assert version == "2.0", f"src/host.json: version: {version!r}: '2.0' is expected"


def test_every_declaration_is_valid(declared: Declared, caplog: pytest.LogCaptureFixture) -> None:
    functions = worker.load_app()

    assert [str(problem) for found in _report().problems.values() for problem in found] == []
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []
    reader = importlib.import_module("identity_bindings.declarations")
    for function in reader.read_declarations(worker.FUNCTIONS):
        known = function.name in functions or function.disabled
        assert known, f"{function.file} is not registered: function_app.py must do that"


def test_the_worker_accepts_every_function(declared: Declared) -> None:
    for name, function in worker.load_app().items():
        parameters = set(inspect.signature(function.get_user_function()).parameters)
        no_binding = {"$return", "context"}  # an orchestrator's binding may have that name too
        assert parameters - no_binding == worker.bindings(function).keys() - no_binding, name


def test_microsofts_worker_accepts_every_function(declared: Declared) -> None:
    runtime = pytest.importorskip("azure_functions_runtime", reason="needs Python 3.13")
    importlib.import_module(f"{runtime.__name__}.bindings.meta").load_binding_registry()
    registry = importlib.import_module(f"{runtime.__name__}.functions").Registry()
    directions = mock.MagicMock(**{"BindingInfo.out": 1, "BindingInfo.inout": 2})
    for function in worker.load_app().values():
        registry.add_indexed_function(function, directions)


def test_no_binding_has_a_misspelt_type_or_property(declared: Declared) -> None:
    decorators = inspect.getmembers(func.FunctionApp, inspect.isfunction)
    names = {name for _, one in decorators for name in inspect.signature(one).parameters}
    properties = {re.sub("_(.)", lambda match: match[1].upper(), name) for name in names}
    kinds = importlib.import_module("identity_bindings.declarations").kinds().values()
    types = {*map(str, func.get_binding_registry()._bindings), *(kind.type for kind in kinds)}

    for function, binding in _bindings():
        words = [(binding["type"], types), *((word, properties) for word in binding)]
        for word, known in words:
            in_lower_case = {one.lower(): one for one in known}
            close = difflib.get_close_matches(word.lower(), in_lower_case, cutoff=0.85)
            meant = in_lower_case[close[0]] if close else word
            assert meant.lower() == word.lower(), (
                f"{function}, {binding['name']}: {word!r}: did you mean {meant!r}?"
            )


def test_every_setting_of_a_binding_is_defined(declared: Declared) -> None:
    known = worker.declared_settings().keys()  # pytest would print the values, too
    for function, binding in _bindings():
        for setting in re.findall(r"%([\w.:-]+)%", str(binding)):
            assert setting in known, (
                f"{function}, {binding['name']}: '%{setting}%': no app setting {setting!r} in infra/"
                " or in src/local.settings.json: correct the name, or define it in infra/"
            )


def test_every_declared_value_arrives(declared: Declared) -> None:
    worker.load_app()
    injections = _report().injections
    importlib.import_module("identity_bindings.report").read_rows(injections)  # by the Azure SDK

    for one in injections:
        value = one.give(one.source.reading)
        expected = declared.values.get((one.function, one.binding.name), value)
        arrived = value == expected or str(getattr(value, "value", "")) == expected
        assert arrived, f"{one.function}, {one.binding.name}: another value arrived"

    # Only now: values are also read in the background, in any order.
    requests = [one for one in declared.fake_key_vault.requests if one.endpoint == "identity"]
    asked = {request.query.get("mi_res_id") for request in requests}
    assert asked == {one.binding.identity.resource_id for one in injections}


def test_what_is_deployed_is_what_pyproject_declares() -> None:
    words = "export --locked --offline --no-dev --no-annotate --no-header --python"
    command = [sys.executable, "-m", "uv", *words.split(), sys.executable]
    done = subprocess.run(command, cwd=worker.PROJECT, capture_output=True, text=True)
    deployed = (worker.SRC / "requirements.txt").read_text("utf-8").splitlines()
    differing = [one for one in set(deployed) ^ set(done.stdout.splitlines()) if one[:1] != "#"]
    repair = "run `make lock`, and commit uv.lock and src/requirements.txt"
    assert not differing, f"{repair}\n{done.stderr}"

{% if facts.ci == 'github' %}
@pytest.mark.skipif("CI_OUTPUT" not in os.environ, reason="only in the workflow")
def test_the_workflow_gets_the_names_of_the_functions(declared: Declared) -> None:
    file = Path(os.environ["CI_OUTPUT"], "functions.txt")
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(f"{name}\n" for name in sorted(worker.load_app())), "utf-8")

{% endif %}
def _report() -> Any:
    return importlib.import_module("identity_bindings.report").report


def _bindings() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, function in worker.load_app().items():
        for binding in worker.bindings(function).values():
            yield name, binding
