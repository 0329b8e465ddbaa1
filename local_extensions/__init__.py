"""The one thing that this template adds to Jinja: the filter `facts`."""

import shutil
import sys
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension

from .check import before_the_prompts, checked, folder

# cookiecutter renders this name for the project's folder.
FOLDER = "{{cookiecutter.project_slug}}"


class FactsExtension(Extension):
    """Gives every template `{{ cookiecutter | facts }}`."""

    def __init__(self, environment: Environment) -> None:
        """Register the filter, and refuse what needs no answers to be refused."""
        super().__init__(environment)
        environment.filters["facts"] = checked
        environment.filters["folder"] = folder
        _forget_this_version()
        before_the_prompts()

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Check the answers before cookiecutter makes the folder: a replay has no `__check`."""
        return "{{ cookiecutter | folder }}" if source == FOLDER else source


def _forget_this_version() -> None:
    """Make way for another version: cruft renders two in one process and from one folder.

    Byte code has to go too. Python compares only its source's size and its time in seconds.
    """
    for module in [name for name in sys.modules if name.partition(".")[0] == __name__]:
        del sys.modules[module]
    if __spec__ and __spec__.cached:
        shutil.rmtree(Path(__spec__.cached).parent, ignore_errors=True)
