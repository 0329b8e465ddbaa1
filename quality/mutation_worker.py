"""A pytest that has collected its tests, and runs some of them for each mutant, in a fork.

``python -m quality.mutation_worker <workspace> <pytest arguments>`` reads one job a line from stdin,
as JSON, and answers each with one line on stdout. The engine's tests import the engine anew each
time, so what stands on disk while they run is what they test.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, TextIO

import coverage
import hypothesis
import pytest
from _pytest.runner import runtestprotocol

# Imported once, not in each fork: what the engine imports when it first reads.
SLOW_IMPORTS = ("azure.identity", "azure.keyvault.secrets", "azure.keyvault.keys.crypto.aio")


class Worker:
    """The plugin that takes the place of pytest's loop over the tests."""

    def __init__(self, workspace: Path, jobs: TextIO, answers: TextIO) -> None:
        self._workspace, self._jobs, self._answers = workspace, jobs, answers
        self._progress = workspace / "progress"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do one job after the other."""
        items = {item.nodeid: item for item in session.items}
        for line in self._jobs:
            job = json.loads(line)
            if "file" in job:
                answer = self._try_mutant(job, [items[name] for name in job["tests"]])
            else:
                answer = self._measure(list(items.values()), **job)
            print(json.dumps(answer), file=self._answers, flush=True)
        return True

    def _try_mutant(self, job: dict[str, Any], items: list[pytest.Item]) -> dict[str, Any]:
        """Run tests until one fails, each for so many seconds at most."""
        file = self._workspace / job["file"]
        original = file.read_bytes()
        file.write_text(job["source"], "utf-8")
        self._progress.write_text("")
        try:
            status = self._fork(lambda: self._first_failure(items, job["seconds"]))
        finally:
            file.write_bytes(original)
        last = (self._progress.read_text() or "\n").splitlines()[-1]
        return {"status": status, "test": last}

    def _first_failure(self, items: list[pytest.Item], seconds: list[float]) -> int:
        with self._progress.open("a") as progress:
            for item, following, most in zip(items, [*items[1:], None], seconds, strict=True):
                print(item.nodeid, file=progress, flush=True)
                signal.setitimer(signal.ITIMER_REAL, most)
                if any(one.failed for one in runtestprotocol(item, log=False, nextitem=following)):
                    return 1
        return 0

    def _measure(self, items: list[pytest.Item], seconds: float, lines: bool) -> dict[str, Any]:
        """Run every test of the engine as it is, and with `lines`, note which lines it runs."""
        result = self._workspace / "measured.json"
        result.unlink(missing_ok=True)

        def measure() -> int:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            engine = f"{self._workspace}/**/identity_bindings/*"  # copies of a test too
            cover = coverage.Coverage(data_file=None, include=[engine], config_file=False)
            tests = _run_all(items, cover if lines else None)
            for file in cover.get_data().measured_files():
                for line, names in cover.get_data().contexts_by_lineno(file).items():
                    for name in tests.keys() & set(names):
                        tests[name]["lines"].setdefault(Path(file).stem, []).append(line)
            result.write_text(json.dumps(tests))
            return 0

        self._fork(measure)
        return dict(json.loads(result.read_text()))

    @staticmethod
    def _fork(run: Callable[[], int]) -> int:
        """Run something in a fork: its status, negative where a signal has ended it."""
        child = os.fork()
        if not child:
            os.setsid()
            status = 1
            try:
                status = run()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what its tests have started
        return os.waitstatus_to_exitcode(status)


def _run_all(
    items: list[pytest.Item], cover: coverage.Coverage | None
) -> dict[str, dict[str, Any]]:
    """What is to be known of each test: whether it passes, how long it takes, and more."""
    started: set[str] = set()
    tests: dict[str, dict[str, Any]] = {}
    fixtures: dict[Path, float] = {}
    name = ""
    # What an engine does in a process of its own is not seen here.
    sys.addaudithook(lambda event, _: started.add(name) if event == "subprocess.Popen" else None)
    if cover:
        cover.start()
    for item, following in zip(items, [*items[1:], None], strict=True):
        name = item.nodeid
        if cover:
            cover.switch_context(name)
        before, *after = reports = runtestprotocol(item, log=False, nextitem=following)
        fixtures[item.path] = max(before.duration, fixtures.get(item.path, 0))
        tests[name] = {
            "passed": all(one.passed for one in reports),
            "seconds": sum(one.duration for one in after),
            "lines": {},
        }
    for item in items:
        # Whoever is the first of a module pays for the fixtures that it shares.
        tests[item.nodeid]["seconds"] += fixtures[item.path]
        tests[item.nodeid]["process"] = item.nodeid in started
    return tests


def _compile_once() -> None:
    """Let each fork find the code of what has not changed: most of a quick test is compiling."""
    compiled: dict[tuple[bytes, str], Any] = {}
    original = SourceFileLoader.source_to_code

    def source_to_code(self: SourceFileLoader, data: bytes, path: str, **options: Any) -> Any:
        key = (bytes(data), path)
        if key not in compiled:
            compiled[key] = original(self, data, path, **options)
        return compiled[key]

    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign, assignment]


def main(workspace: str, *arguments: str) -> int:
    """Collect the tests, and work until stdin ends."""
    # Pytest and its tests have these to themselves.
    jobs, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    log = os.open(Path(workspace, "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # The same examples for every mutant, and no search for the smallest one.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutation", derandomize=True, database=None, deadline=None, phases=phases
    )
    hypothesis.settings.load_profile("mutation")
    _compile_once()
    for name in SLOW_IMPORTS:
        import_module(name)
    return int(pytest.main([*arguments], [Worker(Path(workspace), jobs, answers)]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
