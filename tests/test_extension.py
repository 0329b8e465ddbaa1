"""The extension leaves nothing in the template's folder.

tests/test_updates.py renders two versions of it in one process, as cruft does.
"""

import sys
from pathlib import Path

import pytest
from baking import copy_template, run


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the template, for a user who lets Python write byte code."""
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
        monkeypatch.delenv(name, raising=False)
    return copy_template(tmp_path / "template")


@pytest.mark.parametrize("answer", ["vault=my-kv", "vault=my_vault"], ids=["rendered", "refused"])
def test_no_byte_code_stays_in_the_template(template: Path, answer: str) -> None:
    before = sorted(template.rglob("*"))
    (template.parent / "module.py").touch()

    command = [sys.executable, "-m", "cookiecutter", template, "--no-input", "--default-config"]
    run([*command, answer], template.parent, status=int(answer == "vault=my_vault"))
    run([sys.executable, "-c", "import module"], template.parent)

    assert sorted(template.rglob("*")) == before
    assert list(template.parent.glob("**/module.*.pyc")), "Python writes byte code here"
