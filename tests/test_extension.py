"""The extension leaves nothing behind: not in the process, and not in the template's folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import TEMPLATE

TWO_VERSIONS = """
import os, pathlib
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

def render(secrets):
    answers = {"secrets": ",".join(f"s{n}" for n in range(secrets))}
    cookiecutter("template", no_input=True, extra_context=answers, default_config=True,
                 overwrite_if_exists=True)

render(20)
# cruft checks the other version out into the same folder: here with the same sizes and times.
for name, old, new in [
    ("answers.py", "SECRETS = 20", "SECRETS = 10"),
    ("__init__.py", '"facts"', '"FACTS"'),
]:
    file = pathlib.Path("template", "local_extensions", name)
    time = file.stat().st_mtime_ns
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    os.utime(file, ns=(time, time))
for template in pathlib.Path("template").rglob("*"):
    folder = template.relative_to("template").parts[0]
    if template.is_file() and (folder in ("hooks", "templates", "cookiecutter.json") or "{" in folder):
        text = template.read_text("utf-8").replace("cookiecutter | facts", "cookiecutter | FACTS")
        template.write_text(text, "utf-8")
render(10)
try:
    render(11)
except FailedHookException as refusal:
    print(refusal)
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A copy of the template."""
    ours = {".git", ".venv", ".venv313", "build", "tests", "docs", "__pycache__"}
    return Path(shutil.copytree(TEMPLATE, tmp_path / "template", ignore=lambda *_: ours))


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does, who lets it write byte code."""
    hidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONPYCACHEPREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_each_version_renders_with_its_own_code(template: Path) -> None:
    done = run(template.parent, "-c", TWO_VERSIONS)

    assert "names 11 secrets; accepted: at most 10" in done.stdout, done.stderr


def test_python_writes_byte_code_here(tmp_path: Path) -> None:
    """Otherwise the next test shows nothing."""
    (tmp_path / "module.py").touch()

    run(tmp_path, "-c", "import module")

    assert list(tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize("answer", ["vault=my-kv", "vault=my_vault"], ids=["rendered", "refused"])
def test_no_byte_code_stays_in_the_template(template: Path, answer: str) -> None:
    before = sorted(template.rglob("*"))
    words = ("-m", "cookiecutter", "template", "--no-input", "--default-config", answer)

    done = run(template.parent, *words)

    assert (done.returncode == 0) == (answer == "vault=my-kv"), done.stdout + done.stderr
    assert sorted(template.rglob("*")) == before
