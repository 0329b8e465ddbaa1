"""A handler receives a plain string, which every library takes; what this shows, and how not to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import loguru
import msgspec
import pytest
import rich.console
import sentry_sdk
import sentry_sdk.transport
import yaml
from apps import VALUE
from azure.data.tables._serialize import _add_entity_properties  # type: ignore[import-untyped]


@pytest.fixture
def value(echo: Callable[..., Any]) -> Any:
    """What a handler receives."""
    return echo()(req=None)


def test_other_libraries_accept_the_value(value: Any) -> None:
    assert type(value) is str
    assert yaml.safe_dump({"key": value}) == f"key: {VALUE}\n"
    assert (
        msgspec.json.encode({"key": value}) == json.dumps({"key": VALUE}).replace(" ", "").encode()
    )
    assert _add_entity_properties({"key": value})["key"] == VALUE


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


def records(show: Callable[..., str], value: str, **options: Any) -> bool:
    """Say whether the value of a local variable is shown when an exception is."""
    try:
        raise ValueError(f"of {len(value)} characters")
    except ValueError:
        return VALUE in show(**options)


def test_sentry_records_no_local_variables_if_configured(value: str) -> None:
    assert records(shown_by_sentry, value)
    assert not records(shown_by_sentry, value, include_local_variables=False)


def test_loguru_records_no_local_variables_if_configured(value: str) -> None:
    assert records(shown_by_loguru, value)
    assert not records(shown_by_loguru, value, diagnose=False)


def test_rich_records_no_local_variables_by_default(value: str) -> None:
    assert records(shown_by_rich, value, show_locals=True)
    assert not records(shown_by_rich, value)
