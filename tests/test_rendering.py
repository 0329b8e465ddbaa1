"""Every set of answers becomes a project that is complete, clean, and of these answers only."""

import ast
import json
import os
import re
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from answers import DEFAULTS, EVERYTHING, IDENTITY_ID, PAIRS, row_of
from baking import TEMPLATE, Bake, run, texts_of, tracked

from local_extensions.answers import problems
from local_extensions.facts import parameter_name
from local_extensions.paths import OPTIONAL

COPIED = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))["_copy_without_render"]
PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"

# Long names, and texts that mean something in each language of the project.
TEXTS = {
    "project_name": 'It\'s "shared" \\ {{ 7*7 }} ${x} %d é',
    "description": 'First line: "it\'s" \\ {{ 7*7 }} {% raw %} ${x} %d #\n# second <line> é',
    "function_name": "SignBody",
    "identity": "user",
    "identity_id": IDENTITY_ID,
    "secrets": ",".join(f"{'long-' * 20}{number}" for number in range(3)),
    **EVERYTHING,
}
CHECKED: dict[str, dict[str, str]] = {
    "default": {},
    "texts": TEXTS,
    "texts in decorators": TEXTS | {"programming_model": "decorators"},
    "decorators": {"programming_model": "decorators", "secrets": "a,b"},
    "private": {"network": "private", "identity": "user", "identity_id": "%SHARED_ID%"},
}


@pytest.fixture(params=CHECKED)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return CHECKED[request.param]


def is_copied(name: str) -> bool:
    """Whether cookiecutter copies a file as it is."""
    return any(fnmatch(name, pattern) for pattern in COPIED)


# How a file shows that it knows an option, or a programming model.
WORDS = {
    "key": r"keyVaultKey|CryptographyClient|sign_document|fake_keys|Crypto User",
    "blob-storage": r"summarize_blob|DOCUMENTS|stdocs",
    "cosmos-db": r"read_order|ORDERS_DB|cosmosAccount|cosmosDB|DocumentDB",
    "service-bus": r"ship_order|ORDERS_BUS|serviceBus|shipments",
    "api_scope": r"call_api|API_URL|(?<!--query )accessToken|grant_api_role",
}
MODELS = {"function.json": r"function\.json|functions\.schema", "decorators": "[Bb]lueprint"}
# These are the same in every project.
SAME = r"src/identity_bindings/|tests/support/|tests/contract/|\.(funcignore|gitignore)$"
# README.md says how to use the other model beside the chosen one.
OF_BOTH_MODELS = SAME + r"|README.md|AGENTS.md|set_secrets|uv.lock"


