"""The forms that a value takes in logs, and a table that finds any of them in a line."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.cookies import SimpleCookie
from struct import Struct
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""A shorter form is not masked: masking ``true`` everywhere would hide the log itself."""

# What stays as it is in a path, in a query, in JavaScript's encodeURIComponent, in requests' and
# in yarl's URLs.
_SAFE_IN_URLS = ("", "/", "!~*'()", "!#$&'()*+,/:;=?@[]~", "!$'()*,/:?@")
# How HTML and XML write an apostrophe and a quotation mark: libraries differ.
_QUOTES_IN_XML = (
    *(("'", '"'), ("'", "&quot;"), ("&#x27;", "&quot;")),
    *(("&#39;", "&quot;"), ("&#39;", "&#34;"), ("&apos;", "&quot;")),
)
_YAML = dict(zip('\0\a\b\t\n\v\f\r\x1b"\\\x85\xa0\u2028\u2029', '0abtnvfre"\\N_LP', strict=True))
_BASE64_LINES = (64, 76)  # PEM, MIME
_MOST_PARTS = 100
"""So many lines and JSON strings, the longest, in every form; the others only escaped."""

_BOTH_QUOTES = "'\""

Encode = Callable[[str], str]


def forms_of(value: str) -> set[str]:
    """Return every form of `value`, of its lines and of its JSON strings, that may be masked."""
    forms: set[str] = set()
    for text in {value, value.strip(), _unquoted(value.strip())}:
        for inner in {text, *(encode(text) for encode in (*_ESCAPES, _percent, _sql))}:
            forms.update(_encoded(inner))
    parts = sorted(_parts(value), key=len, reverse=True)
    for part in parts[:_MOST_PARTS]:
        for inner in {part, *(encode(part) for encode in _ESCAPES[:3])}:
            forms.update(_encoded(inner))
    forms.update(form for part in parts[_MOST_PARTS:] for form in (part, *_escaped(part)))
    return {form for form in forms if len(form.strip()) >= SHORTEST}


def _parts(value: str) -> set[str]:
    """The lines of a value, and its strings, with their lines, and numbers where it is JSON."""
    texts = [value]
    if value.lstrip()[:1] in ("{", "[", '"'):
        with suppress(ValueError, RecursionError):
            texts += _strings(json.loads(value, parse_int=str, parse_float=str))
    parts = {
        part for text in texts for part in (text, text.strip(), *map(str.strip, text.splitlines()))
    }
    return {part for part in parts - {value} if len(part) >= SHORTEST}


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _strings(child)


