"""Each encoded form of a value, made by the library that makes it in apps, is masked."""

from __future__ import annotations

import base64
import csv
import html
import http.cookies
import importlib
import io
import json
import re
import reprlib
import shlex
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import product
from typing import Any
from xml.sax import saxutils

import httpx
import markupsafe
import pydantic
import pytest
import requests
import rich.pretty
import yaml
import yarl

VALUES = {
    "letters": "Pa55w0rdOfThe-app",
    "base64": "q+3/aB7zX==kk/9+Zw0=",
    "signs": "p/s+ w&rd=\"1'\\<%41>~",
    "unicode": "pässwörd€漢字🔑!",
    "lines": "first 'line' of\t it\nsecond \"line\"",
    "controls": "bell\x07and\x1bescape\x7f",
    "connection": "Endpoint=sb://x.net/;SharedAccessKey=a+b/c==",
    "json": '{"user": "me", "text": "it\'s \\"it\\""}',
}
Encode = Callable[[str], str]


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _uri_component(text: str) -> str:
    """JavaScript's encodeURIComponent, as ECMA-262 defines it."""
    return urllib.parse.quote(text, safe="!~*'()")


def _lower(text: str) -> str:
    quoted = urllib.parse.quote(text, safe="").split("%")
    return "%".join([quoted[0], *(part[:2].lower() + part[2:] for part in quoted[1:])])


def _by_requests(text: str) -> str:
    quoted = urllib.parse.quote(text, safe="!#$&'()*+,/:;=?@[]~")
    return requests.utils.requote_uri(f"https://x/{quoted}").removeprefix("https://x/")


def _by_httpx(before: str, text: str) -> str:
    shown = str(httpx.URL(before + text)) if text.isprintable() else before + text
    return shown.removeprefix(before)


def _attribute(text: str) -> str:
    written = ET.tostring(ET.Element("a", {"b": text}), encoding="unicode")
    return written.removeprefix('<a b="').removesuffix('" />')


