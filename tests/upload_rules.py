"""Which files of a folder three tools upload, each by its own published rules.

No test can run Core Tools, azd or the deployment action, so these functions state the rules of
their sources. tests/test_uploads.py applies them to projects.
"""

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

Tool = Callable[[Path], set[str]]

CORE_TOOLS_ALWAYS = {".funcignore", ".gitignore", "local.settings.json", "project.lock.json"}


def core_tools(folder: Path) -> set[str]:
    """List what `func azure functionapp publish` uploads from `folder`.

    Source: GitIgnoreParser.cs, GetLocalFiles in FileSystemHelpers.cs,
    github.com/Azure/azure-functions-core-tools at 3ee97a6.
    """
    refused, allowed = _core_tools_patterns((folder / ".funcignore").read_text("utf-8"))
    found = set()
    for path, name in _files(folder, without=(".git", ".vscode")):
        matched = refused and refused.match(path) and not (allowed and allowed.match(path))
        if not matched and name.lower() not in CORE_TOOLS_ALWAYS:
            found.add(path)
    return found


def _core_tools_patterns(text: str) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    groups = (
        [line for line in lines if not line.startswith("!")],
        [line[1:] for line in lines if line.startswith("!")],
    )
    patterns = []
    for group in groups:
        regexes = []
        for line in group:
            escaped = re.sub(r"[-\[\]/{}()+?.\\^$|]", r"\\\g<0>", line.removeprefix("/"))
            regexes.append(escaped.replace("**", "(.+)").replace("*", r"([^\/]+)"))
        joined = ")|(".join(regexes)
        # RegexOptions.ECMAScript: \b knows ASCII letters only.
        patterns.append(re.compile(rf"^(({joined}))\b", re.ASCII) if regexes else None)
    return patterns[0], patterns[1]


def azd(folder: Path) -> set[str]:
    """List what `azd deploy` uploads from the folder of a service whose host is `function`.

    Source: createDeployableZip in cli/azd/pkg/project/project_utils.go of
    github.com/Azure/azure-dev at ae35809, and pattern.go of github.com/denormal/go-gitignore.
    """
    lines = (folder / ".funcignore").read_text("utf-8").splitlines()
    patterns = [line.rstrip() for line in lines if line.strip() and not line.startswith("#")]

    def is_ignored(path: str, is_folder: bool) -> bool:
        for pattern in reversed(patterns):
            if _go_matches(pattern.removeprefix("!"), path, is_folder):
                return not pattern.startswith("!")
        return False

    found = set()
    for parent, folders, files in os.walk(folder):
        here = Path(parent).relative_to(folder)
        folders[:] = [
            name
            for name in folders
            if name != ".azure" and not is_ignored((here / name).as_posix(), True)
        ]
        found |= {
            (here / name).as_posix()
            for name in files
            if name not in (".funcignore", "local.settings.json")
            and not is_ignored((here / name).as_posix(), False)
        }
    return found


def _go_matches(pattern: str, path: str, is_folder: bool) -> bool:
    anchored, pattern = pattern.startswith("/"), pattern.removeprefix("/")
    if pattern.endswith("/") and not is_folder:
        return False
    parts = pattern.rstrip("/").split("/")
    if "**" in parts:
        return _any(path.split("/"), parts)
    if any("**" in part for part in parts):
        return False  # the parser drops a line in which ** has a neighbour
    if len(parts) > 1:
        return len(parts) == path.count("/") + 1 and _all(path.split("/"), parts)
    return fnmatchcase(path if anchored else path.rpartition("/")[2], parts[0])


def _all(path: list[str], parts: list[str]) -> bool:
    return all(fnmatchcase(name, part) for name, part in zip(path, parts, strict=True))


def _any(path: list[str], parts: list[str]) -> bool:
    if not parts:
        return not path
    if parts[0] == "**":
        return _any(path, parts[1:]) or (bool(path) and _any(path[1:], parts))
    return bool(path) and fnmatchcase(path[0], parts[0]) and _any(path[1:], parts[1:])


def action(folder: Path) -> set[str]:
    """List what Azure/functions-action uploads from the folder that `package` names: all of it.

    Source: contentPreparer.ts of github.com/Azure/functions-action.
    """
    return {path for path, _ in _files(folder)}


def _files(folder: Path, without: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name.lower() not in without]
        here = Path(parent).relative_to(folder)
        yield from (((here / name).as_posix(), name) for name in files)
