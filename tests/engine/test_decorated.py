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
from apps import HTTP, RES, SECRET, VALUE, Project, decorated, logged, secret, wait_for
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


def report() -> Any:
    return importlib.import_module("identity_bindings.report").report


OTHER = secret("other", secret_name="other-key")
BOTH = "api_key: str, other: str"
IS_RIGHT = f"return other == '{OTHER_VALUE}' and api_key"  # the worker refuses False
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
HOLDS = secret(secret_name="%SECRET%", vault_name="https://contoso.vault.azure.net/")
QUEUED = f'@app.queue_output("out", queue_name="q", connection="C")\n{SECRET}'
FAR = f"""from __future__ import annotations
import azure.functions as func
from identity_bindings import key_vault_secret
blueprint = func.Blueprint()
{decorated("later", app="blueprint")}"""
FUNCTIONS = {
    "bare": f"@app.route()\n{SECRET}\ndef bare(api_key, req):\n    return str(api_key)\n",
    "several": decorated("several", IS_RIGHT, f"{SECRET}\n{OTHER}", BOTH),
    "several_async": decorated("several_async", IS_RIGHT, f"{OTHER}\n{SECRET}", BOTH, "async def"),
    "settings": decorated("settings", decorators=HOLDS),
    "field": decorated("field", decorators=secret(secret_name="json-key", json_field="%FIELD%")),
    "other_bindings": decorated(
        "other_bindings",
        "return out.set('x') or api_key",
        QUEUED,
        "out: func.Out[str], api_key: str",
    ),
    "between": decorated(
        "between",
        f"{IS_RIGHT} and len(checks) == 1 and api_key",
        f"{SECRET}\n@checked\n{OTHER}",
        BOTH,
    ),
    "object_above": decorated("object_above", decorators=f"@Awaited\n{SECRET}"),
    "above_and_below": decorated(
        "above_and_below",
        "return len(checks) == 3 and api_key",
        f"@checked\n{SECRET}\n@checked",
    ),
    "in_blueprint": "blueprint = func.Blueprint()\n"
    + decorated("in_blueprint", app="blueprint")
    + "\napp.register_functions(blueprint)\n",
    "later": "from far import blueprint as far\napp.register_functions(far)\n",
}


