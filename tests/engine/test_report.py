"""The rows that ``check`` and the log at start show, one by one."""

from __future__ import annotations

import importlib
import logging
import time
from concurrent import futures
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from apps import told

NOW = 2_000_000_000.0
DAY = 86_400
REPAIR = "az functionapp identity assign --name func-tests"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that makes the rows, in an app that has an identity."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, "of-the-test")
    return importlib.import_module("identity_bindings.report")


@pytest.fixture
def report(module: Any) -> Any:
    return importlib.import_module("identity_bindings.report")


class Binding:
    """A declared value."""

    name = "mySecret"
    identity: Any = None

    def __str__(self) -> str:
        return "secret 'a'"


def injection(module: Any, function: str = "echo", took: float = 0.0, **source: Any) -> Any:
    """One declared value of a function, whose source is in some state."""
    identity = importlib.import_module("identity_bindings.credentials").Identity()
    binding = Binding()
    binding.identity = identity
    injections: Any = importlib.import_module("identity_bindings.injection")
    known = {"reading": None, "failure": None, "join": lambda: None, "took": took, **source}
    return injections.Injection(function, binding, SimpleNamespace(**known))


def reading(module: Any, **properties: Any) -> Any:
    return importlib.import_module("identity_bindings.errors").Reading("a value", **properties)


def denied() -> Any:
    failure = importlib.import_module("identity_bindings.errors").Failure
    return failure("denied", "the vault says no", "let it in")


