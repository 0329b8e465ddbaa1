"""Each way in which one module or one name can be wrong: the other functions stay, the log names it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest
from apps import HTTP, RES, VALUE, Project, decorated, logged, secret
from folders import call, key_vault

BLUEPRINT = """
import azure.functions as func
from identity_bindings import key_vault_secret
blueprint = func.Blueprint()
"""


def blueprint(name: str) -> str:
    return BLUEPRINT + decorated(name, app="blueprint")


ISOLATED = """
with isolated("blueprints/{0}.py"):
    from blueprints.{0} import blueprint
    app.register_functions(blueprint)
"""
# A blueprint's source, and what the log says of it.
MODULES = {
    "missing": (
        "import a_package_that_is_missing\n",
        "No module named 'a_package_that_is_missing'",
    ),
    "syntax": ("def (\n", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    "raises": (f"raise ValueError('at the end: ' + {VALUE!r})\n", "ValueError: at the end: "),
    "no_blueprint": ("x = 1\n", "cannot import name 'blueprint'"),
    "not_a_blueprint": ("blueprint = 7\n", "AttributeError: "),
    "an_app": ("import azure.functions as func\nblueprint = func.FunctionApp()\n", "TypeError: "),
    "two_triggers": (
        blueprint("two").replace(
            "@blueprint", "@blueprint.queue_trigger('m', 'q', 'C')\n@blueprint", 1
        ),
        "ValueError: A trigger was already registered",
    ),
    "wrong_arguments": (blueprint("w").replace("secret_name", "secretName"), "TypeError: "),
    "after_a_function": (f"{blueprint('after')}\n1 / 0\n", "ZeroDivisionError: "),
}
ANOTHER = "function name: 'good': another"
SURROGATE = ": a text without lone surrogates"
RENAMED = "other._function._func.__name__ = other._function._name = 'b\\udcffd'\n"


def other(name: str, decorator: str = "") -> str:
    return f"@app.route('{name}')\n{decorator}\ndef other(req): return 'second'\n"


# Functions beside a good one, and what the log says of them.
NAMES = {
    "twice": (other("a").replace("other", "good"), ANOTHER),
    "case": (other("b").replace("other", "GOOD"), "function name: 'GOOD': another"),
    "by_decorator": (other("c", "@app.function_name('good')"), ANOTHER),
    "folder": (other("d").replace("other", "in_folder"), "function name: 'in_folder': another"),
    "surrogate": (
        other("e", "@app.function_name('b\\ud800d')"),
        f"function name: 'b\\ud800d'{SURROGATE}",
    ),
    "surrogate_secret": (decorated("other") + RENAMED, f"function name: 'b\\udcffd'{SURROGATE}"),
    "no_text": (other("f", "@app.function_name(7)"), f"function name: 7{SURROGATE}"),
    "no_parameter": (
        decorated("other2", decorators=f'@app.queue_output("my-out", "q", "C")\n{secret()}'),
        "name: 'my-out': the handler has no such parameter",
    ),
    "keyword": (
        decorated(
            "other3", decorators=f'@app.queue_output("class", "q", "C")\n{secret(identity="me")}'
        ),
        "api_key.identity: 'me'",
    ),
    "no_trigger": (
        "@app.function_name('none')\ndef none(req): return ''\n",
        "does not have a trigger",
    ),
}


@pytest.fixture
def project(project: Project) -> Iterator[Project]:
    project.function("in_folder", HTTP, RES, key_vault())
    yield project
    for name in [name for name in sys.modules if name.partition(".")[0] == "blueprints"]:
        del sys.modules[name]


def write(project: Project, sources: dict[str, str], *texts: str) -> None:
    for name, source in sources.items():
        project.write(f"blueprints/{name}.py", source)
    project.app(*map(ISOLATED.format, sources), *texts)


def test_what_fails_harms_no_other(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {name: source for name, (source, _) in MODULES.items()}
    sources = {"good": blueprint("good"), **wrong, "last": blueprint("last")}
    write(project, sources, *(source for source, _ in NAMES.values()))

    with project.served() as functions:
        lines = logged(caplog)
        assert functions.keys() == {"in_folder", "good", "last"}
        assert {get() for get in functions.values()} == {("200", VALUE)}
    for name, (_, word) in MODULES.items():
        (line,) = [one for one in lines if one.startswith(f"blueprints/{name}.py: import: ")]
        assert word in line
    for name, (_, word) in NAMES.items():
        assert any(word in one for one in lines), name
    assert sum(line.endswith(" not registered.") for line in lines) == len(NAMES)
    assert len(lines) == len(MODULES) + 2 * len(NAMES)  # one event, one line
    rows = importlib.import_module("identity_bindings.report").report.rows()
    failed = [row.function for row in rows if row.result == "cannot be imported"]
    assert failed == sorted(f"blueprints/{name}.py" for name in MODULES)


@pytest.mark.parametrize("name", ["twice", "case", "by_decorator"])
def test_of_functions_of_one_name_the_first_stays(
    project: Project, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    project.app(NAMES[name][0], decorated("good"))

    functions = project.load()

    kept = "GOOD" if name == "case" else "good"
    assert functions.keys() == {"in_folder", kept}
    assert call(functions[kept]) == "second"
    lines = logged(caplog)
    assert ANOTHER in lines[0]
    assert lines[1].endswith(" not registered.")


@pytest.mark.parametrize("place", ["blueprints/bad.py", "functions/bad/__init__.py"])
def test_an_interrupt_ends_the_start(project: Project, place: str) -> None:
    sources = {"bad": "raise KeyboardInterrupt\n"}
    if place.startswith("functions"):
        sources = {}
        project.function("bad", HTTP, RES, key_vault(), source="raise KeyboardInterrupt\n")
    write(project, sources)

    with pytest.raises(KeyboardInterrupt):
        project.load()
