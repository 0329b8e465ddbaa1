"""The declarations of a folder: its ``function.json`` files, read as the host reads them."""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import Problem
from .grammar import PropertyProblem, declare, direction, is_ours, is_parameter

FILE = "function.json"
FOLDER = "folder"
"""The property of a problem of a function's own name: nothing can be registered under it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
# A JSON string, kept; or a comment, dropped.
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', re.DOTALL)

RETRY = {
    "fixeddelay": ("fixed_delay", ["delayInterval"]),
    "exponentialbackoff": ("exponential_backoff", ["minimumInterval", "maximumInterval"]),
}
"""The retry strategies: the library's name of each, and its times."""


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


def read_declarations(folder: Path, settings: Mapping[str, str]) -> list[FunctionDeclaration]:
    """Read ``<folder>/*/function.json``.

    Args:
        folder: The folder of the functions. A folder in it without function.json is no function.
        settings: The app settings that ``%NAME%`` names, usually ``os.environ``.

    Returns:
        Every function, in the order of names, with its problems.
    """
    return [_read(file, settings) for file in sorted(folder.glob(f"*/{FILE}"))]


def is_trigger(binding: Mapping[str, Any]) -> bool:
    """Return whether a binding starts the function. The host goes by the end of its type."""
    return str(binding.get("type")).lower().endswith("trigger")


def _read(file: Path, settings: Mapping[str, str]) -> FunctionDeclaration:
    function = FunctionDeclaration(file.parent.name, file.parent)
    function.problems += [Problem(function.file, *one) for one in _fill(function, settings)]
    return function


def _fill(function: FunctionDeclaration, settings: Mapping[str, str]) -> Iterator[PropertyProblem]:
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
            own, problems = declare(binding, settings)
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
