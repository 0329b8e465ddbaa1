"""A value that a service refuses after a rotation is read again: once for all, and not too often."""

from __future__ import annotations

import asyncio
import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apps import Project, logged, reads, storm, wait_for
from folders import declare, key_vault
from support import worker
from support.fake_key_vault import FakeKeyVault

App = Callable[..., dict[str, Any]]
Handlers = dict[str, Callable[..., Any]]

SECRET_ID = "https://contoso.vault.azure.net/secrets/api-key/0123456789abcdef"
SYNC = """
from identity_bindings import Secret

class AccessDenied(Exception):
    pass

def connect(password):
    with open({file!r}) as accepted:
        if password != accepted.read():
            raise AccessDenied
    return "connected"

def main(req, mySecret: Secret):
    try:
        return connect(mySecret.value)
    except AccessDenied:
        return connect(mySecret.newest())
"""
ASYNC = SYNC.replace("def main", "async def main").replace(
    "mySecret.newest()", "await mySecret.newest_async()"
)


class Rotation:
    """A secret of a vault, and a database that accepts its newest value only."""

    def __init__(self, fake_key_vault: FakeKeyVault, folder: Path) -> None:
        self._vault, self.file = fake_key_vault.vault("contoso"), folder / "accepted"
        self._fake_key_vault = fake_key_vault
        self.rotate("first-value")

    def rotate(self, value: str) -> None:
        self._vault.set("api-key", value)
        self.file.write_text(value)

    def reads(self) -> int:
        return reads(self._fake_key_vault)


@pytest.fixture
def rotation(fake_key_vault: FakeKeyVault, tmp_path: Path) -> Rotation:
    return Rotation(fake_key_vault, tmp_path)


@pytest.fixture
def handlers(rotation: Rotation, app: App, tmp_path: Path) -> Handlers:
    """The same function for threads and for coroutines; both have been called once."""
    for name, source in {"sync": SYNC, "other": ASYNC}.items():
        declare(tmp_path, name, source.format(file=str(rotation.file)), key_vault())
    found = {name: function.get_user_function() for name, function in app().items()}
    assert found["sync"](req=None) == asyncio.run(found["other"](req=None)) == "connected"
    return found


def at_once(handlers: Handlers, count: int) -> list[str]:
    answers = storm(handlers["sync"], handlers["other"], count)
    return [one if isinstance(one, str) else type(one).__name__ for one in answers]


def test_two_hundred_refusals_cause_one_read(
    rotation: Rotation, handlers: Handlers, fake_key_vault: FakeKeyVault
) -> None:
    before = rotation.reads()
    rotation.rotate("second-value")
    fake_key_vault.latency = 0.3

    answers = at_once(handlers, 100)

    assert answers == ["connected"] * 200
    assert rotation.reads() == before + 1


def test_a_read_that_began_before_the_rotation_is_followed_by_another(
    rotation: Rotation, handlers: Handlers, fake_key_vault: FakeKeyVault
) -> None:
    """The refresh in the background has the old value in its hands when the first call is refused."""
    from identity_bindings import refresh_secret

    before = rotation.reads()
    fake_key_vault.latency = 0.5
    refresh_secret(SECRET_ID)
    wait_for(lambda: rotation.reads() == before + 1)
    rotation.rotate("second-value")

    answers = at_once(handlers, 20)

    assert answers == ["connected"] * 40
    assert rotation.reads() == before + 2


def test_an_event_during_a_read_causes_another(
    rotation: Rotation, handlers: Handlers, fake_key_vault: FakeKeyVault
) -> None:
    from identity_bindings import refresh_secret

    before = rotation.reads()
    fake_key_vault.latency = 0.5
    refresh_secret(SECRET_ID)
    wait_for(lambda: rotation.reads() == before + 1)  # the vault answers with the old value
    rotation.rotate("second-value")

    refresh_secret(SECRET_ID)

    wait_for(lambda: rotation.reads() == before + 2)


def test_refusals_cause_at_most_one_read_in_ten_seconds(
    rotation: Rotation, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identity_bindings import sources

    before = rotation.reads()
    rotation.file.write_text("a value that the vault does not have yet")

    for _ in range(3):
        assert set(at_once(handlers, 5)) == {"AccessDenied"}
    assert rotation.reads() == before + 1
    assert sources._READ_AGAIN == 10

    rotation.rotate("second-value")
    assert set(at_once(handlers, 5)) == {"AccessDenied"}
    monkeypatch.setattr(sources, "_READ_AGAIN", 0.0)
    assert at_once(handlers, 5) == ["connected"] * 10


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"how": "refuse"}])
def test_where_the_read_fails_the_last_value_is_returned(
    rotation: Rotation, handlers: Handlers, fake_key_vault: FakeKeyVault, fault: dict[str, Any]
) -> None:
    rotation.rotate("second-value")
    fake_key_vault.fail("contoso", **fault)
    before = len(fake_key_vault.requests)

    assert set(at_once(handlers, 5)) == {"AccessDenied"}
    assert len(fake_key_vault.requests) <= before + 2  # the refresh in the background may follow


