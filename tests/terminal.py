"""cookiecutter in a terminal of its own."""

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from baking import TEMPLATE

from local_extensions.answers import QUESTIONS


class Terminal:
    """Cookiecutter in a terminal of its own, with somebody who types."""

    def __init__(
        self, *words: str, template: Path = TEMPLATE, env: Mapping[str, str] | None = None
    ) -> None:
        pty = pytest.importorskip("pty", reason="needs a POSIX terminal")
        ours, theirs = pty.openpty()
        self._ours = ours
        self.text = self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cookiecutter", str(template), *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "dumb", "COLUMNS": "200", **(env or {})},
            start_new_session=True,
        )
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        """Read until the screen says `text`, after what was waited for before."""
        while text not in self.text:
            assert self._read(), self.text
        self.text = self.text.partition(text)[2]

    def answer(self, prompt: str, line: str = "") -> None:
        """Wait for a prompt, and type a line."""
        self.wait_for(prompt)
        # Where a line ends at the terminal's width, no space follows.
        while not self.text.rstrip(" ").endswith(":"):
            assert self._read(), self.text
        self.text = ""
        self.type(f"{line}\n")

    def type(self, text: str) -> None:
        """Type without waiting."""
        os.write(self._ours, text.encode())

    def answer_all(self, **answers: str) -> None:
        """Answer cookiecutter's prompts, most of them with Enter."""
        for number, prompt in enumerate(QUESTIONS, 1):
            self.answer(f"[{number}/{len(QUESTIONS)}]", answers.get(prompt, ""))

    def finish(self) -> int:
        """Read to the end, and return the exit status."""
        while self._read():
            pass
        os.close(self._ours)
        return self.process.wait(timeout=30)

    def _read(self) -> bytes:
        if not select.select([self._ours], [], [], 30)[0]:
            self.process.kill()
            pytest.fail(f"nothing more came after: {self.text}")
        try:
            read = os.read(self._ours, 65536)
        except OSError:  # the other side has closed
            return b""
        self.text += read.decode(errors="replace")
        self.screen += read.decode(errors="replace")
        return read
