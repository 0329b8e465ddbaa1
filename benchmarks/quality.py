"""``python -m benchmarks.quality``: run every test, the slow ones too, and write docs/quality.md.

The page holds the figures that tests record with pytest's `record_testsuite_property`.
"""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from .environment import ROOT
from .page import Section, page

PAGE = ROOT / "docs" / "quality.md"
REPORT = ROOT / "build" / "quality.xml"
TEXT = (
    "Written by `make quality`: one run of all tests, the slow ones too, and the figures that they"
    " record. A test fails where a figure is not what it must be."
)


def sections(report: Path) -> list[Section]:
    """Read a JUnit report of pytest: how the tests ended, by module, and what they recorded."""
    root = ET.parse(report).getroot()  # noqa: S314 # written by pytest here
    ends: dict[str, Counter[str]] = {}
    for case in root.iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        end = "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
        module = case.get("classname", "").removeprefix("tests.")
        ends.setdefault(module, Counter())[end] += 1
    kinds = ("passed", "failed", "skipped")
    rows = [[f"`{name}`", *(str(ends[name][kind]) for kind in kinds)] for name in sorted(ends)]
    total = sum(ends.values(), Counter[str]())
    rows.append(["all", *(f"{total[kind]:,}" for kind in kinds)])
    figures = [
        [f"`{one.get('name')}`", str(one.get("value"))]
        for suite in root.iter("testsuite")
        for one in suite.findall("./properties/property")
    ]
    seconds = sum(float(suite.get("time", 0)) for suite in root.iter("testsuite"))
    return [
        Section("Figures", "What tests counted and recorded.", ["Figure", "value"], figures),
        Section("Tests", f"They took {seconds / 60:.0f} minutes.", ["Module", *kinds], rows),
    ]


def main() -> int:
    """Run the tests and write the page.

    Returns:
        The exit status of pytest.
    """
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", "", "-q", f"--junitxml={REPORT}"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    PAGE.write_text(page("Quality", TEXT, sections(REPORT)), encoding="utf-8")
    print(f"Written to {PAGE}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
