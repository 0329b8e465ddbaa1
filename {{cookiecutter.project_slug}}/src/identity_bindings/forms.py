"""The forms that a value takes in logs: quoted, escaped, encoded, and these inside each other."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
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
_BASE64_LINE = 76
_BOTH_QUOTES = "'\""

Encode = Callable[[str], str]


def forms_of(value: str) -> set[str]:
    """Return every form of `value`, of its lines and of its JSON strings, that may be masked."""
    forms: set[str] = set()
    for text in {value, value.strip(), _unquoted(value.strip())}:
        for inner in {text, *(encode(text) for encode in (*_ESCAPES, _percent, _sql))}:
            forms.update(_encoded(inner))
    for part in _parts(value):
        for inner in {part, *(encode(part) for encode in _ESCAPES[:3])}:
            forms.update(_encoded(inner))
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


def _repr_beside_quotes(text: str) -> str:
    """The ``repr`` of a longer text that holds both kinds of quotes."""
    return repr(text + '"' + "'")[1:-4]


def _percent(text: str) -> str:
    return quote(_bytes_of(text), safe="")


def _sql(text: str) -> str:
    return text.replace("'", "''")


# Each can be inside any other form: JSON in JSON, the repr of JSON, JSON in a URL.
_ESCAPES: tuple[Encode, ...] = (
    _json,
    _json_unicode,
    lambda text: repr(text)[1:-1],
    _repr_beside_quotes,
    lambda text: ascii(text)[1:-1],
    lambda text: ascii(text + '"' + "'")[1:-4],
    lambda text: text.encode("unicode_escape").decode(),
    lambda text: repr(_bytes_of(text))[2:-1],
    lambda text: repr(_bytes_of(text) + b"\"'")[2:-4],
)


def _encoded(text: str) -> Iterator[str]:
    data = _bytes_of(text)
    yield text
    yield from (encode(text) for encode in _ESCAPES)
    yield _json(text).replace("/", "\\/")
    yield re.sub(r"\\u[0-9a-f]{4}", lambda code: "\\u" + code[0][2:].upper(), _json(text))
    yield "".join(map(_yaml, text))
    yield from (data.hex(), data.hex().upper())
    yield from (_sql(text), text.replace('"', '""'), text.replace('"', '\\"'))
    yield from (text.replace("'", "'\"'\"'"), text.replace("'", "'\\''"))  # in a shell
    yield from _xml(text)
    yield from _json_for_html(text)
    yield from _base64(data)
    for safe in _SAFE_IN_URLS:
        yield from _both_cases(quote(data, safe=safe))
        yield from _both_cases(quote_plus(data, safe=safe))
    yield from _both_cases(quote_plus(data, safe="*").replace("~", "%7E"))  # URLSearchParams


def _yaml(sign: str) -> str:
    """A character between double quotation marks, as PyYAML writes it."""
    if sign in _YAML:
        return "\\" + _YAML[sign]
    if " " <= sign <= "~":
        return sign
    code = ord(sign)
    return (
        f"\\x{code:02X}"
        if code < 0x100
        else f"\\u{code:04X}"
        if code < 0x10000
        else f"\\U{code:08X}"
    )


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


def _json_for_html(text: str) -> Iterator[str]:
    """JSON as web frameworks write it into a page."""
    form = _json(text)
    for sign in "<>&'":
        form = form.replace(sign, f"\\u{ord(sign):04x}")
    yield form


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
    lines = base64.encodebytes(data).decode().splitlines()
    yield from (line for line in lines if len(line) == _BASE64_LINE)
