"""Values that must never be shown, and the forms that they take in logs."""

import base64
import json
from collections.abc import Hashable, Iterator
from threading import Lock
from urllib.parse import quote, quote_plus

from .errors import logger

MASK = "***"

SHORTEST = 8
"""A shorter value is not masked: masking ``true`` everywhere would hide the log itself."""

_GENERATIONS = 32  # of a secret that is rotated: those before the newest stay masked too
_lock = Lock()
_forms_of: dict[Hashable, dict[str, set[str]]] = {}  # owner → value → forms
_needles: tuple[str, ...] = ()
_warned_of_short = False


class SecretValue(str):
    """A secret's value: a ``str`` in every way, except that its ``repr`` is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


def register(value: str, owner: Hashable = None) -> None:
    """Mask `value` and the forms it takes in logs from now on.

    A value of fewer than 8 characters is not masked, and the log says so once.

    Args:
        value: What must not be shown.
        owner: Whose value it is. The last 32 values of each owner are masked.
    """
    global _needles, _warned_of_short
    if len(value.strip()) < SHORTEST:
        if value and not _warned_of_short:
            _warned_of_short = True
            logger.warning("A secret of fewer than %d characters is not masked in logs.", SHORTEST)
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
