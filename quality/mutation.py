"""Does a test notice when the engine is changed? ``python -m quality.mutation [module …]``.

Each mutant is one small change of one module. The tests that run the changed lines are run until
one fails, the quick ones first. A mutant that none of them notices has survived: a test is missing,
or explained.toml says why there can be none.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGALRM
from typing import Any

from benchmarks.environment import RENDERING, ROOT, environment, install, render

TEMPLATE = "{{cookiecutter.project_slug}}"
ENGINE = f"{TEMPLATE}/identity_bindings"
TESTS = ("tests/engine", f"{TEMPLATE}/tests/test_identity_bindings.py")
EXPLAINED = Path(__file__).with_name("explained.toml")
SCRATCH = ROOT / "build" / "mutation"
NEEDED = (*RENDERING, "coverage>=7.6", "hypothesis>=6.120", "mutmut==3.8.1")
OUTCOMES = ("killed", "timeout", "explained", "skipped", "survived")
WORKERS = os.cpu_count() or 1
MEASURING_SECONDS = 1800.0
# A test hangs if it takes so many times as long as usual, and these seconds more.
TIMES, MORE_SECONDS = 5.0, 5.0
SLOW_SECONDS = 1.0
# So long are mutants tried of which no more is expected.
EXPECTED_SECONDS = 3.0
INI = """[pytest]
addopts = -m "not slow" -p no:cacheprovider -p no:cookies -p no:asyncio
markers = slow
log_level = WARNING
"""

Mutant = dict[str, Any]
"""What quality.mutants tells of one."""


@dataclass
class MutationResult:
    """How many mutants came to which end.

    Attributes:
        counts: By module: ``killed``, a test failed; ``timeout``, a test hung; ``explained``, no
            test noticed, for a reason that explained.toml gives; ``skipped``, no test noticed, and
            nothing but the wording of a text for people is changed; ``survived``, no test noticed.
        survivors: Those that survived: module, function, and change.
        unknown: What explained.toml explains, and is no mutant any more.
        seconds: How long it took.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    survivors: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every mutant is killed or accounted for."""
        return not self.survivors and not self.unknown

    def table(self) -> str:
        """The counts of each module and of all, for a terminal."""
        rows = [*sorted(self.counts.items()), ("all", sum(self.counts.values(), Counter[str]()))]
        lines = [f"{'module':20}{'mutants':>10}" + "".join(f"{name:>10}" for name in OUTCOMES)]
        for module, counts in rows:
            cells = [counts.total(), *(counts[name] for name in OUTCOMES)]
            lines.append(f"{module:20}" + "".join(f"{cell:>10}" for cell in cells))
        return "\n".join(lines)


def run(scratch: Path, modules: Sequence[str] = (), python: str = "") -> MutationResult:
    """Try every mutant of the engine's modules, or of some of them.

    Args:
        scratch: A folder for copies of the engine and its tests. It is emptied before.
        modules: The names of the modules; empty means all.
        python: The interpreter of an environment, in which what is missing is installed; empty
            means that of the benchmarks.
    """
    began = time.monotonic()
    python = python or environment()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    install(python, *NEEDED)
    project = render(python, scratch / "project", *_every_option())
    install(python, "-r", str(project / "requirements-dev.txt"))
    explanations = Explanations(EXPLAINED)
    files = [file for file in _modules() if not modules or _name(file) in modules]
    result = MutationResult({_name(file): Counter() for file in files})
    for one in _try(python, scratch, files, explanations):
        result.counts[one.mutant["module"]][one.outcome] += 1
        if one.outcome == "survived":
            result.survivors.append(str(one))
    result.unknown = explanations.unknown(result.counts)
    result.seconds = time.monotonic() - began
    return result


def _modules() -> list[Path]:
    """The engine's files, those of its optional modules too."""
    return sorted((ROOT / ENGINE).glob("*.py*"), key=_name)


def _name(file: Path) -> str:
    """The name of a module. Around that of an optional one's file stands its condition."""
    return str(re.findall(r"(\w+)\.py", file.name)[0])


def _every_option() -> list[str]:
    """The answers of a project with every optional part of the engine."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (answers,) = re.findall(r"^EVERYTHING := (.*)", makefile, re.MULTILINE)
    return shlex.split(answers)


def _try(python: str, scratch: Path, files: list[Path], explanations: Explanations) -> list[Tried]:
    """Try every mutant of some modules, each with the tests that run what it changes."""
    workers = [Worker(python, _workspace(scratch / str(number))) for number in range(WORKERS)]
    todo: SimpleQueue[Mutant] = SimpleQueue()
    tried: list[Tried] = []
    with ThreadPoolExecutor(2 * WORKERS) as threads:
        measured = [threads.submit(one.measure, one is workers[0]) for one in workers]
        for mutant in chain.from_iterable(threads.map(partial(_mutants, python), files)):
            todo.put(mutant)
        plan = Plan([one.result() for one in measured])

        def work(worker: Worker) -> None:
            with suppress(Empty):
                while mutant := todo.get_nowait():
                    expected = explanations.outcome(mutant)
                    tests = plan.tests(mutant, None if expected == "survived" else EXPECTED_SECONDS)
                    outcome, test = worker.try_mutant(mutant, tests, plan)
                    if outcome == "killed":
                        plan.note(mutant, test)
                    tried.append(Tried(mutant, outcome or expected, test))
                    if len(tried) % 100 == 0:
                        print(f"{len(tried)} mutants are tried", file=sys.stderr, flush=True)

        for done in [threads.submit(work, worker) for worker in workers]:
            done.result()
    for worker in workers:
        worker.close()
    ends = [{"mutant": str(one), "outcome": one.outcome, "test": one.test} for one in tried]
    (scratch / "tried.json").write_text(json.dumps(ends, indent=1))
    return tried


def _workspace(folder: Path) -> Path:
    """A folder like the template's, whose engine is changed by one worker only."""
    ignored = shutil.ignore_patterns("__pycache__")
    for place in ("tests/engine", TEMPLATE):
        shutil.copytree(ROOT / place, folder / place, ignore=ignored)
    (folder / "pytest.ini").write_text(INI)
    return folder


