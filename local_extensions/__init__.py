"""The one thing that this template adds to Jinja: the filter `facts`."""

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from jinja2 import Environment, Template
from jinja2.ext import Extension

# The first thing that cookiecutter renders for a project: the name of its folder.
FOLDER = "{{cookiecutter.project_slug}}"
CONDITIONAL_NAME = re.compile(r"([^{]*){% if ((?:(?! or )[^{%])*) %}([^{]*){% endif %}")
HERE = Path(__file__).parent
THIS = sys.modules[__name__]


class FactsExtension(Extension):
    """Gives every template `{{ cookiecutter | facts }}`."""

    def __init__(self, environment: Environment) -> None:
        """Register the filter, and make way for another version of this template."""
        super().__init__(environment)
        environment.filters["facts"] = _Remembered(_facts)
        # Each template is rendered once. Looking for constants in it takes longer than that.
        environment.optimized = False
        self._compile = environment.from_string
        self._conditions: dict[str, _Remembered] = {}
        # mypy knows no such assignment.
        setattr(environment, "from_string", self._from_string)  # noqa: B010
        _forget()

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Check the answers where cookiecutter is about to make the project's folder.

        Neither a replay, nor a forged `__check`, nor `--accept-hooks no` gets past this.
        """
        return "{{ (cookiecutter | facts).project_slug }}" if source == FOLDER else source

    def _from_string(self, source: str, *rest: Any) -> Any:
        """Compile the names of files and folders as rarely as can be.

        Most hold no Jinja, and many hold the same conditions. Compiling each of them all the same
        would take a good part of the time that the rendering takes.
        """
        if "{" not in source:
            return _Name(source)
        named = CONDITIONAL_NAME.fullmatch(source)
        if not named:
            return self._compile(source, *rest)
        folder, condition, file = named.groups()
        parts = condition.split(" and ")
        for part in parts:
            if part not in self._conditions:
                template = self._compile(f"{{% if {part} %}}yes{{% endif %}}", *rest)
                self._conditions[part] = _Remembered(partial(_decided, template))
        return _Name(folder, [self._conditions[part] for part in parts], file)


class _Remembered:
    """A function of the answers that is called for other answers only: nearly every file asks."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self._answers: Any = None
        self._made: Any = None

    def __call__(self, answers: Any) -> Any:
        if answers != self._answers:
            self._made = self._function(answers)
            self._answers = dict(answers)
        return self._made


def _facts(answers: Any) -> Any:
    with suppress(ValueError):  # the answers have problems
        return _load("facts").facts_of(answers)
    return _load("refusal").checked(answers)


def _decided(condition: Template, answers: Any) -> bool:
    return bool(condition.render(cookiecutter=answers))


class _Name:
    def __init__(self, always: str, conditions: Sequence[_Remembered] = (), more: str = "") -> None:
        self._always, self._conditions, self._more = always, conditions, more

    def render(self, **context: Any) -> str:
        holds = all(condition(context["cookiecutter"]) for condition in self._conditions)
        return self._always + (self._more if holds else "")


# cruft renders two versions of this template in one process and from one folder. So nothing of
# the one may be left for the other: no module in sys.modules, and no byte code, which is told
# apart by the size and the second of its source only. But cookiecutter makes three environments
# of one version: for the prompts, the files and the hook. What is loaded for the first serves the
# others, where all sources are still the same.
def _load(module: str) -> ModuleType:
    context = click.get_current_context(silent=True)
    loaded: dict[Any, ModuleType] = context.meta.setdefault(__name__, {}) if context else {}
    files = [HERE.parent / "cookiecutter.json", *sorted(HERE.glob("*.py"))]
    key = (module, *((file, file.read_bytes()) for file in files))
    if key not in loaded:
        write_nothing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.modules[__name__] = THIS
        try:
            loaded[key] = import_module(f".{module}", __name__)
        finally:
            sys.dont_write_bytecode = write_nothing
            _forget()
    return loaded[key]


def _forget() -> None:
    for module in [name for name in sys.modules if f"{name}.".startswith(f"{__name__}.")]:
        del sys.modules[module]
