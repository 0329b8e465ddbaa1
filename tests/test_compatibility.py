"""Projects live in other places than ours: other Pythons and releases, homes, and Windows."""

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from answers import SETS
from baking import TEMPLATE, Bake, run, run_tests, tracked
from interpreters import DEFAULT, RUNNING, VERSIONS, environment, interpreter

EVERYTHING = SETS["everything-by-a-created-identity"]

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")

# Releases of what a project requires


def test_each_requirement_has_a_lowest_release_and_none_a_highest(bake: Bake) -> None:
    for answers in SETS.values():
        declared = tomllib.loads((bake(**answers) / "pyproject.toml").read_text("utf-8"))
        for line in declared["project"]["dependencies"] + declared["dependency-groups"]["dev"]:
            assert re.fullmatch(r"[a-z-]+>=[\d.]+", line.partition(";")[0]), line


@pytest.mark.parametrize(
    "version",
    [pytest.param(one, marks=() if one == DEFAULT else pytest.mark.slow) for one in VERSIONS],
)
def test_the_app_on_each_python(bake: Bake, version: str) -> None:
    python = interpreter(version)
    if version == RUNNING or python is None:
        pytest.skip(f"Python {version} runs every other test, or is not on this machine")
    project = bake(**EVERYTHING)

    made = environment(python, version, project)

    # infra/ is the same for each Python.
    run([made, *PYTEST, "--ignore=tests/contract/test_infrastructure.py"], project)


@pytest.mark.slow
@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.usefixtures("package_index")
def test_the_releases_that_pyproject_allows(
    bake: Bake, tmp_path: Path, version: str, resolution: str
) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    project = bake(**EVERYTHING)
    made = str(tmp_path / "venv" / "bin" / "python")
    run([python, "-m", "venv", "--without-pip", str(tmp_path / "venv")], project)

    # What the project declares, without regard to what it locks.
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", made]
    declared = ["-r", "pyproject.toml", "--group", "dev"]
    run([*install, "--resolution", resolution, *declared], project)
    run([made, *PYTEST], project)


# A home where nobody may write


@pytest.fixture
def closed_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home where nothing can be written, and no sign of Azure."""
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    if os.access(home, os.W_OK):  # root may write anywhere, but not below a file
        (tmp_path / "file").touch()
        home = tmp_path / "file" / "home"
    # The Bicep compiler unpacks itself, in a home or where these say, and is no part of a project.
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setenv("DOTNET_BUNDLE_EXTRACT_BASE_DIR", str(tmp_path / "compiler"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name in ("CONTAINER_NAME", "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.mark.usefixtures("closed_home")
def test_a_home_that_cannot_be_written_is_replaced(tmp_path: Path) -> None:
    page = (TEMPLATE / "docs/prompts.md").read_text("utf-8")
    (command,) = re.findall(r"`(HOME=.+? cookiecutter) gh:OWNER/REPOSITORY`", page)
    command = command.replace("cookiecutter", '"$PYTHON" -m cookiecutter')

    where = {"PYTHON": sys.executable, "TEMPLATE": str(TEMPLATE)}
    run(["sh", "-c", f'{command} --no-input "$TEMPLATE"'], tmp_path, env=where)

    assert (tmp_path / "secure-function-app" / "src/function_app.py").is_file()


@pytest.mark.usefixtures("closed_home")
@pytest.mark.parametrize(
    "files",
    [["tests/contract/test_app.py"], pytest.param([], marks=pytest.mark.slow)],
    ids=len,
)
def test_a_project_is_tested(bake: Bake, files: list[str]) -> None:
    run_tests(bake(), *files)


# Windows


# Windows knows paths of 260 characters, the last of them a zero, unless somebody has changed that.
LONGEST_PATH = 259
# Names of accounts have at most 20 characters.
HOME = rf"C:\Users\{'u' * 20}"
CLONE = rf"{HOME}\.cookiecutters\cookiecutter-secure-functions"
CHECKOUT = rf"{HOME}\source\repos"
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
LONG_NAMES = {"project_slug": f"{'slug-' * 6}of", "function_name": "f" * 64}
POSIX_ONLY = (
    *("fcntl", "grp", "os.fork", "pty", "pwd", "resource", "select", "syslog", "termios", "tty"),
)


@pytest.fixture(scope="module")
def projects(bake: Bake) -> list[Path]:
    """Projects that have every file, and the longest names."""
    long_ones = [EVERYTHING, SETS["decorators-with-everything"]]
    return [bake(**answers) for answers in SETS.values()] + [
        bake(**answers | LONG_NAMES) for answers in long_ones
    ]


def files(project: Path) -> list[str]:
    """A project's files as it is rendered; tests leave byte code and caches beside them."""
    found = (path for path in project.rglob("*") if path.is_file())
    names = (path.relative_to(project.parent) for path in found)
    return [name.as_posix() for name in names if not re.search("cache|hypothesis", str(name))]


