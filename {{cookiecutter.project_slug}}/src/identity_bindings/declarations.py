"""What a function declares: its ``function.json``, and each property of this package's bindings."""

import codecs
import difflib
import json
import keyword
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .credentials import RESOURCE_ID, Identity
from .errors import Problem
from .masking import MASK

FILE = "function.json"
FOLDER = "folder"
"""The property of a problem of a function's own name: nothing can be registered under it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
# A JSON string, kept; or a comment, dropped.
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)

PropertyProblem = tuple[str, object, str]
"""A property, its value, and what is allowed."""

RETRY = {
    "fixeddelay": ("fixed_delay", ["delayInterval"]),
    "exponentialbackoff": ("exponential_backoff", ["minimumInterval", "maximumInterval"]),
}
"""The retry strategies: the library's name of each, and its times."""

_MODULES = (".key_vault_secrets", ".keys", ".access_tokens")
_SETTING = re.compile(r"%([^%]*)%")
_identities: dict[str, Identity] = {}  # by their ids in lower case
_COMMON = ("name", "type", "direction", "dataType", "identity", "identityId")


@dataclass
class FunctionDeclaration:
    """One function as its ``function.json`` declares it."""

    name: str
    folder: Path
    # The platform's own; of a function in error, perhaps without a trigger.
    bindings: list[dict[str, Any]] = field(default_factory=list)
    declared: list[Any] = field(default_factory=list)  # the bindings that this package provides
    settings: Mapping[str, Any] = field(default_factory=dict)  # at the top, such as scriptFile
    disabled: bool = False
    problems: list[Problem] = field(default_factory=list)

    @property
    def file(self) -> str:
        """The declaration's file, as messages show it."""
        return f"{self.folder.parent.name}/{self.name}/{FILE}"


def read_declarations(folder: Path) -> list[FunctionDeclaration]:
    """Read ``<folder>/*/function.json``: every function, in the order of names, with its problems."""
    folders = [file.parent for file in sorted(folder.glob(f"*/{FILE}"))]
    functions = [FunctionDeclaration(one.name, one) for one in folders]
    for function in functions:
        function.problems += [Problem(function.file, *one) for one in _fill(function)]
    return functions


def is_trigger(binding: Mapping[str, Any]) -> bool:
    """Return whether a binding starts the function. The host goes by the end of its type."""
    return str(binding.get("type")).lower().endswith("trigger")


def _fill(function: FunctionDeclaration) -> Iterator[PropertyProblem]:
    """Fill in what the file declares, and yield what is wrong with it."""
    if not _NAME.fullmatch(function.name) or function.name.lower() == "host":
        yield FOLDER, function.name, "a letter, then letters, digits, _ and -; not 'host'"
    try:
        content = function.settings = read_json(function.folder / FILE)
    except ValueError as error:
        yield "file", FILE, f"JSON is expected: {error}"
        return
    bindings = content.get("bindings")
    if not isinstance(bindings, list) or not all(isinstance(b, dict) for b in bindings):
        yield "bindings", bindings, "a list of objects is expected"
        bindings = []
    elif sum(map(is_trigger, bindings)) != 1:
        triggers = [binding["type"] for binding in bindings if is_trigger(binding)]
        yield "bindings", triggers, "exactly one trigger is expected"
    for binding in bindings:
        if is_ours(binding):
            own, problems = declare(binding)
            function.declared += [] if problems else [own]
            yield from problems
        else:
            function.bindings.append(binding)
            yield from _binding_problems(binding, function.name)
    names = [name for binding in bindings if isinstance(name := binding.get("name"), str)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "name", name, "names of bindings must differ"
    if not isinstance(disabled := content.get("disabled"), bool | None):
        yield "disabled", disabled, "true or false"
    function.disabled = disabled is True
    if (retry := content.get("retry")) is not None:
        yield from _retry_problems(retry)


def _binding_problems(binding: Mapping[str, Any], function: str) -> Iterator[PropertyProblem]:
    kind, name, way = binding.get("type"), binding.get("name"), direction(binding)
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Za-z][\w.-]*", kind, re.ASCII):
        yield "type", kind, "the binding's type, such as 'httpTrigger' or 'keyVault'"
        return
    if way not in ("in", "out"):
        yield f"{kind}.direction", binding["direction"], "'in' or 'out'"
    elif is_trigger(binding) and way != "in":
        yield f"{kind}.direction", binding["direction"], "a trigger's direction is 'in'"
    elif name == "$return" and way != "out":
        yield f"{kind}.direction", binding.get("direction"), "'$return' must be 'out'"
    if name != "$return" and not is_parameter(name):
        yield f"{kind}.name", name, "a Python parameter's name or '$return'"
    data_type = binding.get("dataType")
    if data_type is not None and str(data_type).lower() not in ("string", "binary", "stream"):
        yield f"{kind}.dataType", data_type, "'string', 'binary' or 'stream'"
    if kind.lower() == "httptrigger":
        level = str(binding.get("authLevel") or "function").lower()
        if level not in ("function", "anonymous", "admin"):
            yield f"{kind}.authLevel", binding["authLevel"], "'function', 'anonymous' or 'admin'"
        route = binding.get("route") or function
        if str(route).lower().startswith("admin"):
            yield "httpTrigger.route", route, "no route of the host's own, which start 'admin'"


