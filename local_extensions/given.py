"""What the command line and the user's config answer, read again where cookiecutter loses some.

cookiecutter 2.7.1 ignores arguments that are no prompt. From the config it takes a list as choices,
a number by its value, and nothing after the first entry that it does not understand.
"""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import yaml
from cookiecutter.cli import main as cookiecutter_command
from cookiecutter.config import USER_CONFIG_PATH, get_user_config
from cookiecutter.generate import generate_context
from cookiecutter.prompt import render_variable
from cookiecutter.utils import create_env_with_context

from .answers import (
    CONFIGURATION,
    CONFIGURATION_FILE,
    QUESTIONS,
    Problem,
    as_text,
    problems,
    refusal,
    shown,
)

KEPT_TAGS = tuple(f"tag:yaml.org,2002:{kept}" for kept in ("null", "merge", "timestamp"))


class AsWritten(yaml.SafeLoader):
    """Reads numbers and booleans as the text that is written: 3.10 stays 3.10, off stays off."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it
        first: [(tag, pattern) for tag, pattern in known if tag in KEPT_TAGS]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Call:
    """A call of the command `cookiecutter`."""

    params: Mapping[str, Any]
    arguments: Mapping[str, str]
    config: Mapping[str, Any]  # default_context, as written

    @property
    def asks(self) -> bool:
        """Whether cookiecutter shows the prompts."""
        return not self.params["no_input"]

    @property
    def replays(self) -> bool:
        """Whether the answers are those of an earlier call."""
        return bool(self.params["replay"] or self.params["replay_file"])

    @property
    def given(self) -> dict[str, Any]:
        """The value that each prompt is given, by an argument or else by the config."""
        given = {**self.config, **self.arguments}
        return {prompt: given[prompt] for prompt in QUESTIONS if prompt in given}

    def answers(self) -> dict[str, Any]:
        """Answer every prompt as `--no-input` should."""
        answers: dict[str, Any] = {}
        for prompt, first in QUESTIONS.items():
            default = first[0] if isinstance(first, list) else first
            answers[prompt] = rendered(prompt, self.given.get(prompt, default), answers)
        return answers

    def lost(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """List what the config answers and cookiecutter did not offer at the prompts."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cookiecutter has warned already
            config = get_user_config(self.params["config_file"], self.params["default_config"])
            offered = generate_context(
                str(CONFIGURATION_FILE), config["default_context"], dict(self.arguments)
            )["cookiecutter"]
        lost = {}
        for prompt, value in self.given.items():
            choices = isinstance(QUESTIONS[prompt], list)
            shown = offered[prompt][0] if choices else offered[prompt]
            if str(shown) != value:
                lost[prompt] = rendered(prompt, value, answers)
        return lost

    def refused(self) -> list[Problem]:
        """List what is wrong whatever is answered at the prompts."""
        private = CONFIGURATION.keys() - QUESTIONS | {n for n in self.arguments if n[:1] == "_"}
        return [
            *(
                Problem(name, value, "is not a prompt")
                for name, value in {**self.config, **self.arguments}.items()
                if name in private
            ),
            *unknown_names(self.arguments),
            *(
                Problem(prompt, str(value), "is not text in YAML; accepted: it in quotes")
                for prompt, value in self.given.items()
                if not _has_json(value)  # cookiecutter could not keep it for a replay
            ),
            # Of an empty list cookiecutter raises a ValueError.
            *(problem for problem in problems(self.given) if problem.value == []),
        ]

    def near_misses(self) -> dict[str, str]:
        """Find names in the config that are a prompt's but for upper case and one edit."""
        return {
            ascii(name)[1:-1]: prompt
            for name in self.config
            for prompt in QUESTIONS
            if name not in QUESTIONS and one_edit_apart(name.lower(), prompt)
        }


def current_call() -> Call | None:
    """Find the call of the command. The Python API and cruft leave nothing to be read again."""
    context = click.get_current_context(silent=True)
    if context is None or context.command is not cookiecutter_command:
        return None
    call = Call(context.params, context.params["extra_context"] or {}, _config(context.params))
    return Call(context.params, {}, {}) if call.replays else call


def unknown_names(given: Mapping[str, Any]) -> list[Problem]:
    """List what is given under the name of no prompt; private variables are cookiecutter's own."""
    return [
        Problem(name, value, f"is not a prompt; {_nearest(name)}")
        for name, value in given.items()
        if name not in QUESTIONS and not name.startswith("_")
    ]


def rendered(prompt: str, value: Any, answers: Mapping[str, Any]) -> Any:
    """Render a value that cookiecutter would have rendered, and write it as text where it can be."""
    try:
        value = render_variable(create_env_with_context({}), value, dict(answers))
    except Exception as error:  # an expression can raise anything
        what = f"cannot be rendered by Jinja ({shown(str(error))[1:-1]}); accepted: "
        raise refusal([Problem(prompt, value, what + "text without {{, {% and {#")]) from None
    return as_text(prompt, value)


def _has_json(value: Any) -> bool:
    try:
        return bool(json.dumps(value))
    except TypeError:
        return False


def one_edit_apart(name: str, other: str) -> bool:
    """Whether at most one letter is added, left out or replaced, or two neighbours are swapped."""
    while name and name[0] == other[:1]:
        name, other = name[1:], other[1:]
    swapped = name[1::-1] == other[:2] and name[2:] == other[2:]
    return name[1:] == other[1:] or name[1:] == other or name == other[1:] or swapped


def _config(params: Mapping[str, Any]) -> dict[str, Any]:
    if params["default_config"]:
        return {}
    path = Path(params["config_file"] or os.environ.get("COOKIECUTTER_CONFIG", USER_CONFIG_PATH))
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as file:
        config = yaml.load(file, AsWritten) or {}  # noqa: S506 - derived from SafeLoader
    return {str(name): value for name, value in (config.get("default_context") or {}).items()}


def _nearest(name: str) -> str:
    """Name the prompt that was probably meant."""
    written = {prompt.replace("_", ""): prompt for prompt in QUESTIONS}
    plain = "".join(filter(str.isalnum, name.lower()))
    written |= {word: prompt for prompt in QUESTIONS for word in prompt.split("_")[1:]}
    written |= {prompt: prompt for prompt in QUESTIONS}
    if near := get_close_matches(plain, written, 1, cutoff=0.6):
        return f"did you mean {written[near[0]]}?"
    return f"the prompts are {', '.join(QUESTIONS)}"
