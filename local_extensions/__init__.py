"""The one thing that this template adds to Jinja: the filter `facts`."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension

# The first thing that cookiecutter renders for a project: the name of its folder.
FOLDER = "{{cookiecutter.project_slug}}"


class FactsExtension(Extension):
    """Gives every template `{{ cookiecutter | facts }}`."""

    def __init__(self, environment: Environment) -> None:
        """Register the filter, and make way for another version of this template."""
        super().__init__(environment)
        self._checked: Callable[[Any], Any] | None = None
        environment.filters["facts"] = self._facts
        # Most names of files and folders hold no Jinja. Compiling each of them all the same would
        # take a good part of the time that the rendering takes.
        from_string = environment.from_string
        setattr(  # noqa: B010 - mypy knows no such assignment
            environment,
            "from_string",
            lambda source, *rest: from_string(source, *rest) if "{" in source else _Text(source),
        )
        _forget()

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Check the answers where cookiecutter is about to make the project's folder.

        Neither a replay, nor a forged `__check`, nor `--accept-hooks no` gets past this.
        """
        return "{{ (cookiecutter | facts).project_slug }}" if source == FOLDER else source

    def _facts(self, answers: Any) -> Any:
        # Loaded when first needed: cookiecutter makes an environment for each hook, too.
        self._checked = self._checked or _load()
        return self._checked(answers)


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def render(self, **context: Any) -> str:
        return self._text


# cruft renders two versions of this template in one process and from one folder. So nothing of
# the one may be left for the other: no module in sys.modules, and no byte code, which is told
# apart by the size and the second of its source only.
def _load() -> Callable[[Any], Any]:
    write_nothing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        checked: Callable[[Any], Any] = import_module(".refusal", __name__).checked
    finally:
        sys.dont_write_bytecode = write_nothing
        _forget()
    return checked


def _forget() -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == __name__]:
        del sys.modules[module]
