"""The workflow: its plan identity reads what what-if needs, and no key or secret."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support import bicep, worker
from support.fake_key_vault import Declared

# What returns a key, a token, an app setting or a secret, but for the public half of a vault's key.
SENSITIVE = re.compile(
    r"\*|_master/|(?<!/vaults/)keys?/|masterkey|token/|publishxml|appsettings|connectionstrings"
    r"|config/web/|config/list|secrets?/|/list",
    re.IGNORECASE,
)


@pytest.fixture
def plan_actions() -> list[str]:
    text = (bicep.INFRA / "modules/github-access.bicep").read_text("utf-8")
    (actions,) = re.findall(r"^var planActions = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return re.findall("'(.+?)'", actions)


def test_what_if_can_read_every_type_of_infra(plan_actions: list[str]) -> None:
    if not (command := bicep.find_bicep()):
        pytest.skip("no Bicep compiler: set BICEP, or install one with `az bicep install`")
    words = [command, "build", str(bicep.INFRA / "main.bicep"), "--stdout"]
    template = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    actions = {action.lower() for action in plan_actions}

    for kind in sorted(set(re.findall(r'"type": "([\w.]+/[\w./]+)"', template))):
        readable = kind.removesuffix("/accessPolicies")  # part of the vault
        assert f"{readable}/read".lower() in actions, (
            f"what-if cannot read {kind}: add '{readable}/read' to planActions in"
            " infra/modules/github-access.bicep, and deploy infra/github.bicep again"
        )


def test_what_if_reads_no_key_and_no_secret(plan_actions: list[str]) -> None:
    harmless = re.compile(".*/(read|deployments/whatIf/action)", re.IGNORECASE)
    forbidden = [one for one in plan_actions if SENSITIVE.search(one) or not harmless.match(one)]

    assert forbidden == [], f"these return secrets, or change something: {' '.join(forbidden)}"


def test_both_parameter_files_name_the_same_vaults() -> None:
    named = re.compile(r"^param otherVaults = (\[\]|\[.*?^\])", re.MULTILINE | re.DOTALL)
    app, connection = (
        named.findall((bicep.INFRA / name).read_text("utf-8")) or ["[]"]
        for name in ("main.bicepparam", "github.bicepparam")
    )

    assert connection == app, (
        "otherVaults differs in infra/main.bicepparam and infra/github.bicepparam: make both the"
        " same, and run scripts/connect-github.sh again"
    )


@pytest.mark.skipif("CI_OUTPUT" not in os.environ, reason="only in the workflow")
def test_the_workflow_gets_the_names_of_the_functions(declared: Declared) -> None:
    folder = Path(os.environ["CI_OUTPUT"])
    folder.mkdir(exist_ok=True)
    names = "".join(f"{name}\n" for name in sorted(worker.load_app()))
    (folder / "functions.txt").write_text(names, "utf-8")
