"""The fake Key Vault speaks as the real services do, so that what passes here can pass in Azure.

Only the Azure SDK talks to it here, no line of the app.
"""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ServiceRequestError,
)
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from folders import IDENTITY
from support.fake_key_vault import SUFFIXES, FakeKeyVault

URL = "https://contoso.vault.azure.net"


def client(identity: str | None = None, url: str = URL) -> SecretClient:
    config = {"resource_id": identity} if identity else None
    known = {"retry_total": 0, "read_timeout": 0.5}
    return SecretClient(url, ManagedIdentityCredential(identity_config=config, **known), **known)


def test_one_read_is_a_challenge_a_token_and_an_answer(fake_key_vault: FakeKeyVault) -> None:
    version = fake_key_vault.vault("contoso").set("api-key", "the-value")

    secret = client().get_secret("api-key")

    assert (secret.value, secret.properties.version) == ("the-value", version)
    challenge, token, read = fake_key_vault.requests
    assert (challenge.endpoint, challenge.status) == ("contoso.vault.azure.net", 401)
    assert "authorization" not in challenge.headers
    assert (token.endpoint, token.status) == ("identity", 200)
    assert token.query == {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}
    assert (read.secret, read.status) == ("api-key", 200)
    assert read.headers["authorization"].removeprefix("Bearer ") in fake_key_vault.tokens


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_cloud_passes_the_challenge_check(fake_key_vault: FakeKeyVault, suffix: str) -> None:
    fake_key_vault.vault("contoso", suffix).set("api-key", "the-value")

    assert client(url=f"https://contoso.{suffix}").get_secret("api-key").value == "the-value"

    assert fake_key_vault.requests[1].query["resource"] == f"https://{suffix}"


def test_the_identity_is_asked_for_by_its_resource_id(fake_key_vault: FakeKeyVault) -> None:
    fake_key_vault.identities = {IDENTITY}
    fake_key_vault.vault("contoso").set("api-key", "the-value")

    assert client(IDENTITY).get_secret("api-key").value == "the-value"
    assert fake_key_vault.requests[1].query["mi_res_id"] == IDENTITY
    # Older releases of azure-identity report the endpoint's answer in one word.
    with pytest.raises(CredentialUnavailableError, match=r"No Managed Identity|invalid_scope"):
        client().get_secret("api-key")


def test_the_identity_endpoint_wants_its_header(fake_key_vault: FakeKeyVault) -> None:
    url = f"http://127.0.0.1:{fake_key_vault.identity_port}/msi/token?api-version=2019-08-01&resource=x"

    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"X-IDENTITY-HEADER": "wrong"}))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"how": "reset"}, "reset by peer|IncompleteRead"),
        ({"how": "hang"}, "timed out"),
        ({"delay": 5.0}, "timed out"),
        ({"how": "refuse"}, "refused|closed connection"),
        ({"how": "unresolved"}, "not known|closed connection"),
        ({"how": "untrusted"}, "CERTIFICATE_VERIFY_FAILED|closed connection"),
        ({"body": b'{"value": '}, "JSON is invalid"),
    ],
)
def test_planned_failures_hit_a_connection_that_is_open_too(
    fake_key_vault: FakeKeyVault, fault: dict[str, Any], message: str
) -> None:
    fake_key_vault.vault("contoso").set("api-key", "the-value")
    secrets = client()
    secrets.get_secret("api-key")
    fake_key_vault.fail("contoso", **fault)

    for _ in range(2):
        with pytest.raises(AzureError, match=message):
            secrets.get_secret("api-key")

    fake_key_vault.heal()
    assert secrets.get_secret("api-key").value == "the-value"


def test_a_fault_can_hit_a_number_of_requests(fake_key_vault: FakeKeyVault) -> None:
    fake_key_vault.vault("contoso").set("api-key", "the-value")
    fake_key_vault.fail("identity", status=500, times=1)

    with pytest.raises(CredentialUnavailableError):
        client().get_secret("api-key")
    assert client().get_secret("api-key").value == "the-value"


def test_an_unknown_host_is_not_reached(fake_key_vault: FakeKeyVault) -> None:
    with pytest.raises(ServiceRequestError, match="Name or service not known"):
        client().get_secret("api-key")
    with pytest.raises(ServiceRequestError, match="no test leaves this machine"):
        client(url="https://example.com").get_secret("api-key")

    assert fake_key_vault.strays == ["example.com"]
    fake_key_vault.strays.clear()


def test_a_late_read_of_an_earlier_test_is_no_stray(fake_key_vault: FakeKeyVault) -> None:
    """Its thread asks the identity endpoint of its own test, which has ended."""
    with FakeKeyVault() as earlier:
        port = earlier.identity_port

    with pytest.raises(ConnectionRefusedError):
        fake_key_vault.connect(socket.create_connection, ("127.0.0.1", port))
    assert fake_key_vault.strays == []
