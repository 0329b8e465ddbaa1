{%- set facts = cookiecutter | facts -%}
"""The function sign_document: change these tests as you change it."""

import json

import pytest
{% if facts.decorators %}
from blueprints.sign_document import document_of
{%- else %}
from functions.sign_document import document_of
{%- endif %}
from support import worker
from support.fake_key_vault import Declared

ORDER = {"id": "4711", "cents": 1999}


def test_it_verifies_what_it_has_signed(declared: Declared) -> None:
    function = worker.load_app()["sign_document"]
    body = json.dumps(ORDER).encode()

    signed = json.loads(worker.call(function, worker.http_request("POST", body)).get_body())

    headers = {"x-signature": signed["signature"]}
    for order, valid in ((ORDER, True), (ORDER | {"cents": 1}, False)):
        request = worker.http_request("POST", json.dumps(order).encode(), headers=headers)
        answer = json.loads(worker.call(function, request).get_body())
        assert (answer["valid"], answer["key"]) == (valid, signed["key"])


def test_the_document_is_the_apps_own_text() -> None:
    assert document_of(ORDER | {"more": "text"}) == (
        b'{"cents":1999,"id":"4711","type":"order","version":1}'
    )


@pytest.mark.parametrize("order", [None, "text", {}, {"id": "a b", "cents": 1}, {"id": "1"}])
def test_other_texts_are_not_signed(order: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        document_of(order)


def test_a_wrong_signature_is_refused(declared: Declared) -> None:
    request = worker.http_request("POST", json.dumps(ORDER).encode(), headers={"x-signature": "?"})

    assert worker.call(worker.load_app()["sign_document"], request).status_code == 400
