"""One field of a JSON secret: how it is found, that it costs one read, and what is said where it is missing."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apps import ECHO, VALUE, reads
from folders import call, declare, key_vault
from support.fake_key_vault import FakeKeyVault

App = Callable[..., dict[str, Any]]
PAIR = "def main(req, user, password):\n    return user + ' ' + password\n"


def pair() -> list[dict[str, Any]]:
    return [key_vault("user", jsonField="username"), key_vault("password", jsonField="password")]


@pytest.mark.parametrize("prefix", ["", "async "])
def test_several_fields_cost_one_read(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, prefix: str
) -> None:
    value = {"username": "an-admin", "password": VALUE}
    fake_key_vault.vault("contoso").set("api-key", json.dumps(value))
    source = f"{prefix}def main(req, user, password, whole):\n    return [user, password, whole]\n"
    declare(tmp_path, "pair", source, *pair(), key_vault("whole"))

    answer = call(app()["pair"])

    assert answer == ["an-admin", VALUE, json.dumps(value)]
    assert {type(text) for text in answer} == {str}
    assert reads(fake_key_vault) == 1


SCALARS = {
    '{"password": "the-value-of-it"}': VALUE,
    '\ufeff{"password": "\\u00e4 \\" \\n"}': 'ä " \n',
    ' {"password": ""} ': "",
    '{"password": 5432}': "5432",
    '{"password": 1.50}': "1.50",
    '{"password": 12345678901234567890123}': "12345678901234567890123",
    '{"password": true}': "true",
    '{"password": "null"}': "null",
}
NO_OBJECT = "the value is not a JSON object"
NO_SCALAR = "the field is not a text, number or boolean"
WRONG = {
    **dict.fromkeys((VALUE, "", '{"password": "the-value-of-it"'), NO_OBJECT),
    **dict.fromkeys(('["the-value-of-it"]', '"the-value-of-it"', "null"), NO_OBJECT),
    "[" * 20_000: NO_OBJECT,
    '{"PASSWORD": "the-value-of-it"}': "the field is missing",
    "{}": "the field is missing",
    '{"password": null}': NO_SCALAR,
    '{"password": ["the-value-of-it"]}': NO_SCALAR,
    '{"password": {"password": "the-value-of-it"}}': NO_SCALAR,
    '{"password": NaN}': NO_SCALAR,
}


def test_a_field_is_handed_out_as_it_is_written_or_is_an_error(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    """An error names secret and field, and never shows the value."""
    for number, value in enumerate((*SCALARS, *WRONG)):
        fake_key_vault.vault("contoso").set(f"key-{number}", value)
        entry = key_vault(secretName=f"key-{number}", jsonField="password")
        declare(tmp_path, f"f{number}", ECHO, entry)
        declare(tmp_path, f"a{number}", f"async {ECHO}", entry)
    functions = app()

    for number, (value, text) in enumerate(SCALARS.items()):
        assert call(functions[f"f{number}"]) == call(functions[f"a{number}"]) == text, value
    for number, reason in enumerate(WRONG.values(), len(SCALARS)):
        for name in (f"f{number}", f"a{number}"):
            with pytest.raises(Exception, match="cannot be read") as caught:
                call(functions[name])

            text = str(caught.value)
            assert type(caught.value).__name__ == "BindingUnavailableError"
            assert text.startswith(f"Function '{name}', binding 'mySecret': field 'password' of ")
            assert f": {reason}. Repair: set the secret to a JSON object with" in text
            assert caught.value.__cause__ is caught.value.__context__ is None
            assert VALUE not in text + repr(vars(caught.value))


def test_fields_of_one_secret_are_always_of_one_version(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    vault = fake_key_vault.vault("contoso")
    vault.set("api-key", json.dumps({"username": "user-0", "password": "password-0"}))
    declare(tmp_path, "pair", PAIR, *pair())
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
            seen.add(tuple(part.rpartition("-")[2] for part in answer.split()))
    finally:
        done.set()
        rotating.join()
        importlib.import_module("identity_bindings.sources").pool.close()

    assert len(seen) == 20
    assert all(user == password for user, password in seen)


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
