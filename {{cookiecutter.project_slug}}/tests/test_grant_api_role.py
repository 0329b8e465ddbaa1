"""scripts/grant_api_role.py calls the Azure CLI with the right arguments."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from support import worker

API = {
    "id": "api-object-id",
    "appRoles": [
        {
            "id": "role-id",
            "value": "Orders.Read",
            "isEnabled": True,
            "allowedMemberTypes": ["Application"],
        },
        {"id": "x", "value": "Ask", "isEnabled": True, "allowedMemberTypes": ["User"]},
        {"id": "y", "value": "Old", "isEnabled": False, "allowedMemberTypes": ["Application"]},
    ],
}


class Cli:
    """The Azure CLI, and what was posted through it."""

    def __init__(self) -> None:
        self.assigned: list[dict[str, Any]] = []
        self.urls: list[str] = []

    def __call__(self, *words: str) -> Any:
        if words[:3] == ("ad", "sp", "show"):
            return API
        if words[0] == "cloud":
            return "https://graph.microsoft.com/"
        self.urls.append(words[words.index("--url") + 1])
        if "post" in words:
            body = words[words.index("--body") + 1].removeprefix("@")
            self.assigned.append(json.loads(Path(body).read_text("utf-8")))
        return {"value": self.assigned}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    file = worker.PROJECT / "scripts" / "grant_api_role.py"
    spec = importlib.util.spec_from_file_location("grant_api_role", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "az", Cli())
    return module


def test_it_assigns_the_role_once(script: Any) -> None:
    first = script.main(["principal-id", "Orders.Read"])
    second = script.main(["principal-id", "Orders.Read"])

    role = {"principalId": "principal-id", "resourceId": "api-object-id", "appRoleId": "role-id"}
    assert script.az.assigned == [role]
    assert script.az.urls[1].endswith("/v1.0/servicePrincipals/api-object-id/appRoleAssignedTo")
    assert "24 hours" in first
    assert "already" in second


@pytest.mark.parametrize("role", ["Ask", "Old", "orders.read"])
def test_a_role_that_is_not_offered_is_told(script: Any, role: str) -> None:
    with pytest.raises(SystemExit, match=r"it offers: Orders\.Read$"):
        script.main(["principal-id", role])

    assert script.az.assigned == []
