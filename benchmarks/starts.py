"""Starts of an app, measured from the start of its process, and what OpenTelemetry costs it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import recipes
from faulty_key_vault import FaultyKeyVault

from .page import Section, duration, ratio

CHILD = Path(__file__).with_name("child.py")
LATENCY = 0.020
STARTS = 15
HOST_SECONDS = 0.5
BY_NOBODY = """
import azure.functions as func

app = func.FunctionApp()


@app.route("read_secret", methods=["GET", "POST"])
def read_secret(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("{}", mimetype="application/json")
"""
BY_SDK = """
import functools
import json
import os

import azure.functions as func
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

app = func.FunctionApp()
url = f"https://{os.environ['KEY_VAULT_NAME']}.vault.azure.net"
client = SecretClient(url, ManagedIdentityCredential())


@functools.cache
def secret() -> str:
    return client.get_secret("my-application-secret").value


@app.route("read_secret", methods=["GET", "POST"])
def read_secret(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"arrived": bool(secret())}), mimetype="application/json")
"""
# The exporter of the recipe starts, and its data goes nowhere.
TELEMETRY = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey="
    "00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://contoso.invalid/",
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
}


def _variants(project: Path, scratch: Path) -> dict[str, Path]:
    """The app as rendered; the same with the Azure SDK in its handler; and that without a secret."""
    apps = {"the app": project}
    for name, source in (("the SDK in the handler", BY_SDK), ("no secret", BY_NOBODY)):
        apps[name] = app = Path(shutil.copytree(project, scratch / name.replace(" ", "-")))
        shutil.rmtree(app / "src" / "functions")
        (app / "src" / "function_app.py").write_text(source)
    return apps


Numbers = dict[str, list[tuple[float, ...]]]


def _in_turns(apps: dict[str, Path], *how: object, times: int = STARTS) -> Numbers:
    """Run child.py for each app again and again, and return the numbers that it prints.

    Moments are counted from the start of the child's process.
    """
    numbers: Numbers = {name: [] for name in apps}
    with FaultyKeyVault() as fake_key_vault:
        fake_key_vault.latency = LATENCY  # that of a real one
        fake_key_vault.vault("contoso").set("my-application-secret", "the-value-of-it")
        environment = os.environ | TELEMETRY | {"VAULT_PORT": str(fake_key_vault.vault_port)}
        environment |= {"KEY_VAULT_NAME": "contoso", "PYTHONPATH": ""}
        for turn in range(times + 1):
            for name, app in apps.items():
                command = [sys.executable, str(CHILD), str(app), *map(str, how)]
                began = time.monotonic() if how[0] == "start" else 0.0
                printed = subprocess.run(command, env=environment, stdout=PIPE, check=True).stdout
                if turn:  # the first one has written the byte code
                    numbers[name].append(tuple(float(one) - began for one in printed.split()))
    return numbers


def _row(what: str, numbers: Numbers, which: int) -> list[str]:
    """The medians of one of the numbers, and the medians of its ratios to those of other apps."""
    first, *others = ([one[which] for one in found] for found in numbers.values())
    ratios = [
        statistics.median(a / b for a, b in zip(first, other, strict=True)) for other in others
    ]
    medians = map(statistics.median, (first, *others))
    return [what, *map(duration, medians), *map(ratio, ratios)]


def measure(project: Path, scratch: Path) -> Section:
    """From the start of the process to the list of functions, and to the first answer."""
    apps = _variants(project, scratch)
    later = f"first answer, asked for {HOST_SECONDS:g} s later"
    rows = []
    for way, prefix in (("direct", ""), ("runtime", "Microsoft's runtime: ")):
        at_once = _in_turns(apps, "start", way, 0)
        rows.append(_row(f"{prefix}functions are indexed", at_once, 0))
        rows.append(_row(f"{prefix}first answer, asked for at once", at_once, 1))
        rows.append(_row(f"{prefix}{later}", _in_turns(apps, "start", way, HOST_SECONDS), 1))
    text = (
        "From the start of the process, the median of"
        f" {STARTS} interleaved starts; ratios are medians of the starts' own ratios. The fake Key Vault"
        f" answers in {LATENCY * 1e3:g} ms, and a first read takes three answers: challenge, token,"
        " value. The engine begins it while the app loads, so a request that comes a little later,"
        " after the host's own start, waits for less of it or for nothing. The second app reads the"
        " same secret in its handler, with `SecretClient`, at the first call; the third one reads none."
    )
    heads = ["Until …", *apps, "ratio to the second", "ratio to the third"]
    return Section("A start", text, heads, rows)


def measure_telemetry(project: Path, scratch: Path) -> Section:
    """What OpenTelemetry, with masks around its exporters, costs this app."""
    app = Path(shutil.copytree(project, scratch / "telemetry"))
    for name, text in recipes.files("Send telemetry with OpenTelemetry").items():
        (app / name).write_text(text)
    with (app / "src" / "function_app.py").open("a") as entry:
        entry.write("\n\nimport telemetry\n\ntelemetry.configure()\n")
    apps = {"with OpenTelemetry": app, "without": project}
    started = _in_turns(apps, "start", "direct", HOST_SECONDS)
    warm = _in_turns(apps, "warm", times=5)
    rows = [
        _row("a start, until functions are indexed", started, 0),
        _row(f"a start, until the first answer, asked for {HOST_SECONDS:g} s later", started, 1),
        _row("a warm call", warm, 0),
        _row("a log line, masked", warm, 1),
    ]
    text = (
        "The recipe of [docs/recipes.md](recipes.md) in the rendered app, against the same app without"
        f" it, in turns: medians of {STARTS} starts and of 5 runs. No exporter reaches its service."
        " The log line has one more handler with OpenTelemetry, which makes a record to export of it."
    )
    return Section("OpenTelemetry", text, ["", *apps, "ratio"], rows)
