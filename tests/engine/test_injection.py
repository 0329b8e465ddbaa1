"""What a call goes through: each parameter filled in, and whatever fails said in one line."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import logging
from collections.abc import Callable
from concurrent import futures
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apps import told
from folders import IDENTITY, call, declare, key_vault, load_folder
from support.fake_key_vault import FakeKeyVault

VALUE = "the-value-of-it"


class Source:
    """A source whose state the test sets: a good value, one that comes late, or a failure."""

    def __init__(self, value: Any = VALUE, good_until: float = inf) -> None:
        self.current = (good_until, value)
        self.late: Any = None
        self.reading: Any = SimpleNamespace(value=value, origin="")
        self.flight: Any = None
        self.settled: list[Any] = []

    def join(self) -> Any:
        return self.flight

    def settle(self, flight: Any) -> Any:
        self.settled.append(flight)
        if isinstance(self.late, Exception):
            raise self.late
        self.reading.value = self.late
        return self.late


@pytest.fixture
def module() -> Any:
    return importlib.import_module("identity_bindings.injection")


def injections(module: Any, **sources: Source) -> list[Any]:
    credentials: Any = importlib.import_module("identity_bindings.credentials")
    return [
        module.Injection("echo", _Binding(name, credentials.Identity()), source)
        for name, source in sources.items()
    ]


class _Binding(SimpleNamespace):
    def __init__(self, name: str, identity: Any) -> None:
        super().__init__(name=name, identity=identity)

    def __str__(self) -> str:
        return "secret 'a'"


def plain(**given: Any) -> Any:
    return given


async def asynchronous(**given: Any) -> Any:
    await asyncio.sleep(0)
    return given


def answer(handler: Callable[..., Any], **given: Any) -> Any:
    """What a handler returns, in a loop of its own if it is asynchronous."""
    made = handler(**given)
    return asyncio.run(made) if inspect.iscoroutine(made) else made


def expired(late: Any) -> Source:
    """A source whose value is good no more; a new one comes."""
    source = Source("an old value", good_until=-inf)
    source.late = late
    return source


@pytest.mark.parametrize("handler", [plain, asynchronous])
def test_each_parameter_gets_its_own_value(module: Any, handler: Callable[..., Any]) -> None:
    sources = {"one": Source("1"), "two": Source("2"), "three": expired("3")}

    for names in (["one"], ["three"], ["one", "two", "three"], ["three", "one", "two"]):
        values = injections(module, **{name: sources[name] for name in names})
        wrapped = module.inject(handler, values)

        assert inspect.iscoroutinefunction(wrapped) is (handler is asynchronous)
        assert wrapped.__name__ == handler.__name__
        expected = {"one": "1", "two": "2", "three": "3"}
        assert answer(wrapped, req=7) == {"req": 7, **{name: expected[name] for name in names}}


def test_who_calls_a_function_by_position_may(module: Any) -> None:
    def handler(req: int, one: str) -> tuple[int, str]:
        return req, one

    async def later(req: int, one: str) -> tuple[int, str]:
        return req, one

    values = injections(module, one=Source("1"))
    assert module.inject(handler, values)(7) == (7, "1")
    assert asyncio.run(module.inject(later, values)(7)) == (7, "1")


@pytest.mark.parametrize("handler", [plain, asynchronous])
def test_a_value_is_good_until_its_moment(
    module: Any, monkeypatch: pytest.MonkeyPatch, handler: Callable[..., Any]
) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: 100.0)
    for good_until, found in ((100.1, "before"), (100.0, "after"), (99.9, "after")):
        one, two = Source("before", good_until), Source("before", good_until)
        one.late = two.late = "after"

        wrapped = module.inject(handler, injections(module, one=one, two=two))

        assert answer(wrapped) == {"one": found, "two": found}


@pytest.mark.parametrize("handler", [plain, asynchronous])
def test_a_call_waits_for_a_read_that_is_on_its_way(
    module: Any, monkeypatch: pytest.MonkeyPatch, handler: Callable[..., Any]
) -> None:
    source = expired("a new value")
    source.flight = futures.Future()
    monkeypatch.setattr(module, "WAIT", 0.01)
    wrapped = module.inject(handler, injections(module, one=source))
    assert answer(wrapped) == {"one": "a new value"}  # the source gives up what is not done

    monkeypatch.setattr(module, "WAIT", 9.5)
    source.flight.set_result(None)
    assert answer(wrapped) == {"one": "a new value"}

    assert source.settled == [source.flight] * 2


@pytest.mark.parametrize("handler", [plain, asynchronous])
def test_without_a_value_the_call_fails_in_one_line(
    module: Any, handler: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBSITE_SITE_NAME", "my-app")
    monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    errors: Any = importlib.import_module("identity_bindings.errors")
    failure = errors.Failure("denied", "the vault says no", "let it in")
    values = injections(module, one=Source("1"), two=expired(errors.ReadError(failure)))

    with pytest.raises(errors.BindingUnavailableError) as caught:
        answer(module.inject(handler, values))

    assert str(caught.value) == (
        "Function 'echo', binding 'two': secret 'a' cannot be read by the system-assigned identity:"
        " the vault says no. Repair: let it in"
    )
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("handler", [plain, asynchronous])
def test_the_context_names_the_folder_of_the_function(
    module: Any, handler: Callable[..., Any]
) -> None:
    context = SimpleNamespace(function_directory="engine", invocation_id="7")
    values = injections(module, one=Source("1"))
    indexing: Any = importlib.import_module("identity_bindings.indexing")
    wrapped = indexing.bounded(module.inject(handler, values), "functions/echo")

    seen = answer(wrapped, context=context)["context"]

    assert (seen.function_directory, seen.invocation_id) == ("functions/echo", "7")
    assert answer(wrapped) == {"one": "1"}
    assert answer(module.inject(handler, values), context=context)["context"] is context


def test_what_the_worker_indexes_is_a_function(module: Any) -> None:
    by_name: Any = importlib.import_module("identity_bindings.signatures").by_name

    class Plain:
        def __call__(self, req: int) -> int:
            return req

    class Asynchronous:
        async def __call__(self, req: int) -> int:
            return req

    async def handler(req: int) -> int:
        return req

    assert by_name(plain) is plain
    assert by_name(handler) is handler
    for called, is_async in (
        (Plain(), False),
        (Asynchronous(), True),
        (functools.partial(Plain()), False),
        (functools.partial(handler), True),
        (Asynchronous().__call__, True),
    ):
        made = by_name(called)

        assert inspect.isfunction(made)
        assert inspect.iscoroutinefunction(made) is is_async
        assert [*inspect.signature(made).parameters] == ["req"]
        assert answer(made, req=7) == 7
        made = made(7)
        assert (asyncio.run(made) if is_async else made) == 7


def test_equal_declarations_share_a_source(module: Any) -> None:
    grammar: Any = importlib.import_module("identity_bindings.grammar")

    def source(**changes: Any) -> Any:
        binding, mistakes = grammar.declare({**key_vault(), **changes}, {})
        assert mistakes == []
        ((one),) = module.injections_for("echo", [binding], plain)
        assert (one.function, one.binding) == ("echo", binding)
        return one.source

    first = source()
    for same in ({"name": "other"}, {"secretName": "API-Key"}, {"vaultName": "CONTOSO"}):
        assert source(**same) is first
    for other in (
        {"secretName": "api-key-2"},
        {"secretVersion": "1"},
        {"vaultName": "fabrikam"},
        {"identity": "user", "identityId": IDENTITY},
    ):
        assert source(**other) is not first


def test_a_secret_by_its_name_and_its_place() -> None:
    grammar: Any = importlib.import_module("identity_bindings.grammar")

    def shown(**changes: Any) -> str:
        return str(grammar.declare({**key_vault(), **changes}, {})[0])

    assert shown() == "secret 'api-key' of vault 'https://contoso.vault.azure.net'"
    assert shown(secretVersion="1").startswith("secret 'api-key' (version 1) of vault ")


def test_at_home_a_file_comes_first(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    grammar: Any = importlib.import_module("identity_bindings.grammar")
    fake_key_vault.vault("contoso")
    file = tmp_path / "secrets.local.json"
    monkeypatch.setenv("LOCAL_SECRETS_FILE", str(file))
    file.write_text(
        '{"contoso/API-key": "of contoso", "api-KEY": "of any", "größe": "of tests"}', "utf-8-sig"
    )
    for name in ("IDENTITY_ENDPOINT", "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME", "CONTAINER_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")

    def read(**changes: Any) -> Any:
        return grammar.declare({**key_vault(), **changes}, {})[0].read()

    assert read().value == "of contoso"
    reading = read(vaultName="Fabrikam")
    assert (reading.value, reading.note, reading.pinned) == ("of any", "", False)
    assert told(caplog, level=logging.WARNING) == [
        f"Secrets are read from the local secrets file {file}."
    ]
    with pytest.raises(Exception, match="no developer's login"):
        read(secretName="other")
    file.unlink()
    with pytest.raises(Exception, match="no developer's login"):
        read()
    assert told(caplog, level=logging.WARNING)[1:] == [
        "Secrets are read with the developer's own login ('az login' or 'azd auth login').",
        f"The local secrets file {file} does not exist. Create it to give secrets local values.",
    ]
    declare(tmp_path / "functions", "plain", "def main(req, mySecret): ...", key_vault())
    plain = load_folder(tmp_path / "functions")["plain"]
    with pytest.raises(Exception, match="cannot be read by the developer's own login: no"):
        call(plain)
