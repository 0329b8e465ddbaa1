"""What is rendered is clean, and reads as if written by hand for this one project."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from answers import DEFAULTS, IDENTITY_ID
from baking import TEMPLATE, Bake
from cookiecutter.main import cookiecutter
from cookiecutter.utils import create_env_with_context
from jsonschema import Draft7Validator

PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

EVERYTHING = {
    "key": "k",
    "services": "blob-storage,cosmos-db,service-bus",
    "api_scope": "api://a/.default",
}
# One set of answers for each way in which files differ.
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "user": {
        "identity": "user",
        "vault_access": "rbac",
        "secrets": "one,two-2,3three,fourthSecret",
    },
    "shared": {
        "project_name": 'It\'s "shared" \\ {{ 7*7 }} ${x} %d é',
        "description": 'First line: "it\'s" \\ {{ 7*7 }} {% raw %} ${x} %d #\n# second <line> é',
        "function_name": "SignBody",
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "vault": "https://my-kv.vault.azure.net/",
        "vault_source": "existing",
        "vault_resource_group": "shared",
        "secrets": ",".join(f"{'long-' * 20}{number}" for number in range(3)),
        "python_version": "3.11",
    },
    "given": {
        "identity": "user",
        "identity_id": "%SHARED_ID%",
        "vault": "my-kv",
        "network": "private",
    },
    "decorators": {"programming_model": "decorators", "secrets": "a,b"},
    "decorators-with-everything": {
        "programming_model": "decorators",
        "function_name": "SignBody",
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "secrets": ",".join(f"{'long-' * 20}{number}" for number in range(3)),
        **EVERYTHING,
    },
}


@pytest.fixture(params=SETS)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    return SETS[request.param]


def declarations(project: Path) -> list[Path]:
    """The files that declare what functions need, in either programming model."""
    by_decorators = [project / "function_app.py", *sorted(project.glob("blueprints/*.py"))]
    return sorted(project.glob("functions/*/function.json")) or by_decorators


def files(project: Path, *suffixes: str) -> list[Path]:
    """All files of a project, or those with one of the suffixes."""
    found = [path for path in sorted(project.rglob("*")) if path.is_file()]
    # Left in the template's folder by a tool that somebody ran there; git knows nothing of them.
    found = [path for path in found if not CACHES.intersection(path.parts)]
    return [path for path in found if not suffixes or path.suffix in suffixes]


def test_the_files(bake: Bake) -> None:
    """Nothing is missing, and nothing of an option that was not chosen is there."""
    everywhere = {
        ".devcontainer/devcontainer.json",
        ".funcignore",
        ".gitattributes",
        ".gitignore",
        ".pre-commit-config.yaml",
        ".vscode/extensions.json",
        ".vscode/launch.json",
        ".vscode/settings.json",
        ".vscode/tasks.json",
        "LICENSE",
        "Makefile",
        "README.md",
        "azure.yaml",
        "function_app.py",
        "host.json",
        "infra/bicepconfig.json",
        "infra/main.bicep",
        "infra/main.bicepparam",
        "infra/modules/app.bicep",
        "infra/modules/host-access.bicep",
        "infra/modules/monitoring.bicep",
        "infra/modules/settings.bicep",
        "infra/modules/storage.bicep",
        "infra/modules/vault-access.bicep",
        "local.settings.json",
        "pyproject.toml",
        "requirements-dev.txt",
        "requirements.txt",
        "secrets.local.example.json",
    }
    of_the_engine = {
        path.relative_to(PROJECT).as_posix()
        for folder in ("identity_bindings", "tests")
        for path in (PROJECT / folder).glob("*.py")
    }

    def rendered(**answers: str) -> set[str]:
        project = bake(**answers)
        return {path.relative_to(project).as_posix() for path in files(project)} - of_the_engine

    # What `ci` brings is in test_ci.py, and what options bring in test_options.py.
    assert rendered(ci="none") == everywhere | {
        "functions.schema.json",
        "functions/read_secret/__init__.py",
        "functions/read_secret/function.json",
        "infra/modules/vault.bicep",
        "tests/test_function_json.py",
    }
    existing = {"ci": "none", "vault_source": "existing", "vault": "my-kv"}
    assert rendered(**existing, function_name="sign") == everywhere | {
        "functions.schema.json",
        "functions/sign/__init__.py",
        "functions/sign/function.json",
        "tests/test_function_json.py",
    }
    assert rendered(**existing, programming_model="decorators") == everywhere
    network = {"infra/modules/network.bicep", "infra/modules/private-endpoint.bicep"}
    assert rendered(ci="none", network="private") - rendered(ci="none") == network | {
        "scripts/set_secret.sh"
    }
    assert rendered(**existing, network="private") - rendered(**existing) == network


# What drives the engine, which knows both models, and what lists all that may be deployed. The
# README tells how to use the other model beside the chosen one.
OF_BOTH_MODELS = {
    "README.md",
    "identity_bindings",
    "tests/test_identity_bindings.py",
    "tests/test_stage.py",
    "tests/worker.py",
}


@pytest.mark.parametrize(
    ("model", "other"),
    [("function.json", "[Bb]lueprint"), ("decorators", r"function\.json|functions\.schema")],
)
@pytest.mark.parametrize("answers", [{}, EVERYTHING])
def test_nothing_speaks_of_the_other_model(
    bake: Bake, model: str, other: str, answers: dict[str, str]
) -> None:
    project = bake(programming_model=model, **answers)

    for path in files(project):
        name = path.relative_to(project)
        if not {name.as_posix(), name.parts[0]} & OF_BOTH_MODELS:
            assert not re.search(other, path.read_text("utf-8")), name


def test_both_models_hold_the_same_logic(bake: Bake) -> None:
    """Only the names of the functions differ, and where they declare what they need."""

    def logic(project: Path) -> list[str]:
        sources = [project / "function_app.py", *project.glob("blueprints/*.py")]
        sources += project.glob("functions/*/__init__.py")
        return sorted(
            "\n".join(map(ast.unparse, (node.args, *node.body)))
            for source in sources
            for node in ast.parse(source.read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef)
        )

    found = logic(bake(**EVERYTHING))

    assert len(found) > 6
    assert logic(bake(programming_model="decorators", **EVERYTHING)) == found


def test_a_project_is_complete_without_hooks(bake: Bake, tmp_path: Path) -> None:
    cookiecutter(
        str(TEMPLATE),
        no_input=True,
        output_dir=str(tmp_path),
        default_config=True,
        accept_hooks=False,
    )

    def contents(project: Path) -> dict[Path, bytes]:
        return {path.relative_to(project): path.read_bytes() for path in files(project)}

    assert contents(tmp_path / "secure-function-app") == contents(bake())


def sources() -> list[Path]:
    """The files that are rendered, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "."], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_names_are_what_jinja_makes_of_them(answers: dict[str, str]) -> None:
    """The extension has a shorter way for names, which must lead to the same."""
    jinja = create_env_with_context({"cookiecutter": {}})
    ours = create_env_with_context(
        {"cookiecutter": {"_extensions": ["local_extensions.FactsExtension"]}}
    )
    context = {"cookiecutter": DEFAULTS | answers}
    names = [name.as_posix() for name in sources()]
    names += [
        "{% if cookiecutter.key %}a{% else %}b{% endif %}",
        "a {%- if cookiecutter.key -%} b {% endif %}",
        "{% if cookiecutter.key %}a{% endif %}{% if not cookiecutter.key %}b{% endif %}",
        "{% if cookiecutter.ci %}{{ cookiecutter.ci }}{% endif %}",
        "{% if cookiecutter.ci %}{# nothing #}a\n{% endif %}\n",
        "{# nothing #}",
    ]
    for name in names:
        found = ours.from_string(name).render(**context)
        assert found == jinja.from_string(name).render(**context), name


