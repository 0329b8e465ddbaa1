"""What people publish for Azure Functions runs unchanged, in Microsoft's own runtime too."""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta
from importlib.machinery import PathFinder
from itertools import product
from typing import Any

import pytest
from apps import HTTP, RES, VALUE, Project, body, logged, needs_runtime
from folders import call, key_vault
from runtime import http_request
from support import worker
from support.fake_key_vault import FakeKeyVault

OTHER_VALUE = "another-value-of-it"
# The declaration as it is published for Azure Functions, and a handler.
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
SHARED = "def measure(text):\n    return f'{len(text)} characters'\n"
BESIDE = {"helper.py": SHARED, "deep/er/helper.py": SHARED}
MEASURED = f"{len(VALUE)} characters"
USES_HELPER = "\ndef main(req, mySecret):\n    return helper.measure(mySecret)\n"
PLAIN = "def main(req, mySecret):\n    return '%d characters' % len(mySecret)\n"
Files = dict[str, str]


@pytest.fixture
def project(project: Project, fake_key_vault: FakeKeyVault) -> Project:
    fake_key_vault.vault("contoso").set("other-key", OTHER_VALUE)
    for file in ("__init__.py", "sub/__init__.py", "sub/helper.py", "helper.py"):
        project.write(f"functions/shared/{file}", SHARED if "helper" in file else "")
    return project


