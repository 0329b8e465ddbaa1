{%- set facts = cookiecutter | facts -%}
"""The function summarize_blob: change these tests as you change it."""

import json

import pytest
{% if facts.decorators %}
from blueprints.summarize_blob import summarize
{%- else %}
from functions.summarize_blob import summarize
{%- endif %}
from support import worker


@pytest.mark.parametrize(
    ("content", "lines", "words"), [(b"first line\nand a second", 2, 5), (b"", 0, 0)]
)
def test_a_summary(content: bytes, lines: int, words: int) -> None:
    summary = summarize(content)

    assert summary["bytes"] == len(content)
    assert (summary["lines"], summary["words"]) == (lines, words)


def test_it_writes_the_summary_and_answers_with_it() -> None:
    summary = worker.Output()

    answer = worker.call(
        worker.load_app()["summarize_blob"],
        worker.http_request("POST", route={"name": "a.txt"}),
        document=worker.blob(b"one line", "documents/a.txt"),
        summary=summary,
    )

    assert answer.get_body().decode() == summary.get()
    assert json.loads(summary.get())["words"] == 2


def test_without_a_document_there_is_no_summary() -> None:
    summary = worker.Output()

    answer = worker.call(worker.load_app()["summarize_blob"], document=None, summary=summary)

    assert answer.status_code == 404
    assert summary.get() is None
