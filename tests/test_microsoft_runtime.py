"""Microsoft's runtime runs the rendered app with every service, from src/, in both models."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from answers import EVERYTHING
from baking import TEMPLATE, Bake, run_tests

CALLS = """
import json
from types import SimpleNamespace

import pytest
from runtime import Host, Message
from support import worker

ORDER = {"id": "4711", "address": "Am Kai 1", "lines": [{"article": "chair", "quantity": 4}]}


@pytest.fixture
def host(declared, monkeypatch):
    monkeypatch.setenv("API_URL", "https://api.contoso.example/me")
    declared.fake_key_vault.others["api.contoso.example"] = lambda request: (
        200, {"known": request.headers["authorization"][7:] in declared.fake_key_vault.tokens}, {}
    )
    registered = worker.load_app().keys()
    worker.restart()
    host = Host()
    started = host.start()
    assert started.result.status == started.result.Success, started.result.exception
    assert host.index().keys() == registered
    yield host
    host.close()


def http(body=b"", **headers):
    empty = {name: {} for name in ("params", "query")}
    body = Message(bytes=body)
    url = "https://localhost/api"
    return {"http": Message(method="POST", url=url, headers=headers, body=body, **empty)}


def succeeded(answer):
    assert answer.result.status == answer.result.Success, answer.result.exception
    return answer


def body(answer):
    return json.loads(succeeded(answer).return_value.http.body.bytes)


def test_a_secret(host):
    assert body(host.invoke("read_secret", req=http())) == {"arrived": ["first", "second-one"]}


def test_a_key(host):
    order = json.dumps({"id": "4711", "cents": 1999}).encode()
    signed = body(host.invoke("sign_document", req=http(order)))
    signature = {"x-signature": signed["signature"]}
    assert body(host.invoke("sign_document", req=http(order, **signature)))["valid"] is True


def test_a_token(host):
    assert body(host.invoke("call_api", req=http())) == {"known": True}


def test_a_blob(host):
    answer = succeeded(host.invoke("summarize_blob", req=http(), document={"bytes": b"one line"}))
    assert json.loads(answer.output_data[0].data.string)["words"] == 2


def test_a_document(host):
    found = json.dumps([ORDER | {"_etag": "x"}])
    assert body(host.invoke("read_order", req=http(), orders={"json": found})) == ORDER


def test_a_message(host):
    answer = host.invoke(
        "ship_order", {"MessageId": '"1"', "UserProperties": "{}"}, order={"string": json.dumps(ORDER)}
    )
    assert json.loads(succeeded(answer).output_data[0].data.string)["items"] == {"chair": 4}


def test_a_denial_names_the_repair(host, declared):
    for vault in declared.fake_key_vault.vaults.values():
        vault.readers = set()
    worker.restart()
    denied = Host()
    denied.start()
    answer = denied.invoke("read_secret", req=http())
    denied.close()
    assert answer.result.status == answer.result.Failure
    message = answer.result.exception.message
    assert "read_secret" in message and "accessPolicies/add" in message
    assert not any(token in str(answer) for token in declared.fake_key_vault.tokens)
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime: Python 3.13 on")
@pytest.mark.parametrize("identity", ["system", "user"])
@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_every_service_runs(bake: Bake, tmp_path: Path, model: str, identity: str) -> None:
    answers = {"programming_model": model, "identity": identity, "secrets": "first,second-one"}
    project = Path(shutil.copytree(bake(**answers, **EVERYTHING), tmp_path / "app"))
    (project / "tests/test_calls.py").write_text(CALLS, "utf-8")
    paths = os.pathsep.join([str(TEMPLATE / "tests/engine"), str(TEMPLATE / "tests")])

    assert "7 passed" in run_tests(project, "tests/test_calls.py", PYTHONPATH=paths)