def test_the_published_declaration_and_handler(
    project: Project, fake_key_vault: FakeKeyVault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake_key_vault.vault("my-key-vault-name").set("my-application-secret", VALUE)
    project.function("read_secret", text=DECLARATION, source=HANDLER)

    answer = call(project.load()["read_secret"])

    assert body(answer) == f"It has {len(VALUE)} characters."
    assert "Secret value: ***" in caplog.text
    assert VALUE not in caplog.text


# How a handler's module imports a helper, which is beside it and in ../shared.
IMPORTS = {
    "own_helper": "from . import helper",
    "own_name": "from . import helper\nfrom .helper import measure",
    "below": "from .deep.er import helper",  # without __init__.py
    "beside": "from ..shared import helper",
    "beside_below": "from ..shared.sub import helper",
    "from_package": "from __app__.shared import helper",
    "package": "import __app__.shared.helper as helper",
    "by_name": "from shared import helper",
    "by_whole_name": "import shared.helper\nfrom shared import helper",
    "own_package": "from __app__.own_package import helper",
    "of_a_neighbour": "from ..own_helper import helper",
    "named_as_in_azure": "from . import helper\nassert __name__ == '__app__.named_as_in_azure'",
}
SCRIPTS: dict[str, tuple[dict[str, Any], Files]] = {
    "main_file": ({"scriptFile": "main.py"}, {"main.py": PLAIN, "other.py": "raise ValueError"}),
    "dot_main": ({"scriptFile": "./main.py"}, {"main.py": PLAIN, "__init__.py": ""}),
    "sub_main": (
        {"scriptFile": "sub/main.py"},
        {"sub/main.py": f"from . import helper{USES_HELPER}", "sub/helper.py": SHARED},
    ),
    "back_slash": (
        {"scriptFile": "sub\\main.py"},
        {"sub/main.py": f"from .. import helper{USES_HELPER}", "helper.py": SHARED},
    ),
    "shared_script": ({"scriptFile": "../shared/x.py"}, {"../shared/x.py": PLAIN}),
    "init_named": ({"scriptFile": "__init__.py"}, {"__init__.py": PLAIN}),
    "entry_in_file": (
        {"scriptFile": "main.py", "entryPoint": "run_it"},
        {"main.py": PLAIN.replace("main", "run_it")},
    ),
    "empty_entry": ({"entryPoint": "", "scriptFile": ""}, {"__init__.py": PLAIN}),
    "run_file": ({}, {"run.py": PLAIN, "__init__.py": ""}),
    "only_file": ({}, {"handler.py": PLAIN}),
    "init_of_many": ({}, {"__init__.py": PLAIN, "helper.py": "raise ValueError", "a.txt": ""}),
    "old_properties": (
        {
            "configurationSource": "attributes",
            "generatedBy": "x",
            "$schema": "y",
            "disabled": False,
        },
        {"__init__.py": PLAIN},
    ),
    "while_called": (
        {},
        {
            "__init__.py": "def main(req, mySecret):\n    from . import helper\n"
            "    return helper.measure(mySecret)\n",
            "helper.py": SHARED,
        },
    ),
}
FUNC = "import functools, json, typing\nimport azure.functions as func\n"
LATER = f"from __future__ import annotations\n{FUNC}"
CHECKED = "import typing\nif typing.TYPE_CHECKING:\n    import azure.functions as func\n"
CHECKED_LATER = f"from __future__ import annotations\n{CHECKED}"
TEXT = "    return '%d characters' % len(mySecret)\n"
RESPONSE = "    return func.HttpResponse('%d characters' % len(mySecret))\n"
SETS = RESPONSE.replace("return ", "res.set(").replace("\n", ")\n")
TYPED = "def main(req: func.HttpRequest, mySecret: str) -> func.HttpResponse:\n"
QUOTED = "def main(req: 'func.HttpRequest', mySecret: 'str') -> 'func.HttpResponse':\n"
HANDLERS: dict[str, str] = {
    "typed": FUNC + TYPED + RESPONSE,
    "typed_later": LATER + TYPED + RESPONSE,
    "typed_in_quotes": FUNC + QUOTED + RESPONSE,
    "for_checkers_only": CHECKED_LATER + TYPED + TEXT,
    "quotes_for_checkers": CHECKED + QUOTED.replace("func.HttpResponse", "Nope") + TEXT,
    "returns_text": f"{FUNC}def main(req: func.HttpRequest, mySecret: str) -> str:\n{TEXT}",
    "wrong": f"def main(req: int, mySecret: bytes) -> dict:\n{TEXT}",
    "values_as_types": f"def main(req: 7, mySecret: [str]) -> {{'a': 1}}:\n{TEXT}",
    "defaults": f"{FUNC}def main(req: func.HttpRequest = None, mySecret: str = 'unset'):\n{TEXT}",
    "keywords_only": f"{FUNC}def main(*, mySecret: str, req: func.HttpRequest):\n{TEXT}",
    "secret_first": f"{FUNC}def main(mySecret: str, req: func.HttpRequest):\n{TEXT}",
    "res_parameter": f"{FUNC}def main(req, res: func.Out[func.HttpResponse], mySecret):\n{SETS}",
    "res_of_text": f"{FUNC}def main(req, res: func.Out[str], mySecret: str) -> None:\n"
    "    res.set('%d characters' % len(mySecret))\n",
    "res_without_type": f"{FUNC}def main(req, res, mySecret):\n{SETS}",
    "res_typed_wrongly": f"{FUNC}def main(req, res: func.HttpResponse, mySecret):\n{SETS}",
    "asynchronous": "async " + PLAIN,
    "decorated": f"{FUNC}def deco(f):\n    @functools.wraps(f)\n"
    f"    def call(*a, **k):\n        return f(*a, **k)\n    return call\n@deco\n{PLAIN}",
    "partial": f"{FUNC}def run(a, req, mySecret):\n{TEXT}main = functools.partial(run, '')\n",
    "async_partial": f"{FUNC}async def run(a, req, mySecret):\n{TEXT}"
    "main = functools.partial(run, '')\n",
    "instance": f"class Main:\n    def __call__(self, req, mySecret):\n    {TEXT}main = Main()\n",
    "async_instance": "class Main:\n    async def __call__(self, req, mySecret):\n"
    f"    {TEXT}main = Main()\n",
    "method": f"class Main:\n    def run(self, req, mySecret):\n    {TEXT}main = Main().run\n",
    "class_method": "class Main:\n    @classmethod\n    def run(cls, req, mySecret):\n"
    f"    {TEXT}main = Main.run\n",
    "positional": f"def main(req, mySecret, /):\n{TEXT}",
    "positional_async": f"async def main(mySecret, req, /):\n{TEXT}",
    "partial_named": f"{FUNC}def run(a, req, mySecret):\n{TEXT}main = functools.partial(run, a='')\n",
    "partial_object": f"{FUNC}class Main:\n    def __call__(self, req, mySecret):\n"
    f"    {TEXT}main = functools.partial(Main())\n",
    "async_partial_object": f"{FUNC}class Main:\n    async def __call__(self, req, mySecret):\n"
    f"    {TEXT}main = functools.partial(Main())\n",
    "lambda_": "main = lambda req, mySecret: '%d characters' % len(mySecret)\n",
    "cached": f"{FUNC}@functools.cache\n{PLAIN}",
    "wrapping_instance": f"{FUNC}class deco:\n    def __init__(self, f):\n"
    "        functools.update_wrapper(self, f)\n        self.f = f\n"
    f"    def __call__(self, *a, **k):\n        return self.f(*a, **k)\n@deco\n{PLAIN}",
}
# The same handler, with the decorator.
DECORATED = """
from __app__.{0} import main
secret = key_vault_secret("mySecret", secret_name="api-key", vault_name="contoso", identity="system")
app.function_name("decorated_{0}")(app.route("decorated_{0}")(secret(main)))
"""
# Named like modules of the standard library, of packages, or of the app itself.
NAMED_LIKE = ("secrets", "requests", "json", "logging", "typing", "azure", "identity_bindings")
NAMED_LIKE_TOO = ("function_app", "tests", "site", "functions", "certifi", "msal", "with-hyphens")


def test_every_shape_answers(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    names = write_all(project)

    with project.served() as functions:
        assert logged(caplog) == []
        assert set(functions) == set(names)
        for name in names:
            assert functions[name]() == ("200", MEASURED), name
    for name in ("secrets", "requests", "json", "typing", "certifi"):  # imported from now on
        found = PathFinder.find_spec(name, sys.path)
        assert found is not None
        places = [str(found.origin), *(found.submodule_search_locations or ())]
        assert not any(place.startswith(str(project.folder)) for place in places), name


def write_all(project: Project) -> list[str]:
    written: dict[str, tuple[dict[str, Any], Files]] = {
        **{
            name: ({}, BESIDE | {"__init__.py": text + USES_HELPER})
            for name, text in IMPORTS.items()
        },
        **SCRIPTS,
        **{name: ({}, {"__init__.py": source}) for name, source in HANDLERS.items()},
        **{name: ({}, {"__init__.py": PLAIN}) for name in (*NAMED_LIKE, *NAMED_LIKE_TOO)},
    }
    for name, (top, files) in written.items():
        project.function(name, HTTP, RES, key_vault(), source=None, **top)
        for file, content in files.items():
            project.write(f"functions/{name}/{file}", content)
    decorated = [name for name in HANDLERS if not name.startswith("res_")]
    project.app(*(DECORATED.format(name) for name in decorated))
    return [*written, *(f"decorated_{name}" for name in decorated)]


@needs_runtime
def test_no_handler_without_a_secret_takes_the_app_down(project: Project) -> None:
    # A second request in place of the secret: a binding of the platform's own.
    table = {"type": "table", "name": "mySecret", "tableName": "t"}
    for name, source in HANDLERS.items():
        project.function(name, HTTP, RES, table, source=source)

    with project.host() as host:
        assert set(host.index()) == set(HANDLERS)
        for name in HANDLERS:
            answer = host.invoke(name, req=http_request(), mySecret={"string": VALUE})
            assert answer.result.status == 1, (name, answer.result)


CONTEXT = """
import azure.functions as func

{kind} main(req, context{hint}, mySecret):
    kept = [context.function_name, context.function_directory, context.invocation_id]
    return '|'.join(kept + [str(context.retry_context.retry_count)])
"""


@needs_runtime
def test_the_context_is_that_of_the_function(project: Project) -> None:
    hints = ("", ": func.Context", ": 'func.Context'", ": int")
    kinds = enumerate(product(("def", "async def"), hints))
    for number, (kind, hint) in kinds:
        source = CONTEXT.format(kind=kind, hint=hint)
        script = f"../shared/x{number}.py"
        project.write(f"functions/shared/x{number}.py", source)
        project.function(f"own{number}", HTTP, RES, key_vault(), source=source)
        project.function(f"far{number}", HTTP, RES, key_vault(), source=None, scriptFile=script)
    project.function("without", HTTP, RES, source=source.replace(", mySecret", ""))
    project.app(*(DECORATED.format(f"own{number}") for number in range(8)))

    with project.host() as host:
        assert len(host.index()) == 25
        for name in host.index():
            directory = project.folder / "functions" / name.removeprefix("decorated_")
            assert host.get(name) == ("200", f"{name}|{directory}|a0b1|0")


@needs_runtime
def test_one_handler_serves_different_triggers_and_secrets(project: Project) -> None:
    shared = (
        "import azure.functions as func\n"
        "def main(req: func.HttpRequest, out: func.Out[str], mySecret: str) -> str:\n"
        "    out.set(type(req).__name__)\n    return '%d characters' % len(mySecret)\n"
    )
    project.write("functions/shared/x.py", shared)
    out = {"type": "queue", "direction": "out", "name": "out", "queueName": "q"}
    result = {"type": "queue", "direction": "out", "name": "$return", "queueName": "r"}
    queue = {"type": "queueTrigger", "name": "req", "queueName": "in"}
    script = {"source": None, "scriptFile": "../shared/x.py"}
    project.function("by_queue", queue, result, out, key_vault(), **script)
    project.function("by_http", HTTP, RES, out, key_vault(), **script)
    project.function("other", HTTP, RES, out, key_vault(secretName="other-key"), **script)
    project.function("without", HTTP, RES, out, key_vault("more"), **script)

    with project.host() as host:
        assert host.get("by_http") == ("200", MEASURED)
        assert host.get("other") == ("200", f"{len(OTHER_VALUE)} characters")
        answer = host.invoke("by_queue", req={"string": "x"})
        assert answer.return_value.string == MEASURED
        assert answer.output_data[0].data.string == "QueueMessage"
        assert host.get("without")[0] == "500"  # it lacks the parameter `more`


Sent = dict[str, dict[str, Any]]
# Bindings beside the secret, one of them with a name that the worker knows; the handler; what the
# host sends; what is returned and set.
TRIGGERS: dict[str, tuple[list[Any], str, Sent, Any]] = {
    "timer": (
        [{"type": "timerTrigger", "name": "timer", "schedule": "0 */5 * * * *"}],
        "def main(timer: func.TimerRequest, mySecret: str) -> None:\n"
        "    assert timer.past_due and timer.schedule_status is not None\n",
        {"timer": {"json": '{"IsPastDue": true, "ScheduleStatus": {}, "Schedule": {}}'}},
        {},
    ),
    "queue": (
        [
            {"type": "queueTrigger", "name": "msg", "queueName": "in", "connection": "C"},
            {"type": "queue", "name": "$return", "direction": "out", "queueName": "out"},
        ],
        "def main(msg: func.QueueMessage, mySecret: str) -> str:\n"
        "    return msg.get_body().decode() + str(len(mySecret))\n",
        {"msg": {"string": "x"}},
        {"$return": {"string": f"x{len(VALUE)}"}},
    ),
    "queue_outputs": (
        [
            {"type": "queueTrigger", "name": "msg", "queueName": "in"},
            {"type": "queue", "name": "texts", "direction": "out", "queueName": "a"},
            {"type": "queue", "name": "messages", "direction": "out", "queueName": "b"},
            {"type": "queue", "name": "never", "direction": "out", "queueName": "c"},
        ],
        "def main(msg: func.QueueMessage, mySecret: str, texts: func.Out[typing.List[str]],\n"
        "         messages, never: func.Out[str]) -> None:\n"
        "    texts.set(['a', 'b'])\n    messages.set([func.QueueMessage(body=b'c')])\n",
        {"msg": {"string": "x"}},
        {"texts": {"json": '["a", "b"]'}, "messages": None},
    ),
    "blob": (
        [
            {"type": "blobTrigger", "name": "blob", "path": "in/{name}", "dataType": "binary"},
            {"type": "blob", "name": "before", "path": "old/{name}"},
            {"type": "blob", "name": "copy", "direction": "out", "path": "out/{name}"},
        ],
        "def main(blob: func.InputStream, before: str, copy: func.Out[bytes], mySecret: str):\n"
        "    copy.set(blob.read() + before.encode())\n",
        {"blob": {"bytes": b"new "}, "before": {"string": "old"}},
        {"copy": {"bytes": b"new old"}},
    ),
    "service_bus": (
        [
            {"type": "serviceBusTrigger", "name": "msg", "queueName": "in", "connection": "C"},
            {"type": "serviceBus", "name": "out", "direction": "out", "topicName": "out"},
        ],
        "async def main(msg: func.ServiceBusMessage, out: func.Out[str], mySecret: str) -> None:\n"
        "    out.set(msg.get_body().decode())\n",
        {"msg": {"string": "x"}},
        {"out": {"string": "x"}},
    ),
    "event_hub_many": (
        [
            {
                **{"type": "eventHubTrigger", "name": "events", "eventHubName": "h"},
                **{"cardinality": "many", "dataType": "binary"},
            },
            {"type": "eventHub", "name": "$return", "direction": "out", "eventHubName": "o"},
        ],
        "def main(events: typing.List[func.EventHubEvent], mySecret: str) -> str:\n"
        "    return str(len(events))\n",
        {"events": {"json": '["a", "b", "c"]'}},
        {"$return": {"string": "3"}},
    ),
    "new_to_the_library": (
        [
            {"type": "someNewTrigger", "name": "context", "deep": {"a": [1, True]}},
            {"type": "someNew", "name": "extra"},
            {"type": "someNew", "name": "$return", "direction": "out"},
        ],
        "def main(context: str, extra: bytes, mySecret: str) -> str:\n"
        "    return context + extra.decode()\n",
        {"context": {"string": "x"}, "extra": {"bytes": b"y"}},
        {"$return": {"string": "xy"}},
    ),
    "http_and_more": (
        [
            {**HTTP, "type": "HTTPTRIGGER", "route": "a/{id}"},
            {"type": "HTTP", "direction": "OUT", "name": "$return"},
            {"type": "table", "name": "row", "tableName": "t", "partitionKey": "{id}"},
            {"type": "queue", "name": "out", "direction": "out", "queueName": "q"},
        ],
        "def main(req: func.HttpRequest, row: str, out: func.Out[str], mySecret: str) -> str:\n"
        "    out.set(row)\n    return row\n",
        {
            "req": http_request(),
            "row": {"json": '{"a": 1}'},
        },
        {"$return": None, "out": None},
    ),
}


METADATA = {
    "service_bus": {"UserProperties": "{}"},
    "event_hub_many": {"SystemPropertiesArray": "[{}, {}, {}]"},
}


def write_triggers(project: Project) -> None:
    for name, (bindings, source, *_) in TRIGGERS.items():
        project.function(name, *bindings, key_vault(), source=FUNC + source)


def test_every_property_reaches_the_host(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    write_triggers(project)

    functions = project.load()

    assert logged(caplog, level=0) == []
    assert set(functions) == set(TRIGGERS)
    known = {"HTTPTRIGGER": "httpTrigger", "HTTP": "http"}  # the worker minds case
    for name, (bindings, *_) in TRIGGERS.items():
        sent = worker.bindings(functions[name])
        assert set(sent) == {binding["name"] for binding in bindings}
        for binding in bindings:
            got = sent[binding["name"]]
            for prop, value in {"direction": "in", **binding}.items():
                if prop in ("direction", "dataType"):
                    assert got[prop] == value.upper()  # as the library spells it
                elif prop == "authLevel":
                    assert got[prop].lower() == value.lower()
                else:
                    value = known.get(value, value) if prop == "type" else value
                    assert got[prop] == value, (name, prop)
            assert set(got) - set(binding) <= {"direction", "authLevel", "route"}


@needs_runtime
def test_every_trigger_is_served_in_microsofts_runtime(project: Project) -> None:
    write_triggers(project)

    with project.host() as host:
        assert set(host.index()) == set(TRIGGERS)
        for name, (_, _, inputs, expected) in TRIGGERS.items():
            answer = host.invoke(name, METADATA.get(name), **inputs)
            assert answer.result.status == 1, (name, answer.result)
            outputs = {one.name: vars(one.data) for one in answer.output_data}
            if answer.return_value is not None:
                outputs["$return"] = vars(answer.return_value)
            assert set(outputs) == set(expected), name
            for output, value in expected.items():
                assert value is None or meaning(outputs[output]) == meaning(value), (name, output)


def meaning(data: dict[str, str | bytes]) -> dict[str, Any]:
    """What is handed to the host: releases of the library write JSON with and without blanks."""
    return {kind: json.loads(one) if kind == "json" else one for kind, one in data.items()}


# Retries as they are declared, and what the host is sent of them.
FIXED = {"strategy": "FixedDelay", "maxRetryCount": "-1", "delayInterval": "1:2:3"}
GROWING = {
    **{"strategy": "exponentialBackoff", "maxRetryCount": 5},
    **{"minimumInterval": "00:00:10", "maximumInterval": "00:15:00"},
}
RETRIES: dict[str, tuple[Any, Any]] = {
    "fixed": (FIXED, (-1, "fixed_delay", timedelta(seconds=3723))),
    "growing": (GROWING, (5, "exponential_backoff", timedelta(seconds=10), timedelta(minutes=15))),
    "none": (None, None),
}


@needs_runtime
def test_retries_reach_the_host(project: Project) -> None:
    timer, source = {"type": "timerTrigger", "name": "t"}, "def main(t, mySecret): pass\n"
    for name, (retry, _) in RETRIES.items():
        top = {"retry": retry} if retry else {}
        project.function(name, timer, key_vault(), source=source, **top)

    with project.host() as host:
        sent = {name: one.retry_options for name, one in host.index().items()}

    fields = "max_retry_count retry_strategy delay_interval minimum_interval maximum_interval"
    for name, (_, expected) in RETRIES.items():
        got = sent[name] and vars(sent[name])
        assert (got and tuple(got.pop(one) for one in fields.split() if one in got)) == expected
        assert not got
