"""Every source of this process, and the thread that keeps their values fresh."""

import os
from collections.abc import Hashable
from math import inf
from threading import Event, Lock, Thread
from time import monotonic

from .credentials import has_endpoint
from .errors import Readable
from .freshness import Source
from .timing import Timing


class Pool:
    """Every source of this process, and the one thread that keeps them fresh."""

    def __init__(self) -> None:
        self._timing = Timing()
        self._sources: dict[Hashable, Source] = {}
        self._lock = Lock()
        self._wake = Event()
        self._closed = False
        self._thread: Thread | None = None

    def source(self, what: Readable) -> Source:
        """Return the source of `what`, the same one for equal declarations."""
        with self._lock:
            if not self._sources:
                self._timing = Timing.of(os.environ)
            return self._sources.setdefault(what.key, Source(what, self._timing, self._wake.set))

    def start(self) -> None:
        """Begin to read every source and to keep it fresh, where the platform offers an identity.

        Elsewhere (tests, editors, a developer's machine) nothing starts: values are read when they
        are needed.
        """
        with self._lock:
            if not self._sources or self._closed or not has_endpoint():
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._refresh, name="identity-refresh", daemon=True)
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """End the refreshing thread. Reads that are on their way end by themselves."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _refresh(self) -> None:
        while not self._closed:
            self._wake.clear()
            sources = list(self._sources.values())
            for source in sources:
                source.refresh()
            pause = min(source.due for source in sources) - monotonic()
            self._wake.wait(None if pause == inf else max(pause, 0.01))


pool = Pool()
"""The process's pool."""
