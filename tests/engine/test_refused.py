"""A value that a service refuses after a rotation is read again: once for all, and not too often."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections import Counter
from typing import Any

import database
import pytest
from apps import HTTP, RES, VALUE, App, Project, logged, reads, storm, wait_for
from faulty_key_vault import FaultyKeyVault
from folders import key_vault
from support import worker

SECRET_ID = "https://contoso.vault.azure.net/secrets/api-key/0123456789abcdef"
SYNC = """
from database import AccessDenied, connect
from identity_bindings import Secret

def main(req, mySecret: Secret):
    try:
        return connect(mySecret.value)
    except AccessDenied:
        return connect(mySecret.newest())
"""
ASYNC = SYNC.replace("def main", "async def main").replace(
    "mySecret.newest()", "await mySecret.newest_async()"
)


class Rotating:
    """The same function for threads and for coroutines; its secret was read once."""

    def __init__(self, fake_key_vault: FaultyKeyVault, functions: dict[str, Any]) -> None:
        self._fake_key_vault = fake_key_vault
        self._handlers = [functions[name].get_user_function() for name in ("sync", "other")]
        assert self.call(1) == {"connected": 2}

    def rotate(self, value: str) -> None:
        database.rotate(self._fake_key_vault, value)

    def reads(self) -> int:
        """How many reads there were after the first one."""
        return reads(self._fake_key_vault) - 1

    def call(self, count: int) -> Counter[str]:
        """Call both so often at the same moment: the answers, and the kinds of exceptions."""
        answers = storm(*self._handlers, count)
        return Counter(one if isinstance(one, str) else type(one).__name__ for one in answers)


@pytest.fixture
def rotating(fake_key_vault: FaultyKeyVault, app: App) -> Rotating:
    database.rotate(fake_key_vault, "first-value")
    for name, source in {"sync": SYNC, "other": ASYNC}.items():
        app.declare(name, source, key_vault())
    return Rotating(fake_key_vault, app())


def test_two_hundred_refusals_cause_one_read(
    rotating: Rotating, fake_key_vault: FaultyKeyVault
) -> None:
    rotating.rotate("second-value")
    fake_key_vault.latency = 0.3

    assert rotating.call(100) == {"connected": 200}
    assert rotating.reads() == 1


@pytest.mark.parametrize("event", [False, True])
def test_a_read_that_began_before_the_rotation_is_followed_by_another(
    engine: Any, rotating: Rotating, fake_key_vault: FaultyKeyVault, event: bool
) -> None:
    """The refresh in the background has the old value in its hands: a refusal or an event says so."""
    fake_key_vault.latency = 0.5
    engine.refresh_secret(SECRET_ID)
    wait_for(lambda: rotating.reads() == 1)
    rotating.rotate("second-value")

    if event:
        engine.refresh_secret(SECRET_ID)
    else:
        assert rotating.call(20) == {"connected": 40}

    wait_for(lambda: rotating.reads() == 2)


def test_refusals_cause_at_most_one_read_in_ten_seconds(
    engine: Any, rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.accepted = "a value that the vault does not have yet"

    for _ in range(3):
        assert rotating.call(5) == {"AccessDenied": 10}
    assert rotating.reads() == 1
    assert engine.sources._READ_AGAIN == 10

    rotating.rotate("second-value")
    assert rotating.call(5) == {"AccessDenied": 10}
    monkeypatch.setattr(engine.sources, "_READ_AGAIN", 0.0)
    assert rotating.call(5) == {"connected": 10}


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"how": "refuse"}])
def test_where_the_read_fails_the_last_value_is_returned(
    rotating: Rotating, fake_key_vault: FaultyKeyVault, fault: dict[str, Any]
) -> None:
    rotating.rotate("second-value")
    fake_key_vault.fail("contoso", **fault)
    before = len(fake_key_vault.requests)

    assert rotating.call(5) == {"AccessDenied": 10}
    assert len(fake_key_vault.requests) <= before + 2  # the refresh in the background may follow


IMPORT = "import typing\nfrom identity_bindings import Secret\n"
CHECKED = "import typing\nif typing.TYPE_CHECKING:\n    import identity_bindings as engine\n"
CHECKED += "    from identity_bindings import Secret\n"
LATER = "from __future__ import annotations\n"
# Annotations and what is above the handler, by what the parameter gets; "" is an error.
ANNOTATIONS: dict[str, list[tuple[str, str]]] = {
    "Secret": [
        *(("Secret", IMPORT), ("Secret | None", IMPORT), ("'Secret | None'", IMPORT)),
        *(("typing.Optional[Secret]", IMPORT), ("typing.Union[str, Secret]", IMPORT)),
        *(("typing.Optional['Secret']", IMPORT), ("typing.Annotated[Secret, 'a']", IMPORT)),
        ("typing.Annotated[Secret | None, 1]", IMPORT),
        ("typing.Optional[typing.Annotated[Secret, 1]]", IMPORT),
        ("S | None", "from identity_bindings import Secret as S\n"),
        ("identity_bindings.Secret", "import identity_bindings\n"),
        *(("Secret | None", LATER + IMPORT), ("Optional[Secret]", LATER + CHECKED)),
        *(("'Annotated[Secret, 1]'", CHECKED), ("'Optional[engine.Secret]'", CHECKED)),
    ],
    "str": [("Secret", "class Secret:\n    pass\n"), ("str | None", ""), ("'NoSuchType'", "")],
    "": [
        *(("list[Secret]", IMPORT), ("'dict[str, Secret] | None'", CHECKED)),
        *(("type[Secret]", IMPORT), ("Mine", f"{IMPORT}class Mine(Secret):\n    pass\n")),
    ],
}
HANDLER = "{above}def main(req, key: {annotation}):\n    return type(key).__name__\n"
# Handlers that are no plain functions.
OBJECT = (
    IMPORT
    + """
