"""An error in a function.json: one line of the log at load, and no other function suffers."""

from __future__ import annotations

import codecs
import importlib
import json
import logging
import sys
from collections.abc import Iterator
from keyword import iskeyword
from typing import Any

import azure.functions as func
import folders
import pytest
from apps import ECHO, HTTP, RES, VALUE, Project, logged
from folders import IDENTITY, call, key_vault
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from runtime import Protos
from support import worker

HELD = "what-a-setting-holds"
CLIENT_ID = "11111111-2222-3333-4444-555555555555"
LEFT_OUT = object()
DEEP = json.loads("[" * 200 + "]" * 200)
IN_ERROR = "This function is in error. Its log says why."


@pytest.fixture
def project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An app with a good function, and settings that hold what is wrong or right."""
    monkeypatch.setenv("HOLDS_BAD", HELD + "!")
    monkeypatch.setenv("HOLDS_VAULT", "https://contoso.vault.azure.net/")
    monkeypatch.setenv("HOLDS_NOTHING", "")
    project.function("good", HTTP, RES, key_vault())
    return project


Wrong = dict[str, tuple[str, str]]  # by function: how its first line begins, and a word of it


def judged(
    project: Project, caplog: pytest.LogCaptureFixture, wrong: Wrong
) -> tuple[dict[str, list[str]], set[str]]:
    """Load the app: what each function logs, and which ones answer 500 and log it again."""
    with project.served() as functions:
        lines = {name: logged(caplog, name) for name in wrong}
        assert VALUE not in caplog.text
        assert HELD not in caplog.text
        assert functions["good"]() == ("200", VALUE)
        for name, (head, word) in wrong.items():
            assert lines[name][0].startswith(f"functions/{name}/{head}"), (head, lines[name])
            assert word in lines[name][0]
            assert all(line.isprintable() and len(line) < 500 for line in lines[name])
            if name in functions:
                assert functions[name]() == ("500", IN_ERROR)
                again = [f"Function '{name}' is in error: {line}" for line in lines[name]]
                assert logged(caplog, name) == lines[name] + again
            else:
                last = lines[name].pop()
                assert last == f"functions/{name}/function.json: the function is not registered."
        return lines, {name for name in wrong if name in functions}


# Each property of a keyVault entry: the wrong values, and a word of what is allowed instead.
NOT_TEXT = (LEFT_OUT, None, "", 7, 0, True, [], ["contoso"], {"a": "b"}, 1.5, DEEP)
UNRESOLVED = ("{query.name}", "{a}", "}", "%UNSET%", "%HOLDS_NOTHING%", "a%UNSET%b", "%%")
NO_SECRETS = (
    *("a_b", "a b", "a.b", "a\nb", "ä", "a" * 128, "../keys/k", "a/b", "100%"),
    "https://contoso.vault.azure.net/secrets/api-key",
)
NO_VAULTS = (
    *("ab", "a" * 25, "a--b", "1abc", "-abc", "abc-", "a_b", "a.b", "contoso.vault.azure.net"),
    "//contoso.vault.azure.net",
    "http://contoso.vault.azure.net/",
    "ftp://contoso.vault.azure.net/",
    "https://",
    "https://10.0.0.1/",
    "https://[::1]/",
    "https://vault.azure.net/",
    "https://contoso.evil.example/",
    "https://contoso.managedhsm.azure.net/",
    "https://contoso.vault.azure.net.evil.example/",
    "https://contoso.vault.azure.net:8443/",
    "https://contoso.vault.azure.net//",
    "https://contoso.vault.azure.net/#a",
    "https://contoso.vault.azure.net?a=b",
    "https://contoso.vault.azure.net/secrets/api-key",
    "https://contoso.vault.azure.net/secrets/api-key/0123456789abcdef0123456789abcdef",
    "https://me@contoso.vault.azure.net/",
    "https://me:pw@contoso.vault.azure.net/",
    "https://b\u00fccher.vault.azure.net/",
    "https://xn--bcher-kva.vault.azure.net/",
    "https://contoso\u3002vault.azure.net/",
    "https://\u212aontoso.vault.azure.net/",  # Kelvin's sign is a k in lower case
    "http\u017f://contoso.vault.azure.net/",  # a long s is an s in any case
)
PROPERTIES: dict[str, tuple[tuple[Any, ...], str]] = {
    "name": ((*NOT_TEXT, "a b", "a-b", "1a", "class", "$return", "$", "a\nb"), "parameter"),
    "direction": ((None, "", "out", "inout", "OUT", 1, ["in"]), "'in'"),
    "dataType": (("", "binary", "stream", "text", 1, False), "'string'"),
    "identity": ((*NOT_TEXT, "System", "USER", "system ", "managed", CLIENT_ID), "'system', or"),
    "secretName": ((*NOT_TEXT, *UNRESOLVED, *NO_SECRETS, "%HOLDS_BAD%"), ""),
    "secretVersion": (
        (7, True, [], {}, *UNRESOLVED, "a-b", "a/b", "v" * 65, "latest!", "%HOLDS_BAD%"),
        "",
    ),
    "vaultName": ((*NOT_TEXT, *UNRESOLVED, *NO_VAULTS, "%HOLDS_BAD%"), ""),
    "jsonField": (("{query.field}", 7, ["a"], "a\nb", "x" * 128), ""),
}
HELD_BY = {"%UNSET%": "the app setting 'UNSET' is not set"}
BAD = HELD_BY["%HOLDS_BAD%"] = "what the app setting 'HOLDS_BAD' holds must be "
IDENTITY_IDS = (
    *(*NOT_TEXT, *UNRESOLVED, CLIENT_ID, "id-app", "%HOLDS_BAD%", IDENTITY + "/x"),
    IDENTITY.replace("userAssignedIdentities", "userAssignedIdentity"),
    IDENTITY.replace("/Microsoft.ManagedIdentity/userAssigned", "/Microsoft.Storage/storageAcc"),
    IDENTITY.removeprefix("/"),
    IDENTITY.replace("/s", "/\u017f", 1),  # a long s, which is an s in any case
    IDENTITY.replace("00000000-0000", "0000"),
)
UNKNOWN = {
    "vautlName": "did you mean 'vaultName'",
    "VaultName": "did you mean 'vaultName'",
    "secretname": "did you mean 'secretName'",
    "Identity": "did you mean 'identity'",
    **dict.fromkeys(("secretValue", "value", "a\nERROR b", ""), "allowed are"),
}


def entry(**properties: Any) -> dict[str, Any]:
    made = {**key_vault(), **properties}
    return {name: value for name, value in made.items() if value is not LEFT_OUT}


def of_a_secret() -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each wrong entry: the function.json, the property and value that are shown, and a word."""

    def row(prop: str, value: Any, word: str, **more: Any) -> tuple[dict[str, Any], str, str]:
        shown = repr(None if value is LEFT_OUT else value)
        if prop in UNKNOWN:
            shown = "'***'"  # it may be the secret itself
        owner = "keyVault" if prop == "name" else "mySecret"
        head = f"{owner}.{prop}: ".replace("\n", "\\n")
        head += f"{shown}: " if len(shown) <= 120 else shown[:7]
        return {"bindings": [HTTP, RES, entry(**more, **{prop: value})]}, head, word

    for prop, (values, word) in PROPERTIES.items():
        for value in values:
            yield row(prop, value, BAD if value == "%HOLDS_BAD%" else word)
    for value in IDENTITY_IDS:
        yield row("identityId", value, HELD_BY.get(str(value), ""), identity="user")
    for value in (IDENTITY, CLIENT_ID, "%UNSET%", 7):
        yield row("identityId", value, "identity 'user'")
    for prop, word in UNKNOWN.items():
        yield row(prop, VALUE, word)


