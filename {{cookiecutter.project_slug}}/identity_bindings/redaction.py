"""Values that must never be logged, and the masks that keep them out.

Covered: every record of every logger and handler (message, arguments, extras, exception, stack),
exceptions that leave a handler, ``print``, ``sys.stdout`` and ``sys.stderr``. Not covered: what
does not pass through these, such as an exporter that reads an object's attributes by itself.
"""

from __future__ import annotations

import base64
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 8
"""A shorter value is not masked: masking ``true`` everywhere would hide the log itself."""

_GENERATIONS = 1024
"""How many values are remembered. Old generations of a rotated secret stay masked."""

_logger = logging.getLogger("identity_bindings")
_lock = threading.Lock()
_registered: dict[str, tuple[str, ...]] = {}
_needles: tuple[str, ...] = ()
_warned_of_short = False


class SecretValue(str):
    """A secret's value: a ``str`` in every way, except that its ``repr`` is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


def register(value: str) -> None:
    """Mask `value` and the forms it takes in logs from now on.

    A value of fewer than 8 characters is not masked, and the log says so once.
    """
    global _needles, _warned_of_short
    if len(value.strip()) < SHORTEST:
        if value and not _warned_of_short:
            _warned_of_short = True
            _logger.warning(
                "A secret has fewer than %d characters. Values that short are not masked in logs.",
                SHORTEST,
            )
        return
    with _lock:
        if value in _registered:
            return
        _registered[str(value)] = tuple(dict.fromkeys(_forms(value)))
        while len(_registered) > _GENERATIONS:
            del _registered[next(iter(_registered))]
        needles = {needle for forms in _registered.values() for needle in forms}
        # The longest first: a whole value must be replaced before one of its lines is.
        _needles = tuple(sorted(needles, key=lambda needle: (-len(needle), needle)))


def mask(text: str) -> str:
    """Return `text` with every registered value, in any of its forms, replaced by ``***``."""
    for needle in _needles:
        if needle in text:
            text = text.replace(needle, MASK)
    return text


def scrub(error: BaseException) -> BaseException:
    """Take the registered values out of an exception, its notes, its causes and its group.

    Returns:
        The same exception, cleaned in place, or a stand-in with the same type name and traceback
        where its text cannot be cleaned.
    """
    return _scrub(error, set()) if _needles else error


def install() -> None:
    """Put the masks on logging, ``sys.stdout`` and ``sys.stderr``, if they are not there."""
    with _lock:
        if not hasattr(logging.Logger.handle, "original"):
            logging.Logger.handle = _masked(logging.Logger.handle)  # type: ignore[method-assign]
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _MaskedStream):
                setattr(sys, name, _MaskedStream(stream))


def uninstall() -> None:
    """Take the masks off and forget every value. For tests that start the app afresh."""
    global _needles, _warned_of_short
    with _lock:
        original = getattr(logging.Logger.handle, "original", None)
        if original is not None:
            logging.Logger.handle = original  # type: ignore[method-assign]
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, _MaskedStream):
                setattr(sys, name, stream.original)
        _registered.clear()
        _needles = ()
        _warned_of_short = False


def _forms(value: str) -> Iterator[str]:
    """Every form of `value` that is worth masking: long enough, and not blank."""
    lines = [line.strip() for line in value.splitlines()] if "\n" in value or "\r" in value else []
    for text in (str(value), value.strip(), *lines):
        for form in (*_escaped(text), *_encoded(text)):
            if len(form.strip()) >= SHORTEST:
                yield form


def _escaped(text: str) -> Iterator[str]:
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    data = text.encode("utf-8", "surrogatepass")
    yield repr(data)[2:-1]
    yield quote(data, safe="")
    yield quote(data)
    yield quote_plus(data)


def _encoded(text: str) -> Iterator[str]:
    """Base64, also where the value stands inside a longer text, as in a Basic header."""
    data = text.encode("utf-8", "surrogatepass")
    for shift in range(3):
        code = base64.b64encode(b"\0" * shift + data).decode()
        # The first and last characters depend on the neighbours when the value is not alone.
        start = 0 if shift == 0 else shift + 1
        remainder = (shift + len(data)) % 3
        core = code.rstrip("=")[start : -1 if remainder else None]
        for form in (code, code.rstrip("="), core) if shift == 0 else (core,):
            yield form
            yield form.replace("+", "-").replace("/", "_")
    yield data.hex()


def _masked(original: Callable[[logging.Logger, logging.LogRecord], None]) -> Any:
    """``logging.Logger.handle``, masked: the one place that every record of every logger passes."""

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if _needles:
            _mask_record(record)
        original(self, record)

    handle.original = original  # type: ignore[attr-defined]
    return handle


_STANDARD = frozenset(vars(logging.makeLogRecord({})))


def _mask_record(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:
        message = ""  # logging itself reports a format that does not fit its arguments
    if record.args and (message != mask(message) or _holds_value(record.args)):
        record.msg, record.args = mask(message), None
    elif not record.args:
        record.msg = _mask_object(record.msg)
    if record.exc_info and record.exc_info[1] is not None:
        error = scrub(record.exc_info[1])
        record.exc_info = (type(error), error, record.exc_info[2])
    for name in ("exc_text", "stack_info"):
        if text := getattr(record, name, None):
            setattr(record, name, mask(text))
    for name, extra in vars(record).items():
        if name not in _STANDARD:
            setattr(record, name, _mask_object(extra))


def _mask_object(value: Any) -> Any:
    """`value` with what must not be shown replaced; the same object where there is nothing."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return mask(str(value))
    if not _holds_value(value):
        return value
    if isinstance(value, dict):
        return {_mask_object(key): _mask_object(item) for key, item in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_mask_object(item) for item in value)
    return mask(str(value))


