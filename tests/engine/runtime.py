"""Microsoft's runtime, driven as the Functions host drives it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support import worker


class Message(SimpleNamespace):
    """A protocol message: what it was made with, and the name of the one field that is set."""

    def WhichOneof(self, _group: str) -> str | None:
        return next(iter(vars(self)), None)


class Protos:
    """The messages that pass between host and worker, as far as the runtime makes them."""

    class StatusResult(Message):
        """How it went."""

        Failure, Success = 0, 1

    class BindingInfo(Message):
        """Directions."""

        undefined, out, inout = 0, 1, 2

    def __getattr__(self, name: str) -> type[Message]:
        return type(name, (Message,), {})


class _Input(Message):
    def WhichOneof(self, _group: str) -> str:
        return "data"


def http_request(body: bytes = b"") -> dict[str, Any]:
    """What the host sends for an HTTP trigger."""
    empty = {name: {} for name in ("headers", "params", "query")}
    sent = Message(method="POST", url="https://localhost/api", body=Message(bytes=body), **empty)
    return {"http": sent}


class Host:
    """Microsoft's own runtime for Python 3.13 and later, driven through its request handlers."""

    def __init__(self) -> None:
        self._runtime = importlib.import_module("azure_functions_runtime")
        http: Any = importlib.import_module("azure_functions_runtime.http_v2")
        http.HttpV2Registry._http_v2_enabled_checked = False  # a new process has not looked yet
        self._loop = asyncio.new_event_loop()
        self._runtime.start_threadpool_executor()

    def close(self) -> None:
        """Stop its thread pool and its loop."""
        self._runtime.stop_threadpool_executor()
        self._loop.close()

    async def _send(self, request: str, **content: Any) -> Any:
        message = Message(
            request=Message(**{request: Message(**content)}),
            properties={"host": "127.0.0.1", "protos": Protos()},
        )
        return await getattr(self._runtime, request)(message)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the worker's loop."""
        return self._loop.run_until_complete(coroutine)

    def start(self, project: Path = worker.SRC) -> Any:
        """Start the worker: it imports and indexes the app."""
        place = {"capabilities": {}, "function_app_directory": str(project)}
        started = self.run(self._send("worker_init_request", **place))
        assert started.result.status == started.result.Success, started.result.exception
        return started

    def index(self) -> dict[str, Any]:
        """Return what the host receives about each function, by name."""
        answer = self.run(self._send("functions_metadata_request"))
        return {one.name: one for one in answer.function_metadata_results or ()}

    def load(self, function_id: str) -> Any:
        """Load a function."""
        return self.run(self._send("function_load_request", function_id=function_id))

    def call(self, function_id: str, trigger: str, body: bytes = b"") -> Any:
        """Call an HTTP function."""
        return self.run(self.calling(function_id, trigger, body))

    async def calling(
        self, function_id: str, trigger: str, body: bytes = b"", invocation: str = "a0b1"
    ) -> Any:
        """Call an HTTP function beside other calls."""
        sent = [_Input(name=trigger, data=Message(**http_request(body)))]
        return await self._invoke(function_id, None, sent, invocation)

    def invoke(
        self, name: str, metadata: dict[str, str] | None = None, **inputs: dict[str, Any]
    ) -> Any:
        """Call a function with what the host sends for each parameter: ``{"json": "…"}``.

        Args:
            name: The function's name.
            metadata: What the host sends beside the trigger's data, each as JSON.
            inputs: The data by parameter.
        """
        message = Message
        beside = {key: message(json=text) for key, text in (metadata or {}).items()}
        data = [_Input(name=parameter, data=message(**sent)) for parameter, sent in inputs.items()]
        return self.run(self._invoke(self.index()[name].function_id, beside, data))

    async def _invoke(
        self, function_id: str, metadata: Any, data: list[Any], invocation: str = "a0b1"
    ) -> Any:
        message = Message
        return await self._send(
            "invocation_request",
            invocation_id=invocation,
            function_id=function_id,
            trace_context=message(trace_parent="", trace_state="", attributes={}),
            retry_context=message(retry_count=0, max_retry_count=0, exception=None),
            trigger_metadata=metadata,
            input_data=data,
        )

    def get(self, name: str, trigger: str = "req") -> tuple[str, str]:
        """Call an HTTP function, and return status and body, or the exception's text."""
        answer = self.call(self.index()[name].function_id, trigger)
        if answer.result.status != answer.result.Success:
            return "exception", answer.result.exception.message
        sent = answer.return_value or answer.output_data[0].data
        if "string" in vars(sent):
            return "200", sent.string
        return sent.http.status_code, sent.http.body.bytes.decode()
