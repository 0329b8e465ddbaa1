"""What the template's tests share: projects, rendered once for each set of answers."""

# ruff: noqa: E402
import os
import subprocess
import sys

# Tests import the engine and the helpers from the template's folder, where byte code would be
# rendered too.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from answers import CONNECTION, VARIABLES, as_argument
from baking import TEMPLATE, Bake, somebody
from infrastructure import start_compiler
from pytest_cookies.plugin import Cookies

AZURE_CLI = "2.91.0"
"""The version of the Azure CLI that parses the commands which the project prints."""


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies) -> Bake:
    """Render a project: `bake(identity="user")` gives its folder, for reading only.

    The same answers give the same folder; a test that writes works on a copy.
    """
    baked: dict[tuple[tuple[str, str], ...], Path] = {}

    def render(**answers: str) -> Path:
        key = tuple(sorted(answers.items()))
        if key not in baked:
            result = cookies_session.bake(
                extra_context={name: as_argument(value) for name, value in answers.items()},
                template=str(TEMPLATE),
            )
            assert result.exit_code == 0, result.exception
            assert result.project_path
            baked[key] = result.project_path
        return baked[key]

    return render


@pytest.fixture
def project(bake: Bake, answers: dict[str, str]) -> Path:
    """The project of the module's own fixture `answers`."""
    return bake(**answers)


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of somebody without configuration, whose git knows who commits."""
    home = tmp_path_factory.mktemp("home")
    with mock.patch.dict(os.environ, somebody(home)):
        os.environ.pop("CONTAINER_NAME", None)  # or this machine looks like Azure
        yield home


@pytest.fixture(scope="session")
def compiler() -> Iterator[Any]:
    """The Bicep compiler of a deployer who has set only what must be set."""
    yield from start_compiler(VARIABLES | CONNECTION)


@pytest.fixture(scope="session")
def azure_cli(pytestconfig: pytest.Config) -> Path:
    """The real Azure CLI, signed in to nothing: $AZURE_CLI, else one installed for the slow tests.

    It has an environment of its own, because it pins hundreds of packages.
    """
    if named := os.environ.get("AZURE_CLI"):
        return Path(named)
    assert pytestconfig.cache
    folder = pytestconfig.cache.mkdir(f"azure-cli-{AZURE_CLI}")
    command = folder / "bin" / "az"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"azure-cli=={AZURE_CLI}"], check=True)
        (folder / "installed").touch()
    return command


@pytest.fixture(scope="session")
def package_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips the test where packages cannot be had."""
    folder = tmp_path_factory.mktemp("index")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "azure-functions"]
    if subprocess.run(command, cwd=folder, capture_output=True).returncode:
        pytest.skip("the package index cannot be reached")