def test_values_arrive(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.app("import functools", CHECKED, AWAITED, *FUNCTIONS.values())
    project.write("far.py", FAR)

    with project.served() as functions:
        assert logged(caplog) == []
        assert set(functions) == {*FUNCTIONS, "declared"}
        for name, get in functions.items():
            assert get() == ("200", VALUE), name


IN_ERROR = "This function is in error. Its log says why."
# A wrong decorator, the property that the line names, and a word of it. The properties are checked
# as those of a function.json are: test_declaration_errors.py has each of them.
ERRORS: dict[str, tuple[str, str, str]] = {
    "no_secret": (secret(secret_name=None), "api_key.secretName", "a secret's name"),
    "no_vault": (secret(vault_name=None), "api_key.vaultName", "a vault's name"),
    "no_identity": (secret(identity=None), "api_key.identity", "'system', or 'user'"),
    "id_with_system": (secret(identity_id="x"), "api_key.identityId", "only with"),
    "unset": (secret(vault_name="%UNSET%"), "api_key.vaultName", "'UNSET' is not set"),
    "not_a_text": (secret(secret_name=7), "api_key.secretName", "a secret's name"),
    "bad_version": (secret(secret_version="a/b"), "api_key.secretVersion", "version"),
    "no_such_parameter": (secret("api_kye"), "name", "no such parameter"),
    "name_of_a_list": (secret(["api_key"]), "keyVault.name", "parameter"),
    "twice": (f"{SECRET}\n{SECRET}", "name", "must differ"),
    "one_of_two": (f"{secret(identity=None)}\n{SECRET}", "name", "must differ"),
    "without_arguments": ("@key_vault_secret", "keyVault.name", "parameter"),
    "with_none": ("@key_vault_secret()", "keyVault.name", "parameter"),
}
# Decorators in the wrong order.
ORDER = """
{0}
@app.route("orders")
{1} orders(req, api_key): ...

@app.function_name("between")
{0}
@app.route("between")
{1} between(req, api_key): ...
"""


@pytest.mark.parametrize("way", ["def", "async def"])
def test_each_error_is_logged_and_harms_no_neighbour(
    project: Project, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    texts = [ORDER.format(SECRET, way), decorated("good", way=way)]
    for name, (decorator, *_) in ERRORS.items():
        timer = decorated(f"timer_{name}", decorators=decorator, way=way)
        timer = timer.replace("route(", 'timer_trigger("req", schedule=')
        texts += [decorated(name, decorators=decorator, way=way), timer]
    project.app(*texts)

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
        rows = report().rows()
    wrong = {row.function for row in rows if row.result == "wrong declaration"}
    assert wrong == {*ERRORS, *(f"timer_{name}" for name in ERRORS), "orders", "between"}


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

class Nameless(metaclass=Meta):
    def __call__(self, req, api_key):
        return api_key

class Closed:
    def __getattr__(self, name):
        raise RuntimeError(name)
    def __call__(self, req, api_key): ...

@app.route("signature")
@above(lambda call: setattr(call, "__signature__", "nonsense"))
{SECRET}
def signature(req, api_key): ...

@app.route("cycle")
@above(lambda call: setattr(call, "__wrapped__", call))
{SECRET}
def cycle(req, api_key): ...

@app.route("annotation")
{SECRET}
def annotation(req: "exit()", context: Nameless, api_key: str):
    return api_key

app.route("closed")({SECRET[1:]}(Closed()))
app.function_name("nameless")(app.route("nameless")({SECRET[1:]}(Nameless())))
"""


def test_a_handler_that_raises_during_indexing_harms_no_other(project: Project) -> None:
    project.app("import functools", HOSTILE, decorated("good"))

    functions = project.load()

    hostile = {"signature", "cycle", "Closed"}
    assert functions.keys() == {*hostile, "annotation", "nameless", "good", "declared"}
    assert {call(functions[name]).status_code for name in hostile} == {500}
    assert call(functions["good"]) == call(functions["nameless"]) == VALUE
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


def test_each_value_is_in_the_table_of_the_start_once(
    project: Project, fake_key_vault: FakeKeyVault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")
    names = [f"f{number}" for number in range(8)]
    for name in names[:7]:
        fake_key_vault.vault("contoso").set(name, VALUE)
    fake_key_vault.latency = 0.02
    texts = [decorated(name, decorators=secret(secret_name=name)) for name in names]
    project.app("import time", *("time.sleep(0.05)" + text for text in texts))

    project.load()

    def rows() -> list[tuple[str, str]]:
        records = [one for one in caplog.records if one.threadName == "identity-report"]
        return sorted((one.getMessage().split()[0], one.levelname) for one in records)

    wait_for(lambda: len(rows()) >= 9)
    time.sleep(0.1)
    assert rows() == [*((name, "INFO") for name in ("declared", *names[:7])), ("f7", "ERROR")]


def test_a_function_is_named_as_in_the_app(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("first", "second", "third")
    texts = [
        f'@app.function_name("{name}")' + decorated("main", decorators=secret(secret_name=name))
        for name in names
    ]
    project.app(*texts[:2], texts[2].replace("api_key: str", "api_key: str, more"))

    functions = project.load()

    for name in names[:2]:
        with pytest.raises(Exception, match=f"^Function '{name}', binding 'api_key': "):
            call(functions[name])
    line = "function_app.main: name: 'more': no binding has this name; declare one, or remove"
    line += " the parameter"
    assert line in logged(caplog)
    assert call(functions["third"]).status_code == 500
    assert f"Function 'third' is in error: {line}" in logged(caplog)
    rows = report().rows()
    assert {*names} < {row.function for row in rows}
    assert [row.repair for row in rows if row.result == "wrong declaration"] == [line]


def test_in_azure_without_an_identity_the_start_logs_it(
    project: Project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    project.app(decorated("good"))

    project.load()

    wait_for(lambda: len(logged(caplog)) == 2)
    lines = logged(caplog)
    assert sorted(line.split()[0] for line in lines) == ["declared", "good"]
    for line in lines:
        assert "no identity is assigned" in line
        assert "az functionapp identity assign --name func-tests" in line
