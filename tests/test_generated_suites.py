"""The rendered projects' own tests pass: six sets of answers that cover what can be chosen."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import Bake
from test_answers import IDENTITY_ID

EVERYTHING = {
    "key": "signing-key",
    "services": "blob-storage,cosmos-db,service-bus",
    "api_scope": "api://contoso/.default",
}
# Each choice stands in at least one of them, and each pair that shares code.
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "everything-by-a-created-identity": {
        "identity": "user",
        "vault_access": "rbac",
        "secrets": "first,second-one,3rd",
        "python_version": "3.12",
        **EVERYTHING,
    },
    "decorators": {
        "programming_model": "decorators",
        "vault": "shared-kv",
        "vault_source": "existing",
        "vault_resource_group": "99999999-8888-7777-6666-555555555555/their-group",
        "vault_access": "rbac",
        "secrets": "one,another",
        "ci": "none",
    },
    "decorators-with-everything": {
        "programming_model": "decorators",
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "vault": "https://shared-kv.vault.azure.net/",
        "vault_source": "existing",
        "vault_resource_group": "shared-group",
        "function_name": "SignBody",
        "python_version": "3.11",
        **EVERYTHING,
    },
    "given-identity-named-vault": {
        "identity": "user",
        "identity_id": "%SHARED_IDENTITY_ID%",
        "vault": "one-of-a-kind-kv",
        "network": "private",
        "python_version": "3.14",
    },
    "vault-in-another-cloud": {
        "project_name": 'It\'s {{ another }} "cloud"',
        "vault": "https://far-kv.vault.usgovcloudapi.net/",
        "vault_source": "existing",
    },
}


def run_tests(project: Path, *names: str) -> None:
    """Run a project's tests, or those of some files, as its owner would."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("answers", SETS.values(), ids=SETS)
def test_the_generated_suite(bake: Bake, answers: dict[str, str]) -> None:
    run_tests(bake(**answers))


V2_FUNCTION = """

@app.route("by_hand")
@key_vault_secret(
    "secret", secret_name="by-hand", vault_name="%KEY_VAULT_NAME%", identity="system"
)
async def by_hand(req: func.HttpRequest, secret: str) -> func.HttpResponse:
    return func.HttpResponse(str(len(secret)))
"""
V1_FUNCTION = """
import azure.functions as func


def main(req: func.HttpRequest, secret: str) -> func.HttpResponse:
    return func.HttpResponse(str(len(secret)))
"""
V1_DECLARATION = """{"bindings": [
  {"name": "req", "type": "httpTrigger"},
  {"name": "res", "type": "http", "direction": "out"},
  {"name": "secret", "type": "keyVault", "secretName": "by-hand",
   "vaultName": "%KEY_VAULT_NAME%", "identity": "system"}
]}
"""
BY_HAND = """
import worker
from conftest import Declared


def test_both_models(declared: Declared) -> None:
    functions = worker.load_app()

    assert functions.keys() == declared.identities.keys() == {"read_secret", "by_hand"}
    length = len(declared.values["by_hand", "secret"])
    assert worker.call(functions["by_hand"]).get_body() == str(length).encode()
"""


@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_both_models_in_one_app_by_hand(bake: Bake, tmp_path: Path, model: str) -> None:
    """As the README tells: a function of the other model, added to a project of either."""
    project = Path(shutil.copytree(bake(programming_model=model), tmp_path / "app"))
    entry = project / "function_app.py"
    text = entry.read_text("utf-8")
    if model == "function.json":
        text = text.replace("import register", "import key_vault_secret, register") + V2_FUNCTION
    else:
        readme = (project / "README.md").read_text("utf-8")
        (snippet,) = re.findall(r"```python\n(from pathlib.+?)```", readme, re.DOTALL)
        text += "\n\n" + snippet
        folder = project / "functions" / "by_hand"
        folder.mkdir(parents=True)
        (folder / "function.json").write_text(V1_DECLARATION, "utf-8")
        (folder / "__init__.py").write_text(V1_FUNCTION, "utf-8")
    entry.write_text(text, "utf-8")
    (project / "tests" / "test_by_hand.py").write_text(BY_HAND, "utf-8")

    run_tests(
        project,
        *("tests/test_by_hand.py", "tests/test_declarations.py", "tests/test_functions.py"),
        *("tests/test_infrastructure.py", "tests/test_runtime.py"),
    )


def test_a_path_with_spaces_and_other_letters(bake: Bake, tmp_path: Path) -> None:
    """A project runs wherever it stands."""
    project = tmp_path / "mein Büro" / "app"
    project.parent.mkdir()
    project.symlink_to(bake(), target_is_directory=True)

    run_tests(project, "tests/test_functions.py")
