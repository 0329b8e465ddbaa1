"""The masks: which part of a text is masked, and every place of a log record."""

from __future__ import annotations

import base64
import functools
import io
import logging
import sys
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from apps import VALUE


@pytest.fixture
def masking(engine: Any) -> Any:
    return engine.masking


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


def test_half_a_surrogate_pair_is_masked(masking: Any) -> None:
    masking.register("a lone half: \ud800")

    assert masking.mask("it is a lone half: \ud800!") == "it is ***!"


@pytest.fixture
def record(masking: Any, caplog: pytest.LogCaptureFixture) -> Callable[..., logging.LogRecord]:
    """Log something through the masks, and return the record that handlers got."""
    masking.register(VALUE)
    masking.install()
    masking.install()  # once is enough

    def log(message: Any, *args: Any, **options: Any) -> logging.LogRecord:
        caplog.clear()
        logging.getLogger("of.a.library").error(message, *args, **options)
        (one,) = caplog.records
        return one

    return log


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


class Breaks:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


def test_each_part_of_a_record_is_masked(masking: Any, record: Log) -> None:
    masking.register("1234567890")
    for given, args, message in (
        ("it is the-value-of-it", (), "it is ***"),
        ("it is %s", (VALUE,), "it is ***"),
        ("it is %(a)s", ({"a": VALUE},), "it is ***"),
        ("it is %(a)s", (MappingProxyType({"a": VALUE}),), "it is ***"),
        ("it is %d of %5.1f%%", (1234567890, 12.0), "it is *** of  12.0%"),
        ("it is %r", (Shows("", VALUE),), "it is ***"),
        ("the-%s", ("value-of-it",), "***"),  # only together
        (Shows(VALUE, ""), (), "***"),
        ("it is %d", (7,), "it is 7"),
    ):
        one = record(given, *args)
        assert one.getMessage() == message
        assert VALUE not in repr(vars(one))

    kept = record("%s and %s", 7, ["a", "b"])
    assert (kept.msg, kept.args) == ("%s and %s", (7, ["a", "b"]))
    hidden = record("the length is %.0s", VALUE)  # in the arguments, and not in the text
    assert (hidden.getMessage(), hidden.args) == ("the length is ", ("***",))


def test_extras_and_exceptions_of_a_record_are_masked(record: Log) -> None:
    original = chain(KeyError(VALUE))
    one = record("failed", exc_info=original, stack_info=True, extra={"mine": [VALUE, 7]})

    assert original.args == (VALUE,)  # it is the app's
    assert one.mine == ["***", 7]  # type: ignore[attr-defined]
    assert one.exc_info is not None
    kind, error, trace = one.exc_info
    assert (kind, kind.__name__, str(error)) == (type(error), "KeyError", "'***'")
    assert trace is not None
    one.exc_text = None
    assert VALUE not in logging.Formatter().format(one)
    clean = chain(ValueError("no"), KeyError("no"))
    assert record("failed", exc_info=clean).exc_info == (ValueError, clean, clean.__traceback__)
    assert record("failed", exc_info=(None, None, None)).exc_info == (None, None, None)


