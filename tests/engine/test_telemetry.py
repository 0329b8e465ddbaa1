"""OpenTelemetry as docs/recipes.md sets it up: no value leaves in a span or a log record."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import recipes
from support.worker import SRC

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("azure.monitor.opentelemetry.exporter")

VALUE = 'the-value-of-it "quoted" ü'
FORMS = [VALUE, repr(VALUE), json.dumps(VALUE), f"Bearer {VALUE}", json.dumps({"key": VALUE})]


@pytest.fixture
def telemetry(echo: Callable[..., Any]) -> types.ModuleType:
    """The recipe's module, beside an app that has read its secret."""
    assert echo(value=VALUE)(req=None) == VALUE
    (source,) = recipes.files("Send telemetry with OpenTelemetry").values()
    module = types.ModuleType("telemetry")
    exec(compile(source, "telemetry.py", "exec"), module.__dict__)
    return module


def spans_of(telemetry: Any) -> tuple[Any, Any]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(telemetry.MaskedExporter(exporter)))
    return exporter, provider.get_tracer("tests")


def logs_of(telemetry: Any) -> tuple[Any, Any]:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider()
    masked = telemetry.MaskedExporter(exporter)
    provider.add_log_record_processor(SimpleLogRecordProcessor(masked))
    return exporter, provider


def test_nothing_of_a_span_shows_a_value(telemetry: Any) -> None:
    from opentelemetry import trace

    exporter, tracer = spans_of(telemetry)
    other = tracer.start_span("other")
    other.end()
    links = [trace.Link(other.get_span_context(), {"link": VALUE})]

    with (
        pytest.raises(ValueError),
        tracer.start_as_current_span(f"span {VALUE}", links=links) as span,
    ):
        for number, form in enumerate(FORMS):
            span.set_attribute(f"attribute.{number}", form)
        span.set_attribute("list", [VALUE, "plain"])
        span.set_attribute("bytes", VALUE.encode())
        span.add_event(f"event {VALUE}", {"detail": VALUE, "list": (VALUE,)})
        try:
            raise KeyError(VALUE)
        except KeyError as error:
            raise ValueError(f"wrong: {VALUE}") from error

    _, exported = exporter.get_finished_spans()
    parts = [exported, exported.status, *exported.links, *exported.events]
    text = "\n".join(repr(vars(part)) for part in parts)
    assert "the-value-of-it" not in text
    assert "***" in exported.name
    assert "***" in exported.status.description
    assert {event.name.split()[0] for event in exported.events} == {"event", "exception"}
    (exception,) = (event for event in exported.events if event.name == "exception")
    assert exception.attributes["exception.type"] == "ValueError"
    assert "***" in exception.attributes["exception.message"]
    assert "***" in exception.attributes["exception.stacktrace"]


def test_nothing_of_a_log_record_shows_a_value(telemetry: Any) -> None:
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import LoggingHandler

    exporter, provider = logs_of(telemetry)
    logger = logging.Logger("tests")
    logger.addHandler(LoggingHandler(logger_provider=provider))

    for form in FORMS:
        logger.warning("the value is %s", form, extra={"detail": form})
    try:
        raise ValueError(f"wrong: {VALUE}")
    except ValueError:
        logger.exception("it failed with %s", VALUE)
    direct = provider.get_logger("tests")  # what does not pass `logging`
    body = {"text": VALUE, "list": [VALUE]}
    attributes = {"detail": VALUE}
    direct.emit(LogRecord(body=body, attributes=attributes, severity_number=SeverityNumber.INFO))

    exported = [one.log_record for one in exporter.get_finished_logs()]
    assert len(exported) == len(FORMS) + 2
    for record in exported:
        assert "the-value-of-it" not in repr(record.body) + repr(dict(record.attributes))
    assert "***" in exported[0].body
    assert "***" in exported[-2].attributes["exception.message"]
    assert body == {"text": VALUE, "list": [VALUE]}  # what belongs to the app is not changed


def test_configure_sends_to_application_insights(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real exporter of Azure Monitor gets masked spans and records, and can send them."""
    from opentelemetry import trace

    sent: list[str] = []
    base = importlib.import_module("azure.monitor.opentelemetry.exporter.export._base")

    def transmit(_: Any, envelopes: list[Any]) -> Any:
        sent.extend(json.dumps(one.as_dict()) for one in envelopes)
        return base.ExportResult.SUCCESS

    monkeypatch.setattr(base.BaseExporter, "_transmit", transmit)
    key = "00000000-0000-0000-0000-000000000001"
    monkeypatch.setenv(
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        f"InstrumentationKey={key};IngestionEndpoint=https://contoso.invalid/",
    )
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
    given: list[Any] = []
    monkeypatch.setattr(trace, "set_tracer_provider", given.append)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])

    telemetry.configure()

    with given[0].get_tracer("tests").start_as_current_span("charge") as span:
        span.set_attribute("key", VALUE)
        root.error("refused: %s", VALUE)
    (handler,) = root.handlers
    given[0].shutdown()
    handler._logger_provider.shutdown()  # type: ignore[attr-defined]
    text = "\n".join(sent)
    assert '"charge"' in text
    assert "refused: ***" in text
    assert "the-value-of-it" not in text


@pytest.mark.parametrize(
    "command",
    [
        "ruff check --no-cache --isolated --line-length 100 --select E,F,B,UP,SIM,S,RUF",
        "ruff format --no-cache --isolated --line-length 100 --check",
        pytest.param("mypy --strict --no-incremental", marks=pytest.mark.slow),
    ],
)
def test_the_recipe_is_clean(tmp_path: Path, command: str) -> None:
    """It passes the linter and the type checker of a rendered project."""
    (source,) = recipes.files("Send telemetry with OpenTelemetry").values()
    file = tmp_path / "telemetry.py"
    file.write_text(source)

    done = subprocess.run(
        [sys.executable, "-m", *command.split(), str(file)],
        env={"MYPYPATH": str(SRC), "PATH": "", "MYPY_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
