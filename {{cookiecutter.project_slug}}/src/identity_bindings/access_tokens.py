"""The binding ``accessToken``: a bearer token for an API protected by Entra ID."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from .credentials import Identity, open_credential
from .declarations import Kind, matching
from .errors import Reading
from .registration import declared
from .signatures import Handler

_SCOPE = r"(?:api|https)://[^\s{}%?#\"'\\]+/\.default"
_MARGIN_SECONDS = 30.0  # for the call that uses the token


@dataclass(frozen=True)
class TokenBinding:
    """A declared access token: `name` is the handler's parameter."""

    name: str
    scope: str
    identity: Identity

    def __str__(self) -> str:
        return f"access token for '{self.scope}'"

    @property
    def key(self) -> Hashable:
        """The same for every binding of this token."""
        return replace(self, name="")

    def read(self) -> Reading:
        """Get a token: the SDK's cached one until it is about to expire.

        Raises:
            ReadError: There is no token.
        """
        info = open_credential(self.identity).get_token_info(self.scope)
        return Reading(info.token, lifetime=info.expires_on - time.time() - _MARGIN_SECONDS)


def access_token(name: str, *, scope: str = "", **identity: str) -> Callable[[Handler], Handler]:
    """Pass a bearer token to the parameter `name` of a function, refreshed before it expires.

    Put it below the decorators of the app, like ``key_vault_secret``.

    Args:
        name: The parameter that receives the token, a ``str``.
        scope: What the token is for, such as ``api://<application id>/.default``.
        identity: `identity` and `identity_id`, as those of ``key_vault_secret``.
    """
    return declared(KIND.type, {"name": name, "scope": scope} | identity)


KIND = Kind(
    "accessToken",
    {"scope": matching(_SCOPE, "the scope of an API, such as 'api://<application id>/.default'")},
    TokenBinding,
)
