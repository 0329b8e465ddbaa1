"""A table that finds any of many texts in a line, at a cost that does not grow with their number."""

from collections import Counter
from collections.abc import Iterable, Iterator
from struct import Struct

GRAM = 4
WINDOW = 2 * GRAM - 1
"""The shortest text that the table takes, in bytes and in characters."""

_WINDOWS = 12  # so many are compared
_gram_at = Struct("=I").unpack_from
# How common a byte is in logs: a rare one makes a better window.
_COMMON = bytes(
    2 if chr(byte).islower() or chr(byte) in " \"':,/.=-_{}[]()" else int(chr(byte).isdigit())
    for byte in range(128)
) + bytes(128)


class GramTable:
    """Texts (as UTF-8) to look for, by the 4-byte integers ("grams") that they contain.

    Of each text the table holds the four grams that begin in four consecutive bytes. Wherever the
    text occurs in a line, one of the four begins at a multiple of 4 bytes. So a line is looked at
    as an array of 4-byte integers, and if none of them is in the table, no text is in the line.

    Several threads may search while one adds or removes.
    """

    def __init__(self, replacement: str) -> None:
        self._replacement = replacement
        self._uses: Counter[bytes] = Counter()
        self._windows: dict[bytes, int] = {}
        self._grams: dict[int, tuple[tuple[bytes, int], ...]] = {}  # gram → (text, its offset)
        self._no_gram_in = self._grams.keys().isdisjoint
        self._clean = [""]  # the last line without a text in it: it may come once more

    def add(self, texts: Iterable[bytes]) -> None:
        """Look for each of `texts`, which have 7 bytes or more."""
        for text in texts:
            self._uses[text] += 1
            if self._uses[text] == 1:
                self._windows[text] = self._rarest_window(text)
                for gram, offset in self._grams_of(text):
                    self._grams[gram] = (*self._grams.get(gram, ()), (text, offset))
        self._clean = [""]  # a new list: who still searches writes into the old one

    def remove(self, texts: Iterable[bytes]) -> None:
        """Look no longer for `texts`, where they were not added once more."""
        for text in texts:
            self._uses[text] -= 1
            if self._uses[text] == 0:
                del self._uses[text]
                for gram, offset in self._grams_of(text):
                    left = tuple(one for one in self._grams[gram] if one != (text, offset))
                    if left:
                        self._grams[gram] = left
                    else:
                        del self._grams[gram]
                del self._windows[text]

    def replace(self, line: str) -> str:
        """Return `line` with the replacement for each text in it; itself where there is none."""
        clean = self._clean
        if line == clean[0] or len(line) < WINDOW:
            return line
        data = str.encode(line, "utf-8", "surrogatepass")
        grams = memoryview(data)[: len(data) & -GRAM].cast("I")
        if self._no_gram_in(grams):
            clean[0] = line
            return line
        parts, end = [], 0
        for start, stop in _merged(self._find(data, grams)):
            parts += [data[end:start].decode("utf-8", "surrogatepass"), self._replacement]
            end = stop
        return "".join((*parts, data[end:].decode("utf-8", "surrogatepass"))) if parts else line

    def _find(self, data: bytes, grams: memoryview) -> Iterator[tuple[int, int]]:
        for position, gram in enumerate(grams):
            for text, offset in self._grams.get(gram, ()):
                start = position * GRAM - offset
                if start >= 0 and data.startswith(text, start):
                    yield start, start + len(text)

    def _grams_of(self, text: bytes) -> Iterator[tuple[int, int]]:
        window = self._windows[text]
        for offset in range(window, window + GRAM):
            yield _gram_at(text, offset)[0], offset

    def _rarest_window(self, text: bytes) -> int:
        """Where the four grams begin that fewest other texts and fewest lines have."""
        last = len(text) - WINDOW
        common = text.translate(_COMMON)

        def cost(window: int) -> int:
            shared = 0
            for offset in range(window, window + GRAM):
                shared += len(self._grams.get(_gram_at(text, offset)[0], ()))
            return 16 * shared + sum(common[window : window + WINDOW])

        return min(range(0, last + 1, last // _WINDOWS + 1), key=cost)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
