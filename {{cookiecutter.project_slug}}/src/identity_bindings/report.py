"""What this app declares, and every problem that was found."""

import logging
from collections.abc import Sequence
from threading import Thread

from .credentials import has_endpoint, in_azure
from .errors import Problem, logger
from .injection import Injection
from .rows import Row, problem_row, read_rows
from .sources import pool


class Report:
    """Every binding and every problem of this process."""

    def __init__(self) -> None:
        self.injections: list[Injection] = []
        self.problems: dict[str, list[Problem]] = {}
        self._told = 0  # so many injections are in the log

    def add_problems(self, function: str, problems: Sequence[Problem]) -> None:
        """Note, and log, what is wrong with a function: one line for each problem."""
        self.problems.setdefault(function, []).extend(problems)
        for problem in problems:
            logger.error("%s", problem, exc_info=problem.cause)

    def begin(self) -> None:
        """Begin to read, where the platform offers an identity, and log each outcome once.

        In Azure without an identity, nothing needs to be read to know that all will fail.
        """
        pool.start()
        new = self.injections[self._told :]
        self._told += len(new)
        if new and has_endpoint():
            Thread(target=_log, args=(new,), name="identity-report", daemon=True).start()
        elif new and in_azure():
            _log(new)

    def rows(self) -> list[Row]:
        """Read every value that has not been read, and return a row for each and for each problem."""
        wrong = [(name, one) for name, found in sorted(self.problems.items()) for one in found]
        return [problem_row(*one) for one in wrong] + read_rows(self.injections)


def _log(injections: Sequence[Injection]) -> None:
    """Log a row for every binding: there is no shell on the platform to run ``check`` in."""
    rows = read_rows(injections)
    for row in [] if pool.closed else rows:
        logger.log(logging.INFO if row.ok else logging.ERROR, "%s", row.as_line())


report = Report()
"""The report of this process."""
