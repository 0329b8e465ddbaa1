"""Durable Functions in both models: right, misdeclared, and with a secret in what goes wrong.

Microsoft's runtime (Python 3.13 on) calls the functions with what the host sends; without it they are
called as the worker calls them.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import azure.functions as func
import pytest
from apps import FUNCTION_APP, HTTP, RES, VALUE, Project, logged, secret
from folders import key_vault

NOW = "2026-11-28T08:00:00Z"
CLIENT = {"type": "durableClient", "name": "client", "direction": "in"}
Call = Callable[..., tuple[bool, str]]


@pytest.fixture
def running(project: Project) -> Iterator[Callable[[], Call]]:
    """Start the app, and return what calls a function: whether it succeeded, and all that it shows."""
    hosts: list[Any] = []

    def start() -> Call:
        if sys.version_info < (3, 13):
            functions = project.load()
            return lambda name, **inputs: called(functions[name], **inputs)
        hosts.append(project.host())
        host = hosts[0].__enter__()

        def call(name: str, **inputs: str) -> tuple[bool, str]:
            answer = host.invoke(name, **{key: {"string": text} for key, text in inputs.items()})
            if answer.result.status == answer.result.Success:
                return True, next(iter(vars(answer.return_value).values()))
            failed = answer.result.exception
            return False, f"{failed.message}\n{failed.stack_trace}"

        return call

    yield start
    for host in hosts:
        host.__exit__(None, None, None)


def called(function: Any, **inputs: str) -> tuple[bool, str]:
    """What the worker does: decode, call, encode; and what it says of an exception."""
    kind, registry = function.get_trigger().type, func.get_binding_registry()
    handler = function.get_user_function()
    converter: Any = registry.get(kind)  # type: ignore[union-attr]
    try:
        for name, text in inputs.items():
            datum = SimpleNamespace(type="string", value=text, python_value=text)
            inputs[name] = converter.decode(datum, trigger_metadata={})
        result = handler(**inputs)
        result = asyncio.run(result) if asyncio.iscoroutine(result) else result
        return True, converter.encode(result, expected_type=None).value
    except Exception as error:
        return False, f"{type(error).__name__}: {error}\n" + "".join(
            traceback.format_exception(error)
        )


def history(*results: Any) -> str:
    """What the host sends to an orchestrator after its activities gave these results."""
    events: list[dict[str, Any]] = [
        {"EventType": 12},
        {"EventType": 0, "Name": "o", "Input": "null", "Version": None},
    ]
    for number, result in enumerate(results):
        events += [{"EventType": 4, "EventId": number, "Name": "a"}, {"EventType": 13}]
        done = {"EventType": 5, "TaskScheduledId": number, "Result": json.dumps(result)}
        events += [{"EventType": 12}, done]
    common = {"EventId": -1, "IsPlayed": False, "Timestamp": NOW}
    content = {"history": [common | event for event in events], "instanceId": "1", "input": None}
    return json.dumps(content | {"isReplaying": False, "parentInstanceId": ""})


def batch(*operations: str) -> str:
    """What the host sends to an entity."""
    sent = [{"name": name, "input": json.dumps(name), "isSignal": False} for name in operations]
    entity = {"self": {"name": "counter", "key": "1"}, "exists": True, "state": "7"}
    return json.dumps(entity | {"batch": sent})


class Function(NamedTuple):
    kind: str
    source: str
    vault: str | None = "contoso"  # of the secret that it declares


FUNCTIONS = [
    Function("activity", "def give(order, api_key):\n    return 'token ' + str(len(api_key))\n"),
    Function(
        "activity",
        "def result(order, api_key):\n    import datetime\n"
        "    return {'header': 'Bearer ' + api_key, 'at': datetime.datetime.now()}\n",
    ),
    Function("activity", "async def fails(order, api_key):\n    raise KeyError(api_key)\n"),
    Function(
        "entity",  # the context need not be the first parameter
        """
def counter(api_key, context):
    if context.operation_name == "fails":
        raise ValueError("refused: " + api_key)
    context.set_result(len(api_key))
    context.set_state(context.get_state(lambda: 0) + 1)
""",
    ),
    Function(
        "orchestration",
        """
def orchestrator(context):
    token = yield context.call_activity("give", None)
    if token.startswith("bad"):
        raise ValueError(f"refused: {token}")
    try:
        again = yield context.call_activity("give", token)
    except Exception as error:
        raise LookupError("the activity failed") from error
    return len(token) + len(again)
