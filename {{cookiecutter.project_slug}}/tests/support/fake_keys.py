"""Keys of the fake Key Vault: real RSA keys that sign and verify."""

from __future__ import annotations

import base64
import functools
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from support.fake_key_vault import FakeKeyVault, Reply, Request, refusal

DIGEST = utils.Prehashed(hashes.SHA256())
PADDINGS: dict[str, Any] = {
    "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), DIGEST.digest_size),
    "RS256": padding.PKCS1v15(),
}


class Keys:
    """The keys of one vault, newer versions after older ones, and what callers may do with them."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.permissions = {"get", "sign"}
        self.versions: dict[str, list[tuple[str, rsa.RSAPrivateKey]]] = {}

    def create(self, name: str, version: str = "") -> str:
        """Add a version of a key, and return its identifier."""
        version = version or secrets.token_hex(16)
        self.versions.setdefault(name.lower(), []).append((version, _new_key(version)))
        return version

    def answer(self, request: Request) -> Reply:
        """Answer a caller with a valid token."""
        _, name, version, operation, *_ = f"{request.path.strip('/')}///".split("/")
        operation = operation or "get"
        if operation not in self.permissions:
            return refusal(403, "ForbiddenByPolicy")
        known = self.versions.get(name.lower(), [])
        found = [(one, key) for one, key in known if version in ("", one)]
        if not found:
            return refusal(404, "KeyNotFound")
        version, key = found[-1]
        kid = f"https://{self.host}/keys/{name}/{version}"
        if operation == "get":
            numbers = key.public_key().public_numbers()
            parts = {"n": _encoded(_bytes(numbers.n)), "e": _encoded(_bytes(numbers.e))}
            public = {"kid": kid, "kty": "RSA", "key_ops": ["sign", "verify"], **parts}
            attributes = {"enabled": True, "created": 1, "updated": 1, "exportable": False}
            return 200, {"key": public, "attributes": attributes}, {}
        asked = json.loads(request.body)
        pad, value = PADDINGS[asked["alg"]], _decoded(asked["value"])
        if operation == "sign":
            return 200, {"kid": kid, "value": _encoded(key.sign(value, pad, DIGEST))}, {}
        try:
            key.public_key().verify(value, _decoded(asked["digest"]), pad, DIGEST)
        except InvalidSignature:
            return 200, {"value": False}, {}
        return 200, {"value": True}, {}


def keys_of(fake_key_vault: FakeKeyVault, vault: str) -> Keys:
    """Return the keys of a vault."""
    host = fake_key_vault.vault(vault).host
    answer = fake_key_vault.others.setdefault(f"{host}/keys", Keys(host).answer)
    keys = getattr(answer, "__self__", None)
    assert isinstance(keys, Keys)
    return keys


def add(fake_key_vault: FakeKeyVault, binding: Any) -> None:
    """Create the key that a binding declares, and let its identity use it."""
    if not hasattr(binding, "key_name"):
        return
    vault, keys = (
        fake_key_vault.vault(binding.vault_url),
        keys_of(fake_key_vault, binding.vault_url),
    )
    vault.readers = (vault.readers or set()) | {binding.identity.resource_id}
    if binding.key_name.lower() not in keys.versions:
        keys.create(binding.key_name, binding.key_version or "")


@functools.cache
def _new_key(_version: str) -> rsa.RSAPrivateKey:
    # Short, because a long one takes seconds to make.
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
