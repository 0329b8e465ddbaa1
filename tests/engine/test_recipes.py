"""What docs/recipes.md shows runs in Microsoft's runtime, and does what the page says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import database
import pytest
import recipes
from apps import HTTP, RES, Project, decorated, needs_runtime, reads, secret, wait_for
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
DATABASE = "from database import connect\n"
PLAIN = f"{DATABASE}def main(req, password: str) -> str:\n    return connect(password)\n"
DECORATED = decorated("plain", "return connect(password)", secret("password"), "password: str")


class Rotating:
    """An app whose secret was read once, in Microsoft's runtime."""

    def __init__(self, host: Host, fake_key_vault: FakeKeyVault) -> None:
        self._host, self._fake_key_vault = host, fake_key_vault
        self._id = host.index()["plain"].function_id
        assert (self.failures(1), self.reads()) == (0, 1)

    def reads(self) -> int:
        return reads(self._fake_key_vault)

    def failures(self, count: int) -> int:
        """Call the function so often at the same moment; return how many calls failed."""
        answers = self._host.run(self._calls(count))
        return sum(answer.result.status != answer.result.Success for answer in answers)

    async def _calls(self, count: int) -> list[Any]:
        return await asyncio.gather(*(self._host.calling(self._id, "req") for _ in range(count)))

    def send(self, event: dict[str, Any]) -> None:
        """Deliver an event, as the host does."""
        answer = self._host.invoke("secret_changed", event={"json": json.dumps(event)})
        assert answer.result.status == answer.result.Success, answer.result.exception.message


@pytest.fixture(params=["function.json", "decorators"])
def rotating(
    request: pytest.FixtureRequest,
    project: Project,
    fake_key_vault: FakeKeyVault,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rotating]:
    """An app in one of the models, with the event's function as the page shows it."""
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "200")
    database.rotate(fake_key_vault, "first-value")
    if request.param == "decorators":
        text = recipes.PAGE.read_text("utf-8")
        (event,) = re.findall(r"^In the v2 model:\n\n```python\n(.*?)^```", text, re.M | re.S)
        project.app(DATABASE, DECORATED, "from identity_bindings import refresh_secret", event)
    else:
        files = recipes.files("Refresh a secret when Key Vault has a new version")
        for path, text in files.items():
            project.write(path.removeprefix("src/"), text)
        project.function("plain", HTTP, RES, key_vault("password"), source=PLAIN)
    with project.host() as host:
        yield Rotating(host, fake_key_vault)


@needs_runtime
def test_with_the_event_a_plain_string_changes_within_a_second(
    rotating: Rotating, fake_key_vault: FakeKeyVault
) -> None:
    identifier = EVENT["data"]["Id"]
    for other in (("api-key", "other"), ("contoso", "fabrikam")):  # they read nothing
        rotating.send(EVENT | {"data": EVENT["data"] | {"Id": identifier.replace(*other)}})
    database.rotate(fake_key_vault, "second-value")
    assert rotating.failures(200) == 200

    rotating.send(EVENT)

    wait_for(lambda: rotating.failures(1) == 0)  # the interval is 300 s
    assert rotating.failures(200) == 0
    assert rotating.reads() == 2
