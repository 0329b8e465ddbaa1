"""The binding types of this package, each in a module of its own that may be left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_MODULES = ("key_vault_secrets", "keys", "access_tokens")


@dataclass(frozen=True)
class Property:
    """A property of a declaration: `check` returns its value, or raises ValueError."""

    check: Callable[[str, Mapping[str, str]], str]
    allowed: str
    required: bool = True


@dataclass(frozen=True)
class Kind:
    """A binding type: its own properties by name, and what is made of all checked values."""

    type: str
    properties: Mapping[str, Property]
    make: Callable[[dict[str, Any]], Any]


def matching(pattern: str, allowed: str, required: bool = True) -> Property:
    """A property whose whole text matches `pattern`."""
    compiled = re.compile(pattern)

    def check(text: str, settings: Mapping[str, str]) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(allowed)
        return text

    return Property(check, allowed, required)


@cache
def kinds() -> dict[str, Kind]:
    """The kinds that this project has, by their type in lower case."""
    present = [name for name in _MODULES if find_spec(f"{__package__}.{name}")]
    found = [import_module(f"{__package__}.{name}").KIND for name in present]
    return {kind.type.lower(): kind for kind in found}
