"""Key Vault secrets as declared bindings of Azure Functions, read with the app's managed identity.

The Functions host has no binding of the type ``keyVault``. This package adds it::

    register_functions(app, Path(__file__).parent / "functions")

registers the functions that a folder declares in ``function.json`` files. ::

    @app.route("orders")
    @key_vault_secret("api_key", secret_name="api-key", vault_name="my-vault", identity="system")
    def orders(req: func.HttpRequest, api_key: str) -> func.HttpResponse: ...

declares a secret of a function of the v2 model.
"""

from . import masking
from .errors import BindingUnavailableError
from .indexing import isolated
from .injection import Secret
from .key_vault_secrets import key_vault_secret, refresh_secret
from .registration import register_functions

masking.install()

__version__ = "1.0.0"
__all__ = [
    "BindingUnavailableError",
    "Secret",
    "isolated",
    "key_vault_secret",
    "refresh_secret",
    "register_functions",
]