def _holds_value(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_value(part) for item in value.items() for part in item)
    if isinstance(value, list | tuple | set | frozenset):
        return any(_holds_value(item) for item in value)
    try:
        texts = (str(value), repr(value))
    except Exception:
        return False
    return any(needle in text for text in texts for needle in _needles)


def _scrub(error: BaseException, seen: set[int]) -> BaseException:
    if id(error) in seen:
        return error
    seen.add(id(error))
    for name in ("__cause__", "__context__"):
        linked = getattr(error, name)
        if linked is not None:
            clean = _scrub(linked, seen)
            if clean is not linked:
                hidden = error.__suppress_context__
                setattr(error, name, clean)
                error.__suppress_context__ = hidden
    if isinstance(error, BaseExceptionGroup):
        members = [_scrub(member, seen) for member in error.exceptions]
        if any(new is not old for new, old in zip(members, error.exceptions, strict=True)):
            error = error.derive(members).with_traceback(error.__traceback__)
    _scrub_attributes(error)
    shown = "".join(traceback.format_exception_only(error)) + repr(error)
    return error if mask(shown) == shown else _stand_in(error)


def _scrub_attributes(error: BaseException) -> None:
    slots = [name for base, names in _SLOTS.items() if isinstance(error, base) for name in names]
    for name in ("args", *vars(error), *slots):
        try:
            old = getattr(error, name, None)
            new = _mask_object(old)
            if new is not old and new != old:
                setattr(error, name, new)
        except Exception:  # noqa: S112 - an attribute that refuses is caught by the stand-in
            continue


_SLOTS: dict[type[BaseException], tuple[str, ...]] = {
    OSError: ("strerror", "filename", "filename2"),
    SyntaxError: ("msg", "text", "filename"),
    SystemExit: ("code",),
    StopIteration: ("value",),
    ImportError: ("msg", "name", "path"),
}
"""What built-in exceptions show beside their arguments."""


def _stand_in(error: BaseException) -> BaseException:
    text = mask(str(error))
    kind = type(type(error).__name__, (Exception,), {"__module__": type(error).__module__})
    stand_in: BaseException = kind(text)
    return stand_in.with_traceback(error.__traceback__)


class _MaskedStream:
    """A text stream that masks what is written to it and is the original in all else."""

    def __init__(self, original: TextIO) -> None:
        self.original = original

    def write(self, text: str) -> int:
        self.original.write(mask(text) if _needles else text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __enter__(self) -> _MaskedStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.original.flush()

    def __iter__(self) -> Iterator[str]:
        return iter(self.original)
