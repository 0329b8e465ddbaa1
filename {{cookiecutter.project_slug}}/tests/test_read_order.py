"""The function that reads orders: adapt these tests as you change it."""

from __future__ import annotations

import json

import azure.functions as func
import pytest
from support import worker
from support.fixtures import Declared

STORED = {"id": "4711", "lines": [{"article": "chair", "quantity": 4}], "_etag": "x", "_ts": 1}


def test_it_answers_with_the_order(declared: Declared) -> None:
    found = func.DocumentList([func.Document.from_dict(STORED)])

    answer = worker.call(worker.load_app()["read_order"], method="GET", orders=found)

    assert answer.status_code == 200
    assert json.loads(answer.get_body()) == {"id": "4711", "lines": STORED["lines"]}


@pytest.mark.parametrize("found", [None, func.DocumentList(), func.DocumentList([None])])
def test_there_is_no_such_order(declared: Declared, found: func.DocumentList | None) -> None:
    answer = worker.call(worker.load_app()["read_order"], method="GET", orders=found)

    assert answer.status_code == 404


def test_the_route_chooses_the_order_and_nothing_else(declared: Declared) -> None:
    bindings = worker.bindings(worker.load_app()["read_order"])

    assert bindings["req"]["route"] == "orders/{id}"
    orders = bindings["orders"]
    assert (orders["id"], orders["partitionKey"]) == ("{id}", "{id}")
    assert (orders["databaseName"], orders["containerName"]) == ("shop", "orders")
    assert orders["connection"] == "ORDERS_DB"