def test_windows_knows_every_name(projects: list[Path]) -> None:
    folders = {CLONE: tracked()}
    folders |= {rf"{CHECKOUT}\{number}": files(one) for number, one in enumerate(projects)}
    for folder, names in folders.items():
        for name in names:
            assert len(rf"{folder}\{name}") <= LONGEST_PATH, name
            for part in name.split("/"):
                assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), name
                assert not DEVICE.fullmatch(part), name
        parts = {"/".join(name.split("/")[:end]) for name in names for end in range(1, 20)}
        assert len({part.lower() for part in parts}) == len(parts)


def test_git_keeps_the_ends_of_lines(projects: list[Path], tmp_path: Path) -> None:
    """A script of a shell with Windows' line ends does not run, wherever it was checked out."""
    run(["git", "init", "--quiet"], tmp_path)
    for folder, names in [(TEMPLATE, tracked()), *((one.parent, files(one)) for one in projects)]:
        root = folder if folder == TEMPLATE else folder / names[0].split("/")[0]
        inside = [str((folder / name).relative_to(root)) for name in names]
        ask = ["git", f"--git-dir={tmp_path / '.git'}", f"--work-tree={root}", "check-attr", "-z"]
        ends = run([*ask, "--stdin", "eol"], root, typed="\0".join(inside)).split("\0")[2::3]
        assert ends == ["lf"] * len(names)


def test_python_is_told_how_texts_are_encoded_and_needs_no_unix(projects: list[Path]) -> None:
    """Windows' own encoding is another one, which does not know all letters."""
    banned = ", ".join(f'"{name}" = {{ msg = "only on Unix" }}' for name in POSIX_ONLY)
    rules = ["--isolated", "--preview", "--select", "PLW1514,TID251"]
    rules += ["--config", f"lint.flake8-tidy-imports.banned-api = {{ {banned} }}"]
    code = [TEMPLATE / "hooks", TEMPLATE / "local_extensions", *projects]

    run([sys.executable, "-m", "ruff", "check", "--no-cache", *rules, *code], TEMPLATE)


@pytest.mark.slow
def test_a_project_with_the_line_ends_of_windows(bake: Bake, tmp_path: Path) -> None:
    """Where an editor has changed them."""
    project = Path(shutil.copytree(bake(**EVERYTHING), tmp_path / "app"))
    for name in files(project):
        file = project.parent / name
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    run_tests(project)


# A folder with letters that shells and encodings take for something else


def test_the_last_words_lead_to_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "it's mein Büro $HOME"
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"]
    printed = run([*command, "--default-config", "--output-dir", str(folder)], tmp_path)
    (change_folder,) = re.findall("^  (cd .+)$", printed, re.MULTILINE)

    shown = run(["sh", "-c", f"{change_folder} && pwd"], tmp_path)

    assert shown == f"{folder / 'secure-function-app'}\n"
