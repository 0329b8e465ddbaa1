"""Somebody who calls cookiecutter, with a config of their own, in each way and at a terminal."""

import functools
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pexpect
import yaml
from baking import TEMPLATE
from click.testing import CliRunner, Result
from cookiecutter.cli import main as cookiecutter_command
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from local_extensions.answers import QUESTIONS

Answers = dict[str, Any]


class Desk:
    """A folder with a user's config, where cookiecutter is called."""

    def __init__(self, folder: Path, template: Path = TEMPLATE) -> None:
        self.template, self.home, self.work = template, folder / "home", folder / "work"
        # Deep down, so that what climbs out of it is found.
        self.out = self.work / "a" / "b" / "out"
        for place in (self.home, self.out):
            place.mkdir(parents=True)
        self.config = self.home / "config.yaml"
        self.answer_by_config({})

    def answer_by_config(self, default_context: str | Answers) -> None:
        """Write the user's config, of answers or as a text of YAML."""
        config = {"replay_dir": str(self.home), "cookiecutters_dir": str(self.home)}
        text = f"default_context: {default_context}\n"
        if not isinstance(default_context, str):
            text = yaml.safe_dump({"default_context": default_context})
        self.config.write_text(yaml.safe_dump(config) + text, "utf-8")

    def _words(self, *words: str) -> list[str]:
        options = ("--config-file", str(self.config), "--output-dir", str(self.out))
        return [str(self.template), *options, *words]

    def call(self, *words: str, typed: str | None = None) -> Result:
        """Call the command as a shell does."""
        return CliRunner().invoke(cookiecutter_command, self._words(*words), input=typed)

    def terminal(self, *words: str, env: Mapping[str, str] | None = None) -> "Terminal":
        """Call the command in a terminal."""
        return Terminal(self._words(*words), env or {})

    def give(self, way: str, given: Any) -> Result:
        """Answer in one of the ways."""
        at_prompts = way.endswith("at the prompts")
        how = {"typed": "\n" * 40} if at_prompts else {}
        silent = [] if at_prompts else ["--no-input"]
        if way.startswith("config"):
            self.answer_by_config(given)
            return self.call(*silent, **how)
        if way.startswith("argument"):
            return self.call(*silent, *([given] if isinstance(given, str) else given), **how)
        if way == "typed":
            return self.call(typed="".join(f"{given.get(prompt, '')}\n" for prompt in QUESTIONS))
        return (
            CliRunner().invoke(self._program(given))
            if way == "Python"
            else self._replay(way, given)
        )

    def _replay(self, way: str, given: Answers) -> Result:
        """Replay the answers that cookiecutter kept of a call, with changes; or only a few."""
        self.answer_by_config("{Vault: x, ci: perhaps}")  # a replay does not use it
        file = self.home / f"{self.template.name}.json"
        kept = json.loads(kept_of(self.template))
        kept["cookiecutter"] = given if way == "few" else kept["cookiecutter"] | given
        file.write_text(json.dumps(kept))
        words = ["--replay"] if way == "--replay" else ["--replay-file", str(file)]
        return self.call(*words, typed="\n" * 40)

    def _program(self, answers: Answers) -> click.Command:
        """Make a command of another program, which calls cookiecutter."""

        @click.command
        def program() -> None:
            where = {"output_dir": str(self.out), "config_file": str(self.config)}
            try:
                cookiecutter(str(self.template), no_input=True, extra_context=answers, **where)
            except FailedHookException as error:
                sys.exit(str(error))

        return program

    def made(self) -> list[Path]:
        """List what is here now."""
        own = {self.out, *self.out.parents}
        return [path for path in self.work.rglob("*") if path not in own]

    def answers(self) -> Answers:
        """What the templates were rendered from, where baking.copy_questions made the template."""
        (project,) = self.out.iterdir()
        answers: Answers = json.loads((project / "answers.json").read_text("utf-8"))
        assert answers["project_slug"] == project.name
        return answers


@functools.cache
def kept_of(template: Path) -> str:
    """What cookiecutter keeps of a call with the default answers."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), template)
        assert desk.call("--no-input").exit_code == 0
        return (desk.home / f"{template.name}.json").read_text("utf-8")


class Terminal:
    """Cookiecutter in a terminal of its own, with somebody who types."""

    def __init__(self, words: list[str], env: Mapping[str, str]) -> None:
        self._screen = io.StringIO()
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "cookiecutter", *words],
            env={**os.environ, "TERM": "dumb", **env},
            dimensions=(24, 200),
            encoding="utf-8",
        )
        self._child.logfile_read = self._screen

    @property
    def screen(self) -> str:
        """Everything that the screen has shown."""
        return self._screen.getvalue()

    def wait_for(self, text: str) -> None:
        """Read until the screen says `text`, after what was waited for before."""
        self._child.expect_exact(text)

    def answer(self, prompt: str, line: str = "") -> None:
        """Wait for a prompt, and type a line."""
        self.wait_for(prompt)
        self._child.expect(": *$")  # where a line ends at the terminal's width, no space follows
        self._child.sendline(line)

    def answer_all(self, **answers: str) -> None:
        """Answer cookiecutter's prompts, most of them with Enter."""
        for number, prompt in enumerate(QUESTIONS, 1):
            self.answer(f"[{number}/{len(QUESTIONS)}]", answers.get(prompt, ""))

    def finish(self) -> int | None:
        """Read to the end, and return the exit status."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        status: int | None = self._child.exitstatus
        return status