def test_other_parameters_stay_plain_strings(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    source = """
from identity_bindings import Secret

def main(req, plain: str, other, again: Secret):
    return isinstance(plain, str), plain == other == again.value == "first-value", repr(again)
"""
    entries = [key_vault(name) for name in ("plain", "other", "again")]
    declare(tmp_path, "mixed", source, *entries)

    assert app()["mixed"].get_user_function()(req=None) == (True, True, "Secret()")


IMPORT = "from identity_bindings import Secret\n"
TYPE_CHECKING = f"import typing\nif typing.TYPE_CHECKING:\n    {IMPORT}"
# Each annotation, what is above the handler, and what the parameter gets: None is an error.
ANNOTATIONS: dict[str, tuple[str, str, str | None]] = {
    "plain": ("Secret", IMPORT, "Secret"),
    "or_none": ("Secret | None", IMPORT, "Secret"),
    "optional": ("typing.Optional[Secret]", IMPORT, "Secret"),
    "or_text": ("typing.Union[str, Secret]", IMPORT, "Secret"),
    "annotated": ("typing.Annotated[Secret, 'the password']", IMPORT, "Secret"),
    "annotated_or_none": ("typing.Annotated[Secret | None, 1]", IMPORT, "Secret"),
    "optional_annotated": ("typing.Optional[typing.Annotated[Secret, 1]]", IMPORT, "Secret"),
    "text": ("'Secret | None'", IMPORT, "Secret"),
    "text_within": ("typing.Optional['Secret']", IMPORT, "Secret"),
    "renamed": ("S | None", "from identity_bindings import Secret as S\n", "Secret"),
    "of_the_package": (
        "identity_bindings.Secret",
        "import identity_bindings\n",
        "Secret",
    ),
    "later": ("Secret | None", f"from __future__ import annotations\n{IMPORT}", "Secret"),
    "type_checkers": (
        "Optional[Secret]",
        f"from __future__ import annotations\n{TYPE_CHECKING}",
        "Secret",
    ),
    "type_checkers_text": ("'Annotated[Secret, 1]'", TYPE_CHECKING, "Secret"),
    "type_checkers_renamed": (
        "'Optional[engine.Secret]'",
        "if typing.TYPE_CHECKING:\n    import identity_bindings as engine\n",
        "Secret",
    ),
    "another": ("Secret", "class Secret:\n    pass\n", "str"),
    "none": ("str | None", "", "str"),
    "unknown": ("'NoSuchType'", "", "str"),
    "list": ("list[Secret]", IMPORT, None),
    "dict": ("'dict[str, Secret] | None'", TYPE_CHECKING, None),
    "class": ("type[Secret]", IMPORT, None),
    "subclass": ("Mine", f"{IMPORT}class Mine(Secret):\n    pass\n", None),
}


def test_each_annotation_gets_its_kind_of_value_or_is_an_error(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    for name, (annotation, above, _) in ANNOTATIONS.items():
        future = "from __future__ import annotations\n" if above.startswith("from __f") else ""
        above = above.removeprefix(future)
        text = f"{future}import typing\n{above}def main(req, key: {annotation}):\n"
        declare(tmp_path, name, f"{text}    return type(key).__name__\n", key_vault("key"))

    functions = app()

    for name, (*_, kind) in ANNOTATIONS.items():
        lines = logged(caplog, name)
        if kind is None:
            (line,) = lines
            assert "name: 'key': only the value of 'keyVault' is a Secret, annotated " in line
        else:
            assert lines == [], name
            assert functions[name].get_user_function()(req=None) == kind, name


SHAPES = {
    "object": "class Main:\n    def __call__(self, req, key: 'Secret | None'):\n"
    "        return type(key).__name__\nmain = Main()\n",
    "wrapped_partial": "import functools\ndef run(first, req, key: 'Secret', /):\n"
    "    return type(key).__name__\npart = functools.partial(run, 1)\n@functools.wraps(part)\n"
    "def main(*args, **kwargs):\n    return part(*args, **kwargs)\n",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_annotation_of_a_handler_that_is_no_plain_function(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, shape: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    declare(tmp_path, shape, IMPORT + SHAPES[shape], key_vault("key"))

    assert app()[shape].get_user_function()(req=None) == "Secret"


FAILS = """
import sys
import azure.functions as func
from identity_bindings import Secret, key_vault_secret

app = func.FunctionApp()

@app.route("refused")
@key_vault_secret("key", secret_name="api-key", vault_name="contoso", identity="system")
def refused(req: func.HttpRequest, key: Secret) -> str:
    sys.modules["function_app"].refuse()
    try:
        raise ConnectionRefusedError(f"not with {key.value}")
    except ConnectionRefusedError:
        return key.newest()
"""


@pytest.fixture
def failing(
    project: Project, fake_key_vault: FakeKeyVault, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """An app whose function is denied a newer secret."""
    monkeypatch.setenv("SECRET_GRACE_SECONDS", "0")
    project.write("function_app.py", FAILS)
    vault = fake_key_vault.vault("contoso")

    def refuse() -> None:
        vault.readers = set()

    monkeypatch.setattr(importlib.import_module("function_app"), "refuse", refuse, raising=False)
    return project


def test_the_engines_own_error_passes_microsofts_runtime(failing: Project) -> None:
    with failing.served() as functions:
        status, text = functions["refused"]()

    assert status == "exception"
    assert text.startswith("BindingUnavailableError: Function 'refused', binding 'key': secret '")
    assert "accessPolicies/add" in text


def test_a_secret_made_by_a_test_keeps_its_value() -> None:
    from identity_bindings import Secret

    secret = Secret("of-a-test")

    assert secret.newest() == asyncio.run(secret.newest_async()) == secret.value == "of-a-test"


def test_a_secret_that_is_sent_to_another_process_is_read_there(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    source = f"{IMPORT}def main(req, mySecret: Secret):\n    return mySecret\n"
    declare(tmp_path, "echo", source, key_vault())
    sent = pickle.dumps(app()["echo"].get_user_function()(req=None))
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    worker.restart()

    secret = pickle.loads(sent)
    assert (secret.value, secret.newest()) == ("first-value", "second-value")
