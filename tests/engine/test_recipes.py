"""What docs/recipes.md shows runs in Microsoft's runtime, and does what the page says."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import recipes
from apps import HTTP, RES, Project, needs_runtime, reads, wait_for
from folders import key_vault
from runtime import Host
from support.fake_key_vault import FakeKeyVault

# An event as Key Vault sends it. Source, with the names and their case:
# https://learn.microsoft.com/azure/event-grid/event-schema-key-vault
EVENT: dict[str, Any] = {
    "id": "00eccf70-95a7-4e7c-8299-2eb17ee9ad64",
    "topic": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/sample-rg"
    "/providers/Microsoft.KeyVault/vaults/contoso",
    "subject": "api-key",
    "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
    "eventTime": "2019-07-25T01:08:33.1036736Z",
    "data": {
        "Id": "https://contoso.vault.azure.net/secrets/api-key/ee059b2bb5bc48398a53b168c6cdcb10",
        "VaultName": "contoso",
        "ObjectType": "Secret",
        "ObjectName": "api-key",
        "Version": "ee059b2bb5bc48398a53b168c6cdcb10",
        "NBF": 1559081980,
        "EXP": 1559082102,
    },
    "dataVersion": "1",
    "metadataVersion": "1",
}
DATABASE = """
accepted = "first-value"

def connect(password):
    assert password == accepted
    return "connected"
"""
PLAIN = """
from __app__.database import connect

def main(req, password: str) -> str:
    return connect(password)
"""
DECORATED = """
import azure.functions as func
from identity_bindings import key_vault_secret, refresh_secret
from database import connect

app = func.FunctionApp()

@app.route("plain")
@key_vault_secret("password", secret_name="api-key", vault_name="contoso", identity="system")
def plain(req: func.HttpRequest, password: str) -> str:
    return connect(password)

"""


class Rotating:
    """An app whose database accepts one password, in Microsoft's runtime."""

    def __init__(self, host: Host, fake_key_vault: FakeKeyVault, database: str) -> None:
        self._host, self._vault, self._database = host, fake_key_vault, database
        self._ids = {name: one.function_id for name, one in host.index().items()}

    def rotate(self, value: str) -> None:
        """Set a new version; from then on the database accepts only its value."""
        self._vault.vault("contoso").set("api-key", value)
        sys.modules[self._database].accepted = value  # type: ignore[attr-defined]

    def reads(self) -> int:
        return reads(self._vault)

    def call(self, name: str, count: int = 1) -> int:
        """Call a function so often at the same moment; return how many calls failed."""
        answers = self._host.run(self._all(name, count))
        return sum(answer.result.status != answer.result.Success for answer in answers)

    async def _all(self, name: str, count: int) -> list[Any]:
        calls = (self._host.calling(self._ids[name], "req") for _ in range(count))
        return await asyncio.gather(*calls)

    def send(self, event: dict[str, Any]) -> None:
        """Deliver an event, as the host does."""
        answer = self._host.invoke("secret_changed", event={"json": json.dumps(event)})
        assert answer.result.status == answer.result.Success, answer.result.exception.message


@pytest.fixture(params=["function.json", "decorators"])
def rotating(
    request: pytest.FixtureRequest,
    fake_key_vault: FakeKeyVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rotating]:
    """An app in one of the models, with the event's function as the page shows it."""
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "200")
    fake_key_vault.vault("contoso").set("api-key", "first-value")
    with Project(tmp_path) as project:
        if request.param == "decorators":
            text = recipes.PAGE.read_text("utf-8")
            (event,) = re.findall(r"^In the v2 model:\n\n```python\n(.*?)^```", text, re.M | re.S)
            project.write("database.py", DATABASE)
            project.write("function_app.py", DECORATED + event)
        else:
            files = recipes.files("Refresh a secret when Key Vault has a new version")
            for path, text in files.items():
                project.write(path.removeprefix("src/"), text)
            project.write("functions/database.py", DATABASE)
            project.function("plain", HTTP, RES, key_vault("password"), source=PLAIN)
        with project.host() as host:
            database = "database" if request.param == "decorators" else "__app__.database"
            rotating = Rotating(host, fake_key_vault, database)
            assert (rotating.call("plain"), rotating.reads()) == (0, 1)
            yield rotating


@needs_runtime
def test_with_the_event_a_plain_string_changes_within_a_second(rotating: Rotating) -> None:
    rotating.rotate("second-value")
    assert rotating.call("plain", 200) == 200

    rotating.send(EVENT)

    wait_for(lambda: rotating.call("plain") == 0)  # the interval is 300 s
    assert rotating.call("plain", 200) == 0
    assert rotating.reads() == 2


@needs_runtime
def test_events_of_other_secrets_read_nothing(rotating: Rotating) -> None:
    data = EVENT["data"]
    for identifier in (
        data["Id"].replace("api-key", "other"),
        data["Id"].replace("contoso", "fabrikam"),
    ):
        rotating.send(EVENT | {"data": data | {"Id": identifier}})

    time.sleep(0.5)
    assert rotating.reads() == 1
