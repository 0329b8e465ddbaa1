"""The fake Key Vault speaks as the real services do, so that what passes here can pass in Azure.

Only the Azure SDK talks to it here, no line of the app.
"""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from azure.core.exceptions import (
    ServiceRequestError,
)
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from support.fake_key_vault import FakeKeyVault

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


def test_the_identity_endpoint_wants_its_header(fake_key_vault: FakeKeyVault) -> None:
    url = f"http://127.0.0.1:{fake_key_vault.identity_port}/msi/token?api-version=2019-08-01&resource=x"

    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"X-IDENTITY-HEADER": "wrong"}))


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
