"""How long the default answers take to render, beside another template, and what takes the time."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from .page import Section, milliseconds, ratio

CHILD = Path(__file__).with_name("stages.py")
RENDERINGS = 20
# As at first use: no byte code of a template is kept.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
STAGES = {
    "import": "importing cookiecutter and what it needs",
    "compile": "compiling Jinja: names, files, hooks",
    "render": "rendering it, checking answers and working out facts included",
    "hooks": "hooks, each a Python of its own",
    "load": "environments of Jinja, with the template's own extension",
    "binary": "telling text from binary files",
    "rest": "all else: prompts, copying, writing",
}


def templates(template: Path, uv_template: str) -> dict[str, str]:
    """What is compared, by the names on the page; cookiecutter-uv where it could be had."""
    found = {"this template": str(template)}
    if uv_template:
        about = (Path(uv_template) / "pyproject.toml").read_text(encoding="utf-8")
        project = tomllib.loads(about)["project"]
        found[f"{project['name']} {project['version']}"] = uv_template
    return found


def measure(compared: dict[str, str], scratch: Path) -> Section:
    """Rendering the default answers."""
    seconds: dict[str, list[float]] = {name: [] for name in compared}
    for turn in range(RENDERINGS + 1):
        for name, source in compared.items():
            target = scratch / f"rendered-{turn}-{name.replace(' ', '-')}"
            command = [sys.executable, "-m", "cookiecutter", source, "--no-input"]
            command += ["--default-config", "--output-dir", str(target)]
            began = time.monotonic()
            subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
            if turn:
                seconds[name].append(time.monotonic() - began)
    ours = seconds["this template"]
    rows = []
    for name, took in seconds.items():
        pairs = zip(ours, took, strict=True)
        compared_with = (
            ratio(statistics.median(a / b for a, b in pairs)) if took is not ours else ""
        )
        rows.append([name, milliseconds(statistics.median(took)), compared_with])
    text = (
        f"The default answers, the median of {RENDERINGS} interleaved renderings, each with the"
        " start of cookiecutter, and as at first use: no byte code of a template is kept."
    )
    if len(compared) == 1:
        text += (
            " The template cookiecutter-uv could not be had from the package index. To compare with"
            " it, name its folder: `UV_TEMPLATE=path/to/cookiecutter-uv make benchmarks`."
        )
    return Section("Rendering", text, ["Template", "time", "ratio"], rows)


def measure_stages(compared: dict[str, str], scratch: Path) -> Section:
    """Where the time of a rendering goes."""
    seconds: dict[str, dict[str, list[float]]] = {
        name: {stage: [] for stage in STAGES} for name in compared
    }
    times: dict[str, dict[str, int]] = {}
    for turn in range(RENDERINGS):
        for name, source in compared.items():
            target = scratch / f"staged-{turn}-{name.replace(' ', '-')}"
            command = [sys.executable, str(CHILD), source, str(target)]
            done = subprocess.run(
                command, env=ENVIRONMENT, check=True, capture_output=True, text=True
            )
            told = json.loads(done.stdout.splitlines()[-1])  # hooks write before it
            times[name] = told["times"]
            for stage, took in told["seconds"].items():
                seconds[name][stage].append(took)
    rows = []
    for stage, what in STAGES.items():
        row = [what]
        for name in compared:
            row.append(milliseconds(statistics.median(seconds[name][stage])))
            row.append(f"{times[name][stage]:,}" if stage in times[name] else "")
        rows.append(row)
    text = (
        f"Each stage without those inside it: the median of {RENDERINGS} interleaved renderings,"
        " without the start of Python itself."
    )
    heads = ["Stage", *(head for name in compared for head in (name, "times"))]
    return Section("Where a rendering's time goes", text, heads, rows)
