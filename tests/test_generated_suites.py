"""The rendered projects' own tests pass: six sets of answers that cover what can be chosen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from baking import Bake
from test_answers import IDENTITY_ID

# Each choice stands in at least one of them, and each pair that shares code.
SETS: dict[str, dict[str, str]] = {
    "default": {},
    "created-identity-rbac": {
        "identity": "user",
        "vault_access": "rbac",
        "secrets": "first,second-one,3rd",
        "python_version": "3.12",
    },
    "shared-identity-existing-vault": {
        "identity": "user",
        "identity_id": IDENTITY_ID,
        "vault": "https://shared-kv.vault.azure.net/",
        "vault_source": "existing",
        "vault_resource_group": "shared-group",
        "function_name": "SignBody",
        "python_version": "3.11",
    },
    "given-identity-named-vault": {
        "identity": "user",
        "identity_id": "%SHARED_IDENTITY_ID%",
        "vault": "one-of-a-kind-kv",
        "network": "private",
        "python_version": "3.14",
    },
    "existing-vault-elsewhere": {
        "vault": "shared-kv",
        "vault_source": "existing",
        "vault_resource_group": "99999999-8888-7777-6666-555555555555/their-group",
        "vault_access": "rbac",
    },
    "vault-in-another-cloud": {
        "project_name": 'It\'s {{ another }} "cloud"',
        "vault": "https://far-kv.vault.usgovcloudapi.net/",
        "vault_source": "existing",
    },
}


@pytest.mark.parametrize("answers", SETS.values(), ids=SETS)
def test_the_generated_suite(bake: Bake, answers: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=bake(**answers),
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_path_with_spaces_and_other_letters(bake: Bake, tmp_path: Path) -> None:
    """A project runs wherever it stands."""
    project = tmp_path / "mein Büro" / "app"
    project.parent.mkdir()
    project.symlink_to(bake(), target_is_directory=True)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_functions.py"],
        cwd=project,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
