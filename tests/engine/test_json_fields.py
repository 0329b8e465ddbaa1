"""One field of a JSON secret: how it is found, that it costs one read, and what is said where it is missing."""

from __future__ import annotations

import json
import threading
from itertools import count
from typing import Any

import pytest
from apps import ECHO, VALUE, App, reads, wait_for
from folders import call, key_vault
from support.fake_key_vault import FakeKeyVault

USER, PASSWORD = (
    key_vault("user", jsonField="username"),
    key_vault("password", jsonField="password"),
)


def pair(number: int) -> str:
    """The secret, with two fields of one version."""
    return json.dumps({"username": f"user-{number}", "password": f"password-{number}"})


@pytest.mark.parametrize("prefix", ["", "async "])
def test_several_fields_cost_one_read(fake_key_vault: FakeKeyVault, app: App, prefix: str) -> None:
    fake_key_vault.vault("contoso").set("api-key", pair(1))
    source = f"{prefix}def main(req, user, password, whole):\n    return [user, password, whole]\n"
    app.declare("pair", source, USER, PASSWORD, key_vault("whole"))

    answer = call(app()["pair"])

    assert answer == ["user-1", "password-1", pair(1)]
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
    fake_key_vault: FakeKeyVault, app: App
) -> None:
    """An error names secret and field, and never shows the value."""
    for number, value in enumerate((*SCALARS, *WRONG)):
        fake_key_vault.vault("contoso").set(f"key-{number}", value)
        entry = key_vault(secretName=f"key-{number}", jsonField="password")
        app.declare(f"f{number}", ECHO, entry)
        app.declare(f"a{number}", f"async {ECHO}", entry)
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
    engine: Any, fake_key_vault: FakeKeyVault, app: App
) -> None:
    vault = fake_key_vault.vault("contoso")
    vault.set("api-key", pair(0))
    source = "def main(req, user, password):\n    return user, password\n"
    app.declare("pair", source, USER, PASSWORD)
    function = app(refresh=0.02)["pair"]
    seen, done = set(), threading.Event()

    def rotate() -> None:
        for number in count(1):
            if done.wait(0.001):
                break
            vault.secrets = vault.secrets[-1:]
            vault.set("api-key", pair(number))

    rotating = threading.Thread(target=rotate)
    rotating.start()
    try:
        wait_for(lambda: seen.add(call(function)) or len(seen) == 20)
    finally:
        done.set()
        rotating.join()
        engine.sources.pool.close()

    for user, password in seen:
        assert user.removeprefix("user-") == password.removeprefix("password-")


NEWEST = """
from identity_bindings import Secret

def main(req, user: Secret, password: Secret):
    return [user.value, password.newest()]
"""


def test_a_refused_field_is_the_newest_one(fake_key_vault: FakeKeyVault, app: App) -> None:
    vault = fake_key_vault.vault("contoso")
    vault.set("api-key", pair(1))
    app.declare("old", NEWEST.replace("newest()", "value"), USER, PASSWORD)
    app.declare("new", NEWEST, USER, PASSWORD)
    functions = app()
    assert call(functions["old"]) == ["user-1", "password-1"]

    vault.set("api-key", pair(2))

    assert call(functions["new"]) == ["user-1", "password-2"]
    assert reads(fake_key_vault) == 2
