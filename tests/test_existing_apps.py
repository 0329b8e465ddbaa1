"""docs/existing-apps.md, followed to the letter on two apps that this template did not make."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE, change, run
from pages import blocks

pytestmark = pytest.mark.usefixtures("own_home")

PAGE = TEMPLATE / "docs/existing-apps.md"
APPS = Path(__file__).parent / "existing_apps"
SUPPORT = [
    TEMPLATE / "{{cookiecutter.project_slug}}/tests",
    TEMPLATE / "tests",
    TEMPLATE / "tests/engine",
]


def block(heading: str, language: str, number: int = 0) -> str:
    """A code block of the page: the first of its language below a heading, or a later one."""
    return blocks(PAGE, language, after=heading)[number]


class Owner:
    """Somebody with an app in git, who follows the page."""

    def __init__(self, folder: Path, app: str) -> None:
        self.parent = folder
        self.app = Path(shutil.copytree(APPS / app, folder / "app"))
        self.run("git init --quiet\ngit add --all\ngit commit --quiet --message app")

    def run(self, script: str) -> str:
        script = script.replace("/tmp", str(self.parent))
        script = script.replace("gh:OWNER/REPOSITORY", f"'{TEMPLATE}' --default-config")
        # What the requirements name is installed here already.
        script = script.replace("python -m pip install", "true")
        return run(["bash", "-euc", script], self.app)

    def copy_the_package(self) -> None:
        self.run(block("## 1. Copy the package", "sh"))
        with (self.app / "requirements.txt").open("a", encoding="utf-8") as requirements:
            requirements.write("\n" + block("## 1. Copy the package", "text"))

    def declare_in_a_function_folder(self) -> None:
        heading = "### In a function folder (the v1 model)"
        self.run(block(heading, "sh"))
        file = self.app / "functions/HttpExample/function.json"
        declaration = json.loads(file.read_text("utf-8"))
        declaration["bindings"].append(json.loads(block(heading, "json").replace("VAULT", "my-kv")))
        file.write_text(json.dumps(declaration, indent=2), "utf-8")
        handler = "functions/HttpExample/__init__.py"
        old = "def main(req: func.HttpRequest) -> func.HttpResponse:\n"
        change(self.app / handler, old, block(heading, "python"))
        change(self.app / handler, 'os.environ["API_KEY"]', "api_key")

    def declare_with_a_decorator(self) -> None:
        heading = "### With a decorator (the v2 model)"
        change(self.app / "function_app.py", "import azure.functions as func\n",
                  "import azure.functions as func\n" + block(heading, "python"))  # fmt: skip
        old = "def http_example(req: func.HttpRequest) -> func.HttpResponse:\n"
        new = block(heading, "python", 1).replace("VAULT", "my-kv")
        change(self.app / "function_app.py", old, new)
        change(self.app / "function_app.py", 'os.environ["API_KEY"]', "api_key")


@pytest.fixture(params=["v1", "v2"])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Owner:
    owner = Owner(tmp_path, request.param)
    owner.copy_the_package()
    if request.param == "v1":
        owner.declare_in_a_function_folder()
    else:
        owner.declare_with_a_decorator()
    return owner


CALL = """
import os, sys
from pathlib import Path
from support import worker
from support.fake_key_vault import FakeKeyVault

app = Path(sys.argv[1])
sys.path.insert(0, str(app))
os.chdir(app)
with FakeKeyVault() as fake_key_vault:
    fake_key_vault.vault("my-kv").set("api-key", "x" * 23)
    if sys.version_info < (3, 13):
        functions = worker.load_app()
        answer = worker.call(functions["HttpExample"]).get_body().decode()
    else:
        from apps import Host

        runtime = Host()
        runtime.start(app)
        functions = runtime.index()
        answer = str(runtime.call(functions["HttpExample"].function_id, "req"))
        runtime.close()
    print(sorted(functions))
    assert "a key of 23 characters" in answer, answer
    assert fake_key_vault.vault("my-kv") and not fake_key_vault.strays
"""


def test_the_secret_arrives_in_the_worker(owner: Owner) -> None:
    """On 3.13 and later in Microsoft's own runtime, before that in the worker driver."""
    path = os.pathsep.join(map(str, SUPPORT))

    printed = run([sys.executable, "-c", CALL, owner.app], owner.app, env={"PYTHONPATH": path})

    other = "TimerExample" if (owner.app / "functions").exists() else "nightly_report"
    assert printed.strip() == str(["HttpExample", other])


def test_check_reads_a_local_value(owner: Owner) -> None:
    heading = "## 3. Check it"
    (owner.parent / "secrets.local.json").write_text(block(heading, "json"), "utf-8")
    values = json.loads(block(heading, "json", 1))
    settings = {"IsEncrypted": False, "Values": values}
    (owner.app / "local.settings.json").write_text(json.dumps(settings), "utf-8")

    printed = owner.run(block(heading, "sh"))

    assert "secret 'api-key' of vault 'https://my-kv.vault.azure.net'" in printed
    assert " ok" in printed


def test_the_way_back(owner: Owner) -> None:
    owner.run(block("## 3. Check it", "sh", 1))
    assert owner.run("git diff --stat HEAD~1")

    owner.run(block("## Go back", "sh"))

    assert owner.run("git diff --stat HEAD~2") == ""
    assert not (owner.app / "identity_bindings/__init__.py").exists()


def test_the_requirements_are_those_of_a_project() -> None:
    """With at least the versions that a project asks for."""
    asked = (TEMPLATE / "{{cookiecutter.project_slug}}/pyproject.toml").read_text("utf-8")

    for line in block("## 1. Copy the package", "text").splitlines():
        assert f'"{line}",' in asked
