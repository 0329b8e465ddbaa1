"""Each way in which one module or one name can be wrong: the other functions stay, the log names it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest
from apps import FUNCTION_APP, HTTP, RES, VALUE, Project, logged
from folders import call, key_vault

GOOD = """
import azure.functions as func
from identity_bindings import key_vault_secret
blueprint = func.Blueprint()

@blueprint.route("{0}")
@key_vault_secret("api_key", secret_name="api-key", vault_name="contoso", identity="system")
def {0}(req: func.HttpRequest, api_key: str) -> str:
    return str(len(api_key))
"""
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
        GOOD.format("two").replace(
            "@blueprint", "@blueprint.queue_trigger('m', 'q', 'C')\n@blueprint", 1
        ),
        "ValueError: A trigger was already registered",
    ),
    "wrong_arguments": (GOOD.format("w").replace("secret_name", "secretName"), "TypeError: "),
    "after_a_function": (f"{GOOD.format('after')}\n1 / 0\n", "ZeroDivisionError: "),
}
# Functions beside a good one, and what the log says of them.
NAMES = {
    "twice": (
        "@app.route('r{0}')\ndef good(req): return 'second'\n",
        "function name: 'good': another",
    ),
    "case": (
        "@app.route('r{0}')\ndef GOOD(req): return 'second'\n",
        "function name: 'GOOD': another",
    ),
    "by_decorator": (
        "@app.function_name('good')\n@app.route('r{0}')\ndef other(req): return 'second'\n",
        "function name: 'good': another",
    ),
    "folder": (
        "@app.route('r{0}')\ndef in_folder(req): return 'second'\n",
        "function name: 'in_folder': another",
    ),
    "surrogate": (
        "@app.function_name('b\\ud800d')\n@app.route('r{0}')\ndef other(req): return ''\n",
        "function name: 'b\\ud800d': a text without lone surrogates",
    ),
    "surrogate_secret": (
        '@app.route("r{0}")\n@key_vault_secret("k", secret_name="api-key", vault_name="contoso",'
        ' identity="system")\ndef other(req, k): return ""\n'
        "other._function._func.__name__ = other._function._name = 'b\\udcffd'\n",
        "function name: 'b\\udcffd': a text without lone surrogates",
    ),
    "no_text": (
        "@app.function_name(7)\n@app.route('r{0}')\ndef other(req): return ''\n",
        "function name: 7: a text without lone surrogates",
    ),
    "no_parameter": (
        '@app.route("r{0}")\n@app.queue_output("my-out", "q", "C")\n@key_vault_secret("k",'
        ' secret_name="api-key", vault_name="contoso", identity="system")\n'
        "def other(req, k): return ''\n",
        "name: 'my-out': the handler has no such parameter",
    ),
    "keyword": (
        '@app.route("r{0}")\n@app.queue_output("class", "q", "C")\n@key_vault_secret("k",'
        ' secret_name="api-key", vault_name="contoso", identity="me")\n'
        "def none(req, k): return ''\n",
        "k.identity: 'me'",
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


def write(project: Project, *names: str) -> None:
    text = FUNCTION_APP.replace("import key_vault_secret", "import isolated, key_vault_secret")
    sources = {"good": GOOD.format("good")} | {name: MODULES[name][0] for name in names}
    sources["last"] = GOOD.format("last")
    for name, source in sources.items():
        project.write(f"blueprints/{name}.py", source)
        text += ISOLATED.format(name)
    project.write("function_app.py", text)


@pytest.mark.parametrize("name", MODULES)
def test_a_blueprint_that_fails_harms_no_other(
    project: Project, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    write(project, name)

    functions = project.load()

    assert functions.keys() == {"in_folder", "good", "last"}
    assert call(functions["good"]) == call(functions["last"]) == "15"
    (line,) = logged(caplog)  # one event, one line
    assert line.startswith(f"blueprints/{name}.py: import: ")
    assert MODULES[name][1] in line
    rows = importlib.import_module("identity_bindings.report").report.rows()
    assert [row.function for row in rows if not row.ok] == [f"blueprints/{name}.py"]


@pytest.mark.parametrize("place", ["blueprints/bad.py", "functions/bad/__init__.py"])
def test_an_interrupt_ends_the_start(project: Project, place: str) -> None:
    write(project)
    project.function("bad", HTTP, RES, key_vault(), source=None)
    project.write(place, "raise KeyboardInterrupt\n")
    text = (project.folder / "function_app.py").read_text()
    if place.startswith("blueprints"):
        project.write("function_app.py", text + ISOLATED.format("bad"))

    with pytest.raises(KeyboardInterrupt):
        project.load()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first", ["good first", "good last"])
def test_a_wrong_name_harms_no_other(
    project: Project, caplog: pytest.LogCaptureFixture, name: str, first: str
) -> None:
    source, word = NAMES[name]
    other = source.format(name)
    good = (
        GOOD.format("good")
        .partition("blueprint = func.Blueprint()")[2]
        .replace("@blueprint", "@app")
    )
    texts = [good, other] if first == "good first" else [other, good]
    project.write("function_app.py", "\n".join([FUNCTION_APP, *texts]))

    functions = project.load()

    in_order = first == "good first" or name not in ("twice", "case", "by_decorator")
    kept = "GOOD" if name == "case" and not in_order else "good"
    assert functions.keys() == {"in_folder", kept}
    assert call(functions[kept]) == ("15" if in_order else "second")
    lines = logged(caplog)
    if not in_order:
        word = "function name: 'good': another"
    assert word in lines[0]
    assert lines[1].endswith(" not registered.")
    assert len(lines) == 2


def test_microsofts_runtime_keeps_the_others(project: Project) -> None:
    write(project, *MODULES)
    text = (project.folder / "function_app.py").read_text()
    wrong = [source.format(name) for name, (source, _) in NAMES.items()]
    project.write("function_app.py", "\n".join([text, *wrong]))

    with project.served() as functions:
        assert functions.keys() == {"in_folder", "good", "last"}
        assert functions["good"]() == functions["last"]() == ("200", "15")
        assert functions["in_folder"]() == ("200", VALUE)
