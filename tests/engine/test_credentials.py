"""Whose token it is: the app's identity in Azure, the developer's own login elsewhere."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from folders import IDENTITY
from support.fake_key_vault import TENANT, FakeKeyVault

ENDPOINT = {"IDENTITY_ENDPOINT": "http://127.0.0.1/", "IDENTITY_HEADER": "a-header"}
SITE = {"WEBSITE_SITE_NAME": "my-app", "WEBSITE_RESOURCE_GROUP": "my-group"}
SCOPE = "https://vault.azure.net/.default"


@pytest.fixture
def credentials() -> Any:
    return importlib.import_module("identity_bindings.credentials")


def refusal(credential: Any) -> Any:
    """Why there is no token."""
    errors = importlib.import_module("identity_bindings.errors")
    with pytest.raises(errors.ReadError) as caught:
        credential.get_token_info(SCOPE)
    assert caught.value.__cause__ is caught.value.__context__ is None
    return caught.value.failure


def test_azure_or_a_developers_machine(credentials: Any) -> None:
    for environment, endpoint, azure in (
        ({}, False, False),
        (ENDPOINT, True, True),
        ({"IDENTITY_ENDPOINT": "http://127.0.0.1/"}, False, False),
        ({"IDENTITY_HEADER": "a-header"}, False, False),
        ({**ENDPOINT, "IDENTITY_HEADER": ""}, False, False),
        ({"WEBSITE_SITE_NAME": "my-app", "WEBSITE_SKU": "FlexConsumption"}, False, True),
        ({"WEBSITE_SITE_NAME": "my-app"}, False, False),
        ({"WEBSITE_SITE_NAME": "my-app", "WEBSITE_SKU": ""}, False, False),
        ({"WEBSITE_SKU": "FlexConsumption"}, False, False),
        ({"WEBSITE_POD_NAME": "a-pod", "CONTAINER_NAME": "a-container"}, False, False),
    ):
        assert credentials.has_endpoint(environment) is endpoint, environment
        assert credentials.in_azure(environment) is azure, environment


def body(message: str) -> bytes:
    return json.dumps({"statusCode": 400, "message": message}).encode()


@pytest.mark.parametrize(
    ("fault", "denied", "said"),
    [
        ({"status": 400, "body": body("No User Assigned Identity found")}, True, ""),
        ({"status": 400, "body": body("there is no MSI")}, True, ""),
        ({"status": 400, "body": body("the resource is missing; msix")}, False, "HTTP 400"),
        ({"status": 500, "body": body("the identity is fine, I am not")}, False, "HTTP 500"),
        ({"status": 429, "body": body("too many")}, False, "HTTP 429"),
        ({"status": 403, "body": b""}, False, "HTTP 403"),  # just after a deployment
        ({"body": b"<html>identity</html>"}, False, "HTTP 200"),
        ({"how": "refuse"}, False, "ServiceRequestError"),
    ],
)
def test_each_answer_of_the_endpoint_has_its_reason(
    credentials: Any, fake_key_vault: FakeKeyVault, fault: dict[str, Any], denied: bool, said: str
) -> None:
    credential = credentials.Credential(credentials.Identity())
    fake_key_vault.fail("identity", **fault)

    failure = refusal(credential)

    assert len(fake_key_vault.requests) <= 1  # sources repeat a read, the SDK does not
    if denied:
        assert failure == credentials.not_assigned(credential.identity)
        assert failure.reason.endswith("the app does not have the system-assigned identity")
    else:
        assert failure.kind == "transient"
        assert failure.reason == f"the identity endpoint gave no token ({said})"
        assert failure.repair == "the next read tries again; if it lasts, restart the app"
        assert failure.shared


@pytest.mark.parametrize("program", ["az", "azd"])
def test_on_a_developers_machine_it_is_the_developers_own_login(
    credentials: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    for name in (*ENDPOINT, "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME", "CONTAINER_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    credential = credentials.Credential(credentials.Identity(IDENTITY))
    expires = time.time() + 3600
    answer = {
        "az": {"accessToken": "the-token-of-az", "expires_on": int(expires)},
        "azd": {
            "token": "the-token-of-azd",
            "expiresOn": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)),
        },
    }[program]
    script = f"#!/bin/sh\necho \"$@\" > {tmp_path}/asked\necho '{json.dumps(answer)}'\n"
    (tmp_path / program).write_text(script)
    (tmp_path / program).chmod(0o755)

    info = credential.get_token_info(SCOPE, options={"tenant_id": TENANT})  # the vault's own

    assert info.token == f"the-token-of-{program}"
    assert TENANT in (tmp_path / "asked").read_text()
