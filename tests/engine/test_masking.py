"""The masks, one by one: each form of a value, and each place in which it can stand."""

from __future__ import annotations

import base64
import importlib
import io
import json
import logging
import sys
import threading
import traceback
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from apps import told

VALUE = "p/s+ w&rd=\"1'\\\nä€?>~"
"""A value that every encoding changes."""


@pytest.fixture
def masking() -> Any:
    return importlib.import_module("identity_bindings.masking")


DATA = VALUE.encode()
FORMS: dict[str, str] = {
    "as it is": VALUE,
    "repr": repr(VALUE)[1:-1],
    "repr of bytes": repr(DATA)[2:-1],
    "hex": DATA.hex(),
    "JSON": json.dumps(VALUE)[1:-1],
    "JSON with its letters": json.dumps(VALUE, ensure_ascii=False)[1:-1],
    "in a path": urllib.parse.quote(VALUE),
    "in a query": urllib.parse.quote(VALUE, safe=""),
    "in a form": urllib.parse.quote_plus(VALUE),
    "base64": base64.b64encode(DATA).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(DATA).decode(),
    "base64 without padding": base64.b64encode(DATA).decode().rstrip("="),
    "its longest line": "p/s+ w&rd=\"1'\\",
}


def test_each_form_of_a_value_is_masked(masking: Any) -> None:
    masking.register(VALUE)

    for name, form in FORMS.items():
        masked = masking.mask(f"before {form} after")
        assert masked.rstrip("=").replace("= after", " after") == "before *** after", name
    assert len({*FORMS.values()}) == len(FORMS)  # each is one of its own