def test_only_files_with_jinja_are_rendered() -> None:
    """A copied file with Jinja would be wrong, a rendered one without only slow."""
    patterns = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
    patterns = patterns["_copy_without_render"]
    names = sources()
    assert names
    for name in names:
        # A name that may be empty is rendered, too: cookiecutter cannot copy to no name.
        text = name.name + (PROJECT / name).read_text("utf-8")
        has_jinja = re.search("{[{%#]", text) is not None
        copied = any(fnmatch(name.as_posix(), pattern) for pattern in patterns)
        assert has_jinja != copied, f"{name}: see _copy_without_render in cookiecutter.json"
    for pattern in patterns:
        assert any(fnmatch(name.as_posix(), pattern) for name in names), (
            f"nothing matches {pattern}"
        )


def test_no_blank_noise(project: Path) -> None:
    for path in files(project):
        text = path.read_bytes().decode("utf-8")
        assert text.strip(), path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path
        assert "\r" not in text, path
        assert not re.search(r"[ \t]\n", text), path
        assert "\n\n\n\n" not in text, path
        if path.suffix != ".py":
            assert "\n\n\n" not in text, path


def test_no_jinja_and_no_template_is_left(bake: Bake) -> None:
    for answers in ({}, SETS["user"], SETS["given"]):
        for path in files(bake(**answers)):
            text = path.read_text("utf-8")
            # GitHub's own expressions look alike.
            assert not re.search(r"(?<!\$){[{%#]", text), path
            assert "cookiecutter" not in text.lower(), path


