"""scripts/retry_deployment.py repeats a deployment for one error only, and for a limited time."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from baking import Bake

# The exit status, what was printed, and the number of runs.
Deploy = Callable[..., tuple[int, str, int]]

# As azd, Core Tools and the platform print it.
SPREADING = """ERROR: failed deploying service 'api': publishing zip file: deployment failed: InaccessibleStorageException: \
Failed to access storage account for deployment: BlobUploadFailedException: Failed to upload blob to storage account: \
Response status code does not indicate success: 403 (This request is not authorized to perform this operation using \
this permission.)"""
FIREWALL = SPREADING.replace(" using this permission", "")
OTHERS = {
    "no such host": "InaccessibleStorageException: BlobUploadFailedException: Name or service not known",
    "another 403": "ERROR: Forbidden: 403 (This request is not authorized to perform this operation using this permission.)",
    "a broken build": "ERROR: pip failed: no matching distribution found for azure-functions==99",
    "nothing": "",
}


@pytest.fixture
def deploy(bake: Bake, tmp_path: Path) -> Deploy:
    """Run the script with a deployment that prints these, one a run, and succeeds after them."""
    script = bake() / "scripts" / "retry_deployment.py"

    def deploy(*printed: str, limit: int = 60) -> tuple[int, str, int]:
        for number, text in enumerate(printed):
            (tmp_path / str(number)).write_text(text, "utf-8")
        deployment = (
            "import sys; from pathlib import Path\n"
            "runs = len(list(Path().glob('run-*'))); Path(f'run-{runs}').touch()\n"
            "sys.exit(Path(str(runs)).read_text()) if Path(str(runs)).exists() else print('done')"
        )
        code = "import sys; sys.path.insert(0, sys.argv[1]); import retry_deployment as script\n"
        code += "script.LIMIT_SECONDS, script.PAUSE_SECONDS = float(sys.argv[2]), 0.1\n"
        code += "sys.exit(script.main(sys.argv[3:]))"
        command = [sys.executable, "-c", deployment]
        run = subprocess.run(
            [sys.executable, "-c", code, script.parent, str(limit), *command],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout, len(list(tmp_path.glob("run-*")))

    return deploy


def test_it_repeats_while_role_assignments_propagate(deploy: Deploy) -> None:
    status, said, runs = deploy(SPREADING, SPREADING)

    assert (status, runs) == (0, 3)
    assert said.count("role assignments propagate") == 2
    assert said.rstrip().endswith("done")


def test_it_gives_up_with_the_deployments_own_status(deploy: Deploy) -> None:
    status, said, runs = deploy(*100 * [SPREADING], limit=0)

    assert (status, runs) == (1, 1)
    assert "0 seconds have passed" in said


def test_a_firewall_is_named_and_nothing_is_repeated(deploy: Deploy) -> None:
    status, said, runs = deploy(FIREWALL)

    assert (status, runs) == (1, 1)
    assert "The storage account's firewall refused the upload" in said


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_any_other_failure_ends_it(deploy: Deploy, text: str) -> None:
    status, said, runs = deploy(text)

    assert runs == 1
    assert text in said
    assert status == 1


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
        assert re.match(
            r"python3? scripts/retry_deployment\.py azd deploy --no-prompt", script["run"]
        )
