"""The grammar of this package's own bindings: their properties, and what may stand in each."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .credentials import Identity, is_resource_id
from .key_vault_secrets import SecretBinding
from .vaults import vault_url

Report = Callable[[str, object, str], None]

_SETTING = re.compile(r"%([^%]*)%")
_SECRET_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_VERSION = re.compile(r"[A-Za-z0-9]{1,64}")

IDENTITIES = ("system", "user")
COMMON = ("name", "type", "direction", "dataType", "identity", "identityId")


@dataclass(frozen=True)
class Kind:
    """A binding type of this package: its own properties, and what is made of them."""

    type: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    make: Callable[[dict[str, Any]], Any]


def _secret(values: dict[str, Any]) -> SecretBinding:
    return SecretBinding(
        values["name"],
        values["secretName"],
        values.get("secretVersion"),
        values["vaultName"],
        values["identity"],
    )


_KINDS = {
    kind.type.lower(): kind
    for kind in (Kind("keyVault", ("secretName", "vaultName"), ("secretVersion",), _secret),)
}


def is_parameter(name: object) -> bool:
    """Whether a handler can have a parameter of this name."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def direction(binding: Mapping[str, Any]) -> str:
    """The direction of a binding: a missing one means ``in``."""
    return str(binding.get("direction", "in")).lower()


def is_ours(binding: Mapping[str, Any]) -> bool:
    """Whether this package fills the binding in. The host does not mind the case of a type."""
    return str(binding.get("type", "")).lower() in _KINDS


def declare(binding: Mapping[str, Any], settings: Mapping[str, str], report: Report) -> Any:
    """Check the properties of one binding of this package, and make it.

    Args:
        binding: Its properties, as ``function.json`` names them.
        settings: The app settings that ``%NAME%`` stands for.
        report: Called once for each mistake: property, value, what is allowed.

    Returns:
        The binding, or None where there are mistakes.
    """
    kind = _KINDS[binding["type"].lower()]
    mistakes = 0
    name = binding.get("name")

    def wrong(where: str, value: object, allowed: str) -> None:
        nonlocal mistakes
        mistakes += 1
        report(f"{kind.type}.{where}" if where == "name" else f"{name}.{where}", value, allowed)

    if not is_parameter(name):
        wrong("name", name, "the name of the handler's parameter")
    if direction(binding) != "in":
        wrong("direction", binding["direction"], "'in'")
    if str(binding.get("dataType", "string")).lower() != "string":
        wrong("dataType", binding["dataType"], "'string', or leave it out")
    known = (*COMMON, *kind.required, *kind.optional)
    for unknown in binding.keys() - set(known):
        close = difflib.get_close_matches(unknown.lower(), [k.lower() for k in known], 1)
        meant = next(
            (f"; did you mean '{k}'?" for k in known if close and k.lower() == close[0]), ""
        )
        wrong(unknown, binding[unknown], f"no such property{meant} Allowed: {', '.join(known)}")
    values: dict[str, Any] = {"name": name}
    for prop in (*kind.required, *kind.optional):
        values[prop] = _value(binding, prop, prop in kind.required, settings, wrong)
    values["identity"] = _identity(binding, settings, wrong)
    return None if mistakes else kind.make(values)


def _value(
    binding: Mapping[str, Any],
    prop: str,
    required: bool,
    settings: Mapping[str, str],
    wrong: Report,
) -> Any:
    """The checked value of a property, its settings resolved."""
    text = binding.get(prop)
    if text in (None, "") and not required:
        return None
    check, allowed = _CHECKS[prop]
    if not isinstance(text, str) or not text:
        wrong(prop, text, f"{allowed} is expected")
        return None
    if "{" in text or "}" in text:
        wrong(prop, text, "no {…} expression may stand here: a caller must not choose what is read")
        return None
    unset = [name for name in _SETTING.findall(text) if not settings.get(name)]
    if unset:
        wrong(prop, text, f"the app setting {', '.join(map(repr, unset))} is not set")
        return None
    resolved = _SETTING.sub(lambda match: settings[match[1]], text).strip()
    try:
        return check(resolved, settings)
    except ValueError as error:
        shown = text if resolved == text else f"{text} = {resolved}"
        wrong(prop, shown, str(error) or allowed)
        return None


def _identity(binding: Mapping[str, Any], settings: Mapping[str, str], wrong: Report) -> Identity:
    identity = binding.get("identity")
    if identity not in IDENTITIES:
        wrong("identity", identity, "'system' or 'user' (with identityId)")
    elif identity == "system" and binding.get("identityId"):
        wrong("identityId", binding["identityId"], "only with identity 'user'; leave it out")
    elif identity == "user":
        return Identity(_value(binding, "identityId", True, settings, wrong))
    return Identity()


def _match(pattern: re.Pattern[str]) -> Callable[[str, Mapping[str, str]], str]:
    def check(text: str, settings: Mapping[str, str]) -> str:
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return check


def _resource_id(text: str, settings: Mapping[str, str]) -> str:
    if not is_resource_id(text):
        raise ValueError
    return text


_CHECKS: dict[str, tuple[Callable[[str, Mapping[str, str]], str], str]] = {
    "secretName": (_match(_SECRET_NAME), "a secret's name: 1 to 127 letters, digits and hyphens"),
    "secretVersion": (_match(_VERSION), "a secret's version, such as 32 hexadecimal digits"),
    "vaultName": (vault_url, "a vault's name or URI"),
    "identityId": (
        _resource_id,
        "the resource id of a user-assigned identity: /subscriptions/…/resourceGroups/…/providers/"
        "Microsoft.ManagedIdentity/userAssignedIdentities/…",
    ),
}