# Every template is rendered for every answer: a fault in one that is then removed fails too.
@pytest.mark.parametrize("answers", [*PAIRS.values(), TEXTS], ids=[*PAIRS, "texts"])
def test_a_project_is_clean_and_knows_its_own_answers_only(
    bake: Bake, answers: dict[str, str]
) -> None:
    project, row = bake(**answers), row_of(answers)

    for name, text in texts_of(project).items():
        # Two files hold texts as typed; GitHub's own expressions look alike.
        if not is_copied(name) and name not in ("README.md", ".devcontainer/devcontainer.json"):
            assert not re.search(r"(?<!\$){[{%#]", text), name
        assert "cookiecutter" not in text.lower(), name
        assert not text or re.fullmatch(r"[^\n].*[^\n]\n", text, re.DOTALL), name
        assert not re.search(r"\r|[ \t]\n|\n\n\n\n", text), name
        assert name.endswith((".py", ".md")) or "\n\n\n" not in text, name
        unknown = [words for option, words in WORDS.items() if not row[option]]
        for words in [] if re.search(SAME, name) else unknown:
            assert not re.search(words, name + text), f"{name} mentions {words}"
        for model in [] if re.search(OF_BOTH_MODELS, name) else MODELS:
            other = model != row["programming_model"] and re.search(MODELS[model], name + text)
            assert not other, f"{name} mentions {other}"
    for module in project.glob("infra/modules/*.bicep"):
        used = [file for file in project.rglob("*.bicep") if f"{module.name}'" in file.read_text()]
        assert used, f"nothing uses {module.name}"
    assert not [path for path in project.rglob("*") if path.is_dir() and not os.listdir(path)]


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of libraries, which are the same for every project."""
    return tmp_path_factory.mktemp("mypy")


def test_the_python_is_clean(project: Path, mypy_cache: Path) -> None:
    for check in ("ruff check --no-cache", "ruff format --no-cache --check"):
        run([sys.executable, "-m", *check.split()], project)
    run([sys.executable, "-m", "mypy", "--cache-dir", mypy_cache], project)


# The template's files


def test_the_table_of_paths_names_paths_of_the_template() -> None:
    names = tracked(PROJECT)

    for path in OPTIONAL:
        assert any(name == path or name.startswith(f"{path.rstrip('/')}/") for name in names), path


def test_names_are_plain_and_short() -> None:
    names = tracked()

    assert max(map(len, names)) <= 100
    for name in names:
        plain = name.replace("{{cookiecutter.project_slug}}", "")
        plain = plain.replace("{{cookiecutter.function_name}}", "")
        assert re.fullmatch(r"[\w./-]+", plain), name


def test_no_function_has_the_name_of_a_file_of_the_template() -> None:
    for name in tracked(PROJECT):
        if taken := re.match(r"(?:tests/test_|src/functions/|src/blueprints/)(\w+)[/.]", name):
            assert problems(DEFAULTS | {"function_name": taken[1]}), name


# How the project's files name a variable: they read it, or set it.
VARIABLE = r"""(?mx) readEnvironmentVariable\('([A-Z_]+) | environ(?:\.get\(|\[)"([A-Z_]+)
               | ^\s*(?:export\ )?([A-Z][A-Z_]+)= | ^\ {6,}([A-Z][A-Z_]+):\ """


def test_no_setting_has_the_name_of_a_variable_of_the_project() -> None:
    found = {
        "".join(names)
        for name in tracked(PROJECT)
        if not name.startswith("tests/support/") and not name.endswith("requirements.txt")
        for names in re.findall(VARIABLE, (PROJECT / name).read_text("utf-8"))
    }

    script = (PROJECT / "scripts/connect-github.sh").read_text("utf-8")
    found |= {
        "".join(names) for names in re.findall(r"\b([a-z]+)=(?=[$\"'\n])|for (\w+) in", script)
    }
    found |= {name for names in re.findall("read -r ([\\w ]+)", script) for name in names.split()}
    found |= {"LOCAL_SECRETS_FILE"}  # key_vault_secrets.py names it in a constant
    assert {"RUN_ID", "GROUP", "API_URL", "WEBSITE_SITE_NAME", "answer", "rule", "plan"} <= found
    for name in found:
        assert problems(DEFAULTS | {"identity": "user", "identity_id": f"%{name}%"}), name


def names_in(node: ast.AST) -> set[str]:
    """The names that a piece of code uses outside of its comprehensions."""
    inside = {
        one
        for found in ast.walk(node)
        if isinstance(found, ast.ListComp)
        for one in ast.walk(found)
    }
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and one not in inside}


@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_neither_a_secret_nor_a_function_takes_a_name_of_the_code(bake: Bake, model: str) -> None:
    project = bake(programming_model=model, **EVERYTHING)
    file = "function_app.py" if model == "decorators" else "functions/read_secret/__init__.py"
    tree = ast.parse((project / "src" / file).read_text("utf-8"))
    (handler,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    used = names_in(ast.Module(handler.body, [])) - {one.arg for one in handler.args.args}

    assert {"func", "json"} <= used
    for name in used:
        assert parameter_name(name) != name, name
    handler.body.clear()
    imported = {one.asname or one.name for n in ast.walk(tree) for one in getattr(n, "names", ())}
    for name in names_in(tree) | imported if model == "decorators" else ():
        assert problems(DEFAULTS | {"programming_model": model, "function_name": name}), name


def test_a_function_can_have_the_name_of_a_contract_test(bake: Bake) -> None:
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = run(collect, bake(function_name="app"))

    assert "test_app.py" in listed


def test_what_is_copied_holds_no_fact() -> None:
    names = tracked(PROJECT)

    for pattern in COPIED:
        assert any(fnmatch(name, pattern) for name in names), f"nothing matches {pattern}"
    for name in filter(is_copied, names):
        assert "cookiecutter" not in (PROJECT / name).read_text("utf-8"), name


def test_the_python_version_is_the_same_everywhere(bake: Bake) -> None:
    project = bake(python_version="3.11")

    assert "-3.11-bookworm" in (project / ".devcontainer/devcontainer.json").read_text("utf-8")
    assert "'3.11'" in (project / "infra/main.bicep").read_text("utf-8")