def test_a_row_tells_how_a_read_went(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    names = ("echo", "mySecret", "secret 'a'", "the system-assigned identity")
    soon = NOW + 30 * DAY
    for source, rest in (
        ({"reading": reading(module), "took": 0.7654}, ("ok", 765, "")),
        ({"reading": reading(module, expires=soon)}, ("ok", 0, "")),
        (
            {"reading": reading(module, expires=soon - 1)},
            ("ok, but it expires on 2033-06-17", 0, ""),
        ),
        (
            {"reading": reading(module, expires=NOW - DAY, note="expired on 2033-05-17")},
            ("ok, but it expired on 2033-05-17", 0, ""),
        ),
        ({"reading": reading(module, note="is odd")}, ("ok, but it is odd", 0, "")),
        ({"failure": denied()}, ("the vault says no", None, "let it in")),
        # A value that is kept in a fault is a failure all the same.
        (
            {"reading": reading(module), "failure": denied()},
            ("the vault says no", None, "let it in"),
        ),
        ({}, ("no answer within 9.5 s", None, "try again; check the network")),
    ):
        (row,) = module.read_rows([injection(module, **source)])

        assert tuple(row) == (*names, *rest)
        assert row.ok is rest[0].startswith("ok")


def test_all_are_waited_for_at_once(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(
        module.futures, "wait", lambda flights, timeout: waited.append((set(flights), timeout))
    )
    flight: futures.Future[None] = futures.Future()
    reads = [
        injection(module, join=lambda: flight),
        injection(module, join=lambda: flight, failure=denied()),
        injection(module),
    ]

    assert len(module.read_rows(reads)) == 3

    assert waited == [({flight}, 9.5)]


def test_what_is_declared_wrongly_comes_first(module: Any, report: Any) -> None:
    problem = importlib.import_module("identity_bindings.errors").Problem
    wrong = problem("functions/b/function.json", "name", "x", "a name")
    missing = problem("functions/c/__init__.py", "import", "x", "the module must load")
    report.report.problems = {"c": [missing], "b": [wrong], "a": [wrong]}
    report.report.injections = [injection(module, failure=denied())]

    rows = report.report.rows()

    for row, name in zip(rows, "ab", strict=False):
        assert tuple(row) == (
            *(name, "-", "functions/b/function.json", "-", "wrong declaration", None, str(wrong)),
        )
    assert [row.function for row in rows] == ["a", "b", "c", "echo"]
    assert rows[2].result == "cannot be imported"


def test_a_table_has_a_column_for_each(module: Any) -> None:
    rows = [
        module.Row("echo", "mySecret", "secret 'a'", "system", "ok", 7),
        module.Row("a", "b", "c", "d", "the vault says no", None, "let it in"),
        module.Row("a", "-", "c", "-", "wrong declaration"),
    ]

    assert module.as_table(rows).split("\n") == [
        "function  binding   result             time",
        "echo      mySecret  ok                 7 ms",
        "  secret 'a', read by system",
        "a         b         the vault says no",
        "  c, read by d",
        "  Repair: let it in",
        "a         -         wrong declaration",
        "  c",
    ]


def test_a_table_has_100_columns_at_most(module: Any) -> None:
    long = "a-very-long-name-of-a-function-or-of-a-secret-" * 3
    words = "a sentence that says what to do about it " * 9
    row = module.Row(long, long, long, "the " + long, words, 123456, words + long)

    lines = module.as_table([row]).split("\n")

    assert max(map(len, lines)) <= 100
    whole = "".join("".join(lines).split())
    assert whole.count("whattodoaboutit") >= 9 + 3  # in its column the words are cut elsewhere
    assert module.as_table([]) == "function  binding  result  time"


def problems(*names: str) -> list[Any]:
    problem = importlib.import_module("identity_bindings.errors").Problem
    return [problem("f", name, 7, "8") for name in names]


def test_each_problem_is_a_line_and_is_kept(report: Any, caplog: pytest.LogCaptureFixture) -> None:
    one, two, three = problems("one", "two", "three")
    report.report.add_problems("a", [one, two])
    report.report.add_problems("a", [three])
    report.report.add_problems("b", [])

    assert told(caplog) == ["f: one: 7: 8", "f: two: 7: 8", "f: three: 7: 8"]
    assert report.report.problems == {"a": [one, two, three], "b": []}


def test_a_function_in_error_answers_requests_and_raises_for_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = importlib.import_module("identity_bindings.report")
    refuse = module.refusal("echo", problems("one", "two"))
    request = func.HttpRequest("GET", "/", body=b"")

    answer = refuse(context=None, req=request)

    assert (answer.status_code, answer.get_body()) == (
        500,
        b"This function is in error. Its log says why.",
    )
    lines = [f"Function 'echo' is in error: f: {problem}: 7: 8" for problem in ("one", "two")]
    assert told(caplog) == lines
    error = importlib.import_module("identity_bindings.errors").IdentityBindingError
    with pytest.raises(error, match=r"^Function 'echo' is in error: f: one: 7: 8; f: two: 7: 8$"):
        refuse(msg="a message")
    assert told(caplog) == lines  # the worker logs what is raised


def begin(module: Any, monkeypatch: pytest.MonkeyPatch, *places: str) -> list[Any]:
    """What is logged at the start, with these variables set, of one good and one bad value."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "WEBSITE_SITE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEBSITE_SKU", "FlexConsumption")
    for name in ("WEBSITE_POD_NAME", "CONTAINER_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name in places:
        monkeypatch.setenv(name, "func-tests")
    threads: list[Any] = []
    report = importlib.import_module("identity_bindings.report")
    monkeypatch.setattr(
        report, "Thread", lambda **options: SimpleNamespace(start=lambda: threads.append(options))
    )
    good = injection(module, "good", took=0.007, reading=reading(module))
    report.report.injections = [good]
    report.report.begin()
    report.report.injections += [injection(module, "bad", failure=denied())]
    report.report.begin()
    report.report.begin()
    return threads


def test_in_azure_each_value_is_logged_once_when_it_was_read(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")

    threads = begin(module, monkeypatch, "IDENTITY_ENDPOINT", "IDENTITY_HEADER")

    assert [one["name"] for one in threads] == ["identity-report"] * 2
    assert all(one["daemon"] for one in threads)
    for one in threads:
        one["target"](*one["args"])
    whose = "mySecret  secret 'a'  the system-assigned identity"
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("INFO", f"good  {whose}  ok  7 ms"),
        ("ERROR", f"bad  {whose}  the vault says no  let it in"),
    ]
    importlib.import_module(
        "identity_bindings.sources"
    ).pool.closed = True  # the process ends: what is told now would only confuse
    threads[0]["target"](*threads[0]["args"])
    assert len(caplog.records) == 2


def test_in_azure_without_an_identity_it_is_logged_at_once(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert begin(module, monkeypatch, "WEBSITE_SITE_NAME") == []

    lines = told(caplog)
    assert [line.split()[0] for line in lines] == ["good", "bad"]
    assert all("no identity is assigned" in line and REPAIR in line for line in lines)


def test_elsewhere_nothing_is_logged(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="identity_bindings")

    assert begin(module, monkeypatch) == []

    assert caplog.records == []