""",
        None,
    ),
]
CREATE = {"entity": "df.Entity.create", "orchestration": "df.Orchestrator.create"}
MODELS = ["function.json", "decorators"]


def decorator(kind: str) -> str:
    parameter = "input_name='order'" if kind == "activity" else "context_name='context'"
    return f"@app.{kind}_trigger({parameter})"


def write(project: Project, model: str, *functions: Function, more: str = "") -> None:
    """Write an app of these functions and the common ones, in one of the models."""
    texts = ["import azure.durable_functions as df"]
    texts.append(FUNCTION_APP.replace("func.FunctionApp", "df.DFApp"))
    for kind, source, vault in (*FUNCTIONS, *functions):
        name = re.findall(r"def (\w+)", source)[0]
        if model == "decorators":
            declared = secret(vault_name=vault) if vault else ""
            texts.append(f"{decorator(kind)}\n{declared}\n{source.strip()}")
            continue
        parameter = "order" if kind == "activity" else "context"
        bindings = [{"type": f"{kind}Trigger", "name": parameter, "direction": "in"}]
        bindings += [key_vault("api_key", vaultName=vault)] if vault else []
        module = f"{texts[0]}\n{source}\nmain = {CREATE.get(kind, '')}({name})\n"
        project.function(name, *bindings, source=module)
    project.write("function_app.py", "\n\n".join([*texts, more]))


@pytest.mark.parametrize("model", MODELS)
def test_activities_and_entities_receive_the_value_and_an_orchestrator_replays(
    project: Project, running: Callable[[], Call], model: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, model)

    call = running()

    assert logged(caplog) == []
    assert call("give", order='"x"') == (True, f'"token {len(VALUE)}"')
    ok, answer = call("counter", context=batch("adds", "fails", "adds"))
    assert ok
    state = json.loads(answer)
    results = [(one["isError"], json.loads(one["result"])) for one in state["results"]]
    assert results == [(False, 15), (True, "refused: ***"), (False, 15)]
    assert state["entityState"] == "9"
    for results, done in (((), False), (("token",), False), (("token", "more"), True)):
        ok, answer = call("orchestrator", context=history(*results))
        assert ok, answer
        assert json.loads(answer)["isDone"] is done
    assert json.loads(answer)["output"] == 9


@pytest.mark.parametrize("model", MODELS)
def test_no_exception_shows_the_value(
    project: Project, running: Callable[[], Call], model: str
) -> None:
    write(project, model)
    call = running()
    call("give", order="1")  # from here on the value is known, in the whole process

    for name, inputs, shown in (
        ("fails", {"order": "1"}, "KeyError"),
        ("result", {"order": "1"}, "activity trigger output must be json serializable"),
        ("orchestrator", {"context": history(f"bad {VALUE}")}, "refused: bad ***"),
    ):
        ok, text = call(name, **inputs)
        assert not ok
        assert shown in text
        assert VALUE not in text
    ok, text = call("orchestrator", context=history("bad but harmless"))
    assert "refused: bad but harmless" in text
    state = json.loads(text.partition("$OutOfProcData$:")[2].partition("\n")[0])
    assert (state["isDone"], state["error"]) == (False, "refused: bad but harmless")


STARTS = "def {}(context, api_key):\n    yield context.call_activity('give', api_key)\n"
WRONG = [
    Function("activity", "def wrong_activity(order, api_key): return 1", "no vault"),
    Function("entity", "def wrong_entity(context, api_key): pass", "no vault"),
    Function("orchestration", STARTS.format("wrong_orchestration"), "no vault"),
    Function("orchestration", STARTS.format("replays")),  # it cannot have a secret
]
# An orchestrator that the decorator is above of.
ABOVE = f"{secret()}\n{decorator('orchestration')}\n{STARTS.format('above')}"


@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_declaration_is_logged_with_its_reason(
    project: Project, running: Callable[[], Call], caplog: pytest.LogCaptureFixture, model: str
) -> None:
    write(project, model, *WRONG, more=ABOVE)

    call = running()

    lines = logged(caplog)
    for kind in ("activity", *CREATE):
        own = [line for line in lines if f"wrong_{kind}" in line]
        assert "api_key.vaultName: 'no vault'" in own[0]
        assert ("not registered" in own[-1]) is (kind != "activity"), own
    ok, text = call("wrong_activity", **{"order" if model == "decorators" else "req": "1"})
    assert not ok
    assert "Function 'wrong_activity' is in error: " in text
    assert "api_key.vaultName: 'no vault'" in text
    (line,) = [one for one in lines if "a replay would see" in one]
    assert "replays" in line
    assert "declare it in an activity" in line
    assert len([one for one in lines if "above" in one]) == 2, lines  # the order; not registered
    assert call("give", order="1")[0]
    for name in ("wrong_entity", "wrong_orchestration", "replays", "above"):
        with pytest.raises(KeyError):
            call(name, context=batch("adds"))
    rows = importlib.import_module("identity_bindings.report").report.rows()
    assert "wrong declaration" in [row.result for row in rows if row.function == "replays"]


def test_a_starter_has_its_client_and_its_secret(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    source = """
async def starts(req: func.HttpRequest, client: df.DurableOrchestrationClient, api_key: str):
    return f"{type(client).__name__} {len(api_key)}"
"""
    decorators = (
        f'@app.route("starts")\n@app.durable_client_input(client_name="client")\n{secret()}'
    )
    write(project, "decorators", more=decorators + source)
    source = (
        "import azure.durable_functions as df\n"
        "async def main(req, client: str, api_key: str):\n"
        "    made = df.DurableOrchestrationClient(client)\n"
        "    return f'{type(made).__name__} {len(api_key)}'\n"
    )
    project.function("starts1", HTTP, RES, CLIENT, key_vault("api_key"), source=source)
    urls = {"creationUrls": {}, "managementUrls": {"id": "x"}, "baseUrl": "http://localhost/"}
    more = {"requiredQueryStringParameters": "", "rpcBaseUrl": "http://localhost/"}
    client = json.dumps({"taskHubName": "h", **urls, **more})
    functions = project.load()

    assert logged(caplog) == []
    request = func.HttpRequest("GET", "/", body=b"")
    for name in ("starts", "starts1"):
        handler = functions[name].get_user_function()
        assert asyncio.run(handler(req=request, client=client)) == "DurableOrchestrationClient 15"
