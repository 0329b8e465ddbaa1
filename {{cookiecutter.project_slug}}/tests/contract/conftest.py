"""What the tests of infra/ share: the Bicep compiler, and its prediction of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support import bicep


@pytest.fixture(scope="session")
def compiler() -> Iterator[bicep.Bicep]:
    """The Bicep compiler; without one, its tests are skipped."""
    command = bicep.find_bicep()
    if not command:
        pytest.skip("no Bicep compiler: set BICEP, or install one with `az bicep install`")
    compiler = bicep.Bicep(command, {})
    try:
        if compiler.version() < bicep.OLDEST:
            pytest.skip(f"{command} is too old: update it with `az bicep upgrade`")
        yield compiler
    finally:
        compiler.close()


@pytest.fixture(scope="session")
def snapshot(compiler: bicep.Bicep) -> dict[str, Any]:
    """What a deployment with the parameters of main.bicepparam creates."""
    return compiler.snapshot(bicep.INFRA / "main.bicepparam")