def test_the_texts_and_the_fields_of_every_record_are_masked(
    masking: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def with_field(*args: Any, **options: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **options)
        record.request = VALUE
        return record

    masking.register(VALUE)
    masking.install()
    monkeypatch.setattr(logging, "_logRecordFactory", with_field)
    monkeypatch.setattr(threading.current_thread(), "name", VALUE)

    logging.getLogger(f"of.{VALUE}").error("x")
    exec(compile("logging.error('x')", f"/of/{VALUE}.py", "exec"), {"logging": logging})

    assert len(caplog.records) == 2
    for one in caplog.records:
        assert VALUE not in repr(vars(one))
        assert one.threadName == "***"
    assert caplog.records[0].name == "of.***"
    assert caplog.records[1].filename == "***.py"


def test_what_contains_itself_is_masked(record: Log) -> None:
    circle: dict[str, Any] = {"is": VALUE}
    circle["self"] = [circle]
    harmless: list[Any] = ["is"]
    harmless.append(harmless)
    deep: list[Any] = [VALUE]
    for _ in range(1_500):
        deep = [deep]

    assert record("it is", extra={"mine": [harmless]}).mine[0] is harmless  # type: ignore[attr-defined]
    assert VALUE not in record("it is %s", circle).getMessage()
    assert VALUE not in repr(vars(record("it is", extra={"mine": circle})))
    record("it is", extra={"mine": deep})  # too deep to be shown, or to be looked into


def test_what_is_nested_is_rendered_once_at_its_top_and_once_by_itself(record: Log) -> None:
    rendered = []

    class Rendered:
        def __repr__(self) -> str:
            rendered.append(self)
            return VALUE

    deep: list[Any] = [Rendered()]
    for _ in range(100):
        deep = [deep]

    assert VALUE not in repr(record("it is", extra={"mine": deep}).mine)  # type: ignore[attr-defined]
    assert len(rendered) < 10


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ([VALUE, 1], ["***", 1]),
        ((1, VALUE), (1, "***")),
        ({VALUE}, {"***"}),
        (frozenset({VALUE}), frozenset({"***"})),
        ({"a": {"b": [VALUE]}}, {"a": {"b": ["***"]}}),
        ({VALUE: 1}, {"***": 1}),
        (Shows(f"is {VALUE}", ""), "is ***"),
        (Shows("is", VALUE), "is"),
        (VALUE.encode(), "b'***'"),
    ],
)
def test_an_argument_keeps_its_type_where_it_can(record: Log, value: Any, masked: Any) -> None:
    found = record("it is", extra={"mine": value}).mine  # type: ignore[attr-defined]

    assert (type(found), found) == (type(masked), masked)
    broken = Breaks()
    for clean in (7, None, "a", Text("a"), ["a", {"b": ("c",)}], {"a": [1]}, {1}, broken, [broken]):
        assert record("it is", extra={"mine": clean}).mine is clean  # type: ignore[attr-defined]


def chain(first: BaseException, cause: BaseException | None = None) -> BaseException:
    """An exception as it is when it was raised, with its traceback and its cause."""
    try:
        raise first from cause
    except BaseException as error:
        return error


def test_of_a_stream_only_write_is_replaced(masking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    masking.uninstall()
    masking.register(VALUE)
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
    assert written.write(f"{VALUE}!") == len(f"{VALUE}!")
    written.writelines(["<", f"{VALUE}\n"])
    print("and", VALUE, file=sys.stdout, flush=True)
    with pytest.raises(TypeError):
        written.write(VALUE.encode())  # type: ignore[arg-type]
    assert written.buffer.getvalue() == b"***!<***\nand ***\n"  # type: ignore[attr-defined]
    masking.uninstall()
    assert written.write == original


def test_changes_of_others_to_logging_are_kept(masking: Any) -> None:
    masking.uninstall()
    plain, formatted = logging.Logger.handle, logging.Handler.format
    masking.install()
    ours = logging.Logger.handle

    @functools.wraps(ours)  # which copies attributes
    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        ours(self, record)

    logging.Logger.handle = handle  # type: ignore[method-assign]
    masking.uninstall()

    assert logging.Logger.handle is handle
    assert logging.Handler.format is formatted
    logging.Logger.handle = plain  # type: ignore[method-assign]


# The words that the alert of infra/ looks for.
ALERT = "The last value is kept for 900 s"
SECRETS = (ALERT, "The last value", "identity_bindings", "s kept for", "%s: %s. ", "*** *** ***")


def _engine_says(masking: Any, text: str, *args: Any) -> None:
    """Log as a module of the engine does."""
    code = compile("log(*args)", str(masking.__file__).replace("masking", "sources"), "exec")
    exec(code, {"log": logging.getLogger("identity_bindings").warning, "args": (text, *args)})


def test_a_secret_in_the_alerts_words_does_not_disable_the_alert(
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
