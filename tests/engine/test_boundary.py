"""What leaves the app, and what the app itself sees: of exceptions, of contexts, of callables."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from apps import AZURE, FUNCTION_APP, HTTP, RES, VALUE, Project, logged
from folders import call, key_vault

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