def test_the_files_parse(project: Path) -> None:
    for path in files(project, ".json"):
        json.loads(path.read_text("utf-8"))
    for path in files(project, ".yaml", ".yml"):
        yaml.safe_load(path.read_text("utf-8"))
    for path in files(project, ".toml"):
        tomllib.loads(path.read_text("utf-8"))
    for path in files(project, ".py"):
        ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "check", ["ruff check --no-cache", "ruff format --no-cache --check", "mypy --no-incremental"]
)
def test_the_python_is_clean(project: Path, check: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *check.split()], cwd=project, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_texts_arrive_intact(project: Path, answers: dict[str, str]) -> None:
    name = answers.get("project_name", "Secure Function App")
    readme = (project / "README.md").read_text("utf-8")
    devcontainer = json.loads((project / ".devcontainer/devcontainer.json").read_text("utf-8"))

    assert readme.startswith(f"# {name}\n")
    assert answers.get("description", "An Azure Function App whose") in readme
    assert devcontainer["name"] == name


@pytest.mark.parametrize("slug", ["null", "no", "123", "1e3", "0x1f", "2024-01-01"])
def test_a_slug_is_a_text_in_yaml(bake: Bake, slug: str) -> None:
    azure = yaml.safe_load((bake(project_slug=slug) / "azure.yaml").read_text("utf-8"))

    assert azure["name"] == slug


