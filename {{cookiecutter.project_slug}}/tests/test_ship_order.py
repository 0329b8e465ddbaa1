"""The function that works on the queue of orders: adapt these tests as you change it."""

from __future__ import annotations

import json
from unittest import mock

import azure.functions as func
import pytest
from support import worker
from support.fixtures import Declared

LINES = [("chair", 4), ("table", 1), ("chair", 2)]
ORDER = {
    "id": "4711",
    "address": "Am Kai 1",
    "lines": [{"article": article, "quantity": quantity} for article, quantity in LINES],
}


def _ship(*messages: bytes) -> list[str]:
    handler = worker.load_app()["ship_order"].get_user_function()
    shipment = mock.create_autospec(func.Out, instance=True)
    for message in messages:
        handler(order=func.ServiceBusMessage(body=message), shipment=shipment)
    return [call.args[0] for call in shipment.set.call_args_list]


def test_an_order_becomes_a_shipment(declared: Declared) -> None:
    (shipment,) = _ship(json.dumps(ORDER).encode())

    assert json.loads(shipment) == {
        "order": "4711",
        "address": "Am Kai 1",
        "items": {"chair": 6, "table": 1},
    }


def test_an_order_that_comes_twice_is_one_shipment(declared: Declared) -> None:
    message = json.dumps(ORDER).encode()

    first, second = _ship(message, message)

    assert first == second


@pytest.mark.parametrize("message", [b"no JSON", b"{}", json.dumps(ORDER | {"lines": []}).encode()])
def test_what_is_no_order_goes_back_to_the_queue(declared: Declared, message: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        _ship(message)


def test_it_takes_from_one_queue_and_gives_to_another(declared: Declared) -> None:
    bindings = worker.bindings(worker.load_app()["ship_order"])

    assert bindings["order"]["type"] == "serviceBusTrigger"
    assert bindings["order"]["queueName"] == "orders"
    assert bindings["shipment"]["queueName"] == "shipments"
    assert {binding["connection"] for binding in bindings.values()} == {"ORDERS_BUS"}
