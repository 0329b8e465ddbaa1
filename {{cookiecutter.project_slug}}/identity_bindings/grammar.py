"""The grammar of this package's own bindings: their properties, and what may stand in each."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .credentials import Identity, is_resource_id
from .kinds import Property, kinds
from .masks import MASK

Mistake = tuple[str, object, str]
"""A property, its value, and what is allowed."""

_SETTING = re.compile(r"%([^%]*)%")
_COMMON = ("name", "type", "direction", "dataType", "identity", "identityId")


def is_parameter(name: object) -> bool:
    """Whether a handler can have a parameter of this name."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def direction(binding: Mapping[str, Any]) -> str:
    """The direction of a binding: a missing one means ``in``."""
    return str(binding.get("direction", "in")).lower()


def is_ours(binding: Mapping[str, Any]) -> bool:
    """Whether this package fills the binding in. The host does not mind the case of a type."""
    return str(binding.get("type", "")).lower() in kinds()


def declare(binding: Mapping[str, Any], settings: Mapping[str, str]) -> tuple[Any, list[Mistake]]:
    """Check the properties of one binding of this package, and make it.

    Args:
        binding: Its properties, as ``function.json`` names them.
        settings: The app settings that ``%NAME%`` stands for.

    Returns:
        The binding, or None where there are mistakes; and the mistakes.
    """
    kind = kinds()[binding["type"].lower()]
    rules = dict(kind.properties)
    if binding.get("identity") == "user":
        rules["identityId"] = _IDENTITY_ID
    mistakes = list(_shape(binding, (*_COMMON, *kind.properties)))
    values: dict[str, Any] = {"name": binding.get("name")}
    for prop, rule in rules.items():
        try:
            values[prop] = _value(binding.get(prop), rule, settings)
        except ValueError as error:
            mistakes.append((prop, binding.get(prop), str(error)))
    if mistakes:
        where = kind.type if mistakes[0][0] == "name" else values["name"]
        return None, [(f"{where}.{prop}", value, allowed) for prop, value, allowed in mistakes]
    return kind.make({**values, "identity": Identity(values.pop("identityId", None))}), []


def _shape(binding: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[Mistake]:
    """What is wrong with the properties that all kinds share, and with unknown ones."""
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
        close = difflib.get_close_matches(unknown.lower(), in_lower_case, 1)
        meant = f"did you mean '{in_lower_case[close[0]]}'? " if close else ""
        # What stands under a name of somebody's own may be the secret itself.
        yield unknown, MASK, f"{meant}allowed are {', '.join(known)}"


def _value(text: object, rule: Property, settings: Mapping[str, str]) -> str | None:
    """The checked value of a property, its settings resolved.

    Raises:
        ValueError: It is wrong. What a setting holds is not told: it may be a secret.
    """
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


def _resource_id(text: str, settings: Mapping[str, str]) -> str:
    if not is_resource_id(text):
        raise ValueError(_IDENTITY_ID.allowed)
    return text


_IDENTITY_ID = Property(
    _resource_id,
    "the resource id of a user-assigned identity: /subscriptions/…/resourceGroups/…/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/…",
)
