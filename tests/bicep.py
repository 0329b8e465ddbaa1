"""The Bicep compiler as one process that answers many questions, and what projects know of it."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.bicep import *  # noqa: F403
from support.bicep import IDENTITY, INFRA, ROLES, SUBSCRIPTION, TENANT

DEPLOYMENT = {
    "tenantId": TENANT,
    "subscriptionId": SUBSCRIPTION,
    "resourceGroup": "rg-test",
    "location": "westeurope",
    "deploymentName": "main",
}
GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-test"
# Parameters that a deployment takes from its surroundings, as Bicep expressions.
SURROUNDINGS = {"cloud": "'AzureCloud'", "identityId": f"'{IDENTITY}'"}

# What the projects' own tests call by their ids.
ROLES |= {
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}


class Bicep:
    """One compiler process that answers many questions; each would else cost a start."""

    def __init__(self, command: str, variables: Mapping[str, str]) -> None:
        """Start the compiler; of the variables that infra/ reads, it sees only `variables`."""
        parameters = "".join(file.read_text("utf-8") for file in INFRA.glob("*.bicepparam"))
        read_by_infra = re.findall(r"readEnvironmentVariable\('(\w+)'", parameters)
        inherited = {name: v for name, v in os.environ.items() if name not in read_by_infra}
        self._process = subprocess.Popen(
            [command, "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**inherited, **variables},
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def compile(self, file: Path) -> tuple[list[str], dict[str, Any]]:
        """Compile a file with its modules: every warning and error, and the template."""
        if file.suffix == ".bicepparam":
            answer = self._ask("compileParams", path=str(file), parameterOverrides={})
        else:
            answer = self._ask("compile", path=str(file))
        found = [
            f"{Path(one['source']).name}:{one['range']['start']['line'] + 1}: "
            f"{one['level']} {one['code']}: {one['message']}"
            for one in answer["diagnostics"]
        ]
        return found, json.loads(answer.get("contents") or answer.get("template") or "{}")

    def format(self, file: Path) -> str:
        """Give the file's text as `bicep format` would write it."""
        return str(self._ask("format", path=str(file))["contents"])

    def snapshot(
        self, file: Path, variables: Mapping[str, str] | None = None, **parameters: str
    ) -> dict[str, Any]:
        """Predict the deployment of a .bicepparam file.

        Args:
            file: The parameters file.
            variables: Environment variables that the file reads, beside those of the compiler.
            parameters: Bicep expressions that replace the values of main.bicepparam.
        """
        text = file.read_text("utf-8")
        if file.name == "main.bicepparam":
            text = with_parameters(file.parent, **parameters)
        for name, value in (variables or {}).items():  # as the compiler would read them
            literal = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
            read = rf"readEnvironmentVariable\('{name}'(, '[^']*')?\)"
            text = re.sub(read, literal.replace("\\", "\\\\"), text)
        of_subscription = file.name == "github.bicepparam"
        where = {k: v for k, v in DEPLOYMENT.items() if k != "resourceGroup" or not of_subscription}
        with tempfile.TemporaryDirectory() as folder:
            infra = Path(shutil.copytree(file.parent, Path(folder, "infra")))
            (infra / file.name).write_text(text, "utf-8")
            metadata = {"metadata": where, "externalInputs": []}
            answer = self._ask("getSnapshot", path=str(infra / file.name), **metadata)
        return dict(json.loads(answer["snapshot"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        question = {"jsonrpc": "2.0", "id": 1, "method": f"bicep/{method}", "params": parameters}
        body = json.dumps(question).encode()
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()
        length = 0
        while header := self._process.stdout.readline().strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = json.loads(self._process.stdout.read(length) or "{}")
        if "result" not in answer:
            raise RuntimeError(f"bicep {method}: {answer.get('error', 'the compiler ended')}")
        return dict(answer["result"])


def with_parameters(infra: Path, **parameters: str) -> str:
    """Return main.bicepparam with Bicep expressions for what a deployment gets from outside."""
    text, template = ((infra / f"main.{end}").read_text("utf-8") for end in ("bicepparam", "bicep"))
    for name, value in (SURROUNDINGS | parameters).items():
        if re.search(rf"^param {name} ", template, re.MULTILINE):
            text = re.sub(rf"^param {name} = .*$", "", text, flags=re.MULTILINE)
            text += f"\nparam {name} = {value}\n"
    return text


def alert_words() -> str:
    """Read which words the alert in infra/ looks for in the app's log."""
    text = (INFRA / "main.bicep").read_text("utf-8")
    (words,) = re.findall(r"""'traces \| where message has "([^"]+)"'""", text)
    return str(words)
