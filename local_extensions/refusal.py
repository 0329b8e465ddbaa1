"""What happens to wrong answers: a person is asked again, anyone else is told how to go on."""

import os
import shlex
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import click
from cookiecutter.config import get_user_config
from cookiecutter.exceptions import FailedHookException
from cookiecutter.prompt import read_user_choice, read_user_variable
from cookiecutter.utils import create_env_with_context

from .answers import CONFIGURATION, QUESTIONS, Problem, problems
from .facts import Facts, facts_of

PROMPTS = CONFIGURATION["__prompts__"]


def checked(answers: MutableMapping[str, Any]) -> Facts:
    """Turn the answers into facts, or refuse them: the filter `facts`."""
    while found := problems(answers):
        if not _at_the_prompts(answers):
            raise FailedHookException(refusal(answers, found))
        _ask_again(answers, found)
    return facts_of(answers)


def refusal(answers: MutableMapping[str, Any], found: list[Problem]) -> str:
    """List what is wrong, and end with a command that is right."""
    lines = ["These answers cannot stand:"]
    lines += [f"  {problem}" for problem in found]
    lines += ["The same with good values (change them as you need):", f"  {command(answers)}"]
    return "\n".join(lines)


def command(answers: MutableMapping[str, Any]) -> str:
    """Write the command that repeats this call with the good answers, and good values else."""
    good = dict(answers)
    wrong: set[str] = set()
    while found := problems(good):
        good |= {problem.prompt: problem.good for problem in found}
        wrong |= {problem.prompt for problem in found}

    words, configured = _call()
    defaults = {
        prompt: first[0] if isinstance(first, list) else first
        for prompt, first in QUESTIONS.items()
    } | {"project_slug": _derived_slug(good)}
    words += [
        f"{prompt}={as_argument(good[prompt])}"
        for prompt in QUESTIONS
        if prompt in wrong or prompt in configured or good[prompt] != defaults[prompt]
    ]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def as_argument(answer: str) -> str:
    """Write an answer so that it passes cookiecutter's rendering of arguments, all of it visible."""
    if answer.isprintable() and not any(sign in answer for sign in ("{{", "{%", "{#")):
        return answer
    escaped = answer.encode("unicode_escape").decode().replace('"', '\\"')
    return f'{{{{ "{escaped}" }}}}'


def _call() -> tuple[list[str], set[str]]:
    """Find how cookiecutter was called, and which answers the user's configuration gives."""
    context = click.get_current_context(silent=True)
    if context is None or "template" not in context.params:  # a library call, or cruft
        return ["cookiecutter", str(Path(__file__).parent.parent), "--no-input"], set()
    given = context.params
    words = ["cookiecutter", str(given["template"])]
    for option in context.command.params:
        value = given.get(option.name or "")
        # A replay takes no answers, so the command gives them all.
        name = "--no-input" if option.name in ("replay", "replay_file") else option.opts[-1]
        if not isinstance(option, click.Option) or value in (None, option.get_default(context)):
            continue
        words += [name] if option.is_flag or name == "--no-input" else [name, str(value)]
    configuration = get_user_config(given["config_file"], given["default_config"])
    return words, set(configuration["default_context"])


def _at_the_prompts(answers: MutableMapping[str, Any]) -> bool:
    """Tell whether a person at a terminal has just answered cookiecutter's prompts."""
    context = click.get_current_context(silent=True)
    return (
        context is not None
        and context.params.get("no_input") is False
        and "_output_dir" not in answers  # cookiecutter adds it when the prompts are over
        and sys.stdin.isatty()
        and sys.stdout.isatty()
    )


def _ask_again(answers: MutableMapping[str, Any], found: list[Problem]) -> None:
    click.echo("\n" + "\n".join(f"  {problem}" for problem in found) + "\n")
    slug_is_derived = answers["project_slug"] == _derived_slug(answers)
    for problem in found:
        if problem.partner:
            answers[problem.partner] = _ask(problem.partner, answers[problem.partner])
        # The partner's new answer may have made this one right.
        for still in problems(answers):
            if still.prompt == problem.prompt:
                answers[still.prompt] = _ask(still.prompt, still.good)
        if problem.prompt == "project_name" and slug_is_derived:
            answers["project_slug"] = _derived_slug(answers)


def _ask(prompt: str, default: str) -> str:
    choices = QUESTIONS[prompt]
    if isinstance(choices, list):
        default_first = sorted(choices, key=lambda choice: choice != default)
        return str(read_user_choice(prompt, default_first, PROMPTS, "  "))
    return str(read_user_variable(prompt, default, PROMPTS, "  "))


def _derived_slug(answers: MutableMapping[str, Any]) -> str:
    """Render the slug as cookiecutter.json derives it from the project's name."""
    template = create_env_with_context({}).from_string(QUESTIONS["project_slug"])
    return str(template.render(cookiecutter=answers))
