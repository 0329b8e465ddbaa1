"""HTTP streams beside classic functions, in both models: status and body of each function.

Microsoft's runtime, which is for Python 3.13 on, serves them over HTTP. On every Python it is tested
what the engine decides.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
import uuid
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from apps import HTTP, RES, VALUE, Project, logged, needs_runtime, secret
from folders import key_vault
from runtime import Host


class Answer(NamedTuple):
    """What the caller gets, and whether the worker reports a failure to the host."""

    status: int
    body: str
    failed: bool


class Streams(Host):
    """The runtime, with the HTTP server that it starts for streams."""

    def load_app(self, project: Path) -> set[str]:
        """Start the worker with an app, and return the names of its functions."""
        self._uri = dict(self.start(project).capabilities).get("HttpUri", "")
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
        call, response = asyncio.ensure_future(called), None
        if self._uri:
            transport = httpx.AsyncHTTPTransport(retries=8)  # it is starting
            async with httpx.AsyncClient(transport=transport, timeout=30) as client:
                headers = {"x-ms-invocation-id": invocation}
                response = await client.get(f"{self._uri}/api/{name}", headers=headers)
        answer = await asyncio.wait_for(call, 30)
        failed = answer.result.status != answer.result.Success
        if response is not None:
            return Answer(response.status_code, response.text, failed)
        http = answer.return_value.http
        return Answer(int(http.status_code), http.body.bytes.decode(), failed)


SETTING = "PYTHON_ENABLE_INIT_INDEXING"
HEAD = "import azure.functions as func\nfrom identity_bindings import key_vault_secret\n"
IMPORT = (
    "from azurefunctions.extensions.http.fastapi import JSONResponse, Request, StreamingResponse\n"
    "from fastapi import HTTPException\n"
)
STREAMS = {
    "stream": """
async def main(req: Request, api_key: str) -> StreamingResponse:
    async def parts():
        for number in range(3):
            yield f"{number}:{len(api_key)} "
    return StreamingResponse(parts(), media_type="text/plain")
""",
    "plain": """
def main(req: Request, api_key: str) -> JSONResponse:
    return JSONResponse({"length": len(api_key)}, 201)
""",
    "refuses": """
async def main(req: Request, api_key: str):
    raise HTTPException(403, "not with " + api_key)
""",
    "fails": "\nasync def main(req: Request, api_key: str):\n    raise KeyError(api_key)\n",
    "wrong": "\nasync def main(req: Request, api_key: str) -> StreamingResponse: ...\n",
}
CLASSIC = {
    "classic": """
def main(req: func.HttpRequest, api_key: str) -> func.HttpResponse:
    return func.HttpResponse("no", status_code=403)
""",
    "classic_return": """
def main(req, api_key) -> func.HttpResponse:
    return func.HttpResponse('', status_code=403)
""",
    "bare": "\ndef main(req, api_key):\n    return func.HttpResponse('no', status_code=403)\n",
    "wrong_classic": "\ndef main(req: func.HttpRequest, api_key: str): ...\n",
}
ERROR = "This function is in error. Its log says why."
ON: dict[str, Answer] = {
    "stream": Answer(200, "0:15 1:15 2:15 ", False),
    "plain": Answer(201, '{"length":15}', False),
    "refuses": Answer(403, '{"detail":"not with ***"}', True),
    "fails": Answer(500, "Internal Server Error", True),
    **dict.fromkeys(("wrong", *CLASSIC), Answer(500, ERROR, False)),
}
OFF = {
    "classic": Answer(403, "no", False),
    "classic_return": Answer(403, "", False),
    "bare": Answer(403, "no", False),
    "wrong_classic": Answer(500, ERROR, False),
}
MODELS = ["function.json", "decorators"]


@pytest.fixture
def project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv(SETTING, "1")
    forget_extensions()
    yield project
    forget_extensions()


def forget_extensions() -> None:
    """Forget the worker's extensions, as in a new process."""
    for name in [one for one in sys.modules if one.startswith("azurefunctions")]:
        del sys.modules[name]


@pytest.fixture
def host() -> Iterator[Streams]:
    host = Streams()
    yield host
    host.close()


def write(project: Project, model: str, names: list[str]) -> None:
    """Write an app of these handlers, registered in this order, in one of the models."""
    texts = []
    for number, name in enumerate(names):
        source = HEAD + (IMPORT + STREAMS[name] if name in STREAMS else CLASSIC[name])
        place, vault = f"f{number}_{name}", "no vault" if name.startswith("wrong") else "contoso"
        if model == "function.json":
            entry = key_vault("api_key", vaultName=vault)
            project.function(place, HTTP, RES, entry, source=source)
            continue
        decorators = f'@blueprint.function_name("{place}")\n@blueprint.route("{place}")\n'
        decorators += f"{secret(vault_name=vault)}\n"
        module = re.sub(r"^(async )?def main", rf"{decorators}\g<0>", source, flags=re.M)
        project.write(f"{place}_module.py", f"{HEAD}blueprint = func.Blueprint()\n{module}")
        texts.append(
            f"with isolated('{place}_module.py'):\n    from {place}_module import blueprint\n"
            "    app.register_functions(blueprint)\n"
        )
    project.app(*texts)


ORDERS = {
    "streaming only": [*STREAMS],
    "classic only": [*CLASSIC],
    "streaming first": [*STREAMS, *CLASSIC],
    "classic first": [*CLASSIC, *STREAMS],
}


# The setting decides where Python is older than 3.13: other values are tested with one app.
CASES = [
    pytest.param(*case, marks=[] if "1" in case or "classic first" in case else pytest.mark.slow)
    for case in product(MODELS, ORDERS, ["1", "0", None])
]


@needs_runtime
@pytest.mark.parametrize(("model", "order", "setting"), CASES)
def test_status_and_body_of_each_function(
    project: Project,
    host: Streams,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    model: str,
    order: str,
    setting: str | None,
) -> None:
    monkeypatch.delenv(SETTING) if setting is None else monkeypatch.setenv(SETTING, setting)
    write(project, model, ORDERS[order])
    expected = OFF if order == "classic only" else ON

    names = {name.split("_", 1)[1]: name for name in host.load_app(project.folder)}

    found = {name: host.request(place) for name, place in names.items()}
    assert found == {name: expected[name] for name in ORDERS[order]}
    for name in ORDERS[order]:
        if found[name].body == ERROR:
            assert any(f"'{names[name]}'" in line for line in logged(caplog)), name
    assert VALUE not in caplog.text


@pytest.mark.parametrize("model", MODELS)
def test_what_the_engine_decides(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    model: str,
) -> None:
    """Without a worker: which functions are in error, and the setting that is missing."""
    monkeypatch.delenv(SETTING)
    write(project, model, ORDERS["classic first"])

    functions = project.load()

    assert len(functions) == len(ON)
    lines = logged(caplog)
    hangs = [line for line in lines if SETTING in line]
    assert len(hangs) == int(sys.version_info < (3, 13))
    report: Any = importlib.import_module("identity_bindings.report").report
    wrong = {row.function for row in report.rows() if row.result == "wrong declaration"}
    # Two of the decorators are above functions of one name: the decorator does not know the other.
    assert len(wrong) == (4 if model == "function.json" else 3) + len(hangs)
