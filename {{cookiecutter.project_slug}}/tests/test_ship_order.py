{%- set facts = cookiecutter | facts -%}
"""The function ship_order: change these tests as you change it."""

import json

import azure.functions as func
import pytest
{% if facts.decorators %}
from blueprints.ship_order import shipment_of
{%- else %}
from functions.ship_order import shipment_of
{%- endif %}
from support import worker

LINES = [("chair", 4), ("table", 1), ("chair", 2)]
ORDER = {
    "id": "4711",
    "address": "Am Kai 1",
    "lines": [{"article": article, "quantity": quantity} for article, quantity in LINES],
}
SHIPMENT = {"order": "4711", "address": "Am Kai 1", "items": {"chair": 6, "table": 1}}


def _ship(message: bytes) -> str:
    handler = worker.load_app()["ship_order"].get_user_function()
    shipment = worker.Output()
    handler(order=func.ServiceBusMessage(body=message), shipment=shipment)
    return str(shipment.get())


def test_an_order_becomes_a_shipment() -> None:
    assert shipment_of(ORDER) == SHIPMENT
    assert json.loads(_ship(json.dumps(ORDER).encode())) == SHIPMENT


@pytest.mark.parametrize("message", [b"no JSON", b"{}", json.dumps(ORDER | {"lines": []}).encode()])
def test_a_message_that_is_no_order_is_retried(message: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        _ship(message)
