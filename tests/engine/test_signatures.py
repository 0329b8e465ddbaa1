"""What the worker is shown of a handler: annotations are resolved in the handler's module."""

from __future__ import annotations

import functools
import importlib
from inspect import Parameter
from typing import Any


class Own:
    """A type that only this module knows."""


def main(req: Own, missing: NoSuchType, plain) -> list[Own]:  # type: ignore # noqa: F821
    return []


class Handler:
    """A handler without a module's names."""

    def __call__(self, req: Own, number: int, foreign: Sequence) -> None:  # type: ignore # noqa: F821
        ...


def hints(handler: Any) -> list[Any]:
    rules: Any = importlib.import_module("identity_bindings.signatures")
    signature = rules.signature_of(handler)
    found = [one.annotation for one in signature.parameters.values()]
    return [*found, signature.return_annotation]


def test_names_are_those_of_the_handlers_module() -> None:
    empty = Parameter.empty
    assert hints(main) == [Own, empty, empty, list[Own]]
    # A decorator around a handler may come from anywhere.
    assert hints(functools.lru_cache(main)) == [Own, empty, empty, list[Own]]


def test_without_a_module_no_other_takes_its_place() -> None:
    assert hints(Handler()) == [Parameter.empty, int, Parameter.empty, type(None)]
