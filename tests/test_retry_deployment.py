"""scripts/retry_deployment.py repeats a deployment for one error only, and for a limited time."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from baking import Bake

# As azd, Core Tools and the platform print it.
PROPAGATING = """ERROR: failed deploying service 'api': publishing zip file: deployment failed: InaccessibleStorageException: \
Failed to access storage account for deployment: BlobUploadFailedException: Failed to upload blob to storage account: \
Response status code does not indicate success: 403 (This request is not authorized to perform this operation using \
this permission.)"""
FIREWALL = PROPAGATING.replace(" using this permission", "")
# What a deployment prints, one a run, before it succeeds; the limit; how it ends; the number of runs; what is said.
CASES: dict[str, tuple[list[str], int, int, int, str]] = {
    "propagating": (2 * [PROPAGATING], 60, 0, 3, "role assignments propagate.\nat the third try: "),
    "too long": (9 * [PROPAGATING], 0, 1, 1, "role assignments propagate.\n"),
    "firewall": ([FIREWALL], 60, 1, 1, "The storage account's firewall refused the upload"),
    "no such host": (["BlobUploadFailedException: Name or service not known"], 60, 1, 1, ""),
    "another 403": (["403 (" + PROPAGATING.partition("403 (")[2]], 60, 1, 1, ""),
    "a broken build": (["ERROR: pip failed: no matching distribution"], 60, 1, 1, ""),
    "no words": ([""], 60, 1, 1, ""),
}
DEPLOYMENT = (
    "import sys; from pathlib import Path\n"
    "runs = len(list(Path().glob('run-*'))); Path(f'run-{runs}').touch()\n"
    "sys.exit(Path(str(runs)).read_text()) if Path(str(runs)).exists() else print('at the third try:', Path('0').read_text())"
)


@pytest.mark.parametrize(
    ("printed", "limit", "status", "runs", "said"), CASES.values(), ids=CASES.keys()
)
def test_it_repeats_while_role_assignments_propagate(
    bake: Bake, tmp_path: Path, printed: list[str], limit: int, status: int, runs: int, said: str
) -> None:
    for number, text in enumerate(printed):
        (tmp_path / str(number)).write_text(text, "utf-8")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import retry_deployment as script\n"
    code += f"script.LIMIT_SECONDS, script.PAUSE_SECONDS = {limit}, 0.1\n"
    code += "sys.exit(script.main([sys.executable, *sys.argv[2:]]))"
    words = [sys.executable, "-c", code, str(bake() / "scripts"), "-c", DEPLOYMENT]

    done = subprocess.run(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )

    assert (done.returncode, len(list(tmp_path.glob("run-*")))) == (status, runs)
    assert said in done.stdout
    assert printed[0] in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 1, "python scripts/retry_deployment.py azd deploy"),
        (["not-a-command"], 1, "not-a-command was not found on the path."),
        ([sys.executable, "-c", "print('deployed')"], 0, "deployed"),
    ],
)
def test_the_command_is_what_follows(bake: Bake, words: list[str], status: int, said: str) -> None:
    script = bake() / "scripts/retry_deployment.py"
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True)

    assert done.returncode == status
    assert said in done.stdout + done.stderr


def test_azd_up_deploys_through_it_once(bake: Bake) -> None:
    project = yaml.safe_load((bake() / "azure.yaml").read_text("utf-8"))

    assert project["workflows"]["up"]["steps"] == [{"azd": "provision"}]
    for script in project["hooks"]["postup"].values():
        words = script["run"].removeprefix("python").removeprefix("3")
        assert words.startswith(" scripts/retry_deployment.py azd deploy --no-prompt")
