"""A thousand secrets, logged in every way a handler can: not one leaves the process.

The handlers of the app do here what nobody should do. What they leave behind is searched for each
value and for each form of it that a log could carry.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import random
import traceback
from collections.abc import Callable, Iterator
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from apps import App, wait_for
from folders import key_vault
from support.fake_key_vault import FakeKeyVault

Echo = Callable[..., Callable[..., Any]]
BATCHES, BATCH = 20, 50  # a thousand
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _text(rng: random.Random, alphabet: str, least: int = 12, most: int = 60) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(least, most)))


def _pem(rng: random.Random) -> str:
    code = base64.encodebytes(rng.randbytes(400)).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{code}-----END PRIVATE KEY-----\n"


def _json(rng: random.Random) -> str:
    data = {"key": _text(rng, LETTERS), "größe": _text(rng, "äöü€ß☃"), "n": [rng.random(), None]}
    return json.dumps(data, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 2]))


KINDS: list[Callable[[random.Random], str]] = [
    lambda rng: _text(rng, LETTERS),
    lambda rng: _text(rng, LETTERS + "+/=-_.~"),
    lambda rng: _text(rng, LETTERS + " \t\"'\\%{}$<>&?;,"),
    lambda rng: _text(rng, "äöüßéñ漢字кириллица🔑🗝️\u0301\u200d"),
    lambda rng: "\n".join(_text(rng, LETTERS + ' "') for _ in range(rng.randint(2, 6))),
    lambda rng: "\r\n".join(_text(rng, LETTERS + "\\") for _ in range(3)) + "\r\n",
    lambda rng: f"  {_text(rng, LETTERS)}\n",
    lambda rng: f"AccountName={_text(rng, LETTERS)};AccountKey={_text(rng, LETTERS)}==;X=%s %d",
    lambda rng: _text(rng, "\x00\x01\x1b\x7f\u2028\u0085" + LETTERS),
    _json,
    _pem,
]


def _secrets(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [KINDS[number % len(KINDS)](rng) for number in range(BATCH)]


def _forms(value: str) -> Iterator[str]:
    """The value, its lines, and what each becomes in JSON, a URL, base64 and a repr."""
    for text in {value, value.strip(), *(line.strip() for line in value.splitlines())}:
        if text.startswith("-----") or len(text) < 8:
            continue  # a PEM header is no secret; a line that short is documented
        data = text.encode()
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield quote(text, safe="")
        yield quote_plus(text)
        yield base64.b64encode(data).decode()
        yield base64.urlsafe_b64encode(data).decode()
        yield repr(text)[1:-1]


# What a handler may do with a value. Every line of it is wrong, on purpose.
LEAK = """
import base64, json, logging, sys, traceback, urllib.parse
from dataclasses import dataclass

@dataclass
class Config:
    key: str

class Plain:
    def __init__(self, key):
        self.key = str(key)
    def __str__(self):
        return f"Plain {self.key}"
    def __repr__(self):
        return f"<Plain {self.key}>"

class Odd(Exception):
    def __init__(self, key):
        super().__init__("odd")
        self.key = key
    def __str__(self):
        return "Odd: " + self.key

def leak(value, number):
    log = logging.getLogger(f"app.library{number % 7}")
    one = value
    log.error("args %s %r", one, one)
    log.error("one dict %(key)s", {"key": one})
    log.error(f"text {one}")
    log.error(one)
    log.error("nested %s %s", {"a": [one, (one,)]}, Config(one))
    log.error(Plain(one))
    log.error("%s", Plain(one))
    log.error("extra", extra={"key": one, "deep": {"k": [one]}, "object": Plain(one)})
    log.error("stack", stack_info=True)
    log.error("wrong format %d", one)
    logging.LoggerAdapter(log, {"key": one}).error("adapted %s", one)
    log.handle(logging.makeLogRecord({"msg": "made %s", "args": (one,), "levelno": 40}))
    log.error("json %s", json.dumps({"key": one}))
    log.error("json %s", json.dumps({"key": one}, ensure_ascii=False))
    log.error("url https://host/?key=%s", urllib.parse.quote(one, safe=""))
    log.error("form %s", urllib.parse.urlencode({"key": one}))
    log.error("base64 %s", base64.b64encode(one.encode()).decode())
    log.error("base64 %s", base64.urlsafe_b64encode(one.encode()))
    log.error("basic %s", base64.b64encode(("user:" + one).encode()).decode())
    for line in one.splitlines():
        log.error("line %s", line.strip())
    kinds = [ValueError, KeyError, Odd, lambda v: OSError(5, v), lambda v: SystemExit(v)]
    try:
        raise kinds[number % len(kinds)](one)
    except BaseException as error:
        log.error("caught", exc_info=True)
        log.error("caught %s %r", error, error)
        traceback.print_exc()
    print(one)
    print(repr(one), [one], {"key": one}, Plain(one))
    print(one, file=sys.stderr)
    sys.stdout.write(f"<{one}>")
    sys.stderr.writelines(["<", one, ">"])
