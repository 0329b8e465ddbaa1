{%- set facts = cookiecutter | facts -%}
"""The function call_api: change these tests as you change it."""

import json

import azure.functions as func
import pytest

from support import worker
from support.fake_key_vault import Declared, Reply, Request

URL = "https://api.contoso.example/me"
AUDIENCE = "{{ facts.api_scope }}".removesuffix("/.default")  # fmt: skip


class Api:
    """An API on loopback, which accepts tokens for it only."""

    def __init__(self, declared: Declared) -> None:
        self.tokens = declared.fake_key_vault.tokens
        self.status = 200
        self.requests: list[Request] = []
        declared.fake_key_vault.others["api.contoso.example"] = self.answer

    def answer(self, request: Request) -> Reply:
        """Answer with the caller's identity."""
        self.requests.append(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        identity, audience, _ = self.tokens.get(token, (None, "", 0.0))
        if audience != AUDIENCE:
            return 401, {"error": "invalid_token"}, {}
        return self.status, {"you": identity}, {"Location": "https://elsewhere.example/"}


@pytest.fixture
def api(declared: Declared, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Start the API that the app setting API_URL names."""
    monkeypatch.setenv("API_URL", URL)
    return Api(declared)


def _call() -> func.HttpResponse:
    response: func.HttpResponse = worker.call(worker.load_app()["call_api"])
    return response


def test_the_api_gets_a_token_of_the_declared_identity(api: Api, declared: Declared) -> None:
    answer = _call()

    assert answer.status_code == 200
    assert json.loads(answer.get_body())["you"] in declared.fake_key_vault.identities


@pytest.mark.parametrize(
    ("status", "text"), [(403, b"grant_api_role"), (503, b"503"), (302, b"302")]
)
def test_it_says_what_the_api_refuses(api: Api, status: int, text: bytes) -> None:
    api.status = status

    answer = _call()

    assert answer.status_code == 502
    assert text in answer.get_body()
    assert len(api.requests) == 1, "the token must not follow a redirection"


@pytest.mark.parametrize("url", ["", "http://api.contoso.example/me"])
def test_a_token_is_sent_over_tls_only(api: Api, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("API_URL", url)

    assert _call().status_code == 500
    assert api.requests == []
