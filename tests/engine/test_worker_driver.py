"""What projects test with: the driver converts as the worker does."""

from __future__ import annotations

from typing import Any

import pytest
from apps import HTTP, Project, needs_runtime
from runtime import Message
from support import worker

OUT = {"name": "out", "type": "queue", "direction": "out", "queueName": "q", "connection": "C"}
SENT = {
    **{"method": "PUT", "url": "https://localhost/api?a=b+c", "query": {"a": "b c"}},
    **{"params": {"id": "7"}, "headers": {"x-colour": "red"}, "body": Message(bytes=b"body")},
}
URI = "https://account.blob.core.windows.net/documents/a.txt"
# A trigger, what the handler looks at, what a project's test sends, and what the host sends: the
# data, and its metadata as JSON.
CASES: list[tuple[str, str, Any, dict[str, Any], dict[str, str]]] = [
    (
        "httpTrigger",
        "sent.method, sent.params['a'], sent.route_params, sent.headers['X-Colour'], sent.get_body()",
        worker.http_request(
            "PUT", b"body", query={"a": "b c"}, route={"id": "7"}, headers={"x-colour": "red"}
        ),
        *({"http": Message(**SENT)}, {}),
    ),
    (
        "timerTrigger",
        "sent.past_due, sent.schedule_status",
        worker.timer(past_due=True),
        {"json": '{"IsPastDue": true}'},
        {},
    ),
    (
        "queueTrigger",
        "sent.get_body(), sent.id, sent.dequeue_count",
        worker.queue_message("Stühle", id="4711", dequeue_count=3),
        {"string": "Stühle"},
        {"Id": '"4711"', "DequeueCount": "3"},
    ),
    (
        "blobTrigger",
        "sent.read(), sent.name, sent.length, sent.uri",
        worker.blob(b"content", "documents/a.txt"),
        {"bytes": b"content"},
        {
            "BlobTrigger": '"documents/a.txt"',
            "Uri": f'"{URI}"',
            "Properties": '{"ContentLength": 7}',
        },
    ),
    ("mcpToolTrigger", "sent,", "text", {"string": "text"}, {}),
]


@needs_runtime
def test_the_driver_converts_as_microsofts_runtime_does(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"f{number}" for number in range(len(CASES))]
    for name, (kind, look, *_) in zip(names, CASES, strict=True):
        trigger = {**HTTP, "route": "orders/{id}"} if kind == "httpTrigger" else {"type": kind}
        trigger |= {"name": "sent", "connection": "C"}
        source = f"def main(sent, out):\n    out.set(repr(({look})))\n"
        project.function(name, trigger, OUT, source=source)
    driven = []
    for function, (_, _, sent, *_) in zip(project.load().values(), CASES, strict=True):
        worker.call(function, sent, out=(out := worker.Output()))
        driven.append(out.get())
    project.forget()

    with project.host() as host:
        for name, by_driver, (*_, inputs, metadata) in zip(names, driven, CASES, strict=True):
            answer = host.invoke(name, metadata, sent=inputs)

            assert answer.result.status == answer.result.Success, answer.result
            assert answer.output_data[0].data.string == by_driver
