"""Handlers are found and imported as on the platform."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apps import told

MAIN = "def main(req):\n    return __name__\n"


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of functions, which nothing has made importable yet."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = tmp_path / "app/functions"
    folder.mkdir(parents=True)
    importlib.import_module("identity_bindings")  # it stays, or nobody could take its masks off
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        sys.modules.pop(name, None)


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        file = folder / name.replace("__in__", "/").replace("_py", ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    importlib.invalidate_caches()


def load(folder: Path, name: str, **settings: Any) -> Any:
    """The handler of a function, or what is wrong with it: property, value, what is allowed."""
    loading: Any = importlib.import_module("identity_bindings.registration")
    declarations: Any = importlib.import_module("identity_bindings.declarations")
    loading.make_importable(folder)
    (folder / name).mkdir(exist_ok=True)
    found = loading.load_handler(
        declarations.FunctionDeclaration(name, folder / name, settings=settings)
    )
    return found if callable(found) else (found.property, found.value, found.allowed)


FILE = "a Python file; without it, __init__.py"


def test_each_way_to_name_a_handler(functions: Path) -> None:
    write(
        functions,
        a__in____init___py=MAIN,
        a__in__other_py=MAIN,
        a__in__sub__in__deep_py=MAIN + "def run(req): return 'run'\n",
        b__in__run_py=MAIN,
        b__in__more_py=MAIN,
        c__in__only_py=MAIN,
        d__in__Run_py=MAIN,
        d__in____init___py=MAIN,
    )
    (functions / "c/function.json").write_text("{}")
    (functions / "c/folder").mkdir()

    for name, settings, module in (
        ("a", {}, "__app__.a"),
        ("a", {"scriptFile": "__init__.py", "entryPoint": "main"}, "__app__.a"),
        ("a", {"scriptFile": "other.py"}, "__app__.a.other"),
        ("a", {"scriptFile": "sub\\deep.py", "entryPoint": ""}, "__app__.a.sub.deep"),
        ("a", {"scriptFile": "../b/run.py"}, "__app__.b.run"),
        ("b", {"scriptFile": ""}, "__app__.b.run"),
        ("c", {}, "__app__.c.only"),
        ("d", {}, "__app__.d.Run"),
    ):
        assert load(functions, name, **settings)(None) == module
    deep = load(functions, "a", scriptFile="sub/deep.py", entryPoint="run")
    assert deep(None) == "run"


def test_what_is_no_handler_is_told(functions: Path) -> None:
    write(functions, a__in____init___py="main = 7\n", b__in__x_py="", b__in__y_py="", outside_py="")
    (functions / "a/text.txt").write_text("")
    (functions.parent / "above.py").write_text("")
    (functions / "empty").mkdir()

    inside = "a file inside functions/"
    for name, settings, told_of in (
        ("a", {}, ("entryPoint", "main", "a function in __init__.py")),
        ("a", {"entryPoint": "run"}, ("entryPoint", "run", "a function in __init__.py")),
        ("a", {"scriptFile": "no.py"}, ("scriptFile", "no.py", FILE)),
        ("a", {"scriptFile": "text.txt"}, ("scriptFile", "text.txt", FILE)),
        ("a", {"scriptFile": "."}, ("scriptFile", ".", FILE)),
        ("b", {}, ("scriptFile", None, FILE)),
        ("empty", {}, ("scriptFile", None, FILE)),
        ("a", {"scriptFile": "../../above.py"}, ("scriptFile", "../../above.py", inside)),
    ):
        assert load(functions, name, **settings) == told_of


def test_a_module_that_does_not_load(functions: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(functions, a__in____init___py="raise ValueError('one\\n two')\n")

    assert load(functions, "a") == ("import", "ValueError: one two", "the module must load")
    assert told(caplog) == []  # the report logs it, with its traceback


@pytest.mark.parametrize(
    ("source", "settings", "prop"),
    [
        ("def __getattr__(name):\n    return {}[name]\n", {}, "import"),
        ("class B(BaseException):\n  def __str__(s): raise B()\nraise B()\n", {}, "import"),
        (MAIN, {"scriptFile": "a" * 300 + ".py"}, "scriptFile"),
        (MAIN, {"scriptFile": "\0.py"}, "scriptFile"),
        (MAIN, {"scriptFile": "\ud800.py"}, "scriptFile"),
        (MAIN, {"scriptFile": "circle.py"}, "scriptFile"),
    ],
)
def test_what_raises_while_it_is_looked_at_is_a_problem(
    functions: Path, source: str, settings: dict[str, str], prop: str
) -> None:
    write(functions, a__in____init___py=source)
    (functions / "a/circle.py").symlink_to("circle.py")

    assert load(functions, "a", **settings)[0] == prop


def test_who_interrupts_the_start_is_heard(functions: Path) -> None:
    write(functions, a__in____init___py="raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        load(functions, "a")


def test_functions_import_what_stands_beside_them(functions: Path) -> None:
    write(
        functions,
        a__in____init___py=(
            "import at_the_root, shared.text, beside\n"
            "from . import near\nfrom ..shared import text\nfrom __app__.shared import text as same\n"
            "def main(req): return text is same, near.NAME, beside.NAME, at_the_root.NAME\n"
        ),
        a__in__near_py="NAME = 'near'\n",
        shared__in__text_py="",
        beside_py="NAME = 'beside'\n",
    )
    (functions.parent / "at_the_root.py").write_text("NAME = 'root'\n")

    assert load(functions, "a")(None) == (True, "near", "beside", "root")


def test_a_folder_is_made_importable_once(functions: Path, tmp_path: Path) -> None:
    loading: Any = importlib.import_module("identity_bindings.registration")
    before = [*sys.path]
    other = tmp_path / "other/functions"
    other.mkdir(parents=True)

    for folder in (functions, functions, other):
        loading.make_importable(folder)

    # Last, so that a function named like a library does not hide it.
    places = [functions.parent, functions, other.parent, other]
    assert sys.path == [*before, *(str(place.resolve()) for place in places)]
    search = [*sys.modules["__app__"].__path__]
    assert search == [str(functions.resolve()), str(other.resolve())]
