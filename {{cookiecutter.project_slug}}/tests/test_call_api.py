"""The function that calls an API: adapt these tests as you change it."""

from __future__ import annotations

import base64
import inspect
import json
import logging
import time
from typing import Any

import pytest
from support import worker
from support.fixtures import Declared
from support.fake_key_vault import FakeKeyVault, Reply, Request

HOST = "api.example"
SCOPE = "{{ (cookiecutter | facts).api_scope }}"  # fmt: skip


class Api:
    """An API on loopback, which lets in whoever has a token for it."""

    def __init__(self, fake_key_vault: FakeKeyVault) -> None:
        self.fake_key_vault = fake_key_vault
        self.audience = SCOPE.removesuffix("/.default")
        self.status = 200
        self.content_type = "application/json"
        self.seen: list[Request] = []
        fake_key_vault.others[HOST] = self.answer

    def answer(self, request: Request) -> Reply:
        """Check the token's audience and time, as a library for this does."""
        self.seen.append(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        identity, audience, expires = self.fake_key_vault.tokens.get(token, (None, "", 0.0))
        if kind != "Bearer" or audience != self.audience or expires < time.time():
            return 401, {"error": "invalid_token"}, {"WWW-Authenticate": "Bearer"}
        who = (identity or "system").rpartition("/")[2]
        headers = {"Location": "https://elsewhere.example/", "Content-Type": self.content_type}
        return self.status, {"you": who}, headers


@pytest.fixture
def api(declared: Declared, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("API_URL", f"https://{HOST}/me")
    return Api(declared.fake_key_vault)


def _call() -> Any:
    return worker.call(worker.load_app()["call_api"], method="GET")


def test_the_api_knows_the_identity(api: Api, declared: Declared) -> None:
    answer = _call()

    (identity,) = declared.identities["call_api"]
    assert answer.status_code == 200
    assert json.loads(answer.get_body())["you"] == (identity or "system").rpartition("/")[2]
    assert answer.headers["content-type"] == "application/json"


def test_the_kind_of_the_answer_is_passed_on_as_it_is(api: Api) -> None:
    api.content_type = "text/html; charset=iso-8859-1"

    assert _call().headers["content-type"] == "text/html; charset=iso-8859-1"


def test_a_token_for_another_api_is_not_accepted(api: Api) -> None:
    api.audience = "api://another"

    answer = _call()

    assert answer.status_code == 502
    assert b"scope" in answer.get_body()


@pytest.mark.parametrize(
    ("status", "said"), [(403, b"grant_api_role"), (503, b"503"), (302, b"302")]
)
def test_what_the_api_refuses_is_told(api: Api, status: int, said: bytes) -> None:
    api.status = status

    answer = _call()

    assert answer.status_code == 502
    assert said in answer.get_body()
    assert len(api.seen) == 1, "the token must not follow to another address"


def test_an_api_that_is_away_is_told(api: Api, declared: Declared) -> None:
    declared.fake_key_vault.fail("api", how="refuse")

    assert _call().status_code == 502


def test_an_api_that_hangs_is_told_in_time(
    api: Api, declared: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = worker.load_app()["call_api"]
    module = inspect.unwrap(function.get_user_function()).__globals__
    assert module["TIMEOUT_SECONDS"] <= 10
    monkeypatch.setitem(module, "TIMEOUT_SECONDS", 0.2)
    declared.fake_key_vault.fail("api", how="hang")

    assert worker.call(function, method="GET").status_code == 504


@pytest.mark.parametrize("url", ["", "http://api.example/me"])
def test_a_token_goes_nowhere_without_tls(
    api: Api, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("API_URL", url)

    answer = _call()

    assert answer.status_code == 500
    assert b"API_URL" in answer.get_body()
    assert api.seen == []


def test_the_token_is_never_shown(
    api: Api, declared: Declared, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.status = 403

    answer = _call()

    (request,) = api.seen
    token = request.headers["authorization"].removeprefix("Bearer ")
    assert token in declared.fake_key_vault.tokens
    for hidden in (token, base64.b64encode(token.encode()).decode()):
        assert hidden not in caplog.text + answer.get_body().decode()


def test_a_token_is_replaced_before_it_expires(api: Api, declared: Declared) -> None:
    declared.fake_key_vault.token_life = 34.0  # some seconds more than a call may need
    function = worker.load_app()["call_api"]
    assert worker.call(function, method="GET").status_code == 200

    until = time.monotonic() + 10
    while len({request.headers["authorization"] for request in api.seen}) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
        assert worker.call(function, method="GET").status_code == 200
    tokens = [request.headers["authorization"].removeprefix("Bearer ") for request in api.seen]
    assert all(declared.fake_key_vault.tokens[token][2] > time.time() for token in tokens)
