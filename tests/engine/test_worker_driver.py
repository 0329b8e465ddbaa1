"""The projects' worker driver converts what arrives as Microsoft's runtime does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from apps import HTTP, Project, needs_runtime
from runtime import Message
from support import worker

OUT = {"name": "out", "type": "queue", "direction": "out", "queueName": "q", "connection": "C"}


class Case(NamedTuple):
    trigger: dict[str, Any]
    source: str
    sent: Callable[[], Any]  # what the driver sends
    inputs: dict[str, Any]  # what the host sends
    metadata: dict[str, str]  # each as JSON
    expected: str


def http(**content: Any) -> Any:
    texts: dict[str, Any] = {name: {} for name in ("headers", "params", "query")}
    body = Message(bytes=content.pop("body", b""))
    return {"http": Message(**texts | content, body=body)}


CASES = {
    "http": Case(
        HTTP | {"name": "sent", "route": "orders/{id}"},
        "def main(sent, out):\n    out.set(repr((sent.method, dict(sent.params), "
        "dict(sent.route_params), sent.headers['X-Colour'], sent.get_body())))\n",
        lambda: worker.http_request(
            "PUT", b"body", query={"a": "b c"}, route={"id": "7"}, headers={"x-colour": "red"}
        ),
        http(
            method="PUT",
            url="https://localhost/api?a=b+c",
            query={"a": "b c"},
            params={"id": "7"},
            headers={"x-colour": "red"},
            body=b"body",
        ),
        {},
        "('PUT', {'a': 'b c'}, {'id': '7'}, 'red', b'body')",
    ),
    "timer": Case(
        {"name": "sent", "type": "timerTrigger", "schedule": "0 0 5 * * *"},
        "def main(sent, out):\n    out.set(repr((sent.past_due, sent.schedule_status)))\n",
        lambda: worker.timer(past_due=True),
        {"json": '{"IsPastDue": true}'},
        {},
        "(True, {})",
    ),
    "queue": Case(
        {"name": "sent", "type": "queueTrigger", "queueName": "q", "connection": "C"},
        "def main(sent, out):\n    out.set(repr((sent.get_body(), sent.id, sent.dequeue_count)))\n",
        lambda: worker.queue_message("Stühle", id="4711", dequeue_count=3),
        {"string": "Stühle"},
        {"Id": '"4711"', "DequeueCount": "3"},
        f"({'Stühle'.encode()!r}, '4711', 3)",
    ),
    "queue-bytes": Case(
        {"name": "sent", "type": "queueTrigger", "queueName": "q", "connection": "C"},
        "def main(sent, out):\n    out.set(repr((sent.get_body(), sent.id)))\n",
        lambda: worker.queue_message(b"\x00\xff"),
        {"bytes": b"\x00\xff"},
        {"Id": '"1"'},
        "(b'\\x00\\xff', '1')",
    ),
    "blob": Case(
        {"name": "sent", "type": "blobTrigger", "path": "documents/{name}", "connection": "C"},
        "def main(sent, out):\n"
        "    out.set(repr((sent.read(), sent.name, sent.length, sent.uri)))\n",
        lambda: worker.blob(b"content", "documents/a.txt"),
        {"bytes": b"content"},
        {
            "BlobTrigger": '"documents/a.txt"',
            "Uri": '"https://account.blob.core.windows.net/documents/a.txt"',
            "Properties": '{"ContentLength": 7}',
        },
        "(b'content', 'documents/a.txt', 7, "
        "'https://account.blob.core.windows.net/documents/a.txt')",
    ),
    "generic": Case(
        {"name": "sent", "type": "mcpToolTrigger", "toolName": "t"},
        "async def main(sent, out):\n    out.set(sent)\n",
        lambda: "text",
        {"string": "text"},
        {},
        "text",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project(tmp_path) as project:
        for name, case in CASES.items():
            project.function(name, case.trigger, OUT, source=case.source)
        yield project


@pytest.mark.parametrize("name", CASES)
def test_the_driver(project: Project, name: str) -> None:
    out = worker.Output()

    worker.call(project.load()[name], CASES[name].sent(), out=out)

    assert out.get() == CASES[name].expected


@needs_runtime
def test_microsofts_runtime(project: Project) -> None:
    with project.host() as host:
        for name, case in CASES.items():
            answer = host.invoke(name, case.metadata, sent=case.inputs)

            assert answer.result.status == answer.result.Success, (name, answer.result)
            assert answer.output_data[0].data.string == case.expected, name


def test_an_input_beside_the_trigger(project: Project) -> None:
    document = {"name": "document", "type": "blob", "path": "documents/a", "connection": "C"}
    res = {"name": "$return", "type": "http", "direction": "out"}
    project.function(
        *("read", HTTP, document, res),
        source="def main(req, document):\n    return document.read()\n",
    )

    answer = worker.call(project.load()["read"], document=worker.blob(b"content"))

    assert answer == b"content"