class Main:
    def __call__(self, req, key: 'Secret | None'):
        return type(key).__name__
main = Main()
"""
)
PARTIAL = (
    IMPORT
    + """
import functools
def run(first, req, key: 'Secret', /):
    return type(key).__name__
part = functools.partial(run, 1)
@functools.wraps(part)
def main(*args, **kwargs):
    return part(*args, **kwargs)
"""
)


def test_each_annotation_gets_its_kind_of_value_or_is_an_error(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    cases = [("Secret", OBJECT), ("Secret", PARTIAL)]
    for kind, ways in ANNOTATIONS.items():
        cases += [(kind, HANDLER.format(annotation=one, above=above)) for one, above in ways]
    for number, (_, source) in enumerate(cases):
        app.declare(f"f{number}", source, key_vault("key"))

    functions = app()

    for number, (kind, source) in enumerate(cases):
        lines = logged(caplog, f"f{number}")
        if kind:
            assert lines == [], source
            assert functions[f"f{number}"].get_user_function()(req=None) == kind, source
        else:
            (line,) = lines
            assert "name: 'key': only the value of 'keyVault' is a Secret, annotated " in line


REFUSED = """
import azure.functions as func
from identity_bindings import Secret

def main(req: func.HttpRequest, key: Secret) -> str:
    try:
        raise ConnectionRefusedError(f"not with {key.value}")
    except ConnectionRefusedError:
        return key.newest()
"""


def test_the_engines_own_error_passes_microsofts_runtime(
    project: Project, fake_key_vault: FaultyKeyVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a handler gets it while it handles an exception that shows the value."""
    monkeypatch.setenv("SECRET_GRACE_SECONDS", "0")
    project.function("refused", HTTP, RES, key_vault("key"), source=REFUSED)

    with project.served() as functions:
        assert functions["refused"]()[0] == "200"
        monkeypatch.setattr("identity_bindings.sources._READ_AGAIN", 0.0)
        fake_key_vault.vault("contoso").readers = set()
        status, text = functions["refused"]()

    assert status == "exception"
    assert text.startswith("BindingUnavailableError: Function 'refused', binding 'key': secret '")
    assert "accessPolicies/add" in text


def test_a_secret_made_by_a_test_keeps_its_value(engine: Any) -> None:
    secret = engine.Secret("of-a-test")

    assert secret.newest() == asyncio.run(secret.newest_async()) == secret.value == "of-a-test"
    assert repr(secret) == "Secret()"


def test_a_secret_can_be_copied_and_sent_to_another_process_which_reads_it_there(
    app: App, fake_key_vault: FaultyKeyVault
) -> None:
    source = f"{IMPORT}def main(req, mySecret: Secret):\n    return mySecret\n"
    app.declare("echo", source, key_vault())
    secret = app.handlers()["echo"](req=None)
    copied, sent = copy.deepcopy(secret), pickle.dumps(secret)
    assert (copied, copied._injection.source) == (secret, secret._injection.source)
    fake_key_vault.vault("contoso").set("api-key", "second-value")

    worker.restart()

    secret = pickle.loads(sent)
    assert (secret.value, secret.newest()) == (VALUE, "second-value")
