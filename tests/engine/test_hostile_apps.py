"""Apps that do unusual things with handlers, logging and exceptions, in Microsoft's runtime.

Each answers as it would without the engine, and nothing that it writes shows the value.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from apps import VALUE, Project, needs_runtime

HEAD = """
import asyncio, contextlib, dataclasses, functools, io, logging, logging.config, os, sys, typing, warnings
import azure.functions as func
from identity_bindings import Secret, key_vault_secret

app = func.FunctionApp()
secret = functools.partial(
    key_vault_secret, secret_name="api-key", vault_name="contoso", identity="system"
)
log = logging.getLogger("app")
"""
OK = ("200", "15")
# Each app, and what its function `it` answers.
APPS: dict[str, tuple[str, tuple[str, str]]] = {
    # As a tracer does that is imported before the engine.
    "traced": (
        """
indexes = func.FunctionApp.get_functions

def traced(app):
    del func.FunctionApp.get_functions
    return indexes(app)

func.FunctionApp.get_functions = traced

@app.route("it")
@secret("key")
def it(req: func.HttpRequest, key: str) -> str:
    raise LookupError(key)
""",
        ("exception", "LookupError: ***"),
    ),
    "streams_of_the_app": (
        """
import csv, json, pprint, threading, traceback

class Tee:
    def __init__(self, stream):
        self.stream = stream
    def write(self, text):
        return self.stream.write(text)
    def flush(self):
        self.stream.flush()

sys.stdout = Tee(sys.stdout)
logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
threading.excepthook = lambda caught: print("died", caught.exc_value)

@app.route("it")
@secret("key")
def it(req: func.HttpRequest, key: str) -> str:
    json.dump({"key": key, "all": [key]}, sys.stdout)
    csv.writer(sys.stdout).writerow([key, 1])
    pprint.pprint({"key": key})
    logging.error("it is %s", key)
    try:
        raise ValueError(key)
    except ValueError:
        traceback.print_exc(file=sys.stdout)
        traceback.print_stack()
    def dies():
        raise LookupError(key)
    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    return str(len(key))
""",
        OK,
    ),
}


@pytest.fixture
def project(project: Project) -> Iterator[Project]:
    handlers = [*logging.getLogger().handlers]
    yield project
    logging.getLogger().handlers[:] = handlers
    logging.getLogger("app").handlers.clear()


@needs_runtime
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", APPS)
def test_an_unusual_app(
    project: Project,
    name: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, expected = APPS[name]
    project.write("function_app.py", HEAD + source)

    with project.host() as host:
        found = host.get("it")

    out, err = capfd.readouterr()
    assert (found, "errors: " + err[-3000:]) == (expected, "errors: " + err[-3000:])
    # An exception whose text shows no value is the same object: only its text leaves.
    fields = [{**vars(one), "exc_info": ""} for one in caplog.records]
    assert VALUE not in out + err + caplog.text + str(fields)
