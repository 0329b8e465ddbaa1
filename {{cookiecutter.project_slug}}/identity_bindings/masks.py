"""Values that must never be shown, and the forms that they take in logs."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MASK = "***"

SHORTEST = 8
"""A shorter value is not masked: masking ``true`` everywhere would hide the log itself."""

_REMEMBERED = 1024  # values, so that old generations of a rotated secret stay masked
_logger = logging.getLogger("identity_bindings")
_lock = threading.Lock()
_forms_of: dict[str, set[str]] = {}
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
            _logger.warning("A secret of fewer than %d characters is not masked in logs.", SHORTEST)
        return
    with _lock:
        if value not in _forms_of:
            _forms_of[str(value)] = set(_forms(value))
            if len(_forms_of) > _REMEMBERED:
                del _forms_of[next(iter(_forms_of))]
            # The longest first: a whole value must be replaced before one of its lines is.
            _needles = tuple(sorted(set().union(*_forms_of.values()), key=len, reverse=True))


def mask(text: str) -> str:
    """Return `text` with every registered value, in any of its forms, replaced by ``***``."""
    for needle in _needles:
        if needle in text:
            text = text.replace(needle, MASK)
    return text


def masks_anything() -> bool:
    """Whether any value is registered."""
    return bool(_needles)


def forget_all() -> None:
    """Forget every value."""
    global _needles, _warned_of_short
    with _lock:
        _forms_of.clear()
        _needles, _warned_of_short = (), False


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
            yield form
            yield form.replace("+", "-").replace("/", "_")
