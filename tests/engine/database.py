"""A service that accepts one password at a time, for the handlers of tests."""

from __future__ import annotations

from support.fake_key_vault import FakeKeyVault

accepted = ""


class AccessDenied(Exception):
    """The password is another one."""


def connect(password: str) -> str:
    if password != accepted:
        raise AccessDenied
    return "connected"


def rotate(fake_key_vault: FakeKeyVault, value: str) -> None:
    """Set a new version of the secret; from then on only its value is accepted."""
    global accepted
    fake_key_vault.vault("contoso").set("api-key", value)
    accepted = value