def _unquoted(text: str) -> str:
    """`text` without the quotation marks around it: shells and YAML take them off."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in _BOTH_QUOTES else text


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_unicode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _percent(text: str) -> str:
    return quote(_bytes_of(text), safe="")


def _sql(text: str) -> str:
    return text.replace("'", "''")


# Each can be inside any other form: JSON in JSON, the repr of JSON, JSON in a URL.
_ESCAPES: tuple[Encode, ...] = (
    _json,
    _json_unicode,
    lambda text: repr(text)[1:-1],
    lambda text: repr(text + '"' + "'")[1:-4],  # of a longer text with both kinds of quotes
    lambda text: ascii(text)[1:-1],
    lambda text: ascii(text + '"' + "'")[1:-4],
    lambda text: text.encode("unicode_escape").decode(),
    lambda text: repr(_bytes_of(text))[2:-1],
    lambda text: repr(_bytes_of(text) + b"\"'")[2:-4],
)


def _escaped(text: str) -> Iterator[str]:
    return (encode(text) for encode in _ESCAPES)


def _encoded(text: str) -> Iterator[str]:
    yield text
    yield from _escaped(text)
    yield _unquoted(SimpleCookie().value_encode(text)[1])
    yield _json(text).replace("/", "\\/")
    yield re.sub(r"\\u[0-9a-f]{4}", lambda code: "\\u" + code[0][2:].upper(), _json(text))
    yield "".join(map(_yaml, text))
    yield from (_sql(text), text.replace('"', '""'), text.replace('"', '\\"'))
    yield from (text.replace("'", "'\"'\"'"), text.replace("'", "'\\''"))  # in a shell
    yield from _xml(text)
    # JSON as web frameworks write it into a page.
    yield re.sub("[<>&']", lambda sign: f"\\u{ord(sign[0]):04x}", _json(text))
    for data in _in_bytes(text):
        yield from (data.hex(), data.hex().upper())
        yield from _base64(data)
        for safe in _SAFE_IN_URLS:
            yield from _both_cases(quote(data, safe=safe))
            yield from _both_cases(quote_plus(data, safe=safe))
        yield from _both_cases(quote_plus(data, safe="*").replace("~", "%7E"))  # URLSearchParams


def _in_bytes(text: str) -> set[bytes]:
    """`text` in UTF-8, and in Latin-1, in which HTTP clients send Basic authorization."""
    with suppress(UnicodeEncodeError):
        return {_bytes_of(text), text.encode("latin-1")}
    return {_bytes_of(text)}


def _yaml(sign: str) -> str:
    """A character between double quotation marks, as PyYAML writes it."""
    if sign in _YAML:
        return "\\" + _YAML[sign]
    if " " <= sign <= "~":
        return sign
    code = ord(sign)
    letter, digits = ("x", 2) if code < 0x100 else ("u", 4) if code < 0x10000 else ("U", 8)
    return f"\\{letter}{code:0{digits}X}"


def _both_cases(percent_encoded: str) -> tuple[str, str]:
    lower = re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), percent_encoded)
    return percent_encoded, lower


def _xml(text: str) -> Iterator[str]:
    content = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for apostrophe, quotation in _QUOTES_IN_XML:
        quoted = content.replace("'", apostrophe).replace('"', quotation)
        attribute = quoted.replace("\n", "&#10;").replace("\r", "&#13;")
        tabs = (attribute.replace("\t", "&#9;"), attribute.replace("\t", "&#09;"))
        for form in {quoted, attribute, *tabs}:
            yield form
            yield form.encode("ascii", "xmlcharrefreplace").decode()


def _base64(data: bytes) -> Iterator[str]:
    """Base64, also inside a longer text, such as the header of Basic authorization."""
    for shift in range(3):
        padded = base64.b64encode(b"\0" * shift + data).decode()
        code = padded.rstrip("=")
        # What the neighbours of the value decide is left out.
        start = shift + 1 if shift else 0
        end = len(code) - (1 if (shift + len(data)) % 3 else 0)
        whole = () if shift else (code, padded)
        for form in {code[start:end], *whole}:
            yield from (form, form.replace("+", "-").replace("/", "_"))
            yield from _both_cases(quote(form, safe=""))
    whole_code = base64.b64encode(data).decode()
    for width in _BASE64_LINES:
        yield from (whole_code[at : at + width] for at in range(0, len(whole_code), width))


GRAM = 4
WINDOW = 2 * GRAM - 1
"""The shortest text that the table takes, in bytes and in characters."""

_WINDOWS = 12  # so many are compared
_gram_at = Struct("=I").unpack_from
# How common a byte is in logs: a rare one makes a better window.
_COMMON = bytes(
    2 if chr(byte).islower() or chr(byte) in " \"':,/.=-_{}[]()" else int(chr(byte).isdigit())
    for byte in range(128)
) + bytes(128)


class GramTable:
    """Texts (as UTF-8) to look for, by the 4-byte integers ("grams") that they contain.

    Of each text the table holds the four grams that begin in four consecutive bytes. Wherever the
    text occurs in a line, one of the four begins at a multiple of 4 bytes. So a line is looked at
    as an array of 4-byte integers, and if none of them is in the table, no text is in the line.

    Several threads may search while one adds or removes.
    """

    def __init__(self, replacement: str) -> None:
        self._replacement = replacement
        self._uses: Counter[bytes] = Counter()
        self._windows: dict[bytes, int] = {}
        self._grams: dict[int, tuple[tuple[bytes, int], ...]] = {}  # gram → (text, its offset)
        self._no_gram_in = self._grams.keys().isdisjoint
        self.added = 0  # so many times
        self._clean = [""]  # the last line without a text in it: it may come once more

    def add(self, texts: Iterable[bytes]) -> None:
        """Look for each of `texts`, which have 7 bytes or more."""
        for text in texts:
            self._uses[text] += 1
            if self._uses[text] == 1:
                self._windows[text] = self._rarest_window(text)
                for gram, offset in self._grams_of(text):
                    self._grams[gram] = (*self._grams.get(gram, ()), (text, offset))
        self.added += 1
        self._clean = [""]  # a new list: who still searches writes into the old one

    def remove(self, texts: Iterable[bytes]) -> None:
        """Look no longer for `texts`, where they were not added once more."""
        for text in texts:
            self._uses[text] -= 1
            if self._uses[text] == 0:
                del self._uses[text]
                for gram, offset in self._grams_of(text):
                    left = tuple(one for one in self._grams[gram] if one != (text, offset))
                    if left:
                        self._grams[gram] = left
                    else:
                        del self._grams[gram]
                del self._windows[text]

    def replace(self, line: str) -> str:
        """Return `line` with the replacement for each text in it; itself where there is none."""
        clean = self._clean
        if line == clean[0] or len(line) < WINDOW:
            return line
        data = str.encode(line, "utf-8", "surrogatepass")
        grams = memoryview(data)[: len(data) & -GRAM].cast("I")
        if self._no_gram_in(grams):
            clean[0] = line
            return line
        parts, end = [], 0
        for start, stop in _merged(self._find(data, grams)):
            parts += [data[end:start].decode("utf-8", "surrogatepass"), self._replacement]
            end = stop
        if not parts:
            clean[0] = line
            return line
        return "".join((*parts, data[end:].decode("utf-8", "surrogatepass")))

    def _find(self, data: bytes, grams: memoryview) -> Iterator[tuple[int, int]]:
        for position in [at for at, gram in enumerate(grams) if gram in self._grams]:
            for text, offset in self._grams.get(grams[position], ()):
                start = position * GRAM - offset
                if start >= 0 and data.startswith(text, start):
                    yield start, start + len(text)

    def _grams_of(self, text: bytes) -> Iterator[tuple[int, int]]:
        window = self._windows[text]
        for offset in range(window, window + GRAM):
            yield _gram_at(text, offset)[0], offset

    def _rarest_window(self, text: bytes) -> int:
        """Where the four grams begin that fewest other texts and fewest lines have."""
        last = len(text) - WINDOW
        common = text.translate(_COMMON)

        def cost(window: int) -> int:
            shared = 0
            for offset in range(window, window + GRAM):
                shared += len(self._grams.get(_gram_at(text, offset)[0], ()))
            return 16 * shared + sum(common[window : window + WINDOW])

        return min(range(0, last + 1, last // _WINDOWS + 1), key=cost)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
