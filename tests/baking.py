"""Rendering projects in tests, and running commands as the owner of a project does."""

import ast
import functools
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml

from local_extensions.paths import OPTIONAL

TEMPLATE = Path(__file__).parent.parent
PROJECT = "{{cookiecutter.project_slug}}"
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

# bake(identity="user") renders a project and returns its folder.
Bake = Callable[..., Path]


def run(
    command: Sequence[object],
    cwd: Path,
    status: int | None = 0,
    typed: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command, expect an exit status, and return what the command prints to stdout.

    Args:
        command: The program and its arguments.
        cwd: Where it runs.
        status: The exit status that is expected; None accepts each.
        typed: What it reads from stdin.
        env: Environment variables that are added to those of this process.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**inherited, **(env or {})},
        input=typed,
        capture_output=True,
        text=True,
    )
    assert status in (None, done.returncode), done.stdout[-9000:] + done.stderr[-3000:]
    return done.stdout


def run_tests(project: Path, *names: str, status: int | None = 0, **env: str) -> str:
    """Run a project's tests, or those of some files, as its owner would."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
    printed = run(command, project, status, env=env)
    assert status != 0 or " passed" in printed, printed
    return printed


def render(template: Path, folder: Path, *arguments: str) -> Path:
    """Render a project with the command line, in a process of its own."""
    command = [sys.executable, "-m", "cookiecutter", template, "--no-input", "--default-config"]
    run([*command, "--output-dir", folder, *arguments], folder)
    (project,) = folder.iterdir()
    return project


def texts_of(project: Path) -> dict[str, str]:
    """Read the files of a project by their names in it; expect each to parse as its kind does."""
    texts = {}
    for file in project.rglob("*"):
        at = file.relative_to(project)
        if file.is_file() and not CACHES.intersection(at.parts):
            texts[at.as_posix()] = file.read_bytes().decode("utf-8")
            parse(file.suffix, texts[at.as_posix()])
    return texts


@functools.lru_cache(maxsize=2000)
def parse(suffix: str, text: str) -> None:
    """Expect a text that a file of its kind may hold; most files are the same in many projects."""
    parsers: dict[str, Callable[[str], object]] = {
        ".json": json.loads,
        ".yaml": yaml.safe_load,
        ".yml": yaml.safe_load,
        ".toml": tomllib.loads,
        ".py": ast.parse,
    }
    if suffix in parsers:
        parsers[suffix](text)


def change(file: Path, old: str, new: str) -> None:
    """Replace a text that a file has once."""
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{file}: {old!r}"
    file.write_text(text.replace(old, new), "utf-8")


def tracked(folder: Path = TEMPLATE) -> list[str]:
    """List the repository's files in a folder, also those that are not committed yet."""
    listed = run(["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], folder)
    return [name for name in listed.split("\0") if name and (folder / name).is_file()]


def copy_template(folder: Path) -> Path:
    """Copy the template without its tests and benchmarks."""
    for name in tracked():
        if name.partition("/")[0] not in ("tests", "benchmarks"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name)
    return folder


def copy_questions(folder: Path) -> Path:
    """Copy what takes the answers; the project is one file with what they have become.

    The files that belong to some answer are there too, and empty: the hook removes some of them.
    """
    for name in tracked():
        inside = PurePosixPath(name).relative_to(PROJECT) if name.startswith(PROJECT) else None
        if name.startswith(("cookiecutter.json", "hooks/", "local_extensions/")) or (
            inside and inside.as_posix().startswith(tuple(OPTIONAL))
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"" if inside else (TEMPLATE / name).read_bytes())
    rendered = "{% set facts = cookiecutter | facts %}{{ cookiecutter | tojson }}\n"
    (folder / PROJECT / "answers.json").write_text(rendered, "utf-8")
    return folder


def somebody(home: Path) -> dict[str, str]:
    """What the environment of somebody with this home holds: a name for git, this Python's tools."""
    who = {f"GIT_{role}_NAME": "Somebody" for role in ("AUTHOR", "COMMITTER")}
    who |= {f"GIT_{role}_EMAIL": "somebody@example.org" for role in ("AUTHOR", "COMMITTER")}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**who, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "PATH": tools}
