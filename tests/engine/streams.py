"""Apps with HTTP streams, called through Microsoft's worker: a real HTTP server, as the host uses it.

On Python 3.13 and later it is the runtime. Before, it is the worker, where one is importable: the
folder of a Core Tools installation that holds ``azure_functions_worker`` can be on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from apps import Message, Protos

HAS_WORKER = sys.version_info < (3, 13) and bool(find_spec("azure_functions_worker"))
HAS_RUNTIME = sys.version_info >= (3, 13) and bool(find_spec("azure_functions_runtime"))


class Answer(NamedTuple):
    """What the caller gets, and whether the worker reports a failure to the host."""

    status: int
    body: str
    failed: bool


class Streams:
    """The worker of this Python, with the HTTP server that it starts for streams."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.uri = ""
        self._functions: dict[str, str] = {}
        if not HAS_RUNTIME:
            module: Any = importlib.import_module("azure_functions_worker.dispatcher")
            self._protos: Any = importlib.import_module("azure_functions_worker.protos")
            make = module.ContextEnabledTask
            self.loop.set_task_factory(lambda loop, coro, **_: make(coro, loop=loop))
            self._worker = module.Dispatcher(self.loop, "127.0.0.1", 0, "worker", "1", 1.0)
            self._worker._sync_call_tp = ThreadPoolExecutor(4)
            registry: Any = importlib.import_module("azure_functions_worker.http_v2").HttpV2Registry
        else:
            self._runtime = importlib.import_module("azure_functions_runtime")
            self._runtime.start_threadpool_executor()
            registry = importlib.import_module("azure_functions_runtime.http_v2").HttpV2Registry
        registry._http_v2_enabled_checked = False  # a new process has not looked yet

    def close(self) -> None:
        """End its server, its threads and its loop."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        if HAS_RUNTIME:
            self._runtime.stop_threadpool_executor()
        self.loop.close()

    def start(self, project: Path) -> str:
        """Start the worker with an app; return why it cannot be indexed, or an empty text."""
        if HAS_RUNTIME:
            answer = self._ask(
                "worker_init_request", capabilities={}, function_app_directory=str(project)
            )
            if answer.result.status != answer.result.Success:
                return str(answer.result.exception.message)
            found = self._ask("functions_metadata_request").function_metadata_results or ()
        else:
            answer = self._ask("worker_init_request", function_app_directory=str(project))
            answer = answer.worker_init_response
            listed = self._ask("functions_metadata_request", function_app_directory=str(project))
            response = listed.function_metadata_response
            if response.result.status != response.result.Success:
                return str(response.result.exception.message)
            found = response.function_metadata_results
        self._functions = {one.name: one.function_id for one in found}
        self.uri = dict(answer.capabilities).get("HttpUri", "")
        return ""

    @property
    def names(self) -> set[str]:
        """The functions that the host is given."""
        return {*self._functions}

    def get(self, name: str, trigger: str = "req") -> Answer:
        """Call an HTTP function as the host does; without streams it answers for the worker."""
        return self.loop.run_until_complete(self._get(name, trigger))

    async def _get(self, name: str, trigger: str) -> Answer:
        invocation = str(uuid.uuid4())
        call = asyncio.ensure_future(self._invoke(name, trigger, invocation))
        if not self.uri:
            answer = await asyncio.wait_for(call, 10)
            if answer.result.status != answer.result.Success:
                return Answer(500, "", True)
            http = answer.return_value.http
            return Answer(int(http.status_code), http.body.bytes.decode(), False)
        headers = {"x-ms-invocation-id": invocation}
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            for _ in range(100):
                try:
                    response = await client.get(f"{self.uri}/api/{name}", headers=headers)
                    break
                except httpx.ConnectError:  # it is starting
                    await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(call, 10)
        failed = answer.result.status != answer.result.Success
        return Answer(response.status_code, response.text, failed)

    async def _invoke(self, name: str, trigger: str, invocation: str) -> Any:
        if HAS_RUNTIME:
            message = Message
            body = message(bytes=b"")
            http = message(
                method="GET",
                url="https://localhost/api",
                headers={},
                params={},
                query={},
                body=body,
            )
            sent = _Input(name=trigger, data=message(http=http))
            trace = message(trace_parent="", trace_state="", attributes={})
            retry = message(retry_count=0, max_retry_count=0, exception=None)
            return await self._call(
                "invocation_request",
                invocation_id=invocation,
                function_id=self._functions[name],
                trace_context=trace,
                retry_context=retry,
                trigger_metadata=None,
                input_data=[sent],
            )
        p = self._protos
        http = p.RpcHttp(method="GET", url="https://localhost/api")
        sent = p.ParameterBinding(name=trigger, data=p.TypedData(http=http))
        content = {"invocation_id": invocation, "function_id": self._functions[name]}
        answer = await self._call("invocation_request", input_data=[sent], **content)
        return answer.invocation_response

    def _ask(self, request: str, **content: Any) -> Any:
        return self.loop.run_until_complete(self._call(request, **content))

    async def _call(self, request: str, **content: Any) -> Any:
        if HAS_RUNTIME:
            message = Message(
                request=Message(**{request: Message(**content)}),
                properties={"host": "127.0.0.1", "protos": Protos()},
            )
            return await getattr(self._runtime, request)(message)
        kinds = {
            "worker_init_request": "WorkerInitRequest",
            "invocation_request": "InvocationRequest",
        }
        kind = getattr(self._protos, kinds.get(request, "FunctionsMetadataRequest"))
        message = self._protos.StreamingMessage(request_id="1", **{request: kind(**content)})
        return await getattr(self._worker, f"_handle__{request}")(message)


class _Input(Message):
    def WhichOneof(self, _group: str) -> str:
        return "data"


def set_init_indexing(setting: str | None) -> None:
    """Set or remove the app setting that turns streams on where Python is older than 3.13."""
    os.environ.pop("PYTHON_ENABLE_INIT_INDEXING", None)
    if setting is not None:
        os.environ["PYTHON_ENABLE_INIT_INDEXING"] = setting
