"""A secret that a handler can read again, instead of a plain string."""

import asyncio
from collections.abc import Iterator
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .errors import ReadError
from .timing import WAIT


@dataclass(frozen=True)
class Secret:
    """A secret whose value can change during a call, when it is rotated.

    A parameter with this annotation receives one; every other parameter receives a ``str``::

        def main(req: func.HttpRequest, db_password: Secret) -> func.HttpResponse:
            try:
                connection = connect(db_password.value)
            except AccessDenied:
                connection = connect(db_password.newest())
    """

    value: str = field(repr=False)
    _injection: Any = field(default=None, repr=False, compare=False)

    def newest(self) -> str:
        """Return the newest value after `value` was refused.

        All callers wait for one read. There is at most one in 10 s for each secret: until then, and
        where the read fails, this is the last value that was read, which may be `value` itself.

        Raises:
            BindingUnavailableError: There is no value that may be used.
        """
        if self._injection is None:  # created by a test
            return self.value
        for flight in self._reads():
            futures.wait([flight], WAIT)
        self._injection.wait()
        return self._last()

    async def newest_async(self) -> str:
        """The same as `newest`, without blocking the event loop."""
        if self._injection is None:
            return self.value
        for flight in self._reads():
            await asyncio.wait([asyncio.wrap_future(flight)], timeout=WAIT)
        await self._injection.wait_async()
        return self._last()

    def _reads(self) -> Iterator[futures.Future[None]]:
        for _ in range(2):  # the first read may have begun before the refusal
            if self._last() == self.value and (flight := self._injection.source.read_again()):
                yield flight
                with suppress(ReadError):
                    self._injection.source.settle(flight)

    def _last(self) -> str:
        return str(self._injection.give(self._injection.source.reading).value)
