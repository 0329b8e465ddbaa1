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
    url = URL("https://api.example/").with_query(key=text)
    headers = {"Authorization": f"Bearer {text}"}
    info = aiohttp.RequestInfo(url, "GET", headers, url)  # type: ignore[arg-type]
    raise aiohttp.ClientResponseError(info, (), status=403, message="no", headers=headers)  # type: ignore[arg-type]


def requests_http(text: str) -> None:
    response = requests.Response()
    response.status_code, response.url = 403, f"https://api.example/?key={text}"
    response.raise_for_status()


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


def raise_(error: BaseException, note: str = "") -> None:
    if note:
        error.add_note(note)
    raise error


def sealed(text: str) -> Exception:
    return type("Sealed", (Exception,), {"__slots__": (), "__str__": lambda _: f"it is {text}"})()


# What raises, and whether a stand-in leaves where it holds the secret: the text then shows it.
CASES: dict[str, tuple[Callable[[str], Any], bool]] = {
    "aiohttp.ClientResponseError": (aiohttp_response, True),
    "httpx.HTTPStatusError": (
        lambda text: httpx.Response(
            403, request=httpx.Request("GET", f"https://api.example/?key={text}")
        ).raise_for_status(),
        True,
    ),
    "requests.HTTPError": (requests_http, True),
    "azure.core HttpResponseError": (
        lambda text: raise_(azure.core.exceptions.HttpResponseError(f"refused: {text}")),
        True,
    ),
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
        lambda text: raise_(ExceptionGroup("two", [KeyError("a"), ValueError(text)])),
        True,
    ),
    "a named tuple in args": (lambda text: raise_(ValueError(Pair("key", text))), True),
    "__str__ raises": (lambda text: raise_(Unspeakable(text)), False),
    "a note": (lambda text: raise_(ValueError("no"), note=f"the key was {text}"), True),
    "a cause": (partial(chained, cause=True), True),
    "a context": (chained, True),
    "a suppressed context": (partial(chained, hidden=True), False),
    "fastapi.HTTPException": (
        lambda text: raise_(fastapi.HTTPException(403, f"not with {text}", {"X-Key": text})),
        True,
    ),
    "slots": (lambda text: raise_(sealed(text)), True),
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


def test_an_exception_that_cannot_be_rendered_is_replaced(without_secrets: Boundary) -> None:
    class Closed(Exception):
        @property
        def __notes__(self) -> list[str]:
            raise KeyError(VALUE)

    class Unprintable(Closed):
        def __str__(self) -> str:
            raise KeyError(VALUE)

    class Named(Exception):
        pass

    Named.__name__ = Named.__qualname__ = f"Of{VALUE}"
    for error, name, text in (
        (Closed(f"is {VALUE}"), "Closed", "is ***"),
        (Unprintable(), "Unprintable", "<exception str() failed>"),
        (Named("no"), "Of***", "no"),
    ):
        clean = without_secrets(error)
        assert (type(clean).__name__, str(clean)) == (name, text)


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


class Nameless(type):
    """A metaclass that gives no name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError(VALUE)


class Exits(Exception):
    """An exception whose text ends the program."""

    def __str__(self) -> str:
        raise SystemExit(VALUE)


def test_a_class_that_cannot_be_read_shows_nothing(without_secrets: Boundary) -> None:
    for module in (5, None, property(lambda _: "x")):
        clean = without_secrets(type("Odd", (Exception,), {"__module__": module})(VALUE))
        assert (type(clean).__name__, str(clean)) == ("Odd", "***")
    exits = Exits()
    exits.__cause__ = KeyError(VALUE)
    for error in (Nameless("Of", (Exception,), {})(VALUE), exits):
        clean = without_secrets(error)
        assert clean is not error
        assert (str(clean), clean.__context__) == ("<exception str() failed>", None)


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
    clean = without_secrets(raised("fastapi.HTTPException", VALUE))

    assert isinstance(clean, starlette.exceptions.HTTPException)
    assert (clean.status_code, clean.detail) == (403, "not with ***")
    assert clean.headers == {"X-Key": "***"}
    clean = without_secrets(fastapi.HTTPException(401, "no", {"X-Key": VALUE}))
    assert isinstance(clean, starlette.exceptions.HTTPException)
    assert (clean.detail, clean.headers) == ("no", {"X-Key": "***"})
    for detail, shown in (({"key": VALUE}, {"key": "***"}), ({"key": 7}, {"key": 7})):
        error = fastapi.HTTPException(409, detail)
        error.__cause__ = KeyError(VALUE)
        clean = without_secrets(error)
        assert isinstance(clean, starlette.exceptions.HTTPException)
        assert (clean.status_code, clean.detail, clean.headers) == (409, shown, None)
