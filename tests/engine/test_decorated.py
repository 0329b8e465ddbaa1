"""@key_vault_secret over functions of the v2 model: values, errors, and both models in one app."""

from __future__ import annotations

import functools
import importlib
import json
import logging
import time
from typing import Any

import azure.functions as func
import pytest
from apps import (
    FUNCTION_APP,
    HTTP,
    RES,
    VALUE,
    Project,
    body,
    logged,
    wait_for,
)
from folders import call, key_vault
from support.fake_key_vault import FakeKeyVault

OTHER_VALUE = "another-value-of-it"


@pytest.fixture
def project(
    project: Project, fake_key_vault: FakeKeyVault, monkeypatch: pytest.MonkeyPatch
) -> Project:
    fake_key_vault.vault("contoso").set("other-key", OTHER_VALUE)
    fake_key_vault.vault("contoso").set("json-key", json.dumps({"password": VALUE}))
    monkeypatch.setenv("SECRET", "api-key")
    monkeypatch.setenv("FIELD", "password")
    project.function("declared", HTTP, RES, key_vault())
    return project


def secret(name: str = '"api_key"', **changed: str | None) -> str:
    """The decorator as it is written."""
    arguments: dict[str, str | None] = {"secret_name": '"api-key"', "vault_name": '"contoso"'}
    arguments |= {"identity": '"system"'} | changed
    rest = [f"{key}={value}" for key, value in arguments.items() if value is not None]
    return f"@key_vault_secret({', '.join([name, *rest])})"


def app(project: Project, *functions: str) -> None:
    project.write("function_app.py", "\n\n".join([FUNCTION_APP, *functions]))


OTHER = secret('"other"', secret_name='"other-key"')


def function(
    name: str,
    more: str = "",
    answer: str = "api_key",
    decorators: str = secret(),
    way: str = "def",
    app: str = "app",
) -> str:
    """A function of the v2 model, which returns its secret if the others are right."""
    return f"""
@{app}.function_name("{name}")
@{app}.route("{name}")
{decorators}
{way} main(req: func.HttpRequest, {more}api_key: str) -> str:
    return {answer}
"""


IS_RIGHT = f'api_key if other == "{OTHER_VALUE}" else ""'
CHECKED = """
def checked(function):
    @functools.wraps(function)
    def check(*args, **kwargs):
        checks.append(function)
        return function(*args, **kwargs)
    return check

checks = []
"""
AWAITED = """
class Awaited:
    def __init__(self, function):
        functools.update_wrapper(self, function)

    async def __call__(self, *args, **kwargs):
        return self.__wrapped__(*args, **kwargs)
"""
HOLDS = secret(secret_name='"%SECRET%"', vault_name='"https://contoso.vault.azure.net/"')
FUNCTIONS = {
    "bare": f"@app.route()\n{secret()}\ndef bare(api_key, req):\n    return str(api_key)\n",
    "several": function("several", "other: str, ", IS_RIGHT, f"{secret()}\n{OTHER}"),
    "several_async": function(
        "several_async", "other: str, ", IS_RIGHT, f"{OTHER}\n{secret()}", "async def"
    ),
    "settings": function("settings", decorators=HOLDS),
    "field": function("field", decorators=secret(secret_name='"json-key"', json_field='"%FIELD%"')),
    "other_bindings": function(
        "other_bindings",
        "out: func.Out[str], ",
        "out.set('x') or api_key",
        f'@app.queue_output("out", queue_name="q", connection="C")\n{secret()}',
    ),
    "between": CHECKED
    + function(
        "between",
        "other: str, ",
        f"{IS_RIGHT} if len(checks) == 1 else 'unchecked'",
        f"{secret()}\n@checked\n{OTHER}",
    ),
    "object_above": AWAITED + function("object_above", decorators=f"@Awaited\n{secret()}"),
    "above_and_below": function(
        "above_and_below",
        answer="api_key if len(checks) == 3 else 'unchecked'",
        decorators=f"@checked\n{secret()}\n@checked",
    ),
    "in_blueprint": "blueprint = func.Blueprint()\n"
    + function("in_blueprint", app="blueprint")
    + "\napp.register_functions(blueprint)\n",
    "later": "from far import blueprint as far\napp.register_functions(far)\n",
}
FAR = f"""from __future__ import annotations
import azure.functions as func
from identity_bindings import key_vault_secret
blueprint = func.Blueprint()
{function("later", app="blueprint")}"""


