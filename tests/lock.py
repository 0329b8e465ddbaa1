"""Lock the newest dependencies of rendered projects: writes uv.lock and src/requirements.txt of the template.

Both files are rendered. Answers only add packages, and no answer changes the version of another
package; so a project with every option is locked, and what an answer adds is put under a condition.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent
PROJECT = next(TEMPLATE.glob("*cookiecutter.project_slug*"))
EXPORT = ("export", "--quiet", "--frozen", "--no-dev", "--no-annotate")

# Which answer adds which package to the dependencies in pyproject.toml.
CONDITIONS = {
    "azure-keyvault-keys": "cookiecutter.key.strip()",
    "requests": "cookiecutter.api_scope.strip()",
}
# Nothing else depends on these: without the answer they are not locked.
ADDED = ["azure-keyvault-keys"]
EVERY_PACKAGE = ["key=signing-key", "api_scope=api://orders/.default", "project_slug=every-package"]


def uv(project: Path, *arguments: str) -> None:
    """Run uv in a project."""
    subprocess.run([sys.executable, "-m", "uv", *arguments], cwd=project, check=True)


def render(folder: Path, answers: Sequence[str]) -> Path:
    """Render a project into a folder."""
    command = [sys.executable, "-m", "cookiecutter", str(TEMPLATE), "--no-input"]
    command += ["--default-config", "--output-dir", str(folder), *answers]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.iterdir())


def wrap(pattern: str, condition: str, text: str, count: int = 1) -> str:
    """Put what a pattern matches, which begins with a line break, under a condition."""
    template = rf"\n{{%- if {condition} %}}\g<0>\n{{%- endif %}}"
    text, found = re.subn(pattern, template, text, flags=re.DOTALL)
    assert found == count, f"found {found} times: {pattern}"
    return text


def lock_template(lock: str) -> str:
    """Make the template of uv.lock from the lock of a project with every option."""
    before, head, rest = lock.partition('\n[[package]]\nname = "function-app"\n')
    root, end, after = rest.partition("\n[[package]]\n")
    for package, condition in CONDITIONS.items():
        line = rf'\n    {{ name = "{package}"(?:, specifier = "[^"]+")? }},'
        root = wrap(line, condition, root, count=2)
    lock = before + head + root + end + after
    for package in ADDED:
        block = rf'\n\n\[\[package\]\]\nname = "{package}"\n.*?(?=\n\n\[\[package\]\])'
        lock = wrap(block, CONDITIONS[package], lock)
    return lock


def requirements_template(requirements: str) -> str:
    """Make the template of src/requirements.txt."""
    for package in ADDED:
        block = rf"\n{package}==[^\n]*(?:\n    [^\n]*)*"
        requirements = wrap(block, CONDITIONS[package], requirements)
    return requirements


def main() -> None:
    """Resolve, and write the two templates."""
    with tempfile.TemporaryDirectory() as folder:
        project = render(Path(folder), EVERY_PACKAGE)
        (project / "uv.lock").unlink(missing_ok=True)
        uv(project, "lock")
        uv(project, *EXPORT, "--output-file", "src/requirements.txt")
        lock = lock_template((project / "uv.lock").read_text("utf-8"))
        requirements = requirements_template((project / "src/requirements.txt").read_text("utf-8"))
    (PROJECT / "uv.lock").write_text(lock, "utf-8")
    (PROJECT / "src/requirements.txt").write_text(requirements, "utf-8")


if __name__ == "__main__":
    main()