def _retry_problems(retry: Any) -> Iterator[PropertyProblem]:
    strategy = str(retry.get("strategy")).lower() if isinstance(retry, dict) else ""
    if strategy not in RETRY:
        yield "retry", retry, "an object with strategy 'fixedDelay' or 'exponentialBackoff'"
        return
    count = retry.get("maxRetryCount")
    if isinstance(count, bool) or not re.fullmatch(r"-1|\d{1,9}", str(count)):
        yield "retry.maxRetryCount", count, "a number of retries, -1 for no limit"
    for name in RETRY[strategy][1]:
        if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]?\d:[0-5]?\d", str(retry.get(name))):
            yield f"retry.{name}", retry.get(name), "a time as 'hh:mm:ss'"


def read_json(file: Path) -> dict[str, Any]:
    """Read the JSON object in a file as the host does: leniently.

    Raises:
        ValueError: There is none. Its text says why, and shows nothing of the file.

    Source: HostFunctionMetadataProvider in github.com/Azure/azure-functions-host.
    """
    try:
        data = file.read_bytes()
        in_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if in_utf16 else "utf-8-sig")
        # Line breaks stay, so that an error names the right line.
        text = _STRING_OR_COMMENT.sub(lambda m: m[1] or " " + "\n" * m[0].count("\n"), text)
        text = _STRING_OR_COMMA.sub(lambda match: match[1] or "", text)
        content = json.loads(text, strict=False)
        if isinstance(content, dict):
            return content
        reason = "it is not a JSON object"
    except json.JSONDecodeError as error:
        reason = f"line {error.lineno} is not valid JSON: {error.msg}"
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        reason = "it is not JSON in UTF-8, or nested too deeply"
    raise ValueError(reason)


@dataclass(frozen=True)
class Property:
    """A property of a declaration: `check` returns its value, or raises ValueError."""

    check: Callable[[str], str]  # its argument is "" if the property is missing or not a string
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

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(allowed)
        return text

    return Property(check, required)


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


def declare(binding: Mapping[str, Any]) -> tuple[Any, list[PropertyProblem]]:
    """Make the binding that an entry declares, None where something is wrong; and return what is."""
    kind, name = kinds()[binding["type"].lower()], binding.get("name")
    rules = dict(kind.properties)
    if binding.get("identity") == "user":
        rules["identityId"] = _IDENTITY_ID
    problems = list(_shape(binding, (*_COMMON, *kind.properties)))
    values: dict[str, Any] = {}
    for prop, rule in rules.items():
        try:
            values[prop] = _value(binding.get(prop), rule)
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


def _value(given: object, rule: Property) -> str | None:
    """Return a property's checked value, or raise ValueError, which never shows a setting's value."""
    if given in (None, "") and not rule.required:
        return None
    text = given if isinstance(given, str) else ""
    if "{" in text or "}" in text:
        raise ValueError("no {…} expression: a caller must not choose what is read")
    names = _SETTING.findall(text)
    unset = [name for name in names if not os.environ.get(name)]
    if unset:
        raise ValueError(f"the app setting {', '.join(map(repr, unset))} is not set")
    try:
        return rule.check(_SETTING.sub(lambda match: os.environ[match[1]], text).strip())
    except ValueError as error:
        held = f"what the app setting {', '.join(map(repr, names))} holds must be " if names else ""
        raise ValueError(f"{held}{error}") from None