def test_the_function(project: Path, answers: dict[str, str]) -> None:
    name = answers.get("function_name", "read_secret")
    by_decorators = answers.get("programming_model") == "decorators"
    folder = project / "functions" / name
    source = project / "function_app.py" if by_decorators else folder / "__init__.py"

    (handler,) = (
        node
        for node in ast.parse(source.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == (name if by_decorators else "main")
    )
    if by_decorators:
        calls = [call for call in handler.decorator_list if isinstance(call, ast.Call)]
        assert [ast.unparse(call.func) for call in calls][:2] == ["app.route", "key_vault_secret"]
        secrets = [ast.literal_eval(call.args[0]) for call in calls[1:]]
    else:
        bindings = json.loads((folder / "function.json").read_text("utf-8"))["bindings"]
        secrets = [binding["name"] for binding in bindings if binding["type"] == "keyVault"]
    assert [argument.arg for argument in handler.args.args] == ["req", *secrets]
    assert len(secrets) == answers.get("secrets", "my-application-secret").count(",") + 1


def test_local_settings_name_what_the_declarations_need(project: Path) -> None:
    settings = json.loads((project / "local.settings.json").read_text("utf-8"))["Values"]

    for declaration in declarations(project):
        for setting in re.findall('"%([^%]+)%"', declaration.read_text("utf-8")):
            assert settings[setting]


def test_the_python_version_is_the_same_everywhere(project: Path, answers: dict[str, str]) -> None:
    version = answers.get("python_version", "3.13")

    assert f"python:{version}" in (project / ".devcontainer/devcontainer.json").read_text("utf-8")
    assert f"'{version}'" in (project / "infra/modules/app.bicep").read_text("utf-8")


# The editor's schema for function.json


SECRET = {
    "name": "my_secret",
    "type": "keyVault",
    "direction": "in",
    "secretName": "my-secret",
    "vaultName": "my-key-vault",
    "identity": "system",
}


Complaints = Callable[..., list[str]]


@pytest.fixture
def complaints(bake: Bake) -> Complaints:
    """What the editor would say about bindings."""
    schema = json.loads((bake() / "functions.schema.json").read_text("utf-8"))
    Draft7Validator.check_schema(schema)

    def complain(*bindings: dict[str, object]) -> list[str]:
        found = Draft7Validator(schema).iter_errors({"bindings": list(bindings)})
        return [error.message for error in found]

    return complain


def test_the_schema_is_wired_into_the_editor(bake: Bake) -> None:
    project = bake()
    (wired,) = json.loads((project / ".vscode/settings.json").read_text())["json.schemas"]

    assert (project / wired["url"]).is_file()
    assert list(project.glob(wired["fileMatch"][0].lstrip("/")))


def test_the_schema_accepts_what_is_rendered(project: Path, complaints: Complaints) -> None:
    for file in project.glob("functions/*/function.json"):
        assert complaints(*json.loads(file.read_text("utf-8"))["bindings"]) == []


# What may stand in a declaration, for the editor as for the app.
SETTINGS = {"SECRET_NAME": "my-secret", "VAULT": "my-key-vault", "STAGE": "dev", "ID": IDENTITY_ID}
ACCEPTED: list[dict[str, object]] = [
    {},
    {"secretVersion": "0123456789abcdef0123456789abcdef"},
    {"secretVersion": "abc"},
    {"secretName": "%SECRET_NAME%", "vaultName": "%VAULT%"},
    {"secretName": "api-%STAGE%", "vaultName": "kv-%STAGE%-%STAGE%"},
    {"vaultName": "https://my-key-vault.vault.azure.net/"},
    {"vaultName": "https://my-key-vault.vault.azure.cn:443"},
    {"vaultName": "https://%VAULT%.vault.azure.net"},
    {"vaultName": "a" * 24},
    {"identity": "user", "identityId": IDENTITY_ID},
    {"identity": "user", "identityId": "%ID%"},
    {"jsonField": "password"},
    {"jsonField": "Connection string 1, in %STAGE%"},
]
REFUSED: list[dict[str, object]] = [
    {"name": "my-secret"},
    {"direction": "out"},
    {"secretName": "my_secret"},
    {"secretName": "{query.name}"},
    {"secretName": "my_%STAGE%"},
    {"secretVersion": "a" * 65},
    {"jsonField": "{query.field}"},
    {"jsonField": " "},
    {"jsonField": "a\nb"},
    {"jsonField": "a" * 128},
    {"jsonField": 1},
    {"vaultName": "my_vault"},
    {"vaultName": "a-" * 12 + "a"},
    {"vaultName": "http://my-key-vault.vault.azure.net/"},
    {"vaultName": "https://" + "a-" * 12 + "a.vault.azure.net/"},
    {"identity": "somebody"},
    {"identity": "user"},
    {"identity": "user", "identityId": "my-identity"},
    {"identityId": IDENTITY_ID},
    {"secret": "misspelt"},
    *(dict[str, object]({name: None}) for name in ("name", "secretName", "vaultName", "identity")),
]


def test_the_schema_says_what_the_app_says(bake: Bake, complaints: Complaints) -> None:
    declarations = [
        {name: value for name, value in (SECRET | change).items() if value is not None}
        for change in (*ACCEPTED, *REFUSED)
    ]
    program = (
        "import json, sys; from identity_bindings.grammar import declare;"
        "print(json.dumps([not declare(one, json.loads(sys.argv[1]))[1] for one in json.load(sys.stdin)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(SETTINGS)],
        cwd=bake() / "src",
        input=json.dumps(declarations),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [True] * len(ACCEPTED) + [False] * len(REFUSED)

    of_app, of_editor = json.loads(done.stdout), [not complaints(one) for one in declarations]

    for declaration, right, app, editor in zip(
        declarations, expected, of_app, of_editor, strict=True
    ):
        assert (app, editor) == (right, right), declaration


def test_the_schema_leaves_other_bindings_to_the_host(complaints: Complaints) -> None:
    other = {"name": "my_secret", "type": "queueTrigger", "anything": {"goes": [1]}, "identity": 5}

    assert complaints(other | {"direction": "in"}) == []
    assert complaints(other | {"direction": "inout"})  # Python has no such binding


def test_conditions_stand_in_one_level_or_say_why() -> None:
    """What a template decides stays readable: logic belongs into facts."""
    for file in sorted((TEMPLATE / "{{cookiecutter.project_slug}}").rglob("*")):
        if not file.is_file() or "__pycache__" in file.parts:
            continue
        depth = deepest = 0
        source = file.read_text("utf-8")
        for word in re.findall(r"{%-?\s*(if|for|endif|endfor)\b", source):
            depth += -1 if word.startswith("end") else 1
            deepest = max(deepest, depth)
        assert deepest < 2 or "{#- Two levels of conditions: " in source, file
