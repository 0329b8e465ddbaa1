"""What the masks add to a log line, whatever the number of secrets and rotations."""

from __future__ import annotations

import gc
import importlib
import io
import logging
import secrets
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

from support import worker

from .page import Section, duration, ratio

LINES, ROUNDS = 500, 200
# Secrets, and how many values each has had.
KNOWN = ((1, 1), (10, 1), (100, 1), (10, 40))
MESSAGE = "Order %s of customer %s was accepted after %d ms; it goes to warehouse %s, by %s"
ORDER = "7f9c2ba4-e88f-4d1a-9a4b-5a3e0c2d7f61"
# Arguments of another line, and what a handler would have to read from the record.
NUMBERS = [*range(1_000_000, 1_001_000)]
ROWS = [{"order": f"{n:08}", "price": n * 1.5, "paid": n % 2 == 0} for n in range(100)]
LARGE = {
    "a list of 1,000 numbers as argument": (NUMBERS, None),
    "100 dictionaries as argument": (ROWS, None),
    "1,000 numbers as `extra`, which nobody shows": (7, {"numbers": NUMBERS}),
}
PLACES = ("Rotterdam Maasvlakte, gate 4", "road, then by rail, at the latest on Friday 27 November")


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _seconds(log: Callable[[int], None], lines: int) -> float:
    began = process_time()
    for number in range(lines):  # the masks know a line that comes twice in a row
        log(number)
    return (process_time() - began) / lines


def _cells(masking: Any, log: Callable[[int], None], lines: int) -> list[str]:
    """The best of both ways, and their ratio."""
    bare = masked = 1.0
    gc.disable()
    for _ in range(ROUNDS):
        masking.uninstall()
        bare = min(bare, _seconds(log, lines))
        masking.install()
        masked = min(masked, _seconds(log, lines))
    gc.enable()
    return [duration(bare), duration(masked), ratio(masked / bare)]


def _known(count: int, values: int) -> tuple[Any, float]:
    """The masks of so many secrets, and the seconds that each value took."""
    worker.restart()
    masking: Any = importlib.import_module("identity_bindings").masking
    began = process_time()
    for owner in range(count):
        for _ in range(values):
            masking.register(secrets.token_urlsafe(32), owner=owner)
    return masking, (process_time() - began) / (count * values)


def measure() -> Section:
    """Log the same line with and without masks, in turns."""
    rows = []
    logger = logging.getLogger("benchmark")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler := logging.StreamHandler(_Nowhere()))

    def plain(number: int) -> None:
        logger.info(MESSAGE, ORDER, "Example Trading Company Ltd.", number, *PLACES)

    for count, values in KNOWN:
        masking, registered = _known(count, values)
        name = f"{count} secret{'s' if count > 1 else ''}"
        name += f", each rotated {values} times" if values > 1 else ""
        rows.append([name, *_cells(masking, plain, LINES), duration(registered)])
    for name, (argument, extra) in LARGE.items():
        masking, _ = _known(10, 1)
        log = partial(logger.info, "line %d: %s", extra=extra)
        cells = _cells(masking, lambda number, log=log, it=argument: log(number, it), LINES // 50)  # type: ignore[misc]
        rows.append([f"10 secrets; {name}", *cells, ""])
    worker.restart()
    logger.removeHandler(handler)
    line = MESSAGE % (ORDER, "Example Trading Company Ltd.", LINES // 2, *PLACES)
    text = (
        f"A line of {len(line)} characters, by `logging` to a handler that writes"
        f" nowhere: the best of {ROUNDS} interleaved rounds of {LINES} lines, in processor time. The ratio is that of"
        " the line with masks to the line without. The last column is what a new value costs, once. The last rows are other lines, whose arguments are large."
    )
    heads = ["Masked are …", "without masks", "with masks", "ratio", "a new value"]
    return Section("A log line", text, heads, rows)
