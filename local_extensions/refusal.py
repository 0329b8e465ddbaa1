"""From answers to facts, or to a refusal that says how to go on."""

from collections.abc import MutableMapping
from typing import Any

from cookiecutter.exceptions import FailedHookException

from .answers import problems
from .facts import Facts, facts_of


def checked(answers: MutableMapping[str, Any]) -> Facts:
    """Turn the answers into facts, or refuse them: the filter `facts`."""
    if found := problems(answers):
        raise FailedHookException("\n".join(map(str, found)))
    return facts_of(answers)
