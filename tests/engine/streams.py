"""Apps with HTTP streams, called through Microsoft's runtime: a real HTTP server, as the host uses it."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from runtime import Host


class Answer(NamedTuple):
    """What the caller gets, and whether the worker reports a failure to the host."""

    status: int
    body: str
    failed: bool


class Streams(Host):
    """The runtime, with the HTTP server that it starts for streams."""

    def load_app(self, project: Path) -> set[str]:
        """Start the worker with an app, and return the functions that the host is given."""
        answer = self.start(project)
        assert answer.result.status == answer.result.Success, answer.result.exception
        self._uri = dict(answer.capabilities).get("HttpUri", "")
        self._functions = {name: one.function_id for name, one in self.index().items()}
        return {*self._functions}

    def close(self) -> None:
        """End its server, its threads and its loop."""
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self.run(asyncio.sleep(0.05))
        super().close()

    def request(self, name: str) -> Answer:
        """Call an HTTP function as the host does; without streams it answers for the worker."""
        return self.run(self._request(name))

    async def _request(self, name: str) -> Answer:
        invocation = str(uuid.uuid4())
        called = self.calling(self._functions[name], "req", invocation=invocation)
        call = asyncio.ensure_future(called)
        if not self._uri:
            answer = await asyncio.wait_for(call, 30)
            http = answer.return_value.http
            return Answer(int(http.status_code), http.body.bytes.decode(), False)
        response = await self._by_http(name, invocation)
        answer = await asyncio.wait_for(call, 30)
        failed = answer.result.status != answer.result.Success
        return Answer(response.status_code, response.text, failed)

    async def _by_http(self, name: str, invocation: str) -> Any:
        headers = {"x-ms-invocation-id": invocation}
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            while True:
                try:
                    return await client.get(f"{self._uri}/api/{name}", headers=headers)
                except httpx.ConnectError:  # it is starting
                    await asyncio.sleep(0.05)
