"""Answers are checked: a person at a terminal is asked again, anybody else is refused."""

import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import click
from cookiecutter.exceptions import FailedHookException
from cookiecutter.prompt import read_user_choice, read_user_variable
from jinja2 import pass_context
from jinja2.runtime import Context

from .answers import CONFIGURATION, QUESTIONS, Problem, as_text, problems, refusal, shown
from .facts import Facts
from .given import Call, current_call, rendered, unknown_names

PROMPTS = CONFIGURATION["__prompts__"]
# How cookiecutter renders. A replay has its own, perhaps of an earlier version of the template.
SETTINGS = {name: value for name, value in CONFIGURATION.items() if name[:2].count("_") == 1}


def before_the_prompts() -> None:
    """Refuse what is wrong in the call itself, and warn of near misses in the config."""
    call = current_call()
    if call is None:
        return
    if (hooks := call.params["accept_hooks"]) != "yes":
        raise FailedHookException(
            f"--accept-hooks {hooks}: this template needs its hooks, which remove the files of"
            " other answers; accepted: yes"
        )
    answers = call.answers()
    if found := call.refused():
        named = {problem.prompt for problem in found}
        others = [] if call.asks else problems(answers)
        raise refusal(found + [problem for problem in others if problem.prompt not in named])
    if not click.get_current_context().meta.setdefault(f"{__name__}.warned", False):
        click.get_current_context().meta[f"{__name__}.warned"] = True
        for name, prompt in call.near_misses().items():
            click.echo(
                f"Warning: {name} in your config is not a prompt and is ignored;"
                f" did you mean {prompt}?",
                err=True,
            )


def checked(answers: MutableMapping[str, Any]) -> Facts:
    """Turn the answers into facts, or refuse them: the filter `facts`."""
    call = current_call()
    at_prompts = "_output_dir" not in answers  # cookiecutter adds it when the prompts are over
    if call and at_prompts and call.replays:  # without the answers that the replay has
        return Facts(call.answers())
    if call and at_prompts and not call.asks:
        answers.update(call.answers())
    for prompt in QUESTIONS:
        answers[prompt] = as_text(prompt, answers.get(prompt))
    if call and at_prompts and call.asks:
        _offer_what_was_lost(call, answers)
    while found := [*unknown_names(answers), *problems(answers)]:
        if not (call and at_prompts and _has_terminal(call)):
            raise refusal(found)
        _ask_again(answers, found)
    return Facts(answers)


@pass_context
def folder(context: Context, answers: MutableMapping[str, Any]) -> str:
    """Check the answers, name the project's folder, and refuse to lose files that are in it."""
    facts = checked(answers)
    answers.update(SETTINGS)
    if current_call() is None and (lost := _lists(context.get("_cookiecutter") or {}, answers)):
        raise refusal(lost)
    project = Path(answers.get("_output_dir", "."), facts.project_slug)
    if existing := [path for path in facts.left_out if (project / path).exists()]:
        raise FailedHookException(
            f"{project} has {', '.join(existing)}, which this template would replace and then"
            " remove, as these answers leave it out. Move it away first, or update the project"
            " with cruft, as the template's docs/updating.md describes"
        )
    return facts.project_slug


def _lists(given: Mapping[str, Any], answers: Mapping[str, Any]) -> list[Problem]:
    """List the lists of which cookiecutter took the first entry, where Python called it."""
    return [
        Problem(prompt, value, "is a list, of which cookiecutter takes one; accepted: text")
        for prompt, value in given.items()
        if prompt in QUESTIONS and not isinstance(QUESTIONS[prompt], list)
        if isinstance(value, list) and as_text(prompt, value) != answers[prompt]
    ]


def _has_terminal(call: Call) -> bool:
    return call.asks and sys.stdin.isatty() and sys.stdout.isatty()


def _offer_what_was_lost(call: Call, answers: MutableMapping[str, Any]) -> None:
    """Ask again with the answers of the config that cookiecutter could not offer."""
    lost = {p: value for p, value in call.lost(answers).items() if value != answers[p]}
    wrong = {problem.prompt for problem in problems({**answers, **lost})}
    if usable := {prompt: value for prompt, value in lost.items() if prompt not in wrong}:
        if not _has_terminal(call):
            raise refusal(
                [
                    Problem(
                        p,
                        answers[p],
                        f"is not the answer of your config, {shown(value)}, which"
                        f" cookiecutter could not offer; accepted: {p}={value} as an argument",
                    )
                    for p, value in usable.items()
                ]
            )
        click.echo("\nYour config answers these too, but cookiecutter could not offer it:\n")
        for prompt, value in usable.items():
            answers[prompt] = _ask(prompt, value)


def _ask_again(answers: MutableMapping[str, Any], found: list[Problem]) -> None:
    """Ask for the wrong answers, and offer the defaults; of a pair offer what was answered."""
    click.echo("\n" + "\n".join(f"  {problem}" for problem in found) + "\n")
    slug_is_derived = answers["project_slug"] == _default("project_slug", answers)
    for problem in found:
        if problem.partner:
            answers[problem.partner] = _ask(problem.partner, answers[problem.partner])
        # The partner's new answer may have made this one right.
        if any(still.prompt == problem.prompt for still in problems(answers)):
            offered = (
                answers[problem.prompt] if problem.partner else _default(problem.prompt, answers)
            )
            answers[problem.prompt] = _ask(problem.prompt, offered)
        if problem.prompt == "project_name" and slug_is_derived:
            answers["project_slug"] = _default("project_slug", answers)


def _ask(prompt: str, offered: str) -> Any:
    choices = QUESTIONS[prompt]
    if isinstance(choices, list):
        offered_first = sorted(choices, key=lambda choice: choice != offered)
        return read_user_choice(prompt, offered_first, PROMPTS, "  ")
    return as_text(prompt, read_user_variable(prompt, offered, PROMPTS, "  "))


def _default(prompt: str, answers: Mapping[str, Any]) -> Any:
    first = QUESTIONS[prompt]
    return first[0] if isinstance(first, list) else rendered(prompt, first, answers)
