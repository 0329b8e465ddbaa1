"""A handler receives a plain string, which every library takes; what this shows, and how not to."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
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


def sentry_records(value: str, **options: Any) -> str:
    sent: list[str] = []

    class Keep(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.serialize().decode())

    with sentry_sdk.new_scope() as scope:
        client = sentry_sdk.Client(
            "https://key@sentry.invalid/1", transport=Keep, default_integrations=False, **options
        )
        scope.set_client(client)
        try:
            raise ValueError("no")
        except ValueError as error:
            sentry_sdk.capture_exception(error)
        client.close()
    return "".join(sent)


def test_sentry_records_no_local_variables_if_configured(value: str) -> None:
    assert VALUE in sentry_records(value)
    assert VALUE not in sentry_records(value, include_local_variables=False)


def loguru_records(value: str, **options: Any) -> str:
    from loguru import logger

    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", **options)
    try:
        raise ValueError(f"of {len(value)} characters")
    except ValueError:
        logger.exception("failed")
    logger.remove(sink)
    return "".join(lines)


def test_loguru_records_no_local_variables_if_configured(value: str) -> None:
    assert VALUE in loguru_records(value)
    assert VALUE not in loguru_records(value, diagnose=False)


def rich_records(value: str, **options: Any) -> str:
    import rich.console

    console = rich.console.Console(file=io.StringIO(), width=200)
    try:
        raise ValueError("no")
    except ValueError:
        console.print_exception(**options)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_rich_records_no_local_variables_by_default(value: str) -> None:
    assert VALUE in rich_records(value, show_locals=True)
    assert VALUE not in rich_records(value)