def _mutants(python: str, file: Path) -> list[Mutant]:
    """The mutants of a module: those outside of functions last, when it is known who notices."""
    command = [python, "-m", "quality.mutants", str(file)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found = [
        {**mutant, "module": _name(file), "file": file.name} for mutant in json.loads(done.stdout)
    ]
    return sorted(found, key=lambda mutant: not mutant["lines"])


@dataclass(frozen=True)
class Tried:
    """A mutant, its end, and the test that noticed it."""

    mutant: Mutant
    outcome: str
    test: str

    def __str__(self) -> str:
        place = f"{self.mutant['module']} {self.mutant['function']}".strip()
        return f"{place}: {self.mutant['change']}"


class Worker:
    """A process that runs tests, and the engine that it may change."""

    def __init__(self, python: str, workspace: Path) -> None:
        self._log = workspace / "log"
        command = [python, "-m", "quality.mutation_worker", str(workspace)]
        options = [f"--rootdir={workspace}", "-c", str(workspace / "pytest.ini")]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(workspace)}
        self._process = subprocess.Popen(
            [*command, *options, *(str(workspace / test) for test in TESTS)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, lines: bool) -> dict[str, Any]:
        """Run every test: whether it passes, how long it takes, and with `lines`, what it runs."""
        return self._do(lines=lines, seconds=MEASURING_SECONDS)

    def try_mutant(self, mutant: Mutant, tests: list[str], plan: Plan) -> tuple[str, str]:
        """Run tests until one fails or hangs: ``killed`` or ``timeout`` and that test, or nothing."""
        if not tests:
            return "", ""
        answer = self._do(
            file=f"{ENGINE}/{mutant['file']}",
            source=mutant["source"],
            tests=tests,
            seconds=[TIMES * plan.seconds[test] + MORE_SECONDS for test in tests],
        )
        outcome = (
            "timeout" if answer["status"] == -SIGALRM else "killed" if answer["status"] else ""
        )
        return outcome, answer["test"]

    def _do(self, **job: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(job), file=self._process.stdin, flush=True)
        if line := self._process.stdout.readline():
            return dict(json.loads(line))
        raise RuntimeError(self._log.read_text())

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


class Plan:
    """Which tests are run for a mutant, and in which order.

    Attributes:
        seconds: How long each test takes, by its name. What fails without a mutant is left out.
    """

    def __init__(self, measured: list[dict[str, Any]]) -> None:
        first = measured[0]
        passing = [name for name in first if all(one[name]["passed"] for one in measured)]
        self.seconds = {name: min(one[name]["seconds"] for one in measured) for name in passing}
        self._processes = {name for name in passing if first[name]["process"]}
        self._by_line: dict[tuple[str, int], set[str]] = defaultdict(set)
        for name in passing:
            for module, lines in first[name]["lines"].items():
                for line in lines:
                    self._by_line[module, line].add(name)
        self._kills: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)

    def tests(self, mutant: Mutant, most: float | None) -> list[str]:
        """The tests that may notice a mutant, for so many seconds at most.

        Those that noticed its neighbours come first.
        """
        module, function = mutant["module"], mutant["function"]
        chosen = set(self.seconds)
        if mutant["lines"]:
            chosen = set().union(*(self._by_line[module, line] for line in mutant["lines"]))
        if module == "__main__" or not chosen:
            chosen |= self._processes  # what they run in other processes is not known
        here, near = self._kills[module, function], self._kills[module,]

        def place(test: str) -> tuple[bool, int, int, float]:
            seconds = self.seconds[test]
            return seconds > SLOW_SECONDS, -here[test], -near[test], seconds

        order = sorted(chosen, key=place)
        if most is None:
            return order
        spent = accumulate(self.seconds[test] for test in order)
        return [test for test, seconds in zip(order, spent, strict=True) if seconds <= most]

    def note(self, mutant: Mutant, test: str) -> None:
        """A test has noticed a mutant, and may notice others near it."""
        module, function = mutant["module"], mutant["function"]
        self._kills[module, function][test] += 1
        self._kills[module,][test] += 1


class Explanations:
    """Why no test can notice some mutants."""

    def __init__(self, file: Path) -> None:
        tables = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
        self._changes = {
            (table["module"], table.get("function", ""), change)
            for table in tables.get("explained", [])
            for change in table["changes"]
        }
        self._met: set[tuple[str, str, str]] = set()

    def outcome(self, mutant: Mutant) -> str:
        """What it is if no test notices: ``explained``, ``skipped`` or ``survived``."""
        place = (mutant["module"], mutant["function"], mutant["change"])
        if place in self._changes:
            self._met.add(place)
            return "explained"
        return "skipped" if mutant["wording"] else "survived"

    def unknown(self, modules: Collection[str]) -> list[str]:
        """What is explained in these modules, and has not been met."""
        left = sorted(place for place in self._changes - self._met if place[0] in modules)
        return [" ".join(place) for place in left]


def main(modules: list[str]) -> int:
    """Try the mutants of some modules, or of all, and print what became of them.

    Returns:
        The exit status: 0 if every mutant is killed or accounted for.
    """
    result = run(SCRATCH, modules)
    print(result.table())
    for survivor in result.survivors:
        print(f"survived: {survivor}")
    for place in result.unknown:
        print(f"explained, and no mutant: {place}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
