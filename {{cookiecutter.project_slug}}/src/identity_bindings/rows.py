"""One row for every declared value: whether it can be read. For ``check``, and for the log at start."""

import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from textwrap import wrap
from typing import NamedTuple

from .credentials import has_endpoint, in_azure, not_assigned
from .errors import Failure, Problem
from .injection import Injection
from .sources import NO_ANSWER
from .timing import WAIT

EXPIRES_SOON_DAYS = 30
WIDTH = 100
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


def problem_row(function: str, problem: Problem) -> Row:
    """The row of a function that is in error."""
    result = "cannot be imported" if problem.property == "import" else "wrong declaration"
    return Row(function, "-", problem.file, "-", result, None, str(problem))


def read_rows(injections: Sequence[Injection]) -> list[Row]:
    """Read every value that has not been read, all at once, and say how it went."""
    if in_azure() and not has_endpoint():
        return [_row(one, not_assigned(one.binding.identity)) for one in injections]
    flights = {injection.source.join() for injection in injections}
    futures.wait(filter(None, flights), timeout=WAIT)
    return [_row(injection, injection.failure) for injection in injections]


def _row(injection: Injection, failure: Failure | None) -> Row:
    source, binding, reading = injection.source, injection.binding, injection.source.reading
    names = (injection.function, binding.name, str(binding), injection.reader)
    if failure is not None or reading is None:
        failure = failure or NO_ANSWER
        return Row(*names, failure.reason, None, failure.repair)
    note, expires = reading.note, reading.expires
    if not note and expires is not None and expires - time.time() < EXPIRES_SOON_DAYS * 86400:
        note = f"expires on {time.strftime('%Y-%m-%d', time.gmtime(expires))}"
    return Row(*names, f"ok, but it {note}" if note else "ok", round(source.took * 1000))


def as_table(rows: Sequence[Row]) -> str:
    """The rows as a table of at most 100 columns: below each row, what is read, and the repair."""
    lines = [("function", "binding", "result", "time")]
    lines += [(row.function, row.binding, row.result, row.took) for row in rows]
    widths = [
        min(most, max(map(len, column)))
        for most, column in zip(_WIDEST, zip(*lines, strict=True), strict=True)
    ]
    text = [*_cells(lines[0], widths)]
    for row, line in zip(rows, lines[1:], strict=True):
        text += _cells(line, widths)
        read = row.what if row.identity == "-" else f"{row.what}, read by {row.identity}"
        for detail in (read, row.repair and f"Repair: {row.repair}"):
            text += wrap(
                detail, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
            )
    return "\n".join(text)


def _cells(line: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    wrapped = [wrap(cell, width) or [""] for cell, width in zip(line, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        cells = [cell[number] if number < len(cell) else "" for cell in wrapped]
        yield "  ".join(map(str.ljust, cells, widths)).rstrip()
