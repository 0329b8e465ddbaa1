"""The forms that a value takes in logs, and a table that finds any of them in a line."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.cookies import SimpleCookie
from struct import unpack_from
from typing import Any, Literal
from urllib.parse import quote, quote_plus, unquote, urlsplit

SHORTEST = 8
"""A shorter form is not masked: masking ``true`` everywhere would hide the log itself."""

_SAFE_BY_WHATWG = ("!$%&'()*+,/:;=?@[\\]^`{|}~", "!$%&'()*+,/:;=@[\\]^|~")
# What stays as it is in a path, in a query, in JavaScript's encodeURIComponent, in requests', in
# yarl's and in httpx's URLs, which are those of the URL standard (https://url.spec.whatwg.org).
_SAFE_IN_URLS = ("", "/", "!~*'()", "!#$&'()*+,/:;=?@[]~", "!$'()*,/:?@", *_SAFE_BY_WHATWG)
# How HTML and XML write an apostrophe and a quotation mark: libraries differ.
_QUOTES_IN_XML = (
    *(("'", '"'), ("'", "&quot;"), ("&#x27;", "&quot;")),
    *(("&#39;", "&quot;"), ("&#39;", "&#34;"), ("&apos;", "&quot;")),
)
_YAML = dict(zip('\0\a\b\t\n\v\f\r\x1b"\\\x85\xa0\u2028\u2029', '0abtnvfre"\\N_LP', strict=True))
_BASE64_LINES = (64, 76)  # PEM, MIME
_MOST_PARTS = 100
"""So many lines and JSON strings, the longest, in every form; the others only escaped."""


def forms_of(value: str) -> set[str]:
    """Return every form of `value`, of its lines and of its JSON strings, that may be masked."""
    forms: set[str] = set()
    for text in {value, value.strip(), _unquoted(value.strip())}:
        for inner in {text, *(encode(text) for encode in (*_ESCAPES, _percent, _sql))}:
            forms.update(_encoded(inner))
        forms.update(_cut(text))
    parts = sorted(_parts(value), key=len, reverse=True)
    for part in parts[:_MOST_PARTS]:
        for inner in {part, *(encode(part) for encode in _ESCAPES[:3])}:
            forms.update(_encoded(inner))
        forms.update(_cut(part))
    forms.update(form for part in parts[_MOST_PARTS:] for form in (part, *_escaped(part)))
    # Any text may be made JSON or a repr once more, as by Durable Functions or of an exception.
    forms |= {encode(form) for form in forms for encode in _ESCAPES[:4]}
    return {form for form in forms if len(form.strip()) >= SHORTEST}


def _cut(text: str) -> Iterator[str]:
    """What tools show of a text that is too long for them: pydantic, reprlib, loguru, rich, Python.

    loguru shows the most of it: 125 characters, and "...".
    """
    for shown in {text, repr(text)[1:-1]}:
        for kept in range(SHORTEST, min(len(shown), 126)):
            yield from (f"{shown[:kept]}...", f"...{shown[-kept:]}")
    yield from (text[:80], repr(text[:80])[1:-1], repr(text)[1:-1][:199])


def _parts(value: str) -> set[str]:
    """The lines of a value, and its strings, with their lines, and numbers where it is JSON."""
    texts = [value]
    if value.lstrip()[:1] in ("{", "[", '"'):
        with suppress(ValueError, RecursionError):
            texts += _strings(json.loads(value, parse_int=str, parse_float=str))
    texts += [part for text in texts for part in _url_parts(text)]
    parts = {
        part for text in texts for part in (text, text.strip(), *map(str.strip, text.splitlines()))
    }
    return {part for part in parts - {value} if len(part) >= SHORTEST}


def _url_parts(text: str) -> Iterator[str]:
    """What libraries show of a URL without its host: its query, its path with it, its password."""
    with suppress(ValueError):
        url = urlsplit(text.strip())
        target = f"{url.path}?{url.query}".removesuffix("?") if url.netloc else ""
        # A shorter path, such as /api/v1/, is no secret.
        yield from (part for part in (target, url.query) if len(part) >= 16)
        yield from (url.password or "", unquote(url.password or ""))


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _strings(child)


def _unquoted(text: str) -> str:
    """`text` without the quotation marks around it: shells and YAML take them off."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _percent(text: str) -> str:
    return quote(_utf8(text), safe="")


def _sql(text: str) -> str:
    return text.replace("'", "''")


