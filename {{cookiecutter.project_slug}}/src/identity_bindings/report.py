"""What this app declares and whether it works: for the log at start, and for ``check``."""

import logging
import os
import time
from collections.abc import Sequence
from concurrent import futures
from threading import Thread
from typing import Any, NamedTuple

import azure.functions as func

from .credentials import has_endpoint, in_azure, not_assigned
from .errors import Failure, IdentityBindingError, Problem, logger
from .injection import Injection
from .sources import NO_ANSWER, pool
from .timing import WAIT
from .worker_rules import Handler

EXPIRES_SOON_DAYS = 30


class Row(NamedTuple):
    """One binding of one function, and whether it can be read. All of it may be shown."""

    function: str
    binding: str
    what: str
    identity: str
    result: str
    milliseconds: int | None = None
    repair: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value can be read."""
        return self.result.startswith("ok")

    def cells(self) -> list[str]:
        """What a table shows of it."""
        spent = "" if self.milliseconds is None else f"{self.milliseconds} ms"
        return [*self[:5], spent, self.repair]


class Report:
    """Every binding and every mistake of this process."""

    def __init__(self) -> None:
        self.injections: list[Injection] = []
        self.problems: dict[str, list[Problem]] = {}
        self._told = 0  # so many injections are in the log

    def add_problems(self, function: str, problems: Sequence[Problem]) -> None:
        """Note, and log, what is wrong with a function: one line for each mistake."""
        self.problems.setdefault(function, []).extend(problems)
        for problem in problems:
            logger.error("%s", problem)

    def refuse(self, function: str, problems: Sequence[Problem]) -> Handler:
        """Make what runs in place of a function that is in error.

        It logs why and answers an HTTP request with 500. The caller is told no more than that.
        """

        def refuse(**arguments: Any) -> func.HttpResponse:
            for problem in problems:
                logger.error("Function '%s' is in error: %s", function, problem)
            if not any(isinstance(value, func.HttpRequest) for value in arguments.values()):
                raise IdentityBindingError(f"Function '{function}' is in error. Its log says why.")
            answer = "This function is in error. Its log says why."
            return func.HttpResponse(answer, status_code=500)

        return refuse

    def begin(self) -> None:
        """Begin to read, where the platform offers an identity, and log each outcome once.

        In Azure without an identity, nothing needs to be read to tell that all will fail.
        """
        pool.start()
        new = self.injections[self._told :]
        self._told += len(new)
        if new and has_endpoint():
            Thread(target=_log, args=(new,), name="identity-report", daemon=True).start()
        elif new and in_azure():
            _log(new)

    def rows(self) -> list[Row]:
        """Read every value that has not been read, all at once, and tell how it went."""
        wrong = [(name, one) for name, found in sorted(self.problems.items()) for one in found]
        rows = [Row(name, "-", p.file, "-", "declared wrongly", None, str(p)) for name, p in wrong]
        return rows + _read(self.injections)


def _log(injections: Sequence[Injection]) -> None:
    """Log a row for every binding: there is no shell on the platform to run ``check`` in."""
    rows = _read(injections)
    for row in [] if pool.closed else rows:
        level = logging.INFO if row.ok else logging.ERROR
        logger.log(level, "%s", "  ".join(filter(None, row.cells())))


def _read(injections: Sequence[Injection]) -> list[Row]:
    """Read what can be read, and tell how it went."""
    if in_azure() and not has_endpoint():
        return [_row(one, not_assigned(one.binding.identity)) for one in injections]
    flights = {injection.source.join() for injection in injections}
    futures.wait(filter(None, flights), timeout=WAIT)
    return [_row(injection, injection.failure) for injection in injections]


def _row(injection: Injection, failure: Failure | None) -> Row:
    source, binding, reading = injection.source, injection.binding, injection.source.reading
    names = (injection.function, binding.name, str(binding), str(binding.identity))
    if failure is not None or reading is None:
        failure = failure or NO_ANSWER
        return Row(*names, failure.reason, None, failure.repair)
    note, expires = reading.note, reading.expires
    if not note and expires is not None and expires - time.time() < EXPIRES_SOON_DAYS * 86400:
        note = f"expires on {time.strftime('%Y-%m-%d', time.gmtime(expires))}"
    return Row(*names, f"ok, but it {note}" if note else "ok", round(source.took * 1000))


def tell_host() -> None:
    """Put the engine's log on ``stderr`` as well, where the Functions host does not lose it.

    The worker hands log records to the host, and the host drops those that belong to no running
    call: all that is told while the app loads, and by the threads of this package. Lines on
    ``stderr`` reach its log and Application Insights at any time.

    Sources: GrpcWorkerChannel.Log and WorkerProcess in github.com/Azure/azure-functions-host, and
    https://github.com/Azure/azure-functions-python-worker/issues/1358
    """
    hosted = in_azure() or "AZURE_FUNCTIONS_ENVIRONMENT" in os.environ
    if hosted and not logger.handlers:
        handler = logging.StreamHandler()
        # The host takes a line's level from its words "warning" and "error".
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


def as_table(rows: Sequence[Row]) -> str:
    """The rows as a table in plain text."""
    heads = ["function", "binding", "what", "identity", "result", "time", "repair"]
    lines = [heads, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [map(str.ljust, line, widths) for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded)


report = Report()
"""The report of this process."""
