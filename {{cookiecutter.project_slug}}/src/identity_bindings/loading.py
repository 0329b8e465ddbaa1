"""Handlers found and imported as the platform does: ``entryPoint`` of ``scriptFile``."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from .declarations import FunctionDeclaration
from .errors import Problem
from .isolation import import_problem
from .signatures import Handler

PACKAGE = "__app__"
"""The package under which the platform loads the functions of a folder."""


def make_importable(folder: Path) -> None:
    """Let functions import each other as on the platform: ``__app__.x``, relative, or by name."""
    folder = folder.resolve()
    # Last, so that a function named like a library does not hide it.
    sys.path += [path for path in (str(folder.parent), str(folder)) if path not in sys.path]
    package = module_from_spec(ModuleSpec(PACKAGE, None, is_package=True))
    search: Any = sys.modules.setdefault(PACKAGE, package).__path__
    if str(folder) not in search:
        search.append(str(folder))


def load_handler(function: FunctionDeclaration) -> Handler | Problem:
    """Import a function's handler, or return why there is none."""
    root = function.folder.parent.resolve()
    declared = function.settings.get("scriptFile")
    script = _script(function.folder, declared)
    if script is None or script.suffix != ".py" or not script.is_file():
        allowed = "a Python file; without it, __init__.py"
        return Problem(function.file, "scriptFile", declared, allowed)
    if not script.is_relative_to(root):
        return Problem(function.file, "scriptFile", declared, f"a file inside {root.name}/")
    *parts, last = script.relative_to(root).with_suffix("").parts
    if last.lower() != "__init__":
        parts.append(last)
    try:
        module = import_module(".".join((PACKAGE, *parts)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: the app's other functions must run
        return import_problem(f"{root.name}/{script.relative_to(root).as_posix()}", error)
    entry_point = function.settings.get("entryPoint") or "main"
    handler = getattr(module, str(entry_point), None)
    if not callable(handler):
        return Problem(function.file, "entryPoint", entry_point, f"a function in {script.name}")
    found: Handler = handler
    return found


def _script(folder: Path, declared: Any) -> Path | None:
    """The file of the handler, found as the host finds it.

    Source: HostFunctionMetadataProvider in github.com/Azure/azure-functions-host.
    """
    if declared:
        return (folder / str(declared).replace("\\", "/")).resolve()
    files = [f for f in folder.iterdir() if f.is_file() and f.name != "function.json"]
    runs = [file for file in files if file.stem.lower() == "run"]
    inits = [file for file in files if file.name.lower() == "__init__.py"]
    chosen = files if len(files) == 1 else [*runs, *inits]
    return chosen[0].resolve() if chosen else None
