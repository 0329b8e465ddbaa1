"""The function that summarizes blobs: adapt these tests as you change it."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from unittest import mock

import azure.functions as func
import pytest
from support import worker
from azure.functions.blob import InputStream
from support.fixtures import Declared

DOCUMENT = b"first line\nand a second"


@pytest.fixture
def summary() -> Any:
    """What the handler gets for the blob that it writes."""
    return mock.create_autospec(func.Out, instance=True)


def test_it_writes_the_summary_and_answers_with_it(declared: Declared, summary: Any) -> None:
    document = InputStream(data=DOCUMENT)

    answer = worker.call(worker.load_app()["summarize_blob"], document=document, summary=summary)

    assert answer.status_code == 200
    assert json.loads(answer.get_body()) == {
        "bytes": 23,
        "lines": 2,
        "words": 5,
        "sha256": hashlib.sha256(DOCUMENT).hexdigest(),
    }
    summary.set.assert_called_once_with(answer.get_body().decode())


def test_an_empty_document_has_a_summary(declared: Declared, summary: Any) -> None:
    document = InputStream(data=b"")

    worker.call(worker.load_app()["summarize_blob"], document=document, summary=summary)

    assert json.loads(summary.set.call_args.args[0])["bytes"] == 0


def test_no_document_no_summary(declared: Declared, summary: Any) -> None:
    answer = worker.call(worker.load_app()["summarize_blob"], document=None, summary=summary)

    assert answer.status_code == 404
    summary.set.assert_not_called()


def test_it_reads_and_writes_in_two_containers(declared: Declared) -> None:
    bindings = worker.bindings(worker.load_app()["summarize_blob"])

    assert bindings["document"]["path"] == "documents/{name}"
    assert bindings["summary"]["path"] == "summaries/{name}.json"
    assert bindings["summary"]["direction"] == "OUT"
    assert {bindings[name]["connection"] for name in ("document", "summary")} == {"DOCUMENTS"}
