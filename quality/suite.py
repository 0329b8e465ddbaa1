"""The whole test suite, the slow tests too, and the figures that tests record."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """How a run of the suite went.

    Attributes:
        status: The exit status of pytest.
        seconds: How long it took.
        counts: How many tests have ``passed``, ``failed`` and been ``skipped``.
        figures: What tests recorded, by name, such as ``answers.sets``.
    """

    status: int
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)


def run(report: Path) -> Outcome:
    """Run the suite in this interpreter's environment, and read its report.

    Args:
        report: The JUnit file to write.
    """
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", "", "-q", f"--junitxml={report}"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    return read(report, done.returncode)


def read(report: Path, status: int = 0) -> Outcome:
    """Read a JUnit report of pytest.

    Raises:
        OSError: There is none: pytest could not begin.
    """
    outcome, seconds = Counter[str](), 0.0
    figures: dict[str, float] = {}
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 # written by pytest here
        seconds += float(suite.get("time", 0))
        for one in suite.iter("property"):  # of the suite, and of its tests
            # Hypothesis has statistics of its own there.
            if re.fullmatch(r"[a-z]+\.[a-z_.]+", name := one.get("name", "")):
                figures[name] = float(one.get("value", "nan"))
        for case in suite.findall("testcase"):
            wrong = case.find("failure") is not None or case.find("error") is not None
            skipped = case.find("skipped") is not None
            outcome["failed" if wrong else "skipped" if skipped else "passed"] += 1
    return Outcome(status, seconds, outcome, figures)
