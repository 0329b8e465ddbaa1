"""The rendered app on every Python of this machine on which Azure Functions run."""

import pytest
from answers import SETS
from baking import TEMPLATE, Bake, run
from interpreters import RUNNING, VERSIONS, environment, interpreter


@pytest.mark.parametrize("version", VERSIONS)
def test_the_app_on_each_python(bake: Bake, version: str) -> None:
    if version == RUNNING:
        pytest.skip(f"every other test runs on Python {version}")
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    project = bake(**SETS["everything-by-a-created-identity"])

    made = environment(python, version, project)
    pytest_there = [made, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    told = run(pytest_there, project)

    assert " passed" in told
    if version >= "3.13":  # Microsoft's own runtime for Python exists from there on
        assert "azure-functions-runtime needs" not in told
        modules = ("test_host_adapter", "test_published")
        run([*pytest_there, *(f"tests/engine/{name}.py" for name in modules)], TEMPLATE)