# Each can be inside any other form: JSON in JSON, the repr of JSON, JSON in a URL.
_ESCAPES: tuple[Callable[[str], str], ...] = (
    _json,
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: repr(text + '"' + "'")[1:-4],  # of a longer text with both kinds of quotes
    lambda text: ascii(text)[1:-1],
    lambda text: ascii(text + '"' + "'")[1:-4],
    lambda text: text.encode("unicode_escape").decode(),
    lambda text: repr(_utf8(text))[2:-1],
    lambda text: repr(_utf8(text) + b"\"'")[2:-4],
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
        return {_utf8(text), text.encode("latin-1")}
    return {_utf8(text)}


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


# Sizes in bytes, and what `memoryview` calls an integer of that size.
_CODES: dict[int, Literal["Q", "I"]] = {8: "Q", 4: "I"}
_CUT = re.compile(rb"\.{3}[^.].{7}|.{7}[^.]\.{3}", re.DOTALL)  # of 8 + 3 bytes


class GramTable:
    """Texts (as UTF-8) to look for, by some of the 8-byte integers ("grams") in them.

    A line is looked at as an array of 8-byte integers: if none of them is in the table, no text is
    in the line. For that, the table has 8 grams of each text, from the 15 bytes in its middle: those
    at 8 consecutive offsets, one of which is at a multiple of 8 wherever the text occurs in a line.
    A text of fewer bytes has 4 grams of 4 bytes, for which a line is looked at once more. A text that
    begins or ends with "..." has one: these and the 8 bytes beside them.

    Several threads may search while one adds or removes.
    """

    def __init__(self, replacement: str) -> None:
        self._replacement = replacement.encode()
        self._texts: dict[int, dict[Any, tuple[bytes, ...]]] = {size: {} for size in _CODES}
        self._cut: dict[Any, tuple[bytes, ...]] = {}
        self.added = 0  # so many times
        self._clean = [""]  # the last line without a text in it: it may come once more

    def add(self, texts: Iterable[bytes]) -> None:
        """Look for each of `texts`, which have 7 bytes or more."""
        for text in texts:
            for known, gram in self._grams_in(text):
                known[gram] = (*known.get(gram, ()), text)
        self.added += 1
        self._clean = [""]  # a new list: who still searches writes into the old one

    def remove(self, texts: Iterable[bytes]) -> None:
        """Look no longer for `texts`, where they were not added once more."""
        for text in texts:
            for known, gram in self._grams_in(text):
                at = known[gram].index(text)
                known[gram] = known[gram][:at] + known[gram][at + 1 :]
                if not known[gram]:
                    del known[gram]

    def replace(self, line: str) -> str:
        """Return `line` with the replacement for each text in it; itself where there is none."""
        clean = self._clean
        if line == clean[0] or len(line) < SHORTEST:
            return line
        data, masked, end = line.encode("utf-8", "surrogatepass"), b"", 0
        if not self.may_be_in(data):
            clean[0] = line
            return line
        for start, stop in sorted(self._find(data)):
            if start >= end:  # else it overlaps the one before
                masked += data[end:start] + self._replacement
            end = max(end, stop)
        return (masked + data[end:]).decode("utf-8", "surrogatepass") if end else line

    def may_be_in(self, data: bytes) -> bool:
        """Whether 8 bytes or more hold a gram of the table: without one they hold no text."""
        for size, known in self._texts.items():
            if known and not known.keys().isdisjoint(_grams_of(data, size)):
                return True
        return b"..." in data and not self._cut.keys().isdisjoint(_at_dots(data))

    def _find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where texts begin and end."""
        found: set[bytes] = set()
        for size, known in self._texts.items():
            found.update(*(known.get(gram, ()) for gram in _grams_of(data, size)))
        found.update(*(self._cut.get(gram, ()) for gram in _at_dots(data)))
        for text in found:
            start = data.find(text)
            while start >= 0:
                yield start, start + len(text)
                start = data.find(text, start + 1)

    def _grams_in(self, text: bytes) -> Iterator[tuple[dict[Any, tuple[bytes, ...]], Any]]:
        """Each gram of a text, and where it is kept."""
        if cut := _CUT.fullmatch(text[:11]) or _CUT.fullmatch(text[-11:]):
            yield self._cut, cut[0]
            return
        size = 8 if len(text) >= 15 else 4
        middle = (len(text) - 2 * size + 1) // 2
        for offset in range(middle, middle + size):
            yield self._texts[size], unpack_from(_CODES[size], text, offset)[0]


def _grams_of(data: bytes, size: int) -> memoryview:
    """The grams at every multiple of `size` bytes."""
    return memoryview(data)[: len(data) & -size].cast(_CODES[size])


def _at_dots(data: bytes) -> Iterator[bytes]:
    """The grams of texts that end where dots begin, and of those that begin where dots end."""
    for dots in re.finditer(rb"\.{3,}", data):
        yield data[max(dots.start() - SHORTEST, 0) : dots.start() + 3]
        yield data[dots.end() - 3 : dots.end() + SHORTEST]
