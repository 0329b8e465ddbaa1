"""Which paths of a project belong to which answer, and what each service consists of."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .facts import Facts

TEMPLATE = Path(__file__).parent.parent / "{{cookiecutter.project_slug}}"


class Service(NamedTuple):
    """A service that the app uses with its identity."""

    sample: str  # the function that comes with it
    connection: str  # its bindings' connection: the beginning of its app settings
    private: bool = True  # whether a private network has an endpoint for it


SERVICES = {
    "blob-storage": Service("summarize_blob", "DOCUMENTS"),
    "cosmos-db": Service("read_order", "ORDERS_DB"),
    "service-bus": Service("ship_order", "ORDERS_BUS", private=False),  # needs the tier Premium
}

# The facts that a path needs. It ends with / where it is a whole folder. One that no line names
# belongs to every project.
OPTIONAL: dict[str, Callable[["Facts"], object]] = {
    # programming model
    "functions.schema.json": lambda facts: not facts.decorators,
    "src/functions/": lambda facts: not facts.decorators,
    "src/blueprints/": lambda facts: facts.decorators,
    # key
    "src/blueprints/sign_document.py": lambda facts: facts.key,
    "src/functions/sign_document/": lambda facts: facts.key,
    "src/identity_bindings/keys.py": lambda facts: facts.key,
    "tests/support/fake_keys.py": lambda facts: facts.key,
    "tests/test_sign_document.py": lambda facts: facts.key,
    # services: blob-storage
    "infra/modules/blob.bicep": lambda facts: facts.blob_storage,
    "src/blueprints/summarize_blob.py": lambda facts: facts.blob_storage,
    "src/functions/summarize_blob/": lambda facts: facts.blob_storage,
    "tests/test_summarize_blob.py": lambda facts: facts.blob_storage,
    # services: cosmos-db
    "infra/modules/cosmos.bicep": lambda facts: facts.cosmos_db,
    "src/blueprints/read_order.py": lambda facts: facts.cosmos_db,
    "src/functions/read_order/": lambda facts: facts.cosmos_db,
    "tests/test_read_order.py": lambda facts: facts.cosmos_db,
    # services: service-bus
    "infra/modules/service-bus.bicep": lambda facts: facts.service_bus,
    "src/blueprints/ship_order.py": lambda facts: facts.service_bus,
    "src/functions/ship_order/": lambda facts: facts.service_bus,
    "tests/test_ship_order.py": lambda facts: facts.service_bus,
    # api_scope
    "scripts/grant_api_role.py": lambda facts: facts.api_scope,
    "src/blueprints/call_api.py": lambda facts: facts.api_scope,
    "src/functions/call_api/": lambda facts: facts.api_scope,
    "src/identity_bindings/access_tokens.py": lambda facts: facts.api_scope,
    "tests/test_call_api.py": lambda facts: facts.api_scope,
    "tests/test_grant_api_role.py": lambda facts: facts.api_scope,
    # vault_access
    "infra/modules/vault-access.bicep": lambda facts: not facts.granted,
    # vault_source, network
    "infra/modules/existing-network.bicep": lambda facts: facts.private,
    "infra/modules/network.bicep": lambda facts: facts.private,
    "infra/modules/private-endpoint.bicep": lambda facts: facts.private,
    "scripts/vault_firewall.py": lambda facts: facts.private and facts.new_vault,
    # ci
    ".github/": lambda facts: facts.ci == "github",
    "SECURITY.md": lambda facts: facts.ci == "github",
    "infra/github.bicep": lambda facts: facts.ci == "github",
    "infra/github.bicepparam": lambda facts: facts.ci == "github",
    "infra/modules/github-access.bicep": lambda facts: facts.ci == "github",
    "infra/modules/github-identity.bicep": lambda facts: facts.ci == "github",
    "scripts/connect-github.sh": lambda facts: facts.ci == "github",
}


def left_out(facts: "Facts") -> list[str]:
    """List the files that belong to other answers; an owner's files beside them are not among them."""
    unwanted = tuple(path for path, is_wanted in OPTIONAL.items() if not is_wanted(facts))
    files = (
        file.relative_to(TEMPLATE).as_posix() for file in TEMPLATE.rglob("*") if file.is_file()
    )
    return sorted(
        file.replace("{{cookiecutter.function_name}}", facts.function_name)
        for file in files
        if unwanted and file.startswith(unwanted)
    )
