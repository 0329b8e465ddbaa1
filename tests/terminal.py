"""cookiecutter in a terminal of its own, with somebody who types."""

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pexpect
from baking import TEMPLATE

from local_extensions.answers import QUESTIONS


class Terminal:
    """Cookiecutter in a terminal of its own, with somebody who types."""

    def __init__(
        self, *words: str, template: Path = TEMPLATE, env: Mapping[str, str] | None = None
    ) -> None:
        self._screen = io.StringIO()
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "cookiecutter", str(template), *words],
            env={**os.environ, "TERM": "dumb", **(env or {})},
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
