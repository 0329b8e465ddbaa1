"""A handler receives a plain string: what libraries make of it, and OpenTelemetry as docs/recipes.md sets it up."""

from __future__ import annotations

import importlib
import io
import json
import logging
import types
from collections.abc import Callable
from typing import Any

import loguru
import pytest
import recipes
import rich.console
import sentry_sdk
import sentry_sdk.transport

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("azure.monitor.opentelemetry.exporter")

VALUE = 'the-value-of-it "quoted" ü'
PART = VALUE.partition(" ")[0]  # which no form of it changes
FORMS = [VALUE, repr(VALUE), json.dumps(VALUE), f"Bearer {VALUE}", json.dumps({"key": VALUE})]


@pytest.fixture
def telemetry(echo: Callable[..., Any]) -> types.ModuleType:
    """The recipe's module, beside an app that has read its secret."""
    assert echo(value=VALUE)(req=None) == VALUE
    (source,) = recipes.files("Send telemetry with OpenTelemetry").values()
    module = types.ModuleType("telemetry")
    exec(compile(source, "telemetry.py", "exec"), module.__dict__)
    return module


def test_nothing_of_a_span_shows_a_value(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of a record: the real exporter of Azure Monitor gets them masked, and can send them."""
    from opentelemetry import trace
    from opentelemetry._logs import LogRecord, SeverityNumber

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

    tracer = given[0].get_tracer("tests")
    other = tracer.start_span("other")
    links = [trace.Link(other.get_span_context(), {"link": VALUE})]
    with (
        pytest.raises(ValueError),
        tracer.start_as_current_span(f"charge {VALUE}", links=links) as span,
    ):
        for number, form in enumerate(FORMS):
            span.set_attribute(f"attribute.{number}", form)
            root.error("refused: %s", form, extra={"detail": form})
        span.set_attribute("list", [VALUE, "plain"])
        span.add_event(f"event {VALUE}", {"detail": VALUE, "list": (VALUE,)})
        try:
            raise KeyError(VALUE)
        except KeyError as error:
            root.exception("it failed with %s", VALUE)
            raise ValueError(f"wrong: {VALUE}") from error
    (handler,) = root.handlers
    direct = handler._logger_provider.get_logger("tests")  # what does not pass `logging`
    body = {"text": VALUE, "list": [VALUE]}
    direct.emit(LogRecord(body=body, attributes={"a": VALUE}, severity_number=SeverityNumber.INFO))
    assert body == {"text": VALUE, "list": [VALUE]}  # what belongs to the app is not changed
    given[0].shutdown()
    handler._logger_provider.shutdown()  # type: ignore[attr-defined]
    text = "\n".join(sent)
    for part in ('"charge ***"', '"event ***"', '"wrong: ***"', '"ValueError"', "plain"):
        assert part in text.replace("\\", "")
    assert text.count("refused: ") == len(FORMS)
    assert "it failed with ***" in text
    assert PART not in text


def shown_by_sentry(**options: Any) -> str:
    """What Sentry sends of the exception that is handled."""
    sent: list[str] = []

    class Keep(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.serialize().decode())

    options = {"transport": Keep, "default_integrations": False} | options
    client = sentry_sdk.Client("https://key@sentry.invalid/1", **options)
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        sentry_sdk.capture_exception()
    client.close()
    return "".join(sent)


def shown_by_loguru(**options: Any) -> str:
    lines: list[str] = []
    sink = loguru.logger.add(lines.append, format="{message}", **options)
    loguru.logger.exception("failed")
    loguru.logger.remove(sink)
    return "".join(lines)


def shown_by_rich(**options: Any) -> str:
    console = rich.console.Console(file=io.StringIO(), width=200)
    console.print_exception(**options)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("show", "on", "off"),
    [
        (shown_by_sentry, {}, {"include_local_variables": False}),
        (shown_by_loguru, {}, {"diagnose": False}),
        (shown_by_rich, {"show_locals": True}, {}),
    ],
)
def test_no_local_variables_are_recorded_if_configured(
    echo: Callable[..., Any], show: Callable[..., str], on: Any, off: Any
) -> None:
    value = echo(value=VALUE)(req=None)
    try:
        raise ValueError(len(value))
    except ValueError:
        assert PART in show(**on)
        assert PART not in show(**off)
