"""The masks that keep values out of logs: on logging, exceptions, ``stdout`` and ``stderr``.

Every record of every logger and handler passes them (message, arguments, extras, exception,
stack), and so does what ``print`` and tracebacks write. Not covered: what reads an object's
attributes by itself, such as an exporter of spans.
"""

import base64
import json
import logging
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

from .errors import say_once
from .exceptions import without_secrets

MASK = "***"

SHORTEST = 8
"""A shorter value is not masked: masking ``true`` everywhere would hide the log itself."""

_GENERATIONS = 32  # of a secret that is rotated: those before the newest stay masked too
_lock = Lock()
_forms_of: dict[Hashable, dict[str, set[str]]] = {}  # owner → value → forms
_needles: tuple[str, ...] = ()
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class SecretValue(str):
    """A secret's value: a ``str`` in every way, except that its ``repr`` is masked."""

    def __repr__(self) -> str:
        return repr(MASK)


def register(value: str, owner: Hashable = None) -> None:
    """Mask `value` and the forms it takes in logs from now on.

    A value of fewer than 8 characters is not masked, and the log says so once.

    Args:
        value: What must not be shown.
        owner: Whose value it is. The last 32 values of each owner are masked.
    """
    global _needles
    if len(value.strip()) < SHORTEST:
        say_once("A secret of fewer than %d characters is not masked in logs.", SHORTEST)
        return
    with _lock:
        values = _forms_of.setdefault(owner, {})
        known = values.pop(value, None)
        values[str(value)] = known or set(_forms(value))
        if known is None:
            if len(values) > _GENERATIONS:
                del values[next(iter(values))]
            forms = [forms for owned in _forms_of.values() for forms in owned.values()]
            # The longest first: a whole value must be replaced before one of its lines is.
            _needles = tuple(sorted(set[str]().union(*forms), key=len, reverse=True))


def mask(text: str) -> str:
    """Return `text` with every registered value, in any of its forms, replaced by ``***``."""
    for needle in _needles:
        if needle in text:
            text = text.replace(needle, MASK)
    return text


def install() -> None:
    """Put the masks on logging, ``sys.stdout`` and ``sys.stderr``, if they are not there."""
    if not hasattr(logging.Logger.handle, "original"):
        logging.Logger.handle = _masked(logging.Logger.handle)  # type: ignore[method-assign]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, MaskedStream):
            setattr(sys, name, MaskedStream(stream))


def _masked(original: Callable[[logging.Logger, logging.LogRecord], None]) -> Any:
    """``logging.Logger.handle``, masked: the one place that every record of every logger passes."""

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if _needles:
            _mask_record(record)
        original(self, record)

    handle.original = original  # type: ignore[attr-defined]
    return handle


def _mask_record(record: logging.LogRecord) -> None:
    if record.args:
        message = ""
        with suppress(Exception):  # logging itself reports a format that does not fit
            message = record.getMessage()
        if message != mask(message) or _mask_object(record.args) is not record.args:
            record.msg, record.args = mask(message), None
    else:
        record.msg = _mask_object(record.msg)
    if record.exc_info and record.exc_info[1] is not None:
        error = without_secrets(record.exc_info[1], mask)
        if error is not record.exc_info[1]:
            record.exc_info = (type(error), error, error.__traceback__)
    for name in ("exc_text", "stack_info", *(vars(record).keys() - _STANDARD)):
        setattr(record, name, _mask_object(getattr(record, name)))


def _mask_object(value: Any, seen: set[int] | None = None) -> Any:
    """`value` without what must not be shown; the same object where there is nothing to hide."""
    if isinstance(value, str):
        text = mask(str(value))
        return value if text == value and not isinstance(value, SecretValue) else text
    seen = set() if seen is None else seen
    walk = isinstance(value, dict) or type(value) in (list, tuple, set, frozenset)
    try:
        if walk and id(value) not in seen:  # one that holds itself is masked as its text is
            seen.add(id(value))
            items = [*value, *value.values()] if isinstance(value, dict) else [*value]
            masked = [_mask_object(item, seen) for item in items]
            if all(a is b for a, b in zip(items, masked, strict=True)):
                return value
            pairs = zip(masked, masked[len(value) :], strict=False)
            return dict(pairs) if isinstance(value, dict) else type(value)(masked)
        text = str(value)
        return value if mask(text + repr(value)) == text + repr(value) else mask(text)
    except Exception:  # an object that cannot be shown shows nothing; what is in a list may be
        return MASK if walk else value


class MaskedStream:
    """A text stream that masks what is written to it, and is the original in all else."""

    def __init__(self, original: TextIO) -> None:
        self.original = original

    def write(self, text: str) -> int:
        self.original.write(mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _forms(value: str) -> Iterator[str]:
    """Every form of `value` that is long enough to be masked."""
    for text in {str(value), value.strip(), *(line.strip() for line in value.splitlines())}:
        data = text.encode("utf-8", "surrogatepass")
        forms = {text, repr(text)[1:-1], repr(data)[2:-1], data.hex()}
        forms |= {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        forms |= {quote(data), quote(data, safe=""), quote_plus(data), *_base64(data)}
        yield from (form for form in forms if len(form.strip()) >= SHORTEST)


def _base64(data: bytes) -> Iterator[str]:
    """Base64, also as it stands inside a longer text, such as a Basic authorization header."""
    for shift in range(3):
        code = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        # What the neighbours of the value decide is left out.
        start = shift + 1 if shift else 0
        end = len(code) - (1 if (shift + len(data)) % 3 else 0)
        for form in {code[start:end]} | ({code} if not shift else set()):
            yield from (form, form.replace("+", "-").replace("/", "_"))
