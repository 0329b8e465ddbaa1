"""The rendered projects' own tests pass: of two sets in the fast run, of every pair in the slow."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from answers import PAIRS
from baking import Bake, run_tests

FAST = ("default", "decorators-with-everything")
SUITES = [
    pytest.param(answers, id=name, marks=() if name in FAST else pytest.mark.slow)
    for name, answers in PAIRS.items()
]


@pytest.mark.parametrize("answers", SUITES)
def test_the_generated_suite(bake: Bake, answers: dict[str, str], figures: Counter[str]) -> None:
    run_tests(bake(**answers))
    figures["suites.passed"] += 1


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
from support import worker
from support.fake_key_vault import Declared


def test_both_models(declared: Declared) -> None:
    functions = worker.load_app()

    assert functions.keys() == {of for of, _ in declared.values} == {"read_secret", "by_hand"}
    length = len(declared.values["by_hand", "secret"])
    assert worker.call(functions["by_hand"]).get_body() == str(length).encode()
"""


@pytest.mark.parametrize("model", ["function.json", "decorators"])
def test_both_models_in_one_app_by_hand(bake: Bake, tmp_path: Path, model: str) -> None:
    """A function of the other model, added to a project of either as the README says."""
    project = Path(shutil.copytree(bake(programming_model=model), tmp_path / "app"))
    entry = project / "src/function_app.py"
    text = entry.read_text("utf-8")
    if model == "function.json":
        text = text.replace("import register", "import key_vault_secret, register") + V2_FUNCTION
    else:
        readme = (project / "README.md").read_text("utf-8")
        (snippet,) = re.findall(
            r"```python\n(from pathlib[^`]+?register_functions.+?)```", readme, re.DOTALL
        )
        text += "\n\n" + snippet
        folder = project / "src/functions/by_hand"
        folder.mkdir(parents=True)
        (folder / "function.json").write_text(V1_DECLARATION, "utf-8")
        (folder / "__init__.py").write_text(V1_FUNCTION, "utf-8")
    entry.write_text(text, "utf-8")
    (project / "tests" / "test_by_hand.py").write_text(BY_HAND, "utf-8")

    run_tests(
        project, "tests/test_by_hand.py", "tests/test_read_secret.py", "tests/contract/test_app.py"
    )


def test_a_path_with_spaces_and_other_letters(bake: Bake, tmp_path: Path) -> None:
    project = tmp_path / "mein Büro" / "app"
    project.parent.mkdir()
    project.symlink_to(bake(), target_is_directory=True)

    run_tests(project, "tests/test_read_secret.py", "tests/contract/test_app.py")
