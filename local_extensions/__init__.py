"""The one thing that this template adds to Jinja: the filter `facts`."""

import sys

from jinja2 import Environment
from jinja2.ext import Extension

# cruft renders two versions of this template in one process and from one folder. Byte code is
# told apart by its source's size and second only, so none may be left for the other version.
_write_nothing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
try:
    from .refusal import checked
finally:
    sys.dont_write_bytecode = _write_nothing

# The first thing that cookiecutter renders for a project: the name of its folder.
FOLDER = "{{cookiecutter.project_slug}}"


class FactsExtension(Extension):
    """Gives every template `{{ cookiecutter | facts }}`."""

    def __init__(self, environment: Environment) -> None:
        """Register the filter, and make way for another version of this template."""
        super().__init__(environment)
        environment.filters["facts"] = checked
        # These modules are in use now and need not be found by name again. Left in sys.modules,
        # they would be what the other version gets when it imports its own.
        for module in [name for name in sys.modules if name.partition(".")[0] == __name__]:
            del sys.modules[module]

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Check the answers where cookiecutter is about to make the project's folder.

        Neither a replay, nor a forged `__check`, nor `--accept-hooks no` gets past this.
        """
        return "{{ (cookiecutter | facts).project_slug }}" if source == FOLDER else source
