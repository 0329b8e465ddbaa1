"""The grammar of this package's own bindings: their properties, and what each accepts."""

import difflib
import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .credentials import RESOURCE_ID, Identity
from .masking import MASK

PropertyProblem = tuple[str, object, str]
"""A property, its value, and what is allowed."""

_MODULES = (".key_vault_secrets", ".keys", ".access_tokens")
_SETTING = re.compile(r"%([^%]*)%")
_identities: dict[str, Identity] = {}  # by their ids in lower case
_COMMON = ("name", "type", "direction", "dataType", "identity", "identityId")


@dataclass(frozen=True)
class Property:
    """A property of a declaration: `check` returns its value, or raises ValueError."""

    check: Callable[[str, Mapping[str, str]], str]
    allowed: str
    required: bool = True


@dataclass(frozen=True)
class Kind:
    """A binding type, in a module of its own that may be left out."""

    type: str
    properties: Mapping[str, Property]
    # Of its name, the values of its properties, and the identity. What is made has a `key`, which is
    # equal where one value serves, and `read()`, which blocks and returns a Reading or raises ReadError.
    make: Callable[..., Any]


def matching(pattern: str, allowed: str, required: bool = True) -> Property:
    """Make a property whose whole text matches `pattern`."""

    def check(text: str, settings: Mapping[str, str]) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(allowed)
        return text

    return Property(check, allowed, required)


_IDENTITY_ID = matching(RESOURCE_ID, "the resource id /subscriptions/…/userAssignedIdentities/…")


@cache
def kinds() -> dict[str, Kind]:
    """Return the kinds that this project has, by their type in lower case."""
    found = [import_module(n, __package__).KIND for n in _MODULES if find_spec(n, __package__)]
    return {kind.type.lower(): kind for kind in found}


def is_parameter(name: object) -> bool:
    """Return whether a handler can have a parameter of this name."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def direction(binding: Mapping[str, Any]) -> str:
    """Return the direction of a binding: a missing one means ``in``."""
    return str(binding.get("direction", "in")).lower()


def is_ours(binding: Mapping[str, Any]) -> bool:
    """Return whether this package provides the binding. The host ignores the case of a type."""
    return str(binding.get("type")).lower() in kinds()


def declare(
    binding: Mapping[str, Any], settings: Mapping[str, str]
) -> tuple[Any, list[PropertyProblem]]:
    """Check the properties of one binding of this package, and make it.

    `settings` are the app settings that ``%NAME%`` names.

    Returns:
        The binding, or None where there are problems; and the problems.
    """
    kind, name = kinds()[binding["type"].lower()], binding.get("name")
    rules = dict(kind.properties)
    if binding.get("identity") == "user":
        rules["identityId"] = _IDENTITY_ID
    problems = list(_shape(binding, (*_COMMON, *kind.properties)))
    values: dict[str, Any] = {}
    for prop, rule in rules.items():
        try:
            values[prop] = _value(binding.get(prop), rule, settings)
        except ValueError as error:
            problems.append((prop, binding.get(prop), str(error)))
    if problems:
        where = kind.type if problems[0][0] == "name" else name
        return None, [(f"{where}.{prop}", value, allowed) for prop, value, allowed in problems]
    resource_id = values.pop("identityId", None)
    # Resource ids have no case: in every spelling it is one identity, with one token.
    identity = _identities.setdefault(str(resource_id).lower(), Identity(resource_id))
    return kind.make(name, *values.values(), identity), []


def _shape(binding: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[PropertyProblem]:
    """Yield what is wrong with the properties that all kinds share, and with unknown ones."""
    if not is_parameter(binding.get("name")):
        yield "name", binding.get("name"), "the name of the handler's parameter"
    if direction(binding) != "in":
        yield "direction", binding["direction"], "'in'"
    data_type = binding.get("dataType")
    if data_type is not None and str(data_type).lower() != "string":
        yield "dataType", data_type, "'string', or leave it out"
    identity = binding.get("identity")
    if identity not in ("system", "user"):
        yield "identity", identity, "'system', or 'user' together with identityId"
    elif identity == "system" and binding.get("identityId"):
        yield "identityId", binding["identityId"], "only with identity 'user'; leave it out"
    in_lower_case = {name.lower(): name for name in known}
    for unknown in sorted(binding.keys() - set(known)):
        close = difflib.get_close_matches(unknown.lower(), in_lower_case)
        meant = f"did you mean '{in_lower_case[close[0]]}'? " if close else ""
        # The value of an unknown property may be the secret itself.
        yield unknown, MASK, f"{meant}allowed are {', '.join(known)}"


def _value(text: object, rule: Property, settings: Mapping[str, str]) -> str | None:
    """Return a property's checked value, or raise ValueError, which never shows a setting's value."""
    if text in (None, "") and not rule.required:
        return None
    if not isinstance(text, str) or not text:
        raise ValueError(rule.allowed)
    if "{" in text or "}" in text:
        raise ValueError("no {…} expression: a caller must not choose what is read")
    names = _SETTING.findall(text)
    unset = [name for name in names if not settings.get(name)]
    if unset:
        raise ValueError(f"the app setting {', '.join(map(repr, unset))} is not set")
    try:
        return rule.check(_SETTING.sub(lambda match: settings[match[1]], text).strip(), settings)
    except ValueError as error:
        held = f"what the app setting {', '.join(map(repr, names))} holds must be " if names else ""
        raise ValueError(f"{held}{error}") from None
