"""What an app declares arrives, and what leaves it shows no value: calls, exceptions, the log."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from apps import AZURE, ECHO, FUNCTION_APP, HTTP, RES, VALUE, Project, logged
from folders import IDENTITY, call, declare, key_vault, load_folder
from support.fake_key_vault import FakeKeyVault

SECRET = """
def secret(name="api_key", vault="contoso"):
    return key_vault_secret(name, secret_name="api-key", vault_name=vault, identity="system")

class Refused(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code
"""


def write(project: Project, *functions: str) -> None:
    project.write(
        "function_app.py", "\n".join([FUNCTION_APP, "import functools", SECRET, *functions])
    )


MAPPED = """
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

@app.route("maps")
@mapped
@secret()
{0}def maps(req: func.HttpRequest, api_key: str) -> str:
    raise Refused(f"with {{api_key}}", 409)
"""


@pytest.mark.parametrize("words", [("", ""), ("async ", "await ")])
def test_a_decorator_of_the_owner_sees_the_original(
    project: Project, words: tuple[str, str]
) -> None:
    write(project, MAPPED.format(*words))

    assert call(project.load()["maps"]) == "code 409"

    import function_app  # type: ignore[import-not-found]

    (error,) = function_app.seen
    assert type(error) is function_app.Refused
    assert (str(error), error.code) == (f"with {VALUE}", 409)


RAISES = """
@app.route("{0}")
{1}
{2}def {0}(req: func.HttpRequest{3}) -> str:
    {4}
"""


def raised(project: Project, name: str) -> BaseException:
    functions = project.load()
    with pytest.raises(BaseException) as caught:
        call(functions[name])
    return caught.value


@pytest.mark.parametrize("way", ["", "async "])
def test_the_stand_in_leaves_alone(project: Project, way: str) -> None:
    body = "raise Refused(f'with {api_key}', 7) from KeyError(api_key)"
    write(project, RAISES.format("fails", "@secret()", way, ", api_key: str", body))

    error = raised(project, "fails")

    assert (type(error).__name__, str(error)) == ("Refused", "with ***")
    assert error.__cause__ is error.__context__ is None
    assert error.__traceback__ is not None
    assert not hasattr(error, "code")


@pytest.mark.parametrize("way", ["", "async "])
def test_every_function_has_the_boundary_once_a_secret_is_declared(
    project: Project, way: str
) -> None:
    plain = RAISES.format("plain", "", way, "", f"raise ValueError('{VALUE}')")
    write(project, plain)
    assert str(raised(project, "plain")) == VALUE  # no secret is declared: nothing is wrapped
    project.forget()

    write(
        project, plain, RAISES.format("reads", "@secret()", way, ", api_key: str", "return api_key")
    )
    functions = project.load()
    assert call(functions["reads"]) == VALUE
    with pytest.raises(Exception, match=r"^\*\*\*$") as caught:
        call(functions["plain"])
    assert type(caught.value).__name__ == "ValueError"


@pytest.mark.parametrize("way", ["", "async "])
@pytest.mark.parametrize(
    "kind", ["asyncio.CancelledError", "SystemExit", "KeyboardInterrupt", "GeneratorExit"]
)
def test_what_is_no_exception_passes_unchanged(project: Project, kind: str, way: str) -> None:
    body = f"import asyncio; errors.append({kind}(str(api_key))); raise errors[-1]"
    reads = RAISES.format("reads", "@secret()", "", ", api_key: str", "return api_key")
    ends = RAISES.format("ends", "@secret()", way, ", api_key: str", body)
    write(project, "errors = []", reads, ends)
    functions = project.load()
    call(functions["reads"])  # from here on the value is known, and nothing waits
    handler = functions["ends"].get_user_function()

    with pytest.raises(BaseException) as caught:
        made = handler(req=None)
        made.send(None)  # in no loop: asyncio would end itself

    import function_app

    assert caught.value is function_app.errors[0]


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
    for name in (*AZURE, *HOSTS, "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "Development")
        monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    project.function("declared", HTTP, RES, key_vault(vaultName="no vault"))
    write(
        project, RAISES.format("wrong", "@secret(vault='no vault')", "", ", api_key: str", "pass")
    )

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


PASSED = """
from identity_bindings.injection import Secret

def main(req, one: str, two: str, three: Secret, four: str):
    return f"{one} {two} {three} {four}"
"""


@pytest.mark.parametrize("source", [PASSED, PASSED.replace("def main", "async def main")])
def test_values_that_the_caller_passes_are_used_and_nothing_is_read(
    fresh_worker: None, tmp_path: Path, source: str
) -> None:
    """As a unit test does: the worker passes none of these parameters."""
    names = ("one", "two", "three", "four")
    declare(tmp_path, "echo", source, *(key_vault(name, secretName=name) for name in names))
    function = load_folder(tmp_path)["echo"]

    assert call(function, one="1", two="2", three="3", four="") == "1 2 3 "


@pytest.mark.parametrize("way", ["def", "async def"])
def test_a_caller_may_pass_the_other_parameters_by_position(
    fake_key_vault: FakeKeyVault, tmp_path: Path, way: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    declare(tmp_path, "last", f"{way} main(req, one): return req, one\n", key_vault("one"))
    declare(tmp_path, "first", f"{way} main(one, req): return req, one\n", key_vault("one"))

    for function in load_folder(tmp_path).values():
        answer = function.get_user_function()(7)
        assert (asyncio.run(answer) if way == "async def" else answer) == (7, VALUE)


def test_without_a_value_the_call_fails_in_one_line(
    fake_key_vault: FakeKeyVault, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").secrets.clear()
    declare(tmp_path, "echo", ECHO, key_vault())

    with pytest.raises(Exception, match="cannot be read") as caught:
        call(load_folder(tmp_path)["echo"])

    head, repair = str(caught.value).split(". Repair: ")
    assert head == (
        "Function 'echo', binding 'mySecret': secret 'api-key' of vault"
        " 'https://contoso.vault.azure.net' cannot be read by the system-assigned identity:"
        " the vault has no such secret or version (HTTP 404 SecretNotFound)"
    )
    assert "\n" not in repair
    assert type(caught.value).__name__ == "BindingUnavailableError"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_user_assigned_identity_reads_by_its_resource_id(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a function of several secrets, vaults, clouds and identities."""
    monkeypatch.setenv("IDENTITY", IDENTITY)
    fake_key_vault.identities.add(IDENTITY)
    user = {"identity": "user", "identityId": "%IDENTITY%"}
    entries = []
    for name, vault, secret, who in (
        ("a", "contoso.vault.azure.net", "api-key", {}),
        ("b", "contoso.vault.azure.net", "other-key", {}),
        ("c", "fabrikam.vault.azure.cn", "api-key", user),
    ):
        fake_key_vault.vault(vault).readers = {IDENTITY if who else None}
        fake_key_vault.vault(vault).set(secret, f"the-value-of-{name}")
        entries.append(key_vault(name, vaultName=f"https://{vault}", secretName=secret, **who))
    declare(tmp_path, "three", "def main(req, a, b, c): return [a, b, c]\n", *entries)

    answer = call(load_folder(tmp_path)["three"])

    assert answer == ["the-value-of-a", "the-value-of-b", "the-value-of-c"]
    asked = {one.query.get("mi_res_id") for one in fake_key_vault.requests if one.query}
    assert IDENTITY in asked
