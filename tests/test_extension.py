"""The extension leaves nothing behind: not in the process, and not in the template's folder."""

import sys
from pathlib import Path

import pytest
from baking import copy_template, run

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
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the template, for a user who lets Python write byte code."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
        monkeypatch.delenv(name, raising=False)
    return copy_template(tmp_path / "template")


def test_each_version_renders_with_its_own_code(template: Path) -> None:
    printed = run([sys.executable, "-c", TWO_VERSIONS], template.parent)

    assert "names 11 secrets; accepted: at most 10" in printed


@pytest.mark.parametrize("answer", ["vault=my-kv", "vault=my_vault"], ids=["rendered", "refused"])
def test_no_byte_code_stays_in_the_template(template: Path, answer: str) -> None:
    before = sorted(template.rglob("*"))
    (template.parent / "module.py").touch()

    command = [sys.executable, "-m", "cookiecutter", template, "--no-input", "--default-config"]
    run([*command, answer], template.parent, status=int(answer == "vault=my_vault"))
    run([sys.executable, "-c", "import module"], template.parent)

    assert sorted(template.rglob("*")) == before
    assert list(template.parent.glob("**/module.*.pyc")), "Python writes byte code here"
