"""What is measured in processes of its own: a thousand cold callers, and starts."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faulty_key_vault import FaultyKeyVault

from .page import Section, milliseconds, ratio

CHILD = Path(__file__).with_name("child.py")
VALUE, LATENCY = "the-value-of-it", 0.020
CALLER_ROUNDS, STARTS = 3, 15
HOST_SECONDS = 0.5
PLAIN = """
import azure.functions as func

from functions.{name} import main

app = func.FunctionApp()
app.route("{name}", methods=["GET", "POST"])(app.function_name("{name}")(main))
"""


def _child(*arguments: object, **settings: str) -> tuple[float, ...]:
    """Run child.py, and return the numbers that it prints."""
    environment = {**os.environ, **settings}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return tuple(map(float, done.stdout.split()))


@contextmanager
def _fake_key_vault() -> Iterator[tuple[FaultyKeyVault, dict[str, str]]]:
    """A fake Key Vault that answers as late as a real one, and the settings that lead a child to it."""
    with FaultyKeyVault() as fake_key_vault:
        fake_key_vault.latency = LATENCY
        fake_key_vault.vault("contoso").set("my-application-secret", VALUE)
        port = str(fake_key_vault.vault_port)
        yield fake_key_vault, {"VAULT_PORT": port, "KEY_VAULT_NAME": "contoso", "VALUE": VALUE}


def measure_callers(project: Path, scratch: Path) -> Section:
    """A thousand callers of one secret that nobody has read yet."""
    requests: dict[str, list[int]] = {"engine": [], "sdk": []}
    seconds: dict[str, list[float]] = {"engine": [], "sdk": []}
    for _ in range(CALLER_ROUNDS):
        for who in requests:
            with _fake_key_vault() as (fake_key_vault, settings):
                seconds[who] += _child("callers", project, who, **settings, SCRATCH=str(scratch))
                requests[who].append(len(fake_key_vault.requests))
    best = {who: (min(requests[who]), min(seconds[who])) for who in requests}
    names = {"engine": "injected by `identity_bindings`", "sdk": "the Azure SDK, one client"}
    ours = best["engine"]
    rows = [
        [
            names[who],
            f"{count:,}",
            ratio(ours[0] / count) if who == "sdk" else "",
            milliseconds(took),
            ratio(ours[1] / took) if who == "sdk" else "",
        ]
        for who, (count, took) in best.items()
    ]
    text = (
        "1,000 callers of one secret at the same moment, 500 threads and 500 coroutines, in a"
        f" process that has read nothing yet. The fake Key Vault answers in {LATENCY * 1e3:g} ms, and shares"
        f" the machine with the callers. The best of {CALLER_ROUNDS} interleaved rounds."
    )
    heads = ["The value is read by …", "HTTP requests", "ratio", "until all have it", "ratio"]
    return Section("A thousand cold callers", text, heads, rows)


def _variants(project: Path, scratch: Path) -> dict[str, Path]:
    """The app as rendered; the same without its secret; and that without the engine."""
    without, plain = scratch / "without", scratch / "plain"
    shutil.copytree(project, without)
    (declaration,) = (without / "functions").glob("*/function.json")
    declared = json.loads(declaration.read_text())
    kept = [entry for entry in declared["bindings"] if entry["type"] != "keyVault"]
    (secret,) = (entry["name"] for entry in declared["bindings"] if entry not in kept)
    declaration.write_text(json.dumps({**declared, "bindings": kept}))
    handler = declaration.with_name("__init__.py")
    source = handler.read_text().replace(f", {secret}: str)", ")")
    handler.write_text(f'{source}\n\n{secret} = "{VALUE}"\n')
    shutil.copytree(without, plain)
    (plain / "function_app.py").write_text(PLAIN.format(name=declaration.parent.name))
    return {"with": project, "without": without, "plain": plain}


Moments = list[tuple[float, float]]


def _starts(apps: dict[str, Path], way: str, pause: float) -> dict[str, Moments]:
    """Start each app again and again: seconds until it is indexed, and until its first answer."""
    moments: dict[str, Moments] = {name: [] for name in apps}
    with _fake_key_vault() as (_, settings):
        for turn in range(STARTS + 1):
            for name, app in apps.items():
                began = time.monotonic()
                indexed, answered = _child("start", app, way, pause, **settings)
                if turn:  # the first one has written the byte code
                    moments[name].append((indexed - began, answered - began))
    return moments


def measure_starts(project: Path, scratch: Path) -> Section:
    """From the start of the process to the list of functions, and to the first answer."""
    apps = _variants(project, scratch)
    rows = []

    def row(what: str, moments: dict[str, Moments], which: int) -> None:
        cells = [
            milliseconds(statistics.median(moment[which] for moment in moments[name]))
            for name in apps
        ]
        for other in ("without", "plain"):
            pairs = zip(moments["with"], moments[other], strict=True)
            cells.append(ratio(statistics.median(a[which] / b[which] for a, b in pairs)))
        rows.append([what, *cells])

    direct = _starts(apps, "direct", 0)
    row("`get_functions()` returns", direct, 0)
    row("first answer, asked for at once", direct, 1)
    later = f"first answer, asked for {HOST_SECONDS:g} s later"
    row(later, _starts(apps, "direct", HOST_SECONDS), 1)
    if sys.version_info >= (3, 13):
        runtime = _starts(apps, "runtime", 0)
        row("Microsoft's runtime: functions are indexed", runtime, 0)
        row("Microsoft's runtime: first answer, asked for at once", runtime, 1)
        row(f"Microsoft's runtime: {later}", _starts(apps, "runtime", HOST_SECONDS), 1)
    text = (
        "From the start of the process, the median of"
        f" {STARTS} interleaved starts; ratios are medians of the starts' own ratios. The fake Key Vault"
        f" answers in {LATENCY * 1e3:g} ms, and a first read takes three answers: challenge, token,"
        " value. It begins while the app loads, so a request that comes a little later, after the"
        " host's own start, waits for less of it or for nothing."
    )
    heads = [
        *("Until …", "the app", "without its secret", "without the engine"),
        *("ratio to the second", "ratio to the third"),
    ]
    return Section("A start", text, heads, rows)


def measure_imports(project: Path) -> Section:
    """What a start spends on importing, by who imports it."""
    # In the order of a start: each is charged with what those before it have not imported.
    modules = {
        "azure.functions": "every app",
        "identity_bindings": "the app, before its functions are known",
        "azure.keyvault.secrets": "the first read, in a thread of its own",
        "azure.identity": "the first read, in a thread of its own",
    }
    command = [sys.executable, "-X", "importtime", "-c", f"import {', '.join(modules)}"]
    found: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(STARTS):
        done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
        for line in done.stderr.splitlines():
            _, total, name = (*line.split("|"), "", "")[:3]
            if name.removeprefix(" ") in found:  # one more blank is an import inside another
                found[name.strip()].append(int(total) / 1e6)
    rows = [
        [f"`{name}`, by {who}", milliseconds(statistics.median(found[name]))]
        for name, who in modules.items()
    ]
    text = f"`python -X importtime`, which adds some time of its own; the median of {STARTS} runs."
    return Section("What a start imports", text, ["Module", "time"], rows)
