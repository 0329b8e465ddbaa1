"""What this app declares, and every problem that was found: for ``check``, and for the log."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from textwrap import TextWrapper
from threading import Thread
from typing import Any, NamedTuple

from . import host_adapter
from .credentials import in_azure
from .errors import IdentityBindingError, Problem, logger
from .injection import Injection
from .signatures import Handler, attribute
from .sources import NO_ANSWER, Patience, pool

_EXPIRES_SOON = timedelta(days=30)
_wrap = TextWrapper(100, subsequent_indent="    ", break_on_hyphens=False).wrap
_WIDEST = (30, 24, 34, 8)  # of the columns: with two blanks between them, 102 - 2


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

    @property
    def took(self) -> str:
        """How long the read took."""
        return "" if self.milliseconds is None else f"{self.milliseconds} ms"

    def as_line(self) -> str:
        """The row as one line of a log."""
        return "  ".join(filter(None, [*self[:5], self.took, self.repair]))


def read_rows(injections: Sequence[Injection]) -> list[Row]:
    """Read every value that has not been read, all at once, and say how it went."""
    Patience().wait({injection.source.join() for injection in injections})
    return [_row(injection) for injection in injections]


def _row(injection: Injection) -> Row:
    source, binding, reading = injection.source, injection.binding, injection.source.reading
    names = (injection.function, binding.name, str(binding), injection.reader)
    failure = injection.failure
    if failure is not None or reading is None:
        failure = failure or NO_ANSWER
        return Row(*names, failure.reason, None, failure.repair)
    note, expires = reading.note, reading.expires
    if not note and expires and expires < datetime.now(UTC) + _EXPIRES_SOON:
        note = f"expires on {expires:%Y-%m-%d}"
    return Row(*names, f"ok, but it {note}" if note else "ok", round(source.took * 1000))


def as_table(rows: Sequence[Row]) -> str:
    """The rows as a table of at most 100 columns: below each row, what is read, and the repair."""
    lines = [("function", "binding", "result", "time")]
    lines += [(row.function, row.binding, row.result, row.took) for row in rows]
    longest = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths = [*map(min, longest, _WIDEST)]
    shown = [_wrap("  ".join(map(str.ljust, line, widths))) for line in lines]
    for row, text in zip(rows, shown[1:], strict=True):
        by = "" if row.identity == "-" else f", read by {row.identity}"
        text += _wrap(f"  {row.what}{by}")
        text += _wrap(f"  Repair: {row.repair}" if row.repair else "")
    return "\n".join(line for text in shown for line in text)


@dataclass(frozen=True)
class Declared:
    """What this package knows of a function: it hangs on what takes the handler's place."""

    handler: Handler  # the owner's
    injections: tuple[Injection, ...] = ()
    hidden: frozenset[str] = frozenset()  # the names of the declared parameters
    problems: tuple[Problem, ...] = ()
    place: str = ""  # the function.json, or the module and name of what is decorated
    folder: str = ""  # that of the function.json
    wrapped: Handler | None = None  # what takes the handler's place


_ATTRIBUTE = "__identity_bindings__"


def declared_of(handler: Handler) -> Declared | None:
    """What this package knows of a function, also through the owner's own decorators."""
    known: Declared | None = attribute(handler, _ATTRIBUTE)
    return known


def attach(handler: Handler, known: Declared) -> Handler:
    """Note on `handler` what is known of the function that it replaces."""
    setattr(handler, _ATTRIBUTE, replace(known, wrapped=handler))
    return handler


class Report:
    """Every binding and every problem of this process."""

    def __init__(self) -> None:
        self.injections: list[Injection] = []
        self.problems: dict[str, list[Problem]] = {}
        self.loading = True  # no calls run yet

    def add_problems(self, function: str, problems: Sequence[Problem]) -> None:
        """Note, and log, what is wrong with a function: one line for each problem."""
        self.problems.setdefault(function, []).extend(problems)
        for problem in problems:
            logger.error("%s", problem, exc_info=problem.cause)

    def complete(self) -> None:
        """Note that all functions are known. In Azure, log whether their values can be read."""
        if self.loading and self.injections and in_azure():
            Thread(target=self._log, name="identity-report", daemon=True).start()
        self.loading = False

    def rows(self) -> list[Row]:
        """Read every value that has not been read, and return a row for each and for each problem."""
        rows = []
        for function, problems in sorted(self.problems.items()):
            for one in problems:
                result = "cannot be imported" if one.property == "import" else "wrong declaration"
                rows.append(Row(function, "-", one.file, "-", result, repair=str(one)))
        return rows + read_rows(self.injections)

    def _log(self) -> None:
        """Log a row for every binding: there is no shell on the platform to run ``check`` in."""
        rows = read_rows(self.injections)
        for row in [] if pool.closed else rows:
            logger.log(logging.INFO if row.ok else logging.ERROR, "%s", row.as_line())


report = Report()


def refusal(function: str, problems: Sequence[Problem]) -> Handler:
    """Return a handler that logs the problems and answers 500; without a request it raises them."""

    def refuse(**arguments: Any) -> Any:
        if not any(map(host_adapter.is_request, arguments.values())):
            reason = "; ".join(map(str, problems))
            raise IdentityBindingError(f"Function '{function}' is in error: {reason}")
        for problem in problems:
            logger.error("Function '%s' is in error: %s", function, problem)
        return host_adapter.error_response("This function is in error. Its log says why.")

    return refuse


def write_to_stderr() -> None:
    """Write to ``stderr`` what is logged outside of calls, if the Functions host runs this app.

    The host drops records that belong to no running call; lines on ``stderr`` always reach its log
    and Application Insights. Sources: GrpcWorkerChannel.Log and WorkerProcess in
    github.com/Azure/azure-functions-host, and
    https://github.com/Azure/azure-functions-python-worker/issues/1358
    """
    hosted = in_azure() or "AZURE_FUNCTIONS_ENVIRONMENT" in os.environ
    if hosted and not logger.handlers:
        handler = logging.StreamHandler()
        # The host takes a line's level from its words "warning" and "error".
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        handler.addFilter(
            lambda record: report.loading or str(record.threadName).startswith("identity-")
        )
        logger.addHandler(handler)
