"""A declaration error is one line of the log, whatever the declaration contains."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


@pytest.fixture
def errors() -> Any:
    return importlib.import_module("identity_bindings.errors")


def test_an_error_is_one_line(errors: Any) -> None:
    for value, shown in (
        ("a text", "'a text'"),
        (None, "None"),
        ("x" * 118, f"'{'x' * 118}'"),
        ("x" * 119, f"'{'x' * 57}...{'x' * 58}'"),  # 120 signs, with the quotes
        (10**119, f"1{'0' * 119}"),
        (10**120, f"1{'0' * 57}...{'0' * 59}"),
        (b"x" * 118, f"b'{'x' * 56}...{'x' * 58}'"),
    ):
        line = str(errors.Problem("f/function.json", "name", value, "a name"))
        assert line == f"f/function.json: name: {shown}: a name"


def test_control_characters_are_escaped(errors: Any) -> None:
    problem = errors.Problem("a\nb/function.json", "c\x1b[31md", "e\r\nf", "g\u2028h ä")

    assert str(problem) == ("a\\nb/function.json: c\\x1b[31md: 'e\\r\\nf': g\\u2028h ä")