QUEUE = {"type": "queueTrigger", "name": "msg", "queueName": "in", "connection": "C"}
OUT = {"type": "queue", "direction": "out", "name": "out", "queueName": "out"}
RETRY = {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:00:10"}
BACKOFF = {"strategy": "exponentialBackoff", "maxRetryCount": -1}


def of_a_function() -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each wrong function.json, with the property and value that are shown, and a word."""

    def beside(**changes: Any) -> dict[str, Any]:
        return {"bindings": [HTTP, OUT | changes]}

    for wrong in (LEFT_OUT, None, {"a": 1}, "x"):
        shown = None if wrong is LEFT_OUT else wrong
        content = {} if wrong is LEFT_OUT else {"bindings": wrong}
        yield content, f"bindings: {shown!r}", "a list of objects"
    yield {"bindings": [HTTP, 1]}, "bindings: [{", "a list of objects"
    for wrong, kinds in (([], []), ([RES, key_vault()], []), ([QUEUE, HTTP], [QUEUE, HTTP])):
        types = [one["type"] for one in kinds]
        yield {"bindings": wrong}, f"bindings: {types!r}", "exactly one trigger"
    for wrong in (None, 7, "", [], {}, "a b", "a\nb", "aä", "\ud800", "$"):
        yield beside(type=wrong), f"type: {wrong!r}", "type"
    for wrong in (None, 7, "", [], "a b", "a-b", "class", "$Return", "$"):
        yield beside(name=wrong), f"queue.name: {wrong!r}", ""
    for wrong in (None, 7, "", "inout", "into", []):
        yield beside(direction=wrong), f"queue.direction: {wrong!r}", "'in' or 'out'"
    returned = {"type": "queue", "name": "$return"}
    for more, shown in (({}, None), ({"direction": "IN"}, "IN")):
        content = {"bindings": [HTTP, returned | more]}
        yield content, f"queue.direction: {shown!r}", "'$return' must be 'out'"
    for prop, wrong, allowed in (
        ("authLevel", "none", "'function', 'anonymous' or 'admin'"),
        ("direction", "out", "trigger"),
        ("dataType", "text", ""),
        ("route", "Admin/x", "the host's own"),
    ):
        yield {"bindings": [HTTP | {prop: wrong}]}, f"httpTrigger.{prop}: {wrong!r}", allowed
    yield beside(name="req"), "name: 'req'", "differ"
    yield {"bindings": [HTTP, key_vault("req")]}, "name: 'req'", "differ"
    both = [HTTP, key_vault(), RES, OUT | {"name": "$return"}]
    yield {"bindings": both}, "name: '$return'", "one output"
    for wrong in ("true", "", 1, 0, [], "%SETTING%"):
        content = {"bindings": [HTTP], "disabled": wrong}
        yield content, f"disabled: {wrong!r}", "true or false"
    for wrong in (7, "", [], {}, False, {"strategy": "linear"}):
        yield {"bindings": [HTTP], "retry": wrong}, f"retry: {wrong!r}", "strategy"
    for prop, allowed, values in (
        ("maxRetryCount", "number of retries", (None, "", "many", -2, 1.5, True, [], 10**12)),
        ("delayInterval", "hh:mm:ss", (None, "", 10, "10", "00:10", "24:00:00", "1.00:00:00")),
    ):
        for wrong in values:
            content = {"bindings": [HTTP], "retry": RETRY | {prop: wrong}}
            yield content, f"retry.{prop}: {wrong!r}", allowed
    for one, missing in (("minimum", "maximum"), ("maximum", "minimum")):
        retry = BACKOFF | {f"{one}Interval": "00:01:00"}
        yield {"bindings": [HTTP], "retry": retry}, f"retry.{missing}Interval: None", "hh:mm:ss"
    for wrong in (*SCRIPTS, "a" * 300 + ".py", "\0.py", "\ud800.py", "../good", "/etc/passwd"):
        shown = f"scriptFile: {wrong!r}"[:60]
        yield {"bindings": [HTTP, key_vault()], "scriptFile": wrong}, shown, ""
    for wrong in ("run", "main.run", 7, ["main"], "__name__"):
        content = {"bindings": [HTTP, key_vault()], "entryPoint": wrong}
        yield content, f"entryPoint: {wrong!r}", "a function in __init__.py"


SCRIPTS = (7, ["a"], "missing.py", "function.json", ".", "..", "circle.py", "../../function_app.py")
DECLARED = {f"f{number}": row for number, row in enumerate((*of_a_secret(), *of_a_function()))}
# The host keeps routes below `admin` for itself, and a function's name is its route.
DECLARED["admins"] = ({"bindings": [HTTP]}, "httpTrigger.route: 'admins'", "the host's own")
DECLARED["odd"] = (  # what the library refuses
    {"bindings": [HTTP, {**RES, "self": 1}, key_vault()]},
    "bindings: 'odd': it cannot be registered: TypeError: ",
    "'self'",
)


def test_each_wrong_property(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {}
    for name, (content, head, word) in DECLARED.items():
        project.function(name, text=json.dumps(content))
        (project.folder / f"functions/{name}/circle.py").symlink_to("circle.py")
        wrong[name] = f"function.json: {head}", word

    lines, registered = judged(project, caplog, wrong)

    assert {len(found) for found in lines.values()} == {1}  # one error, one line
    no_trigger = ("a list of objects", "exactly one trigger")
    assert registered == {name for name, (*_, word) in DECLARED.items() if word not in no_trigger}


HANDLERS = {
    "no_parameter": ("def main(req): pass\n", "name: 'mySecret'", "add it"),
    "one_too_many": ("def main(req, mySecret, more): pass\n", "name: 'more'", "no binding"),
    "args": ("def main(req, mySecret, *args): pass\n", "name: 'args'", "by its own name"),
    "kwargs": ("def main(req, mySecret, **more): pass\n", "name: 'more'", "by its own name"),
    "starred_secret": ("def main(req, **mySecret): pass\n", "name: 'mySecret'", "by its own"),
    "no_main": ("", "entryPoint: 'main'", "a function in __init__.py"),
    "main_is_text": ("main = 'main'\n", "entryPoint: 'main'", "a function in __init__.py"),
    "built_in": ("main = print\n", "name: 'args'", "by its own name"),
}
IMPORTS = {
    "syntax": ("def main(:\n", "SyntaxError: "),
    "null_byte": ("a = '\0'\n", "S"),
    "encoding": (b"a = '\xff'\n", "SyntaxError: "),
    "missing": ("import a_package_that_is_not_there\n", "ModuleNotFoundError: No module named "),
    "raises": ("raise ValueError('one\\ntwo')\n", "ValueError: one two"),
    "exits": ("raise SystemExit(3)\n", "SystemExit: 3"),
    "cancelled": ("import asyncio\nraise asyncio.CancelledError\n", "CancelledError"),
    "recursion": ("def f(): f()\nf()\n", "RecursionError: "),
    "attribute": ("def __getattr__(name):\n    return {}[name]\n", "KeyError: "),
    "hostile": (
        "class B(BaseException):\n  def __str__(s): raise B()\nraise B()\n",
        "an exception without",
    ),
}


def test_each_wrong_handler(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {name: (f"function.json: {head}: ", word) for name, (_, head, word) in HANDLERS.items()}
    wrong |= {name: ("__init__.py: import: ", error) for name, (_, error) in IMPORTS.items()}
    for name, (source, *_) in (HANDLERS | IMPORTS).items():
        project.function(name, HTTP, RES, key_vault(), source=None)
        project.write(f"functions/{name}/__init__.py", source)

    lines, registered = judged(project, caplog, wrong)

    assert registered == {*wrong}
    for name, (_, error) in IMPORTS.items():
        (line,) = lines[name]  # an import that fails is one event
        assert line.split(": ", 2)[2][1:].startswith(error)
        assert "the module must load" in line
        assert ("the app's dependencies" in line) is (name == "missing")
    assert sum(one.exc_info is not None for one in caplog.records) == len(IMPORTS)
    rows = importlib.import_module("identity_bindings.report").report.rows()
    assert {row.function for row in rows if row.result == "cannot be imported"} == {*IMPORTS}


GOOD = json.dumps({"bindings": [HTTP, RES, key_vault()]})
BROKEN: dict[str, bytes | str] = {
    "empty": "",
    "cut": GOOD[:-4],
    "list": "[]",
    "two_commas": GOOD.replace("]}", ",,]}"),
    "open_string": GOOD.replace('"name"', '"name', 1),
    "open_comment": GOOD + "/* and so on",
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep_inside": GOOD.replace('"contoso"', "[" * 100_000 + "]" * 100_000),
    "huge_number": GOOD.replace('"contoso"', "9" * 10_000),
    "not_utf8": GOOD.encode().replace(b"contoso", b"\xff\xfe"),
    "utf16_without_mark": GOOD.encode("utf-16-le"),
    "utf32": GOOD.encode("utf-32"),
}


def test_each_broken_file(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    for name, content in BROKEN.items():
        project.function(name, text="{}")
        project.write(f"functions/{name}/function.json", content)
    (project.folder / "functions/directory/function.json").mkdir(parents=True)
    head = "function.json: file: 'function.json': "

    lines, registered = judged(
        project, caplog, dict.fromkeys([*BROKEN, "directory"], (head, "JSON"))
    )

    assert {len(found) for found in lines.values()} == {1}
    assert registered == set()


PLAIN = GOOD.replace('"function"', '"anonymous"')
READ: dict[str, bytes | str] = {
    "utf8_mark": codecs.BOM_UTF8 + PLAIN.encode(),
    "utf16_le": codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"),
    "utf16_be": codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    "comments": "// one\n" + PLAIN.replace("{", '{ /* " { */', 2).replace("]", "] // ]\r\n"),
    "long_comment": PLAIN.replace("{", "{ /* one\n * two, */", 1),
    "commas": PLAIN.replace("}", " , }").replace("]", ",\n]"),
    "comma_and_comment": PLAIN.replace("}", ", /* , */ // ,\n }"),
    "in_strings": PLAIN.replace('"req"', '"req", "route": "a//b/*c*/,}\\"//"'),
    "line_in_string": PLAIN.replace('"req"', '"req", "x": "a\n\tb"'),
    "backslashes": PLAIN.replace('"req"', '"req", "x": "\\\\", "y": "//"'),
    "nulls": PLAIN.replace('"req"', '"req", "dataType": null, "route": null').replace(
        '"mySecret"', '"mySecret", "secretVersion": null, "identityId": null, "dataType": null'
    )[:-1]
    + ', "disabled": null, "retry": null, "scriptFile": null, "entryPoint": null}',
    "empty_texts": PLAIN.replace('"mySecret"', '"mySecret", "secretVersion": "", "identityId": ""'),
    "any_case": PLAIN.replace("keyVault", "KEYVAULT").replace('"in"', '"IN"'),
    "setting": PLAIN.replace('"contoso"', '"%HOLDS_VAULT%"'),
    "address": PLAIN.replace('"contoso"', '"HTTPS://CONTOSO.vault.azure.net:443"'),
    "spaces": PLAIN.replace('"contoso"', '" contoso "'),
    "any_secret_case": PLAIN.replace("api-key", "API-Key"),
    "data_type": PLAIN.replace('"mySecret"', '"mySecret", "dataType": "String"'),
    "data_type_text": PLAIN.replace('"req"', '"req", "dataType": "String"'),
    "data_type_stream": PLAIN.replace('"req"', '"req", "dataType": "stream"'),
}


def test_every_file_that_the_host_accepts_is_accepted(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    for name, content in READ.items():
        project.write(f"functions/{name}/function.json", content)
        project.write(f"functions/{name}/__init__.py", ECHO)

    functions = project.load()

    assert logged(caplog) == []
    for name in READ:
        assert call(functions[name]) == VALUE, name
    routes = {name: worker.bindings(functions[name])["req"]["route"] for name in READ}
    assert routes["in_strings"] == 'a//b/*c*/,}"//'


def test_all_errors_are_logged_at_once(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    wrong = entry(secretName="a_b", vaultName="ab", identity="me", direction="out", more=1)
    project.function("bad", {**HTTP, "dataType": 1}, {**OUT, "direction": "up"}, wrong, disabled=1)

    project.load()

    properties = [line.split(": ")[1] for line in logged(caplog, "bad")]
    assert sorted(properties) == [
        "disabled",
        "httpTrigger.dataType",
        "mySecret.direction",
        "mySecret.identity",
        "mySecret.more",
        "mySecret.secretName",
        "mySecret.vaultName",
        "queue.direction",
    ]


LEVELS: list[tuple[dict[str, Any], str]] = [
    ({}, "function"),
    ({"authLevel": None}, "function"),
    ({"authLevel": "Anonymous"}, "anonymous"),
    ({"authLevel": "function"}, "function"),
    ({"authLevel": "ADMIN"}, "admin"),
    # These are errors of their own: never more open than what was meant.
    *(({"authLevel": wrong}, "function") for wrong in ("none", "anonymous ", ["anonymous"], 0)),
    ({"authLevel": "%LEVEL%"}, "function"),
    ({"authlevel": "anonymous"}, "function"),
    ({"auth_level": "anonymous"}, "function"),
]


def test_a_function_in_error_keeps_its_access_its_methods_and_its_route(project: Project) -> None:
    for number, (declared, _) in enumerate(LEVELS):
        trigger = {"type": "httpTrigger", "name": "req", **declared}
        project.function(f"f{number}", trigger, RES, entry(identity="me"))
    trigger = {**HTTP, "name": "request", "methods": ["put"], "route": "a/{id}"}
    project.function("bad", RES, trigger, entry(identity="me"))
    project.function("odd", {**HTTP, "methods": "put", "route": 7}, entry(identity="me"))
    trial = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    importlib.import_module("identity_bindings").register_functions(
        trial, project.folder / "functions"
    )

    functions = worker.index(trial)

    for number, (declared, level) in enumerate(LEVELS):
        function = functions[f"f{number}"]
        assert worker.bindings(function)["req"]["authLevel"].lower() == level, declared
        assert call(function).status_code == 500
    sent = worker.bindings(functions["bad"])["req"]
    assert (sent["methods"], sent["route"]) == (["put"], "a/{id}")
    assert "methods" not in worker.bindings(functions["odd"])["req"]
    assert worker.bindings(functions["odd"])["req"]["route"] == "odd"


@pytest.mark.parametrize("secrets", [["mySecret"], ["mySecret", "again"]])
def test_a_binding_named_context_is_no_context(project: Project, secrets: list[str]) -> None:
    queue = {"type": "queueTrigger", "name": "context", "queueName": "in", "connection": "C"}
    source = f"def main(context, {', '.join(secrets)}):\n    return context, str(mySecret)\n"
    project.function("odd", queue, *map(key_vault, secrets), source=source)

    handler = project.load()["odd"].get_user_function()

    assert handler(context="a message") == ("a message", VALUE)


def test_disabled_is_not_registered(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.function("off", HTTP, RES, key_vault(), disabled=True)
    project.function("off_and_bad", HTTP, RES, entry(identity="me"), disabled=True)
    project.function("off_and_unloadable", HTTP, RES, source="raise ValueError", disabled=True)

    functions = project.load()

    assert set(functions) == {"good"}
    for name in ("off", "off_and_bad", "off_and_unloadable"):
        assert any("is disabled" in line for line in logged(caplog, name, logging.WARNING))
    assert [line.split(": ")[1] for line in logged(caplog)] == ["mySecret.identity"]


def test_a_folder_no_function_can_be_named_like(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("1st", "host", "a.b", "a b", "_a", "ä", "a" * 129)
    for name in (*names, "HOST2"):
        project.function(name, HTTP, RES, key_vault())

    wrong = {name: (f"function.json: folder: {name!r}"[:60], "") for name in names}

    assert judged(project, caplog, wrong)[1] == set()
    assert logged(caplog, "HOST2") == []


def test_a_folder_that_is_not_there(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    assert folders.load_folder(project.folder / "function") == {}
    assert logged(caplog) == [
        f"{project.folder / 'function'}: there is no such folder, so it declares no function."
    ]


# Any JSON, made of words that mean something here more often than not.
VOCABULARY = (
    "name type direction secretName vaultName identity identityId retry dataType authLevel methods"
    " route connection strategy fixedDelay self kwargs fb Type init_params get_dict_repr arg_name"
    " req res mySecret $return context in out httpTrigger http queueTrigger someTrigger keyVault"
    " activityTrigger system user %UNSET% %HOLDS_VAULT% {x} binary"
)
WORDS = st.sampled_from([*VOCABULARY.split(), "", "a\nb", "\ud800"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
BINDING = st.builds(
    lambda whole, more: {**whole, **more},
    st.sampled_from([{}, HTTP, RES, key_vault()]),
    st.dictionaries(WORDS, ANY, max_size=4),
)
TOP = {name: ANY for name in ("retry", "disabled", "scriptFile", "entryPoint")}
CONTENT = ANY | st.fixed_dictionaries({"bindings": st.lists(BINDING, max_size=4)}, optional=TOP)
SIGNS = st.sampled_from([*'",{}[]:\\\n\0', "//", "/*", "*/"])
BROKEN_TEXT = st.builds(
    lambda at, length, new: (GOOD[:at] + new + GOOD[at + length :]).encode("utf-8", "replace"),
    st.integers(0, len(GOOD)),
    st.integers(0, 9),
    SIGNS | st.text(max_size=3),
)


@settings(
    max_examples=240,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(content=CONTENT | st.binary(max_size=60) | BROKEN_TEXT)
@example(content={"bindings": [HTTP, {**RES, "self": 1}]})
@example(content={"bindings": [{**HTTP, "type": "\ud800Trigger"}]})
def test_any_file_leaves_the_neighbours_alone(project: Project, content: Any) -> None:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    bindings = content.get("bindings") if isinstance(content, dict) else None
    entries = bindings if isinstance(bindings, list) else [key_vault()]
    named = {str(one.get("name")) for one in entries if isinstance(one, dict)}
    names = [name for name in named if name.isidentifier() and not iskeyword(name)]
    project.function("bad", source=f"def main({', '.join(names)}): pass\n")  # loading goes on
    project.write("functions/bad/function.json", text)
    sys.modules.pop("__app__.bad", None)
    importlib.invalidate_caches()

    functions = folders.load_folder(project.folder / "functions")

    assert call(functions["good"]) == VALUE
    if sys.version_info >= (3, 13):
        _microsofts_registry_accepts(functions)


def _microsofts_registry_accepts(functions: dict[str, Any]) -> None:
    index: Any = importlib.import_module("azure_functions_runtime.functions")
    importlib.import_module("azure_functions_runtime.bindings.meta").load_binding_registry()
    for function in functions.values():
        index.Registry().add_indexed_function(function, Protos())
        for sent in function.get_raw_bindings():
            assert json.loads(sent)["type"].lower() != "keyvault"
            sent.encode()
