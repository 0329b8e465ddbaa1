"""Renders a template's default answers, and prints where the time went: as JSON, in seconds.

python stages.py TEMPLATE TARGET
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import functools  # noqa: E402 - imports are measured too
import json  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import cookiecutter.extensions  # noqa: E402, F401 - else the first environment would import it
import jinja2  # noqa: E402
from cookiecutter import cli, generate, hooks, prompt  # noqa: E402

IMPORTED = time.perf_counter()
# A stage's own time is without that of the stages inside it.
STAGES = {
    "compile": [(jinja2.Environment, "compile")],
    "render": [(jinja2.Template, "render")],
    # cookiecutter makes an environment of Jinja for the prompts, for the files, and for each hook.
    "load": [(module, "create_env_with_context") for module in (generate, hooks, prompt)],
    "hooks": [(hooks, "run_script")],
    "binary": [(generate, "is_binary")],
}
seconds: Counter[str] = Counter()
times: Counter[str] = Counter()
_inside: list[float] = []


def _timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        _inside.append(0)
        try:
            return function(*arguments, **options)
        finally:
            took = time.perf_counter() - began
            seconds[stage] += took - _inside.pop()
            times[stage] += 1
            if _inside:
                _inside[-1] += took

    return timed


def measure(template: str, target: str) -> None:
    """Render, and print each stage's seconds and how often it came."""
    for stage, functions in STAGES.items():
        for owner, name in functions:
            setattr(owner, name, _timed(stage, getattr(owner, name)))
    command = [template, "--no-input", "--default-config", "--output-dir", target]
    cli.main(command, standalone_mode=False)
    seconds["import"] = IMPORTED - BEGAN
    seconds["rest"] = time.perf_counter() - BEGAN - sum(seconds.values())
    print(json.dumps({"seconds": seconds, "times": times}))


if __name__ == "__main__":
    measure(*sys.argv[1:])
