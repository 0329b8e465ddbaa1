"""Sections of docs/benchmarks.md: tables of figures that were measured in this run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    *("azure-functions", "azure-functions-runtime", "azure-identity", "azure-keyvault-secrets"),
    *("aws-lambda-powertools", "aws-secretsmanager-caching", "boto3"),
)


@dataclass(frozen=True)
class Section:
    """A heading, what was measured and how, and a table; the first column is text."""

    title: str
    text: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [self.heads, ["---", *["---:"] * (len(self.heads) - 1)], *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{self.text}\n\n{table}\n"


def nanoseconds(seconds: float) -> str:
    """A short time as text."""
    return f"{seconds * 1e9:,.0f} ns"


def microseconds(seconds: float) -> str:
    """A time in between as text."""
    return f"{seconds * 1e6:,.1f} µs"


def milliseconds(seconds: float) -> str:
    """A longer time as text."""
    return f"{seconds * 1e3:,.{0 if seconds >= 0.01 else 1}f} ms"


def ratio(number: float) -> str:
    """A ratio, with as many digits as it deserves."""
    return f"{number:.2f}" if number >= 0.1 else f"{number:.3f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _versions() -> list[str]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except ModuleNotFoundError:  # azure-functions-runtime, before Python 3.13
            continue
    return found


def page(title: str, text: str, sections: Sequence[Section]) -> str:
    """A whole page: what it is, where and with what it was measured, and its sections."""
    facts = (
        ("Date", time.strftime("%Y-%m-%d")),
        ("Machine", f"{_processor()}, {os.cpu_count()} processors, {platform.system()}"),
        ("Python", platform.python_version()),
        ("Versions", ", ".join(_versions())),
    )
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in facts)])
    return "\n\n".join([f"# {title}", text, table, *map(str, sections)])
