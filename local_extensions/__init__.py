"""The one thing that this template adds to Jinja: the filter `facts`."""

import sys

from jinja2 import Environment
from jinja2.ext import Extension

from .refusal import checked

# The first name that cookiecutter renders for a project: its folder.
FOLDER = "{{cookiecutter.project_slug}}"


class FactsExtension(Extension):
    """Gives every template `{{ cookiecutter | facts }}`."""

    def __init__(self, environment: Environment) -> None:
        """Register the filter, and make way for another version of this template."""
        super().__init__(environment)
        environment.filters["facts"] = checked
        # cruft renders two versions in one process. Python would give the second one this
        # version's modules, so they are forgotten as soon as they are in use.
        for module in [name for name in sys.modules if name.partition(".")[0] == __name__]:
            del sys.modules[module]

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Check the answers where cookiecutter is about to make the project's folder.

        Neither a replay, nor a forged private variable, nor `--accept-hooks no` gets past this.
        """
        return "{{ (cookiecutter | facts).project_slug }}" if source == FOLDER else source
