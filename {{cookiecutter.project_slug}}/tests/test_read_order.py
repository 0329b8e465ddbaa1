"""The function read_order: change these tests as you change it."""

import json

import azure.functions as func
import pytest

from support import worker

STORED = {"id": "4711", "lines": [{"article": "chair", "quantity": 4}], "_etag": "x", "_ts": 1}


def test_it_answers_with_the_order() -> None:
    found = func.DocumentList([func.Document.from_dict(STORED)])
    request = worker.http_request(route={"id": "4711"})

    answer = worker.call(worker.load_app()["read_order"], request, orders=found)

    assert answer.status_code == 200
    assert json.loads(answer.get_body()) == {"id": "4711", "lines": STORED["lines"]}


@pytest.mark.parametrize("found", [None, func.DocumentList(), func.DocumentList([None])])
def test_there_is_no_such_order(found: func.DocumentList | None) -> None:
    request = worker.http_request(route={"id": "4711"})

    answer = worker.call(worker.load_app()["read_order"], request, orders=found)

    assert answer.status_code == 404
