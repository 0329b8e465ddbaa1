"""The forms that a value takes in logs, and a table that finds any of them in a line."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from http.cookies import SimpleCookie
from itertools import product
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

SHORTEST = 8
"""A shorter form is not masked: masking ``true`` everywhere would hide the log itself."""

_SAFE_BY_WHATWG = ("!$%&'()*+,/:;=?@[\\]^`{|}~", "!$%&'()*+,/:;=@[\\]^|~")
# What stays as it is in a path, in a query, in JavaScript's encodeURIComponent, in requests', in
# yarl's and in httpx's URLs, which are those of the URL standard (https://url.spec.whatwg.org).
_SAFE_IN_URLS = ("", "/", "!~*'()", "!#$&'()*+,/:;=?@[]~", "!$'()*,/:?@", *_SAFE_BY_WHATWG)
# How HTML and XML write an apostrophe and a quotation mark, and blanks: libraries differ.
_QUOTES_IN_XML = (
    *(("'", '"'), ("'", "&quot;"), ("&#x27;", "&quot;")),
    *(("&#39;", "&quot;"), ("&#39;", "&#34;"), ("&apos;", "&quot;")),
)
_BLANKS_IN_XML = ("\n\r\t", *(("&#10;", "&#13;", tab) for tab in ("\t", "&#9;", "&#09;")))
_XML = [
    str.maketrans(
        dict(zip("&<>'\"\n\r\t", ("&amp;", "&lt;", "&gt;", *quotes, *blanks), strict=True))
    )
    for quotes, blanks in product(_QUOTES_IN_XML, _BLANKS_IN_XML)
]
# In SQL and YAML, in CSV, and twice in a shell.
_REPLACED = (("'", "''"), ('"', '""'), ('"', '\\"'), ("'", "'\"'\"'"), ("'", "'\\''"))
# What PyYAML writes otherwise than Python does.
_YAML = dict(zip('\0\a\b\v\f\x1b"\x85\xa0\u2028\u2029', '0abvfe"N_LP', strict=True))
_BASE64_LINES = (64, 76)  # PEM, MIME
# Digits that some libraries write in upper case, and others in lower case.
_DIGITS = (r"%[\dA-F]{2}", r"(?<=\\u)[\da-f]{4}")
_MOST_PARTS = 100
"""So many lines and JSON strings, the longest, in every form; the others only escaped."""

# How Python writes a text between quotation marks, the most usual way first.
_PYTHON: tuple[Callable[[str], str], ...] = (
    repr,
    ascii,
    lambda text: repr(_utf8(text))[1:],
    lambda text: f"'{text.encode('unicode_escape').decode()}'",
)


def forms_of(value: str) -> set[str]:
    """Return every form of `value`, of its lines and of its JSON strings, that may be masked."""
    whole = {value, value.strip(), _unquoted(value.strip())}
    parts = sorted(_parts(value) - whole, key=len, reverse=True)
    forms = {form for part in parts[_MOST_PARTS:] for form in (part, *_escaped(part))}
    for text in whole:
        inside = {*_escaped(text), quote(_utf8(text), safe=""), text.replace("'", "''")}
        forms.update(_all(text, inside))
    for part in parts[:_MOST_PARTS]:
        forms.update(_all(part, _escaped(part, _PYTHON[:1])))
    for digits in _DIGITS:
        forms |= {re.sub(digits, lambda found: found[0].swapcase(), form) for form in forms}
    # Any text may be made JSON or a repr once more, as by Durable Functions or of an exception.
    forms |= {again for form in forms for again in _escaped(form, _PYTHON[:1])}
    return {form for form in forms if len(form.strip()) >= SHORTEST}


def _all(text: str, escaped: Iterable[str]) -> Iterator[str]:
    """Every form of a text, and of its escaped forms: JSON in JSON, the repr of JSON, JSON in a URL."""
    for form in {text, *escaped}:
        yield from _encoded(form)
    yield from _cut(text)


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
    lines = {line.strip() for text in texts for line in (text, *text.splitlines())}
    return {part for part in lines.union(texts) if len(part) >= SHORTEST}


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


def _escaped(text: str, python: Sequence[Callable[[str], str]] = _PYTHON) -> Iterator[str]:
    """What is between the quotation marks of JSON, and of Python."""
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    for write in python:
        # Python escapes an apostrophe where a quotation mark is in the text, or in what is around it.
        yield from (write(text)[1:-1], write(text + '"')[1:-2])


def _encoded(text: str) -> Iterator[str]:
    as_json = json.dumps(text)[1:-1]
    yield from (text, *_escaped(text), as_json.replace("/", "\\/"))
    yield _unquoted(SimpleCookie().value_encode(text)[1])
    # As web frameworks write it into a page.
    yield re.sub("[<>&']", lambda sign: f"\\u{ord(sign[0]):04x}", as_json)
    yield "".join(map(_yaml, text))
    for sign, written in _REPLACED:
        yield text.replace(sign, written)
    # Without line breaks and tabs, there is only one way to write the blanks.
    tables = _XML[:: len(_BLANKS_IN_XML)] if text.isprintable() else _XML
    for xml in {text.translate(signs) for signs in tables}:
        yield from (xml, xml.encode("ascii", "xmlcharrefreplace").decode())
    # HTTP clients send Basic authorization in Latin-1.
    for coding in ["utf-8"] if text.isascii() else ["utf-8", "latin-1"]:
        with suppress(UnicodeEncodeError):
            yield from _of_bytes(text.encode(coding, "surrogatepass"))


def _of_bytes(data: bytes) -> Iterator[str]:
    yield from (data.hex(), data.hex().upper())
    for safe in _SAFE_IN_URLS:
        yield from (quote(data, safe=safe), quote_plus(data, safe=safe))
    yield quote_plus(data, safe="*").replace("~", "%7E")  # URLSearchParams
    whole = base64.b64encode(data).decode()
    for width in _BASE64_LINES:
        yield from (whole[at : at + width] for at in range(0, len(whole), width))
    for form in {whole, whole.rstrip("="), *_base64(data)}:
        for code in (form, form.replace("+", "-").replace("/", "_")):
            yield from (code, quote(code, safe=""))


def _yaml(sign: str) -> str:
    """A character between double quotation marks, as PyYAML writes it."""
    code = sign.encode("unicode_escape").decode()
    return f"\\{_YAML[sign]}" if sign in _YAML else code[:2] + code[2:].upper()


def _base64(data: bytes) -> Iterator[str]:
    """Base64, also inside a longer text, such as the header of Basic authorization."""
    for before in range(3):
        code = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        # What the neighbours of the value decide is left out.
        start, end = (0, 2, 3)[before], len(code) - bool((before + len(data)) % 3)
        yield code[start:end]


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
        # By what finds the grams of a line: gram → the texts that have it.
        self._texts: dict[Callable[[bytes], Iterable[Any]], dict[Any, tuple[bytes, ...]]]
        self._texts = {_of_8_bytes: {}, _of_4_bytes: {}, _at_dots: {}}
        self.added = 0  # so many times
        self._clean = [""]  # the last line without a text in it: it may come once more

    def add(self, texts: Iterable[bytes]) -> None:
        """Look for each of `texts`, which have 7 bytes or more."""
        for text in texts:
            for grams, gram in _grams_in(text):
                known = self._texts[grams]
                known[gram] = (*known.get(gram, ()), text)
        self.added += 1
        self._clean = [""]  # a new list: who still searches writes into the old one

    def remove(self, texts: Iterable[bytes]) -> None:
        """Look no longer for `texts`, where they were not added once more."""
        for text in texts:
            for grams, gram in _grams_in(text):
                known = self._texts[grams]
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
        for grams, known in self._texts.items():
            if known and not known.keys().isdisjoint(grams(data)):
                return True
        return False

    def _find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where texts begin and end."""
        found: set[bytes] = set()
        for grams, known in self._texts.items():
            found.update(*(known.get(gram, ()) for gram in grams(data)))
        for text in found:
            start = data.find(text)
            while start >= 0:
                yield start, start + len(text)
                start = data.find(text, start + 1)


def _grams_in(text: bytes) -> Iterator[tuple[Callable[[bytes], Iterable[Any]], Any]]:
    """Each gram that the table has of a text, and what finds it in a line."""
    if cut := _CUT.fullmatch(text[:11]) or _CUT.fullmatch(text[-11:]):
        yield _at_dots, cut[0]
        return
    size, grams = (8, _of_8_bytes) if len(text) >= 15 else (4, _of_4_bytes)
    middle = (len(text) - 2 * size + 1) // 2
    for offset in range(middle, middle + size):
        yield grams, grams(text[offset : offset + size])[0]


def _of_8_bytes(data: bytes) -> memoryview:
    return memoryview(data)[: len(data) & -8].cast("Q")


def _of_4_bytes(data: bytes) -> memoryview:
    return memoryview(data)[: len(data) & -4].cast("I")


def _at_dots(data: bytes) -> Iterator[bytes]:
    """The grams of texts that end where dots begin, and of those that begin where dots end."""
    for dots in re.finditer(rb"\.{3,}", data) if b"..." in data else ():
        yield data[max(dots.start() - SHORTEST, 0) : dots.start() + 3]
        yield data[dots.end() - 3 : dots.end() + SHORTEST]