def _row(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow([text])
    return out.getvalue()[1:-1]


# What the GitHub runner's masker finds (actions/runner, src/Test/L0/HostContextL0.cs) is among them.
FORMS: dict[str, Encode] = {
    "as it is": str,
    "without blanks around": str.strip,
    "repr": lambda text: repr(text)[1:-1],
    "repr in a longer text": lambda text: repr(f'it\'s "{text}"')[8:-2],
    "ascii": lambda text: ascii(text)[1:-1],
    "unicode_escape": lambda text: text.encode("unicode_escape").decode(),
    "repr of unicode_escape": lambda text: repr(text.encode("unicode_escape"))[2:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "JSON": _json,
    "JSON with its letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "JSON in JSON with its letters": (
        lambda text: json.dumps(json.dumps(text, ensure_ascii=False), ensure_ascii=False)[3:-3]
    ),
    "JSON with its letters in JSON": (
        lambda text: json.dumps(json.dumps(text, ensure_ascii=False))[3:-3]
    ),
    "JSON with slashes escaped": lambda text: _json(text).replace("/", "\\/"),
    "JSON in a page": lambda text: str(
        markupsafe.Markup(_json(text).replace("<", "\\u003c").replace(">", "\\u003e"))
        .replace("&", "\\u0026")
        .replace("'", "\\u0027")
    ),
    "repr of JSON": lambda text: repr(json.dumps(text))[2:-2],
    "JSON of a repr": lambda text: _json(repr(text)[1:-1]),
    # What a Durable orchestrator makes of the text of an exception.
    "JSON of a repr of JSON": lambda text: _json(repr(json.dumps(text))[2:-2]),
    "JSON of JSON in JSON": lambda text: _json(json.dumps(json.dumps(text))[3:-3]),
    "JSON of HTML": lambda text: _json(html.escape(text)),
    "percent-encoded": lambda text: urllib.parse.quote(text, safe=""),
    "percent-encoded in lower case": _lower,
    "percent-encoded twice": lambda text: _uri_component(urllib.parse.quote(text, safe="")),
    "in a form": urllib.parse.quote_plus,
    "encodeURIComponent": _uri_component,
    "in a URL of requests": _by_requests,
    "repr of a URL of requests": lambda text: repr(f"'\"{_by_requests(text)}")[4:-1],
    "in a query of yarl": lambda text: str(yarl.URL("https://x/").with_query(k=text)).removeprefix(
        "https://x/?k="
    ),
    "in a path of httpx": lambda text: _by_httpx("https://x/", text),
    "in a query of httpx": lambda text: _by_httpx("https://x/?k=", text),
    "JSON in a query": lambda text: urllib.parse.quote_plus(json.dumps(text))[3:-3],
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    "HTML of Jinja": lambda text: str(markupsafe.escape(text)),
    "HTML of JSON": lambda text: html.escape(_json(text)),
    "XML with entities": lambda text: saxutils.escape(text, {"'": "&apos;", '"': "&quot;"}),
    "XML attribute": _attribute,
    "XML in ASCII": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "SQL": lambda text: text.replace("'", "''"),
    "CSV": _row,
    "JSON in upper case": lambda text: re.sub(
        r"\\u[0-9a-f]{4}", lambda code: code[0].upper().replace("U", "u", 1), _json(text)
    ),
    "YAML between double quotation marks": lambda text: yaml.safe_dump(
        text, default_style='"', width=1000
    ).strip()[1:-1],
    "in a shell": lambda text: shlex.quote(f"{text}' ")[1:].removesuffix("'\"'\"' '"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 percent-encoded": (
        lambda text: urllib.parse.quote(base64.b64encode(text.encode()).decode(), safe="")
    ),
    "base64 of JSON": lambda text: base64.b64encode(_json(text).encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex in upper case": lambda text: text.encode().hex().upper(),
}


@pytest.fixture
def masking() -> Any:
    return importlib.import_module("identity_bindings.masking")


@pytest.mark.parametrize("kind", VALUES)
def test_each_form_is_masked(masking: Any, kind: str) -> None:
    value = VALUES[kind]
    masking.register(value)

    leaks = [
        name
        for name, encode in FORMS.items()
        if masking.mask(f"before {encode(value)} after") != "before *** after"
    ]

    assert leaks == []


class _Model(pydantic.BaseModel):
    number: int
    other: int


def _raised(call: Callable[..., object], *arguments: Any) -> str:
    with pytest.raises((ValueError, requests.ConnectionError)) as caught:
        call(*arguments)
    return f"{caught.value} {caught.value!r}"


def _refused_by_pydantic(given: Any) -> str:
    return _raised(_Model.model_validate, given)


# Tools that show a part of a long text.
CUTS: dict[str, Encode] = {
    "pydantic": lambda text: _refused_by_pydantic({"number": text, "other": 1}),
    "pydantic, in a list": lambda text: _refused_by_pydantic({"number": [text], "other": 1}),
    "pydantic, beside others": lambda text: _refused_by_pydantic({"a": text, "number": 1}),
    "pydantic, after others": lambda text: _refused_by_pydantic({"a": "b" * 90, "number": text}),
    "reprlib": lambda text: reprlib.repr([text, text.encode()]),
    "rich": lambda text: rich.pretty.pretty_repr({"a": text}, max_string=80),
    # `_format_value` of its traceback.
    "loguru": lambda text: f"{repr(text)[:125]}...",
    "loguru, beside others": lambda text: f"{repr({'number': 1, 'other': text})[:125]}...",
    "pandas": lambda text: f"0  {text[:46]}...\n1  {text[:46]}...",  # display.max_colwidth
    "structlog": lambda text: f"{text[:80]!r}+{len(text)}",  # `to_repr` of its tracebacks
    "int": lambda text: _raised(int, text),
    "more dots": lambda text: f"{text[:20]}.......{text[-20:]} ...",
}


@pytest.mark.parametrize("length", [31, 49, 88, 300])
def test_what_tools_show_of_a_long_text_is_masked(masking: Any, length: int) -> None:
    value = "".join(chr(33 + number * 31 % 94) for number in range(length))
    masking.register(value)

    assert (
        masking.mask("Reading ... from https://... is done....")
        == "Reading ... from https://... is done...."
    )
    for name, show in CUTS.items():
        masked = masking.mask(show(value))
        shown = [value[at : at + 8] for at in range(length - 7) if value[at : at + 8] in masked]
        assert (name, shown) == (name, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/services/T0AB/B0CD/a1B2c3D4e5F6",
        "http://127.0.0.1:1/c?sv=2026&sig=a1B2c3D4e5F6%2B%3D",
        "http://user:p4ss%2Fw0rd@127.0.0.1:1/a1B2c3D4e5F6-of-it",
    ],
)
@pytest.mark.parametrize("stored", ["{}", '{{"url": "{}"}}'])
def test_the_parts_of_a_url_are_masked(masking: Any, url: str, stored: str) -> None:
    masking.register(stored.format(url))

    parts = urllib.parse.urlsplit(url)
    said = _raised(requests.get, url)
    masked = masking.mask(f"{said} /other?{parts.query} {parts.password} p4ss/w0rd")

    assert "Max retries exceeded with url: ***" in masked
    assert "a1B2c3D4" not in masked
    assert "p4ss/w0rd" not in masked or not parts.password
    assert "p4ss%2F" not in masked
    assert masking.mask("GET /api/v1/ of 127.0.0.1") == "GET /api/v1/ of 127.0.0.1"


KEY = "-----BEGIN KEY-----\nTheFirstLine+of/it\nand-the-second\n-----END KEY-----\n"
FIELDS = {"user": "the-name-of-me", "keys": [{"p": 'the"pass'}, {"pem": KEY}, 12345678, None]}
LATIN, COOKIE, LONG = "p\xe4ssw\xf6rd-\xfcber-9", 'a;b, c"d\\e\xe4', b"the value of it, " * 12
CODE = base64.b64encode(LONG).decode()
PEM = "\n".join(CODE[at : at + 64] for at in range(0, len(CODE), 64))
# A value, and texts that show it or a part of it.
SHOWN: dict[str, list[str]] = {
    json.dumps(FIELDS, indent=2): ["the-name-of-me", 'the"pass', 'the\\"pass', KEY.strip()],
    json.dumps(FIELDS): ["TheFirstLine+of/it", "12345678", repr(KEY)[1:-1]],
    # What only looks like JSON is masked as a whole.
    **{text: [text] for text in ("{" * 50_000, '{"half": "of-it', '"json-text"', "[1, 2, 3, 4]")},
    # Stored in quotes.
    **{f"{q}My password{q}": ["My password", f"{q}My password{q}"] for q in "'\""},
    LONG.decode(): [base64.encodebytes(LONG).decode(), PEM],
    LATIN: [LATIN.encode("latin-1").hex(), urllib.parse.quote(LATIN, encoding="latin-1")],
    COOKIE: [http.cookies.SimpleCookie({"a": COOKIE})["a"].coded_value],
}


@pytest.mark.parametrize(("value", "texts"), SHOWN.items(), ids=lambda one: str(one)[:20])
def test_nothing_of_a_part_that_is_shown_is_left(
    masking: Any, value: str, texts: list[str]
) -> None:
    masking.register(value)

    for text in texts:
        assert re.fullmatch(r'it is ([*]{3}["\n]?|")+\.', masking.mask(f"it is {text}.")), text


def test_a_password_that_is_not_ascii_is_masked_in_basic_authentication(masking: Any) -> None:
    masking.register(LATIN)

    assert "***" in masking.mask(base64.b64encode(f"user:{LATIN}".encode("latin-1")).decode())


def test_of_a_value_of_many_strings_the_longest_100_are_masked_in_every_form(masking: Any) -> None:
    strings = [f"{number:04}-of-a-'\"-string" for number in range(150)]
    masking.register(json.dumps(strings))

    for one in strings:
        assert masking.mask(f"{one} {_json(one)}") == "*** ***"
    assert [masking.mask(one.encode().hex()) for one in strings].count("***") == 100


def test_a_line_without_a_value_is_the_same_object(masking: Any) -> None:
    texts = ("ae", "漢字漢字漢字漢字", "x" * 3000, "\ud800" * 9, "it is the-value-of-it")
    masking.register("another-value")
    assert all(masking.mask(text) is text for text in texts)

    masking.register("the-value-of-it")

    assert all(masking.mask(text) is text for text in texts[:-1])
    assert masking.mask(texts[-1]) == "it is ***"  # from now on, although it was a clean one


def test_a_value_is_found_wherever_it_begins_and_ends(masking: Any) -> None:
    """Any of its bytes may be at a multiple of eight."""
    for length, before in product(range(8, 32), range(9)):
        value = "".join(chr(97 + (7 * number) % 26) for number in range(length))
        masking.register(value)
        for after in range(5):
            text = "ä" * (before // 2) + "." * before + value + "-" * after
            assert value not in masking.mask(text)


def test_overlapping_values_are_masked_as_one(masking: Any) -> None:
    masking.register("first-value")
    masking.register("value-second")
    masking.register("aaaaaaaa")

    assert masking.mask("a first-value-second b") == "a *** b"
    assert masking.mask("first-valuevalue-second") == "******"
    assert masking.mask(f"b{'a' * 1000}b") == "b***b"