"""
HANDLER = """
from ..leaking import leak

def main(req, {0}):
    values = [{0}]
    for number, value in enumerate(values):
        leak(value, number)
    raise ExceptionGroup("all", [ValueError(value) for value in values])
"""


class _Json(logging.Formatter):
    """A formatter that ships everything a record holds, as log services have them."""

    def format(self, record: logging.LogRecord) -> str:
        super().format(record)
        return json.dumps(vars(record), default=repr) + json.dumps(
            vars(record), default=str, ensure_ascii=False
        )


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Everything that leaves the process: two handlers, one behind a queue, stdout, stderr."""
    stream, queue = io.StringIO(), SimpleQueue[logging.LogRecord]()
    ships = logging.StreamHandler(stream)
    ships.setFormatter(_Json())
    handlers = (logging.StreamHandler(stream), ships, QueueHandler(queue))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, *handlers])
    monkeypatch.setattr(root, "level", logging.DEBUG)

    def everything() -> str:
        queued = [repr(vars(queue.get())) for _ in range(queue.qsize())]
        return "".join([stream.getvalue(), *queued, *capsys.readouterr()])

    return everything


def leaks(text: str, values: list[str]) -> list[tuple[int, str]]:
    return [
        (number, form)
        for number, value in enumerate(values)
        for form in _forms(value)
        if form in text
    ]


def rendered(error: BaseException) -> str:
    return str(error) + "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "seed", [pytest.param(n, marks=[pytest.mark.slow] if n else []) for n in range(BATCHES)]
)
def test_no_channel_carries_a_value(
    fake_key_vault: FakeKeyVault, app: App, tmp_path: Path, shown: Callable[[], str], seed: int
) -> None:
    values = _secrets(seed)
    names = [f"s{number}" for number in range(BATCH)]
    for name, value in zip(names, values, strict=True):
        fake_key_vault.vault("contoso").set(name, value)
    entries = [key_vault(name, secretName=name) for name in names]
    app.declare("echo", HANDLER.format(", ".join(names)), *entries)
    (tmp_path / "leaking.py").write_text(LEAK)
    handler = app()["echo"].get_user_function()

    with pytest.raises(Exception) as caught:
        handler(req=None)

    text = shown()
    assert text.count("***") > 100 * BATCH
    assert leaks(text, values) == []
    assert leaks(rendered(caught.value), values) == []
    assert not any(token in text for token in fake_key_vault.tokens)


def test_the_last_32_values_of_a_secret_are_masked(engine: Any) -> None:
    masking = engine.masking
    values = [f"generation-{number:03}" for number in range(40)]
    masking.register("the-value-of-another", owner="another")
    for value in values:
        masking.register(value, owner="it")
    masking.register(values[8], owner="it")  # set again: it is newer than the others now
    masking.register("generation-new", owner="it")

    masked = [value for value in values if masking.mask(value) == masking.MASK]
    assert masked == [values[8], *values[10:]]
    assert masking.mask("the-value-of-another") == masking.MASK


SDK = ("azure", "urllib3", "msal", "requests")
BROKEN = b'{"access_token": "eyJ0eXAi.SECRETTOKENSECRETTOKEN'


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("contoso", {}),
        ("contoso", {"body": b'{"value": "the-value-of-it", "id": '}),
        ("contoso", {"how": "reset"}),
        ("contoso", {"status": 500}),
        ("identity", {"body": BROKEN}),
    ],
)
def test_the_sdk_at_debug_logs_nothing_secret(
    fake_key_vault: FakeKeyVault,
    echo: Echo,
    shown: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
    where: str,
    fault: dict[str, Any],
) -> None:
    if fault:
        fake_key_vault.fail(where, times=1, **fault)
    caplog.set_level(logging.DEBUG)
    for name in SDK:
        logging.getLogger(name).setLevel(logging.DEBUG)

    logging.getLogger("urllib3").debug("a line of urllib3 at DEBUG")
    handler = echo()
    raised = ""
    for _ in range(2):
        try:
            handler(req=None)
        except Exception as error:
            raised += rendered(error)

    text = shown() + raised
    sdk = [one for one in caplog.records if one.name.partition(".")[0] in SDK]
    assert [one.getMessage() for one in sdk] == ["a line of urllib3 at DEBUG"]  # of the app
    assert "a line of urllib3 at DEBUG" in text
    assert not any(token in text for token in ("the-value", "SECRETTOKEN", *fake_key_vault.tokens))


def test_a_short_value_masks_nothing_and_is_reported_once(
    engine: Any, fake_key_vault: FakeKeyVault, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    masking = engine.masking
    handler = echo(0.05, value="  1234567  ")

    assert handler(req=None) == "  1234567  "
    wait_for(lambda: len(fake_key_vault.requests) >= 6)  # it is read again and again
    logging.error("it is 1234567")
    masking.register("12345678")

    lines = [record.getMessage() for record in caplog.records]
    assert "it is 1234567" in lines
    assert sum("fewer than 8 characters" in one for one in lines) == 1
    assert masking.mask("a 12345678 b") == "a *** b"
