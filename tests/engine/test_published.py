"""What people publish for Azure Functions runs unchanged, in Microsoft's own runtime too."""

from __future__ import annotations

import codecs
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import folders
import pytest
from apps import FUNCTION_APP, Host
from folders import call, key_vault
from support import worker
from support.fake_key_vault import FakeKeyVault

VALUE = "the-value-of-it"
DECLARATION = """{
  "bindings": [
    {
      "authLevel": "function",
      "type": "httpTrigger",
      "direction": "in",
      "name": "req",
      "methods": ["get", "post"]
    },
    {"type": "http", "direction": "out", "name": "res"},
    {"name": "mySecret", "type": "keyVault", "direction": "in",
     "secretName": "my-application-secret", "vaultName": "my-key-vault-name", "identity": "system"}
  ]
}"""
HANDLER = """import logging
import azure.functions as func


def main(req: func.HttpRequest, mySecret: str) -> func.HttpResponse:
    logging.info(f"Secret value: {mySecret}")
    return func.HttpResponse(f"It has {len(mySecret)} characters.")
"""


@pytest.fixture
def app_folder(
    fake_key_vault: FakeKeyVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An app with this project's function_app.py, and the vault that the examples name."""
    fake_key_vault.vault("my-key-vault-name").set("my-application-secret", VALUE)
    fake_key_vault.vault("contoso").set("api-key", VALUE)
    (tmp_path / "function_app.py").write_text(FUNCTION_APP)
    (tmp_path / "functions").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return tmp_path


def write(app: Path, name: str, files: dict[str, str | bytes]) -> None:
    for file, content in files.items():
        path = app / "functions" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_the_published_declaration_and_handler(
    app_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write(app_folder, "read_secret", {"function.json": DECLARATION, "__init__.py": HANDLER})

    answer = call(worker.load_app()["read_secret"])

    assert answer.get_body() == f"It has {len(VALUE)} characters.".encode()
    assert "Secret value: ***" in caplog.text
    assert VALUE not in caplog.text


RETURNS = "\ndef main(req, mySecret):\n    return helper.tell(mySecret)\n"
SHARED = "def tell(text):\n    return f'told {len(text)}'\n"
SHAPES: dict[str, dict[str, str | bytes]] = {
    "byte_order_mark": {"function.json": codecs.BOM_UTF8 + DECLARATION.encode()},
    "comments_and_commas": {
        "function.json": DECLARATION.replace("  ]\n}", "  ], // the last\n  /* so */\n}").replace(
            '"system"}', '"system",},'
        )
    },
    "no_auth_level": {"function.json": DECLARATION.replace('"authLevel": "function",', "")},
    "type_in_any_case": {
        "function.json": DECLARATION.replace("httpTrigger", "HttpTrigger").replace(
            "keyVault", "KeyVault"
        )
    },
    "no_direction": {
        "function.json": DECLARATION.replace('"direction": "in",\n     "secret', '"secret')
    },
    "script_file": {
        "function.json": DECLARATION.replace("{\n", '{\n  "scriptFile": "main.py",\n', 1),
        "main.py": HANDLER,
        "other.py": "",
    },
    "script_below": {
        "function.json": DECLARATION.replace("{\n", '{\n  "scriptFile": "sub/main.py",\n', 1),
        "sub/main.py": HANDLER,
    },
    "script_of_a_neighbour": {
        "function.json": DECLARATION.replace(
            "{\n", '{\n  "scriptFile": "../script_file/main.py",\n', 1
        ),
    },
    "entry_point": {
        "function.json": DECLARATION.replace("{\n", '{\n  "entryPoint": "run_it",\n', 1),
        "__init__.py": HANDLER.replace("main", "run_it"),
    },
    "retry": {
        "function.json": DECLARATION.replace(
            "{\n",
            '{"retry": {"strategy": "fixedDelay", "maxRetryCount": 4,'
            ' "delayInterval": "00:00:10"},\n',
            1,
        )
    },
    "only_file": {"handler.py": HANDLER},
    "relative_import": {"__init__.py": f"from . import helper{RETURNS}", "helper.py": SHARED},
    "relative_below": {
        "__init__.py": f"from .sub import helper{RETURNS}",
        "sub/__init__.py": "",
        "sub/helper.py": SHARED,
    },
    "relative_above": {"__init__.py": f"from ..shared import helper{RETURNS}"},
    "by_package": {"__init__.py": f"from __app__.shared import helper{RETURNS}"},
    "by_name": {"__init__.py": f"from shared import helper{RETURNS}"},
    "asynchronous": {"__init__.py": HANDLER.replace("def main", "async def main")},
    "postponed": {"__init__.py": "from __future__ import annotations\n" + HANDLER},
    "bare": {"__init__.py": "def main(req, mySecret):\n    return 'bare'\n"},
    "with_context": {
        "__init__.py": HANDLER.replace("mySecret: str", "context: func.Context, mySecret: str")
    },
    "secret_first": {
        "__init__.py": HANDLER.replace(
            "req: func.HttpRequest, mySecret: str", "mySecret: str, req: func.HttpRequest"
        )
    },
    "out_parameter": {
        "__init__.py": "import azure.functions as func\n"
        "def main(req: func.HttpRequest, mySecret: str, res: func.Out[func.HttpResponse]):\n"
        "    res.set(func.HttpResponse('set'))\n"
    },
    "wrong_annotations": {
        "__init__.py": "def main(req: int, mySecret: bytes) -> 'NoSuchType':\n    return 'odd'\n"
    },
    "with-hyphens": {"__init__.py": HANDLER},
}


@pytest.fixture
def shapes(app_folder: Path) -> Path:
    """One app with all of them."""
    write(app_folder, "shared", {"helper.py": SHARED, "__init__.py": ""})
    for name, files in SHAPES.items():
        own = {"function.json": DECLARATION, **files}
        if not any(file.endswith(".py") for file in files) and name != "script_of_a_neighbour":
            own["__init__.py"] = HANDLER
        write(app_folder, name, own)
    return app_folder


def test_all_that_people_write_is_registered(
    shapes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    functions = worker.load_app()

    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert set(functions) == set(SHAPES)
    for name, function in functions.items():
        kinds = {binding["type"] for binding in map(json.loads, function.get_raw_bindings())}
        assert kinds == {"httpTrigger", "http"}, name
        trigger = function.get_trigger().get_dict_repr()
        assert str(trigger["authLevel"]).lower() == "function", name


@pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime: Python 3.13 on")
def test_all_that_people_write_runs_in_microsofts_runtime(shapes: Path) -> None:
    pytest.importorskip("azure_functions_runtime")
    runtime = Host()

    started = runtime.start(shapes)

    assert started.result.status == started.result.Success, started.result.exception
    functions = runtime.index()
    assert set(functions) == set(SHAPES)
    for name, function in functions.items():
        answer = runtime.call(function.function_id, "req")
        assert answer.result.status == answer.result.Success, (name, answer.result.exception)
        sent = answer.return_value or answer.output_data[0].data
        # The host makes a 200 of a text.
        assert "string" in vars(sent) or sent.http.status_code == "200", name
    runtime.close()


Others = list[dict[str, Any]]
# A trigger and further bindings beside the secret, and a handler for them.
TRIGGERS: dict[str, tuple[Others, str]] = {
    "timer": (
        [{"type": "timerTrigger", "name": "timer", "schedule": "0 */5 * * * *"}],
        "def main(timer: func.TimerRequest, mySecret: str) -> None:\n    return None\n",
    ),
    "queue": (
        [
            {"type": "queueTrigger", "name": "msg", "queueName": "in", "connection": "C"},
            {"type": "queue", "name": "$return", "direction": "out", "queueName": "out"},
        ],
        "def main(msg: func.QueueMessage, mySecret: str) -> str:\n    return 'x'\n",
    ),
    "queue_out": (
        [
            {"type": "queueTrigger", "name": "msg", "queueName": "in", "connection": "C"},
            {"type": "queue", "name": "outs", "direction": "out", "queueName": "out"},
        ],
        "import typing\ndef main(msg: func.QueueMessage, outs: func.Out[typing.List[str]], "
        "mySecret: str):\n    outs.set(['a'])\n",
    ),
    "blob": (
        [
            {"type": "blobTrigger", "name": "blob", "path": "in/{name}", "connection": "C"},
            {"type": "blob", "name": "copy", "direction": "out", "path": "out/{name}"},
        ],
        "def main(blob: func.InputStream, copy: func.Out[bytes], mySecret: str):\n    pass\n",
    ),
    "event_hub": (
        [
            {
                "type": "eventHubTrigger",
                "name": "events",
                "eventHubName": "hub",
                "cardinality": "many",
                "connection": "C",
                "dataType": "binary",
            }
        ],
        "import typing\ndef main(events: typing.List[func.EventHubEvent], mySecret):\n    pass\n",
    ),
    "service_bus": (
        [
            {
                "type": "serviceBusTrigger",
                "name": "msg",
                "topicName": "t",
                "subscriptionName": "s",
                "connection": "C",
            }
        ],
        "async def main(msg: func.ServiceBusMessage, mySecret: str) -> None:\n    pass\n",
    ),
    "cosmos": (
        [
            {
                "type": "cosmosDBTrigger",
                "name": "documents",
                "databaseName": "d",
                "containerName": "c",
                "connection": "C",
            }
        ],
        "def main(documents: func.DocumentList, mySecret: str):\n    pass\n",
    ),
    "http_with_table": (
        [
            {"type": "httpTrigger", "name": "req", "authLevel": "anonymous", "route": "a/{id}"},
            {"type": "table", "name": "row", "tableName": "t", "partitionKey": "{id}"},
            {"type": "http", "name": "$return", "direction": "out"},
        ],
        "def main(req: func.HttpRequest, row: str, mySecret: str):\n    pass\n",
    ),
    "unknown_to_the_library": (
        [{"type": "someNewTrigger", "name": "event", "setting": {"deep": [1, True]}}],
        "def main(event: str, mySecret: str):\n    pass\n",
    ),
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_any_trigger_keeps_every_property(
    app_folder: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    others, handler = TRIGGERS[name]
    text = json.dumps({"bindings": [*others, key_vault()]})
    files = {"function.json": text, "__init__.py": f"import azure.functions as func\n{handler}"}
    write(app_folder, name, files)

    function = worker.load_app()[name]

    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    shown = {one["name"]: one for one in map(json.loads, function.get_raw_bindings())}
    assert set(shown) == {one["name"] for one in others}
    for binding in others:
        for key, value in {"direction": "in", **binding}.items():
            got = shown[binding["name"]][key]
            if key in ("direction", "dataType", "authLevel"):
                got, value = got.lower(), value.lower()
            assert got == value, key


@pytest.mark.skipif(sys.version_info < (3, 13), reason="azure-functions-runtime: Python 3.13 on")
def test_any_trigger_is_indexed_by_microsofts_runtime(app_folder: Path) -> None:
    pytest.importorskip("azure_functions_runtime")
    for name, (others, handler) in TRIGGERS.items():
        text = json.dumps({"bindings": [*others, key_vault()]})
        source = f"import azure.functions as func\n{handler}"
        write(app_folder, name, {"function.json": text, "__init__.py": source})
    runtime = Host()

    started = runtime.start(app_folder)

    assert started.result.status == started.result.Success, started.result.exception
    assert set(runtime.index()) == set(TRIGGERS)
    runtime.close()


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no_identity": (key_vault(identity=None), "identity"),
    "other_identity": (key_vault(identity="System"), "identity"),
    "user_without_id": (key_vault(identity="user"), "identityId"),
    "id_is_none": (key_vault(identity="user", identityId="/subscriptions/x"), "identityId"),
    "id_with_system": (key_vault(identityId=folders.IDENTITY), "identityId"),
    "expression": (key_vault(secretName="{query.name}"), "secretName"),
    "unset_setting": (key_vault(vaultName="%NOT_SET%"), "NOT_SET"),
    "bad_vault": (key_vault(vaultName="a--b"), "vaultName"),
    "managed_hsm": (key_vault(vaultName="https://x.managedhsm.azure.net/"), "vaultName"),
    "elsewhere": (key_vault(vaultName="https://contoso.vault.azure.net.evil.com/"), "vaultName"),
    "plain_http": (key_vault(vaultName="http://contoso.vault.azure.net/"), "vaultName"),
    "user_info": (key_vault(vaultName="https://x@contoso.vault.azure.net/"), "vaultName"),
    "bad_secret": (key_vault(secretName="a_b"), "secretName"),
    "path_in_secret": (key_vault(secretName="../keys/k"), "secretName"),
    "no_secret": (key_vault(secretName=None), "secretName"),
    "number": (key_vault(secretName=7), "secretName"),
    "typing_error": (key_vault(vautlName="contoso"), "vautlName"),
    "out": (key_vault(direction="out"), "direction"),
    "no_parameter": (key_vault("other"), "other"),
}


def test_a_mistake_is_one_line_and_harms_no_neighbour(
    app_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(app_folder, "good", {"function.json": DECLARATION, "__init__.py": HANDLER})
    trigger = {"type": "httpTrigger", "name": "req", "direction": "in", "authLevel": "admin"}
    for name, (entry, _) in MISTAKES.items():
        text = json.dumps({"bindings": [trigger, entry]})
        write(app_folder, name, {"function.json": text, "__init__.py": HANDLER})
    write(app_folder, "no_json", {"function.json": "{", "__init__.py": HANDLER})
    timer = json.dumps({"bindings": [{"type": "timerTrigger", "name": "t"}, key_vault()]})
    write(app_folder, "message", {"function.json": timer, "__init__.py": HANDLER})
    write(app_folder, "exits", {"function.json": DECLARATION, "__init__.py": "raise SystemExit"})

    functions = worker.load_app()

    told = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    for name, (_, word) in MISTAKES.items():
        lines = [line for line in told if f"/{name}/function.json" in line]
        assert any(word in line for line in lines), (name, lines)
        assert all("\n" not in line for line in lines)
        assert call(functions[name]).status_code == 500
        assert str(functions[name].get_trigger().get_dict_repr()["authLevel"]).lower() == "admin"
    assert call(functions["good"]).status_code == 200
    assert call(functions["exits"]).status_code == 500
    assert "message" not in functions  # no message is taken and lost
    assert any("/no_json/" in line for line in told)
