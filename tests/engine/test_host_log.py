"""The engine's log is on stderr too, where the Functions host does not lose it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from apps import AZURE, HTTP, RES, Project
from folders import key_vault

# In a project of both models.
DECORATED = """
@app.route("decorated")
@key_vault_secret("first", secret_name="api-key", vault_name="contoso", identity="system")
@key_vault_secret("second", secret_name="api-key", vault_name="no_vault!", identity="system")
def decorated(req: func.HttpRequest, first: str, second: str) -> str:
    return first + second
"""
ERRORS = [
    "ERROR identity_bindings: functions/wrong/function.json: mySecret.vaultName: 'no_vault!': ",
    "ERROR identity_bindings: function_app.decorated: second.vaultName: 'no_vault!': ",
]


# Core Tools, and Azure where no identity is assigned.
HOSTS = ("AZURE_FUNCTIONS_ENVIRONMENT", "WEBSITE_SITE_NAME")


@pytest.mark.parametrize("variable", ["", *HOSTS])
def test_what_is_logged_while_the_app_loads_reaches_the_host(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
) -> None:
    for name in (*AZURE, *HOSTS):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "Development")
        monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    with Project(tmp_path) as project:
        project.function("wrong", HTTP, RES, key_vault(vaultName="no_vault!"))
        entry = project.folder / "function_app.py"
        project.write("function_app.py", entry.read_text("utf-8") + DECORATED)

        project.load()

    lines = capsys.readouterr().err.splitlines()
    for error in ERRORS:
        assert sum(line.startswith(error) for line in lines) == int(bool(variable)), lines


def test_an_exception_in_a_filter_of_the_app_does_not_reach_the_engine(tmp_path: Path) -> None:
    refuse: Any = lambda record: 1 / 0  # noqa: E731
    logger = logging.getLogger("identity_bindings")
    logger.addFilter(refuse)
    try:
        with Project(tmp_path) as project:
            project.function("wrong", HTTP, RES, key_vault(vaultName="no_vault!"))

            assert project.load().keys() == {"wrong"}
    finally:
        logger.removeFilter(refuse)
