"""Stand-ins for `az` and `gh`: each keeps a state, records its calls, and filters as the real one."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

COMMANDS = Path(__file__).parent / "commands.py"
REPOSITORY = {
    "owner": {"login": "octo", "id": 12},
    "name": "app",
    "id": 34,
    "private": False,
    "full_name": "octo/app",
}
# What GitHub and Azure hold before the first run.
FRESH: dict[str, Any] = {
    "repository": REPOSITORY,
    "subject": {"use_default": True},  # None: 404
    "users": {"": 7, "reviewer": 8},  # "": who is signed in
    "plan": "public",  # pro: no required reviewers; free: no rules for environments at all
    "environments": {},
    "variables": {},
    "reporting": False,
    "providers": [],
    "groups": {},
    "sites": [],
    "deployment": None,  # the variables that infra/github.bicepparam got
    "fails": "",  # a part of the command line that fails
    "interrupts": "",  # a part of the command line at which the user presses Ctrl+C
    "notes": [],
}


class Run(NamedTuple):
    """How a script ended, what it called, and what there is afterwards."""

    status: int
    printed: str
    calls: list[str]
    state: dict[str, Any]


class Machine:
    """A folder with both commands, and the state that they simulate."""

    def __init__(self, folder: Path, **state: Any) -> None:
        """Install the commands, in a state that differs from the fresh one."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("az", "gh"):
            command = folder / name
            run = f'STAND_INS="{folder}" exec "{sys.executable}" "{COMMANDS}" {name} "$@"'
            command.write_text(f"#!/bin/sh\n{run}\n")
            command.chmod(stat.S_IRWXU)
        self.set(**{**FRESH, **state})

    @property
    def state(self) -> dict[str, Any]:
        """What GitHub and Azure hold."""
        return dict(json.loads((self.folder / "state.json").read_text("utf-8")))

    def set(self, **state: Any) -> None:
        """Change what they hold."""
        file = self.folder / "state.json"
        old = self.state if file.exists() else {}
        file.write_text(json.dumps({**old, **state}), "utf-8")

    def run(self, *command: str | Path, **variables: str) -> Run:
        """Run a program that finds these commands first."""
        calls = self.folder / "calls.txt"
        calls.write_text("", "utf-8")
        environment = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
        environment["PATH"] = f"{self.folder}:{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        lines = calls.read_text("utf-8").splitlines()
        return Run(done.returncode, done.stdout + done.stderr, lines, self.state)
