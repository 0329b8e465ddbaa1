"""What the masks add to a log line, whatever the number of secrets and rotations."""

from __future__ import annotations

import gc
import importlib
import io
import logging
import secrets
from collections.abc import Callable
from time import process_time

from support import worker

from .page import Section, microseconds, ratio

LINES, ROUNDS = 500, 200
# Secrets, and how many values each has had.
KNOWN = ((1, 1), (10, 1), (100, 1), (10, 40))
MESSAGE = "Order %s of customer %s was accepted after %d ms; it goes to warehouse %s, by %s"
ORDER = "7f9c2ba4-e88f-4d1a-9a4b-5a3e0c2d7f61"
PLACES = ("Rotterdam Maasvlakte, gate 4", "road, then by rail, at the latest on Friday 27 November")


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _seconds(log: Callable[..., None]) -> float:
    began = process_time()
    for number in range(LINES):  # the masks know a line that comes twice in a row
        log(MESSAGE, ORDER, "Example Trading Company Ltd.", number, *PLACES)
    return (process_time() - began) / LINES


def measure() -> Section:
    """Log the same line with and without masks, in turns."""
    rows = []
    logger = logging.getLogger("benchmark")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler := logging.StreamHandler(_Nowhere()))
    for count, values in KNOWN:
        worker.restart()
        masking = importlib.import_module("identity_bindings").masking
        began = process_time()
        for owner in range(count):
            for _ in range(values):
                masking.register(secrets.token_urlsafe(32), owner=owner)
        registered = (process_time() - began) / (count * values)
        bare = masked = 1.0
        gc.disable()
        for _ in range(ROUNDS):
            masking.uninstall()
            bare = min(bare, _seconds(logger.info))
            masking.install()
            masked = min(masked, _seconds(logger.info))
        gc.enable()
        name = f"{count} secret{'s' if count > 1 else ''}"
        name += f", each rotated {values} times" if values > 1 else ""
        cells = [microseconds(bare), microseconds(masked), ratio(masked / bare)]
        rows.append([name, *cells, microseconds(registered)])
    worker.restart()
    logger.removeHandler(handler)
    line = MESSAGE % (ORDER, "Example Trading Company Ltd.", LINES // 2, *PLACES)
    text = (
        f"A line of {len(line)} characters, by `logging` to a handler that writes"
        f" nowhere: the best of {ROUNDS} interleaved rounds of {LINES} lines, in processor time. The ratio is that of"
        " the line with masks to the line without. The last column is what a new value costs, once."
    )
    heads = ["Masked are …", "without masks", "with masks", "ratio", "a new value"]
    return Section("A log line", text, heads, rows)
