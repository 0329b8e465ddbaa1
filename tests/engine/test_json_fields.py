"""One field of a JSON secret: how it is found, that it costs one read, and what is said where it is missing."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from apps import ECHO, VALUE
from folders import call, declare, key_vault
from support import worker
from support.fake_key_vault import FakeKeyVault

App = Callable[..., dict[str, Any]]
PAIR = "{0}def main(req, user, password):\n    return user + ' ' + password\n"


def pair() -> list[dict[str, Any]]:
    return [key_vault("user", jsonField="username"), key_vault("password", jsonField="password")]


def reads(fake_key_vault: FakeKeyVault) -> int:
    return sum(one.status == 200 and one.secret != "" for one in fake_key_vault.requests)


@pytest.mark.parametrize("prefix", ["", "async "])
def test_several_fields_cost_one_read(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, prefix: str
) -> None:
    value = {"username": "an-admin", "password": VALUE}
    fake_key_vault.vault("contoso").set("api-key", json.dumps(value))
    declare(tmp_path, "pair", PAIR.format(prefix), *pair(), key_vault("whole"))
    (tmp_path / "pair/__init__.py").write_text(
        f"{prefix}def main(req, user, password, whole):\n    return [user, password, whole]\n"
    )

    answer = call(app()["pair"])

    assert answer == ["an-admin", VALUE, json.dumps(value)]
    assert all(type(text) is not dict and isinstance(text, str) for text in answer)
    assert reads(fake_key_vault) == 1


SCALARS = {
    '{"password": "the-value-of-it"}': VALUE,
    '\ufeff{"password": "\\u00e4 \\" \\n"}': 'ä " \n',
    ' {"password": ""} ': "",
    '{"password": 5432}': "5432",
    '{"password": 1.50}': "1.50",
    '{"password": 12345678901234567890123}': "12345678901234567890123",
    '{"password": 1E+2}': "1E+2",
    '{"password": true}': "true",
    '{"password": false}': "false",
    '{"password": "null"}': "null",
}
NO_OBJECT, NO_SCALAR = (
    "the value is not a JSON object",
    "the field is not a text, number or boolean",
)
WRONG = {
    **dict.fromkeys((VALUE, "", '{"password": "the-value-of-it"'), NO_OBJECT),
    **dict.fromkeys(('["the-value-of-it"]', '"the-value-of-it"', "null"), NO_OBJECT),
    "[" * 100_000: NO_OBJECT,
    '{"PASSWORD": "the-value-of-it"}': "the field is missing",
    "{}": "the field is missing",
    '{"password": null}': NO_SCALAR,
    '{"password": ["the-value-of-it"]}': NO_SCALAR,
    '{"password": {"password": "the-value-of-it"}}': NO_SCALAR,
    '{"password": NaN}': NO_SCALAR,
}


def load_each(fake_key_vault: FakeKeyVault, app: App, folder: Path, *values: str) -> dict[str, Any]:
    """Load an app with two functions, for threads and coroutines, of the field of each value."""
    for number, value in enumerate(values):
        fake_key_vault.vault("contoso").set(f"key-{number}", value)
        entry = key_vault(secretName=f"key-{number}", jsonField="password")
        declare(folder, f"f{number}", ECHO, entry)
        declare(folder, f"a{number}", f"async {ECHO}", entry)
    return app()


def test_a_scalar_is_handed_out_as_it_is_written(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    functions = load_each(fake_key_vault, app, tmp_path, *SCALARS)

    for number, (value, text) in enumerate(SCALARS.items()):
        assert call(functions[f"f{number}"]) == call(functions[f"a{number}"]) == text, value


def test_an_error_names_secret_and_field_and_never_the_value(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    declare(tmp_path, "whole", ECHO, key_vault(secretName="key-0"))
    functions = load_each(fake_key_vault, app, tmp_path, *WRONG)

    for number, reason in enumerate(WRONG.values()):
        for name in (f"f{number}", f"a{number}"):
            with pytest.raises(Exception, match="cannot be read") as caught:
                call(functions[name])

            text = str(caught.value)
            assert type(caught.value).__name__ == "BindingUnavailableError"
            assert text.startswith(f"Function '{name}', binding 'mySecret': field 'password' of ")
            assert f": {reason}. Repair: set the secret to a JSON object with" in text
            chain = [caught.value, caught.value.__cause__, caught.value.__context__]
            assert not any(VALUE in repr(vars(one)) + str(one) for one in chain if one is not None)
    assert call(functions["whole"]) == VALUE


@pytest.mark.parametrize("prefix", ["", "async "])
def test_fields_of_one_secret_are_always_of_one_version(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, prefix: str
) -> None:
    vault = fake_key_vault.vault("contoso")
    vault.set("api-key", json.dumps({"username": "user-0", "password": "password-0"}))
    declare(tmp_path, "pair", PAIR.format(prefix), *pair())
    function = app(refresh=0.02)["pair"]
    assert call(function) == "user-0 password-0"
    handler = function.get_user_function()
    done = threading.Event()

    def rotate() -> None:
        number = 0
        while not done.wait(0.001):
            number += 1
            value = {"username": f"user-{number}", "password": f"password-{number}"}
            vault.secrets = vault.secrets[-1:]
            vault.set("api-key", json.dumps(value))

    rotating = threading.Thread(target=rotate)
    rotating.start()
    seen, end = set(), time.monotonic() + 20
    try:
        while len(seen) < 20 and time.monotonic() < end:
            answer = handler(req=None)
            text = _finish(answer) if asyncio.iscoroutine(answer) else answer
            seen.add(tuple(part.rpartition("-")[2] for part in text.split()))
    finally:
        done.set()
        rotating.join()
        importlib.import_module("identity_bindings.sources").pool.close()

    assert len(seen) == 20
    assert all(user == password for user, password in seen)


def _finish(coroutine: Any) -> str:
    """Run a coroutine that has nothing to wait for, without the cost of a loop."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return str(ended.value.value)


def test_the_decorator_takes_a_field_and_an_app_setting(
    fake_key_vault: FakeKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identity_bindings import key_vault_secret

    monkeypatch.setenv("FIELD", "password")
    fake_key_vault.vault("contoso").set("db", json.dumps({"user": "an-admin", "password": VALUE}))
    app = func.FunctionApp()
    place = {"secret_name": "db", "vault_name": "contoso", "identity": "system"}

    @app.route("orders")
    @key_vault_secret("user", json_field="user", **place)
    @key_vault_secret("password", json_field="%FIELD%", **place)
    def orders(req: func.HttpRequest, user: str, password: str) -> str:
        return f"{user} {password}"

    assert call(worker.index(app)["orders"]) == f"an-admin {VALUE}"
    assert reads(fake_key_vault) == 1


def test_a_refused_field_is_the_newest_one(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    vault = fake_key_vault.vault("contoso")
    vault.set("api-key", json.dumps({"username": "user-1", "password": "password-1"}))
    source = """
from identity_bindings import Secret

def main(req, user: Secret, password: Secret):
    return [user.value, password.value] if req.method == "GET" else [user.newest(), password.newest()]
"""
    declare(tmp_path, "pair", source, *pair())
    function = app()["pair"]
    assert call(function, method="GET") == ["user-1", "password-1"]
    before = reads(fake_key_vault)

    vault.set("api-key", json.dumps({"username": "user-1", "password": "password-2"}))

    assert call(function) == ["user-1", "password-2"]
    assert reads(fake_key_vault) == before + 1