@pytest.mark.parametrize("value", ["01234567W", "0123456>?X", "012345678>?", "0123456789ab>X"])
def test_base64_is_masked_inside_of_a_longer_text_too(masking: Any, value: str) -> None:
    """Of its neighbours' bits, six of which make a sign, none is masked, and of its own, all are."""
    masking.register(value)

    for before in ("", "a", "ab", "abc", "user:"):
        for after in ("", "z", "yz", "xyz"):
            begins = -(-8 * len(before) // 6)
            ends = 8 * len(before + value) // 6
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                code = encode(f"{before}{value}{after}".encode()).decode()
                if not after and len(before) % 3 == 0:
                    ends = len(code)  # no neighbour decides about the last sign
                assert masking.mask(code) == f"{code[:begins]}***{code[ends:]}"


def test_lines_and_blanks_do_not_matter(masking: Any) -> None:
    masking.register("\n  -----BEGIN-----\n  the-first-line \r\n  short\n")

    text = "-----BEGIN----- then the-first-line, then short"
    assert masking.mask(text) == "*** then ***, then short"
    assert masking.mask("a text that is not it") == "a text that is not it"
    masking.register("  with blanks around  ")
    assert masking.mask("[  with blanks around  ]") == "[***]"
    assert masking.mask("[with blanks around]") == "[***]"


def test_what_is_short_is_not_masked(masking: Any, caplog: pytest.LogCaptureFixture) -> None:
    masking.register("1234567")
    masking.register("  1234567  ")
    assert masking.mask("1234567") == "1234567"
    assert told(caplog, level=logging.WARNING) == [
        "A secret of fewer than 8 characters is not masked in logs."
    ]

    masking.register("12345678")
    assert masking.mask("a 12345678 b") == "a *** b"
    assert len(told(caplog, level=logging.WARNING)) == 1


def test_a_whole_value_is_masked_before_a_part_of_it(masking: Any) -> None:
    masking.register("the-value-1")
    masking.register("the-value-1-and-more", owner="another")

    assert masking.mask("the-value-1-and-more, the-value-1") == "***, ***"


def test_a_value_without_an_owner_stays_masked_like_any(masking: Any) -> None:
    for number in range(40):
        masking.register(f"generation-{number:03}")

    assert masking.mask("generation-007") == "generation-007"
    assert masking.mask("generation-008") == "***"


def test_a_value_that_is_read_again_is_the_newest(masking: Any) -> None:
    for number in range(32):
        masking.register(f"generation-{number:03}", owner="it")
    masking.register("generation-000", owner="it")

    masking.register("generation-032", owner="it")

    masked = [masking.mask(f"generation-{number:03}") for number in range(33)]
    assert [number for number, text in enumerate(masked) if text != "***"] == [1]


def test_a_half_of_a_sign_is_masked(masking: Any) -> None:
    masking.register("a lone half: \ud800")

    assert masking.mask("it is a lone half: \ud800!") == "it is ***!"


@pytest.fixture
def record(masking: Any, caplog: pytest.LogCaptureFixture) -> Callable[..., logging.LogRecord]:
    """Log something through the masks, and return the record that handlers got."""
    masking.register(VALUE_OF_IT)
    masking.install()
    masking.install()  # once is enough

    def log(message: Any, *args: Any, **options: Any) -> logging.LogRecord:
        caplog.clear()
        logging.getLogger("of.a.library").error(message, *args, **options)
        (one,) = caplog.records
        return one

    return log


VALUE_OF_IT = "the-value-of-it"
Log = Callable[..., logging.LogRecord]


class Shows:
    """An object that shows a value, in one way or in the other."""

    def __init__(self, text: str, representation: str) -> None:
        self._text, self._representation = text, representation

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._representation


class Text(str):
    """A text of somebody's own type."""


class Closed(dict[str, int]):
    """A dictionary that cannot be looked into."""

    def values(self) -> Any:
        raise KeyError("no")


class Breaks:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


def test_a_record_is_masked_wherever_the_value_stands(record: Log) -> None:
    for given, args, message in (
        ("it is the-value-of-it", (), "it is ***"),
        ("it is %s", (VALUE_OF_IT,), "it is ***"),
        ("it is %(a)s", ({"a": VALUE_OF_IT},), "it is ***"),
        ("it is %r", (Shows("", VALUE_OF_IT),), "it is ***"),
        ("the-%s", ("value-of-it",), "***"),  # only together
        (Shows(VALUE_OF_IT, ""), (), "***"),
        ("it is %d", (7,), "it is 7"),
    ):
        one = record(given, *args)
        assert one.getMessage() == message
        assert VALUE_OF_IT not in repr(vars(one))

    kept = record("%s and %s", 7, ["a", "b"])
    assert (kept.msg, kept.args) == ("%s and %s", (7, ["a", "b"]))
    hidden = record("the length is %.0s", VALUE_OF_IT)  # in the arguments, and not in the text
    assert (hidden.getMessage(), hidden.args) == ("the length is ", ("***",))


def test_a_format_that_does_not_fit_is_nobodys_way_out(
    masking: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    masking.register(VALUE_OF_IT)
    masking.install()
    log = logging.getLogger("of.a.library")
    log.addHandler(handler := logging.StreamHandler(sys.stderr))
    log.propagate = False

    log.error("%d and %d", VALUE_OF_IT)

    log.removeHandler(handler)
    log.propagate = True
    assert capsys.readouterr().err == "%d and %d\n"


def test_what_belongs_to_a_record_is_masked(record: Log) -> None:
    try:
        raise KeyError(VALUE_OF_IT)
    except KeyError:
        one = record("failed", exc_info=True, stack_info=True, extra={"mine": [VALUE_OF_IT, 7]})

    assert one.mine == ["***", 7]  # type: ignore[attr-defined]
    assert one.exc_info is not None
    kind, error, trace = one.exc_info
    assert kind is type(error)
    assert (kind.__name__, kind.__module__, str(error)) == ("KeyError", "builtins", "'***'")
    assert trace is not None
    one.exc_text = None
    assert VALUE_OF_IT not in logging.Formatter().format(one)
    never_raised = record("failed", exc_info=KeyError(VALUE_OF_IT))
    assert VALUE_OF_IT not in logging.Formatter().format(never_raised)
    clean = chain(ValueError("no"), KeyError("no"))
    kept = record("failed", exc_info=clean)
    assert kept.exc_info == (ValueError, clean, clean.__traceback__)
    plain = record("failed", exc_info=(None, None, None), extra={"mine": 7})
    assert plain.mine == 7  # type: ignore[attr-defined]


def test_the_texts_and_the_fields_of_every_record_are_masked(
    masking: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def with_field(*args: Any, **options: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **options)
        record.request = VALUE_OF_IT
        return record

    masking.register(VALUE_OF_IT)
    masking.install()
    monkeypatch.setattr(logging, "_logRecordFactory", with_field)
    monkeypatch.setattr(threading.current_thread(), "name", VALUE_OF_IT)

    logging.getLogger(f"of.{VALUE_OF_IT}").error("x")
    exec(compile("logging.error('x')", f"/of/{VALUE_OF_IT}.py", "exec"), {"logging": logging})
    made = logging.makeLogRecord({"msg": "x", "exc_info": True})
    masking._mask_rest(made)

    assert made.exc_info is True  # type: ignore[comparison-overlap]
    assert len(caplog.records) == 2
    for one in caplog.records:
        assert VALUE_OF_IT not in repr(vars(one))
        assert one.threadName == "***"
    assert caplog.records[0].name == "of.***"
    assert caplog.records[1].filename == "***.py"


def test_an_argument_that_the_message_shows_is_rendered_for_the_message_only(masking: Any) -> None:
    class Counts:
        calls = 0

        def __repr__(self) -> str:
            self.calls += 1
            return "text"

    counts = Counts()
    masking.install()
    log = logging.Logger("of.one.handler")
    log.addHandler(logging.StreamHandler(io.StringIO()))

    log.error("it is %s", [counts])

    masks, handler = 1, 1
    assert counts.calls == masks + handler


def test_who_logs_an_exception_can_go_on_using_it(record: Log) -> None:
    cause, member = chain(KeyError(VALUE_OF_IT)), ValueError(VALUE_OF_IT)
    for error in (
        chain(Token("refused")),
        chain(Token(VALUE_OF_IT)),
        chain(ValueError("no"), cause),
        chain(ExceptionGroup(f"of {VALUE_OF_IT}", [member, TypeError("no")]), cause),
    ):
        error.add_note(f"it was {VALUE_OF_IT}")
        before = text_of(error)

        one = record("failed", exc_info=error)

        assert text_of(error) == before
        assert getattr(error, "token", VALUE_OF_IT) == VALUE_OF_IT
        shown = logging.Formatter().format(one)
        assert VALUE_OF_IT not in shown


def test_what_holds_itself_is_masked(masking: Any, record: Log) -> None:
    circle: dict[str, Any] = {"is": VALUE_OF_IT}
    circle["self"] = [circle]
    harmless: list[Any] = ["is"]
    harmless.append(harmless)
    deep: list[Any] = [VALUE_OF_IT]
    for _ in range(5_000):
        deep = [deep]

    masked = masking._mask_object(circle)
    assert masked == {"is": "***", "self": ["{'is': '***', 'self': [{...}]}"]}
    assert masking._mask_object(harmless) is harmless
    assert masking._mask_object([Closed({VALUE_OF_IT: 1})]) == ["***"]
    assert VALUE_OF_IT not in record("it is %s", circle).getMessage()
    assert VALUE_OF_IT not in repr(record("it is", extra={"mine": circle}).__dict__["mine"])
    record("it is", extra={"mine": deep})  # too deep to be shown, or to be looked into


def test_what_holds_nothing_to_hide_stays_the_same_object(masking: Any) -> None:
    masking.register(VALUE_OF_IT)
    for value in (
        7,
        None,
        "a text",
        Text("a text"),
        ["a", {"b": ("c",)}],
        {"a": [1]},
        (1,),
        {1},
        Breaks(),
    ):
        assert masking._mask_object(value) is value

    for value, masked in (
        ([VALUE_OF_IT, 1], ["***", 1]),
        ((1, VALUE_OF_IT), (1, "***")),
        ({VALUE_OF_IT}, {"***"}),
        (frozenset({VALUE_OF_IT}), frozenset({"***"})),
        ({"a": {"b": [VALUE_OF_IT]}}, {"a": {"b": ["***"]}}),
        ({VALUE_OF_IT: 1}, {"***": 1}),
        (Shows(f"is {VALUE_OF_IT}", ""), "is ***"),
        (Shows("is", VALUE_OF_IT), "is"),
        (VALUE_OF_IT.encode(), "b'***'"),
    ):
        found = masking._mask_object(value)
        assert (type(found), found) == (type(masked), masked)


class Token(Exception):
    """An exception that holds what the program needs, and does not show it."""

    token = ""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.token = VALUE_OF_IT


def chain(first: BaseException, cause: BaseException | None = None) -> BaseException:
    """An exception as it is when it was raised, with its traceback and its cause."""
    try:
        raise first from cause
    except BaseException as error:
        return error


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


def test_of_a_stream_only_write_is_replaced(masking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masking.uninstall()
    masking.register(VALUE_OF_IT)
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    original = written.write
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setattr(sys, "stderr", None)  # as in a process without a console
    monkeypatch.setattr(sys, "__stderr__", object())  # it has no `write`, and takes none

    masking.install()
    masking.install()

    assert sys.stderr is None
    assert sys.stdout is written
    assert isinstance(sys.stdout, io.TextIOWrapper)
    assert vars(written).keys() == {"mode", "write"} or vars(written).keys() == {"write"}
    assert written.write(f"{VALUE_OF_IT}!") == len(f"{VALUE_OF_IT}!")
    written.writelines(["<", f"{VALUE_OF_IT}\n"])
    print("and", VALUE_OF_IT, file=sys.stdout, flush=True)
    with pytest.raises(TypeError):
        written.write(VALUE_OF_IT.encode())  # type: ignore[arg-type]
    assert written.buffer.getvalue() == b"***!<***\nand ***\n"  # type: ignore[attr-defined]
    masking.uninstall()
    assert written.write == original


def test_what_others_have_put_on_logging_is_kept(masking: Any) -> None:
    masking.uninstall()
    plain, formatted = logging.Logger.handle, logging.Handler.format
    masking.install()
    ours = logging.Logger.handle

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        ours(self, record)

    logging.Logger.handle = handle  # type: ignore[method-assign]
    masking.uninstall()

    assert logging.Logger.handle is handle
    assert logging.Handler.format is formatted
    logging.Logger.handle = plain  # type: ignore[method-assign]


@pytest.mark.parametrize("args", [(1, "a"), (VALUE_OF_IT, 200), ("the-", "value-of-it", 200)])
def test_arguments_keep_their_number_and_order(record: Log, args: tuple[Any, ...]) -> None:
    one = record("%s" * len(args), *args)

    assert isinstance(one.args, tuple)
    assert len(one.args) == len(args)
    assert VALUE_OF_IT not in one.getMessage()
    for before, after in zip(args, one.args, strict=True):
        assert after == (before if before != VALUE_OF_IT else "***")


def test_a_number_that_is_a_value_is_masked(masking: Any, record: Log) -> None:
    masking.register("1234567890")

    one = record("%d of %5.1f%%", 1234567890, 12.0)

    assert (one.getMessage(), one.args) == ("*** of  12.0%", ("***", 12.0))


class Named(Mapping[str, str]):
    """What names its values, and is no dictionary."""

    def __getitem__(self, key: str) -> str:
        return {"a": VALUE_OF_IT}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(("a",))

    def __len__(self) -> int:
        return 1


def test_a_mapping_is_masked(record: Log) -> None:
    one = record("it is %(a)s", Named())

    assert (one.getMessage(), one.args) == ("it is ***", {"a": "***"})


# The words that the alert of infra/ looks for.
ALERT = "The last value is kept for 900 s"
SECRETS = (ALERT, "The last value", "identity_bindings", "s kept for", "%s: %s. ", "*** *** ***")


def _engine_says(masking: Any, text: str, *args: Any) -> None:
    """Log as a module of the engine does."""
    code = compile("log(*args)", str(masking.__file__).replace("masking", "sources"), "exec")
    exec(code, {"log": logging.getLogger("identity_bindings").warning, "args": (text, *args)})


def test_no_secrets_text_unmakes_the_alert(
    masking: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for secret in SECRETS:
        masking.register(secret)
    masking.install()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s %(extra)s"))
    add: Any = lambda record: setattr(record, "extra", "s kept for") or True  # noqa: E731
    handler.addFilter(add)
    logging.getLogger("identity_bindings").addHandler(handler)

    _engine_says(masking, "%s: %s. %s", "secret 'a'", "no", ALERT)

    line = capsys.readouterr().err
    assert line == f"WARNING ***: secret 'a': no. {ALERT} ***\n"
    assert caplog.records[-1].getMessage() == f"secret 'a': no. {ALERT}"
    logging.getLogger("identity_bindings").warning("%s", ALERT)  # of the app: nothing is left out
    assert ALERT not in capsys.readouterr().err
    logging.error(ALERT)
    assert caplog.records[-1].getMessage() == "***"