def test_values_arrive(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    app(project, "import functools", *FUNCTIONS.values())
    project.write("far.py", FAR)

    with project.served() as functions:
        assert logged(caplog) == []
        assert set(functions) == {*FUNCTIONS, "declared"}
        for name, get in functions.items():
            assert get() == ("200", VALUE), name


HANDLER = (
    "def {name}(req: func.HttpRequest, api_key: str) -> func.HttpResponse:\n    return api_key"
)
IN_ERROR = "This function is in error. Its log says why."
# A wrong decorator, the property that the line names, and a word of it. The properties are checked
# as those of a function.json are: test_declaration_errors.py has each of them.
ERRORS: dict[str, tuple[str, str, str]] = {
    "no_secret": (secret(secret_name=None), "api_key.secretName", "a secret's name"),
    "no_vault": (secret(vault_name=None), "api_key.vaultName", "a vault's name"),
    "no_identity": (secret(identity=None), "api_key.identity", "'system', or 'user'"),
    "id_with_system": (secret(identity_id='"x"'), "api_key.identityId", "only with"),
    "caller_chooses": (secret(secret_name='"{name}"'), "api_key.secretName", "expression"),
    "unset": (secret(vault_name='"%UNSET%"'), "api_key.vaultName", "'UNSET' is not set"),
    "not_a_text": (secret(secret_name="7"), "api_key.secretName", "a secret's name"),
    "bad_version": (secret(secret_version='"a/b"'), "api_key.secretVersion", "version"),
    "no_such_parameter": (secret('"api_kye"'), "name", "no such parameter"),
    "name_of_a_list": (secret('["api_key"]'), "keyVault.name", "parameter"),
    "twice": (f"{secret()}\n{secret()}", "name", "must differ"),
    "one_of_two": (f"{secret(identity=None)}\n{secret()}", "name", "must differ"),
    "without_arguments": ("@key_vault_secret", "keyVault.name", "parameter"),
    "with_none": ("@key_vault_secret()", "keyVault.name", "parameter"),
}


@pytest.mark.parametrize("way", ["def", "async def"])
def test_each_error_is_logged_and_harms_no_neighbour(
    project: Project, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    texts = []
    for name, (decorator, *_) in ERRORS.items():
        handler = HANDLER.format(name=name).replace("def", way)
        timer = handler.replace("req: func.HttpRequest", "t").replace(name, f"timer_{name}")
        texts.append(f'@app.route("{name}")\n{decorator}\n{handler}')
        texts.append(f'@app.timer_trigger("t", "0 0 * * * *")\n{decorator}\n{timer}')
    wrong_order = f'{secret()}\n@app.route("orders")\n{HANDLER.format(name="orders")}'
    between = f'@app.function_name("between")\n{secret()}\n@app.route("between")\n'
    good = f'@app.route("good")\n{secret()}\n{HANDLER.format(name="good")}'
    app(project, *texts, wrong_order, between + HANDLER.format(name="between"), good)

    with project.served() as functions:
        lines = logged(caplog)
        assert functions.keys() == {*ERRORS, "orders", "between", "good", "declared"}
        assert functions["good"]() == functions["declared"]() == ("200", VALUE)
        for name, (_, prop, word) in ERRORS.items():
            own = [line for line in lines if line.startswith(f"function_app.{name}: ")]
            assert any(line.split(": ")[1] == prop and word in line for line in own), (name, own)
            if name in ("no_secret", "no_vault", "no_identity"):
                assert f"{prop}: '': " in own[0]
            more = ("without_arguments", "with_none", "one_of_two", "no_such_parameter")
            assert len(own) == 1 or name in more
            # No message is taken and lost.
            assert f"Function 'timer_{name}' is in error, and not registered." in lines
            caplog.clear()
            assert functions[name]() == ("500", IN_ERROR)
            assert all(f"Function '{name}' is in error: " in line for line in logged(caplog))
            assert len(logged(caplog)) == len(own)
        for name in ("orders", "between"):
            (line,) = (one for one in lines if one.startswith(f"function_app.{name}: "))
            assert line.startswith(f"function_app.{name}: order of decorators: ")
            assert f"put it below @app.…, next to 'def {name}'" in line
            assert functions[name]() == ("500", IN_ERROR)
        # What is given is no name.
        assert any("function_app.without_arguments: keyVault.name: '': " in one for one in lines)
        rows = importlib.import_module("identity_bindings.report").report.rows()
    wrong = {row.function for row in rows if row.result == "wrong declaration"}
    timers = {f"timer_{name}" for name in ERRORS}
    assert wrong == {*ERRORS, *timers, "orders", "between"}


HOSTILE = f"""
def above(change):
    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return function(*args, **kwargs)
        change(call)
        return call
    return decorate

class Meta(type):
    def __getattribute__(cls, name):
        if name == "__name__":
            raise RuntimeError(name)
        return type.__getattribute__(cls, name)

class Nameless(metaclass=Meta): ...

class Closed:
    def __getattr__(self, name):
        raise RuntimeError(name)
    def __call__(self, req, api_key): ...

@app.route("signature")
@above(lambda call: setattr(call, "__signature__", "nonsense"))
{secret()}
def signature(req, api_key): ...

@app.route("cycle")
@above(lambda call: setattr(call, "__wrapped__", call))
{secret()}
def cycle(req, api_key): ...

@app.route("annotation")
{secret()}
def annotation(req: "exit()", context: Nameless, api_key: str):
    return api_key

app.route("closed")({secret()[1:]}(Closed()))

@app.route("good")
{secret()}
def good(req: func.HttpRequest, api_key: str) -> func.HttpResponse:
    return func.HttpResponse(api_key)
"""


def test_a_handler_that_raises_during_indexing_harms_no_other(project: Project) -> None:
    app(project, "import functools", HOSTILE)

    functions = project.load()

    hostile = {"signature", "cycle", "Closed"}
    assert functions.keys() == {*hostile, "annotation", "good", "declared"}
    assert {call(functions[name]).status_code for name in hostile} == {500}
    assert body(call(functions["good"])) == VALUE
    assert call(functions["annotation"], context=None) == VALUE


def test_a_function_without_an_app_logs_the_same(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """As in the user's own tests, and for what has no name."""
    engine: Any = importlib.import_module("identity_bindings")

    def orders(req: func.HttpRequest, api_key: str) -> str:
        return api_key

    for handler, name in ((orders, "orders"), (functools.partial(orders), "orders")):
        caplog.clear()
        wrapped = engine.key_vault_secret("api_key", secret_name="api-key")(handler)
        (first, *_) = logged(caplog)
        caplog.clear()

        assert wrapped(req=func.HttpRequest("GET", "/", body=b"")).status_code == 500

        assert first.startswith(f"{__name__}.{name}: api_key.")
        assert all(line.startswith(f"Function '{name}' is in error: ") for line in logged(caplog))
        assert len(logged(caplog)) == 2  # vault and identity


def test_a_parameter_without_a_binding_is_logged_with_its_place(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    handler = HANDLER.format(name="main").replace("api_key: str", "api_key: str, more: str")
    app(project, f'@app.function_name("orders")\n@app.route("orders")\n{secret()}\n{handler}')

    functions = project.load()

    line = "function_app.main: name: 'more': no binding has this name; declare one, or remove"
    line += " the parameter"
    assert logged(caplog) == [line]
    assert call(functions["orders"]).status_code == 500
    assert logged(caplog)[1:] == [f"Function 'orders' is in error: {line}"]
    rows = importlib.import_module("identity_bindings.report").report.rows()
    wrong = {row.function: row.repair for row in rows if row.result == "wrong declaration"}
    assert wrong == {"orders": line}


def test_each_value_is_in_the_table_of_the_start_once(
    project: Project, fake_key_vault: FakeKeyVault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    names = [f"f{number}" for number in range(8)]
    texts = [
        f"import time; time.sleep(0.05)\n@app.route('{name}')\n{secret(secret_name=key)}\n"
        + HANDLER.format(name=name)
        for number, name in enumerate(names)
        for key in [json.dumps("not-there" if number == 7 else f"key-{number}")]
    ]
    for number in range(7):
        fake_key_vault.vault("contoso").set(f"key-{number}", VALUE)
    app(project, *texts)
    fake_key_vault.latency = 0.02

    project.load()

    def rows() -> list[tuple[str, str]]:
        return [
            (record.getMessage().split()[0], record.levelname)
            for record in caplog.records
            if record.threadName == "identity-report"
        ]

    wait_for(lambda: len(rows()) >= 9)
    time.sleep(0.1)
    expected = {**dict.fromkeys(["declared", *names], "INFO"), "f7": "ERROR"}
    assert sorted(rows()) == sorted(expected.items())


def test_a_function_is_named_as_in_the_app(project: Project) -> None:
    handler = HANDLER.format(name="main")
    names = ("first", "second")
    texts = [
        f'@app.function_name("{name}")\n@app.route("{name}")\n{secret(secret_name=repr(name))}\n'
        for name in names
    ]
    app(project, *(text + handler for text in texts))

    functions = project.load()

    for name in names:
        with pytest.raises(Exception, match=f"^Function '{name}', binding 'api_key': "):
            call(functions[name])
    report = importlib.import_module("identity_bindings.report").report
    assert {*names} < {row.function for row in report.rows()}


def test_in_azure_without_an_identity_the_start_logs_it(
    project: Project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    app(project, f'@app.route("good")\n{secret()}\n{HANDLER.format(name="good")}')

    project.load()

    wait_for(lambda: len(logged(caplog)) == 2)
    lines = logged(caplog)
    assert sorted(line.split()[0] for line in lines) == ["declared", "good"]
    for line in lines:
        assert "no identity is assigned" in line
        assert "az functionapp identity assign --name func-tests" in line
