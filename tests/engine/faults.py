"""The faults of the docs' table: where each strikes, and what the engine makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from faulty_key_vault import FaultyKeyVault
from folders import IDENTITY


@dataclass(frozen=True)
class Row:
    """A fault: where and how it strikes, and what the engine must make of it."""

    name: str
    denied: bool
    says: str
    where: str = "vault"  # vault | identity
    fault: dict[str, Any] = field(default_factory=dict)
    vault: dict[str, Any] = field(default_factory=dict)
    secret: dict[str, Any] = field(default_factory=dict)

    @property
    def function(self) -> str:
        return self.name.replace("-", "_")

    @property
    def identity(self) -> str:
        return IDENTITY.replace("id-tests", f"id-{self.name}")

    def strike(self, fake_key_vault: FaultyKeyVault) -> None:
        vault = fake_key_vault.vault(self.name)
        if self.fault:
            fake_key_vault.fail(
                self.name if self.where == "vault" else f"identity/id-{self.name}", **self.fault
            )
        elif self.where == "identity":
            fake_key_vault.identities.discard(self.identity)
        if "missing" in self.secret:
            vault.secrets.clear()
        elif self.secret:
            vault.secrets[-1].attributes.update(self.secret)
        vars(vault).update(self.vault)

    def heal(self, fake_key_vault: FaultyKeyVault, value: str) -> None:
        """End the fault; whoever repaired it has also rotated the secret."""
        for key in (self.name, f"identity/id-{self.name}"):
            fake_key_vault.faults.pop(key, None)
        fake_key_vault.identities.add(self.identity)
        vars(fake_key_vault.vault(self.name)).update(readers=None, firewall=False)
        fake_key_vault.vault(self.name).set("api-key", value)


CLOSED = b'{"error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByConnection"}}}'
ROWS = [
    Row("no-identity", True, "az functionapp identity assign", "identity"),
    Row("identity-500", False, "identity endpoint", "identity", {"status": 500}),
    Row("identity-refuses", False, "identity endpoint", "identity", {"how": "refuse"}),
    Row("identity-hangs", False, "identity endpoint|no answer", "identity", {"how": "hang"}),
    Row("identity-slow", False, "identity endpoint|no answer", "identity", {"delay": 20.0}),
    Row("identity-garbage", False, "identity endpoint", "identity", {"body": b"<html>"}),
    Row("vault-401", True, "tenant", fault={"status": 401}),
    Row("no-policy", True, "accessPolicies/add", vault={"readers": set()}),
    Row("no-role", True, "az role assignment create", vault={"readers": set(), "rbac": True}),
    Row("firewall", True, "service endpoint Microsoft.KeyVault", vault={"firewall": True}),
    Row("closed", True, "its private endpoints", fault={"status": 403, "body": CLOSED}),
    Row("missing", True, "az keyvault secret recover ", secret={"missing": True}),
    Row("disabled", True, "az keyvault secret set-attributes", secret={"enabled": False}),
    Row("throttled", False, "HTTP 429", fault={"status": 429}),
    Row(
        *("throttled-1-s", False, "HTTP 429"),
        fault={"status": 429, "headers": {"Retry-After": "1"}},
    ),
    Row("vault-503", False, "HTTP 503", fault={"status": 503}),
    Row("reset", False, "the connection failed", fault={"how": "reset"}),
    Row("slow", False, "in time|no answer", fault={"delay": 20.0}),
    Row("drips", False, "in time|no answer", fault={"how": "drip"}),
    Row("hangs", False, "in time|no answer", fault={"how": "hang"}),
    Row("garbage", False, "answer cannot be read", fault={"body": b'{"value": "half-a-sec'}),
    Row("unresolved", False, "resolve", fault={"how": "unresolved"}),
    Row("untrusted", False, "TLS|the connection failed", fault={"how": "untrusted"}),
    Row("refuses", False, "refused|the connection failed", fault={"how": "refuse"}),
]
