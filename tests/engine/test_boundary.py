"""What an app declares arrives, and what leaves it shows no value: calls, exceptions, the log."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from typing import Any

import pytest
from apps import HTTP, RES, VALUE, App, Project, decorated, leave_azure, logged, secret
from folders import IDENTITY, call, key_vault
from support.fake_key_vault import FakeKeyVault

MAPPED = """
import functools

class Refused(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code

seen = []

def mapped(function):
    @functools.wraps(function)
    {0}def call(*args, **kwargs):
        try:
            return {1}function(*args, **kwargs)
        except Refused as error:
            seen.append(error)
            return f"code {{error.code}}"
    return call
"""
each_way = pytest.mark.parametrize("way", ["def", "async def"])


@each_way
def test_a_decorator_of_the_owner_sees_the_original(project: Project, way: str) -> None:
    """And where no decorator catches it, the worker sees a stand-in."""
    words = ("async ", "await ") if way == "async def" else ("", "")
    raises = "raise Refused(f'with {api_key}', 409) from KeyError(api_key)"
    maps = decorated("maps", raises, f"@mapped\n{secret()}", way=way)
    project.app(MAPPED.format(*words), maps, decorated("fails", raises, way=way))
    functions = project.load()

    assert call(functions["maps"]) == "code 409"
    with pytest.raises(Exception, match=r"^with \*\*\*$") as caught:
        call(functions["fails"])

    import function_app  # type: ignore[import-not-found]

    (original,) = function_app.seen
    assert type(original) is function_app.Refused
    assert (str(original), original.code) == (f"with {VALUE}", 409)
    error = caught.value
    assert type(error).__name__ == "Refused"
    assert error.__cause__ is error.__context__ is None
    assert error.__traceback__ is not None
    assert not hasattr(error, "code")


@each_way
def test_every_function_has_the_boundary_once_a_secret_is_declared(
    project: Project, way: str
) -> None:
    plain = decorated("plain", f"raise ValueError('{VALUE}')", "", "context", way)
    project.app(plain)
    with pytest.raises(ValueError, match=f"^{VALUE}$"):  # no secret is declared: nothing is wrapped
        call(project.load()["plain"], context=None)
    project.forget()

    project.app(plain, decorated("reads", way=way))
    functions = project.load()
    assert call(functions["reads"]) == VALUE
    with pytest.raises(Exception, match=r"^\*\*\*$") as caught:
        call(functions["plain"], context=None)
    assert type(caught.value).__name__ == "ValueError"


@each_way
@pytest.mark.parametrize(
    "kind", ["asyncio.CancelledError", "SystemExit", "KeyboardInterrupt", "GeneratorExit"]
)
def test_what_is_no_exception_passes_unchanged(project: Project, kind: str, way: str) -> None:
    body = f"errors.append({kind}(str(api_key))); raise errors[-1]"
    project.app("import asyncio; errors = []", decorated("reads"), decorated("ends", body, way=way))
    functions = project.load()
    call(functions["reads"])  # from here on the value is known, and nothing waits
    handler = functions["ends"].get_user_function()

    with pytest.raises(BaseException) as caught:
        made = handler(req=None)
        made.send(None)  # in no loop: asyncio would end itself

    import function_app

    assert caught.value is function_app.errors[0]


UNUSUAL = """
import sys

indexes = func.FunctionApp.get_functions

def traced(app):
    del func.FunctionApp.get_functions
    return indexes(app)

func.FunctionApp.get_functions = traced
sys.stdout = open(1, "w", closefd=False)
"""


def test_an_app_that_a_tracer_indexes_and_that_replaces_its_streams(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracer is imported before the engine, and the stream is made after it."""
    monkeypatch.setattr("sys.stdout", None)
    project.app(decorated("it", "print('it is', api_key); raise LookupError(api_key)"), UNUSUAL)

    with project.served() as functions:
        assert functions["it"]() == ("exception", "LookupError: ***")
        print(end="", flush=True)

    assert capfd.readouterr().out == "it is ***\n"


# Core Tools, and Azure where no identity is assigned.
HOSTS = ("AZURE_FUNCTIONS_ENVIRONMENT", "WEBSITE_SITE_NAME")


@pytest.mark.parametrize("variable", ["", *HOSTS])
def test_what_is_logged_while_the_app_loads_reaches_the_host(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    variable: str,
) -> None:
    """The host keeps what is on stderr, and the records of a call: each line is in one of them."""
    leave_azure(monkeypatch)
    monkeypatch.delenv("AZURE_FUNCTIONS_ENVIRONMENT", raising=False)
    if variable:
        monkeypatch.setenv(variable, "Development")
        monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    project.function("declared", HTTP, RES, key_vault(vaultName="no vault"))
    project.app(decorated("wrong", decorators=secret(vault_name="no vault")))

    functions = project.load()

    lines = capsys.readouterr().err.splitlines()
    for place in ("functions/declared/function.json: mySecret", "function_app.wrong: api_key"):
        head = f"ERROR identity_bindings: {place}.vaultName: 'no vault': "
        assert sum(line.startswith(head) for line in lines) == int(bool(variable)), lines
    caplog.clear()
    assert call(functions["wrong"]).status_code == 500
    assert len(logged(caplog)) == 1
    assert capsys.readouterr().err == ""
    thread = logging.makeLogRecord({"name": "x", "threadName": "identity-read", "msg": "later"})
    assert all(one.filter(thread) for one in logging.getLogger("identity_bindings").handlers)


def test_an_exception_in_a_filter_of_the_app_does_not_reach_the_engine(project: Project) -> None:
    refuse: Any = lambda record: 1 / 0  # noqa: E731
    logger = logging.getLogger("identity_bindings")
    logger.addFilter(refuse)
    try:
        project.function("wrong", HTTP, RES, key_vault(vaultName="no_vault!"))

        assert project.load().keys() == {"wrong"}
    finally:
        logger.removeFilter(refuse)


def test_the_package_is_these_names_and_a_version() -> None:
    engine: Any = importlib.import_module("identity_bindings")
    offered: dict[str, Any] = {}

    exec("from identity_bindings import *", offered)

    names = {"BindingUnavailableError", "Secret", "isolated", "key_vault_secret"}
    assert offered.keys() - {"__builtins__"} == names | {"refresh_secret", "register_functions"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", engine.__version__)


@each_way
def test_values_that_the_caller_passes_are_used_and_nothing_is_read(app: App, way: str) -> None:
    """As a unit test does: the worker passes none of these parameters."""
    names = ("one", "two", "three", "four")
    source = "from identity_bindings import Secret\n"
    source += f"{way} main(req, one: str, two: str, three: Secret, four: str):\n"
    source += "    return f'{one} {two} {three} {four}'\n"
    app.declare("echo", source, *(key_vault(name, secretName=name) for name in names))

    assert call(app()["echo"], one="1", two="2", three="3", four="") == "1 2 3 "


@each_way
def test_a_caller_may_pass_the_other_parameters_by_position(project: Project, way: str) -> None:
    for name, parameters in {"last": "req, mySecret", "first": "mySecret, req"}.items():
        source = f"{way} main({parameters}): return req, mySecret\n"
        project.function(name, HTTP, RES, key_vault(), source=source)

    for function in [*project.load().values()] * 2:  # cold, and with a value
        answer = function.get_user_function()(7)
        assert (asyncio.run(answer) if way == "async def" else answer) == (7, VALUE)


def test_a_user_assigned_identity_reads_by_its_resource_id(
    fake_key_vault: FakeKeyVault, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a function of several secrets, vaults, clouds and identities."""
    monkeypatch.setenv("IDENTITY", IDENTITY)
    fake_key_vault.identities.add(IDENTITY)
    user = {"identity": "user", "identityId": "%IDENTITY%"}
    entries = []
    for name, vault, key, who in (
        ("a", "contoso.vault.azure.net", "api-key", {}),
        ("b", "contoso.vault.azure.net", "other-key", {}),
        ("c", "fabrikam.vault.azure.cn", "api-key", user),
    ):
        fake_key_vault.vault(vault).readers = {IDENTITY if who else None}
        fake_key_vault.vault(vault).set(key, f"the-value-of-{name}")
        entries.append(key_vault(name, vaultName=f"https://{vault}", secretName=key, **who))
    app.declare("three", "def main(req, a, b, c): return [a, b, c]\n", *entries)

    assert call(app()["three"]) == ["the-value-of-a", "the-value-of-b", "the-value-of-c"]
