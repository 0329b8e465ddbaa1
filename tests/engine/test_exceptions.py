"""Exceptions of common libraries, raised in a handler: the same object leaves, or a stand-in.

A stand-in leaves only where the rendered text shows the secret. On Python 3.13 Microsoft's runtime
renders the text; before, `rendered` does what its worker does.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import traceback
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import azure.core.exceptions
import fastapi
import httpx
import psycopg
import pydantic
import pytest
import requests
import sqlalchemy
import sqlalchemy.exc
import starlette.exceptions
from runtime import Protos
from yarl import URL

Boundary = Callable[[BaseException], BaseException]
VALUE = "the-value-of-it-7f3a"
API = "https://api.example/"


@pytest.fixture
def without_secrets() -> Boundary:
    module: Any = importlib.import_module("identity_bindings.masking")
    module.register(VALUE)
    found: Boundary = module.without_secrets
    return found


def mask(text: str) -> str:
    return str(importlib.import_module("identity_bindings.masking").mask(text))


def rendered(error: BaseException) -> str:
    """What the worker makes of an exception, and what a log handler does."""
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:
        text = "it cannot be shown"
    if sys.version_info >= (3, 13):
        tracing: Any = importlib.import_module("azure_functions_runtime.utils.tracing")
        sent = tracing.serialize_exception(error, Protos())
        text += sent.message + sent.stack_trace
    text += "".join(traceback.format_tb(error.__traceback__))
    return text + "".join(traceback.format_exception(error))


# An exception of a library, raised as the library does, with a text that it may show.
class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError(self.args[0])


Pair = namedtuple("Pair", "name value")


def aiohttp_response(text: str) -> None:
    url = URL(API).with_query(key=text)
    headers = {"Authorization": f"Bearer {text}"}
    info = aiohttp.RequestInfo(url, "GET", headers, url)  # type: ignore[arg-type]
    raise aiohttp.ClientResponseError(info, (), status=403, message="no", headers=headers)  # type: ignore[arg-type]


def requests_http(text: str) -> None:
    response = requests.Response()
    response.status_code, response.url = 403, f"{API}?key={text}"
    response.raise_for_status()


def httpx_status(text: str) -> None:
    httpx.Response(403, request=httpx.Request("GET", f"{API}?key={text}")).raise_for_status()


def sqlalchemy_statement(text: str) -> None:
    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        connection.execute(sqlalchemy.text("SELECT no_such WHERE 1 = :key"), {"key": text})


def chained(text: str, *, cause: bool = False, hidden: bool = False) -> None:
    try:
        raise KeyError(text)
    except KeyError as error:
        if cause or hidden:
            raise LookupError("outer") from (error if cause else None)
        int("not a number")


def raises(made_of: Callable[[str], BaseException]) -> Callable[[str], None]:
    def run(text: str) -> None:
        raise made_of(text)

    return run


def noted(text: str) -> Exception:
    error = ValueError("no")
    error.add_note(text)
    return error


def sealed(text: str) -> Exception:
    return type("Sealed", (Exception,), {"__slots__": (), "__str__": lambda _: f"it is {text}"})()


# What raises, and whether a stand-in leaves where it holds the secret: the text then shows it.
CASES: dict[str, tuple[Callable[[str], Any], bool]] = {
    "aiohttp.ClientResponseError": (aiohttp_response, True),
    "httpx.HTTPStatusError": (httpx_status, True),
    "requests.HTTPError": (requests_http, True),
    "azure.core HttpResponseError": (raises(azure.core.exceptions.HttpResponseError), True),
    # A connection string that is none: libpq shows it.
    "psycopg.OperationalError": (psycopg.connect, True),
    "sqlalchemy.exc.OperationalError": (sqlalchemy_statement, True),
    "pydantic.ValidationError": (pydantic.TypeAdapter(int).validate_python, True),
    "json.JSONDecodeError": (lambda text: json.loads("{" + text), False),
    "UnicodeDecodeError": (lambda text: text.encode("utf-16").decode("utf-8"), False),
    "KeyError": (lambda text: dict[str, str]()[text], True),
    "subprocess.CalledProcessError": (
        lambda text: subprocess.run(
            [sys.executable, "-c", "raise SystemExit(3)", text], check=True
        ),
        True,
    ),
    "ExceptionGroup": (
        raises(lambda text: ExceptionGroup("two", [KeyError("a"), ValueError(text)])),
        True,
    ),
    "a named tuple in args": (raises(lambda text: ValueError(Pair("key", text))), True),
    "__str__ raises": (raises(Unspeakable), False),
    "a note": (raises(noted), True),
    "a cause": (partial(chained, cause=True), True),
    "a context": (chained, True),
    "a suppressed context": (partial(chained, hidden=True), False),
    "fastapi.HTTPException": (raises(partial(fastapi.HTTPException, 403)), True),
    "slots": (raises(sealed), True),
}


def raised(case: str, text: str) -> Exception:
    with pytest.raises(Exception) as caught:
        CASES[case][0](text)
    return caught.value


@pytest.mark.parametrize("case", CASES)
def test_with_a_secret_nothing_leaks_and_the_original_is_untouched(
    case: str, without_secrets: Boundary
) -> None:
    harmless = raised(case, "harmless")
    assert without_secrets(harmless) is harmless
    error = raised(case, VALUE)
    before = (rendered(error), repr(error.args), repr(vars(error)), error.__traceback__)

    clean = without_secrets(error)

    assert (clean is not error) is CASES[case][1]
    assert VALUE not in rendered(clean)
    assert type(clean).__name__ == type(error).__name__
    assert (rendered(error), repr(error.args), repr(vars(error)), error.__traceback__) == before
    if clean is not error:
        assert str(clean) == mask(str(error))
        assert isinstance(clean, Exception)
        assert clean.__cause__ is clean.__context__ is None
        assert not hasattr(clean, "__notes__")
        assert clean.__traceback__ is error.__traceback__


def test_a_traceback_that_shows_the_secret_is_dropped(without_secrets: Boundary) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        1 / len("the-value-of-it-7f3a"[:0])

    clean = without_secrets(caught.value)

    assert VALUE not in rendered(clean)
    assert clean.__traceback__ is None
    assert (type(clean).__name__, str(clean)) == ("ZeroDivisionError", str(caught.value))


class Nameless(type):
    """A metaclass that gives no name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError(VALUE)


def fails(error: type[BaseException]) -> Callable[[object], str]:
    """A method that shows the value in what it raises."""

    def method(_: object) -> str:
        raise error(VALUE)

    return method


def odd(name: str = "Odd", text: str = VALUE, kind: Any = type, **members: Any) -> Any:
    """An exception of a class of its own, after another one that shows the value."""
    error = kind(name, (Exception,), members)(text)
    error.__context__ = KeyError(VALUE)
    return error


def test_what_cannot_be_rendered_is_replaced(without_secrets: Boundary) -> None:
    no_notes, no_text = property(fails(KeyError)), "<exception str() failed>"
    for error, name, text in (
        *((odd(__module__=module), "Odd", "***") for module in (5, None, property(len))),
        (odd(f"Of{VALUE}", "no"), "Of***", "no"),
        (odd(text=f"is {VALUE}", __notes__=no_notes), "Odd", "is ***"),
        (odd(__notes__=property(fails(SystemExit))), "Odd", "***"),
        (odd(__notes__=no_notes, __str__=fails(KeyError)), "Odd", no_text),
        (odd(__str__=fails(SystemExit)), "Odd", no_text),
        (odd(kind=Nameless), "Exception", no_text),
    ):
        clean = without_secrets(error)
        assert (type(clean).__name__, str(clean), clean.__context__) == (name, text, None)


def test_the_engines_own_error_keeps_its_words(without_secrets: Boundary) -> None:
    """A secret may be a word of it, such as an identity."""
    errors: Any = importlib.import_module("identity_bindings.errors")
    own, apps = (errors.BindingUnavailableError(f"read by {VALUE}") for _ in range(2))
    own.own = True

    assert without_secrets(own) is own
    assert str(without_secrets(apps)) == "read by ***"
    own.__context__ = KeyError(VALUE)  # such as the refusal after which the secret is read again
    clean = without_secrets(own)
    assert (type(clean), str(clean)) == (type(own), str(own))
    assert clean.__context__ is None


def test_a_long_chain_and_one_that_ends_in_itself(without_secrets: Boundary) -> None:
    long: BaseException = ValueError(VALUE)
    for _ in range(5_000):
        then = ValueError("then")
        then.__context__, long = long, then
    circle = ValueError("first")
    circle.__context__ = KeyError("second")
    circle.__context__.__context__ = ExceptionGroup("third", [circle])

    assert (str(without_secrets(long)), without_secrets(long) is long) == ("then", False)
    assert without_secrets(circle) is circle
    circle.__context__.add_note(VALUE)
    assert without_secrets(circle) is not circle


def test_the_caller_gets_the_status_of_an_http_exception(without_secrets: Boundary) -> None:
    for status, detail, headers, shown in (
        (403, f"not with {VALUE}", {"X-Key": VALUE}, ("not with ***", {"X-Key": "***"})),
        (401, "no", {"X-Key": VALUE}, ("no", {"X-Key": "***"})),
        (409, {"key": VALUE}, None, ({"key": "***"}, None)),
        (409, {"key": 7}, None, ({"key": 7}, None)),
    ):
        error = fastapi.HTTPException(status, detail, headers)
        error.__cause__ = None if headers else KeyError(VALUE)
        clean = without_secrets(error)
        assert isinstance(clean, starlette.exceptions.HTTPException)
        assert (clean.status_code, (clean.detail, clean.headers)) == (status, shown)
