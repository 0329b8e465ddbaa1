"""The facts that templates read: pure functions over the checked answers."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .answers import (
    CREATED_IDENTITY_SETTING,
    IDENTITY_ID,
    SETTING,
    VAULT_URI,
    samples_of,
    services_of,
)
from .paths import left_out

# Names that a handler's parameters cannot have: they mean something else there.
TAKEN_PARAMETERS = frozenset({"req", "res", "context", "func"})
LINE_LENGTH = 100

# What begins a block of Markdown that no empty line ends, or that nobody sees: a fence, some HTML,
# a link's definition.
HIDING = re.compile(
    r"^( {0,3})(?=```|~~~|<[!?]|<(?:script|pre|style|textarea)\b|\[[^\]]+\]:)",
    re.MULTILINE | re.IGNORECASE,
)

# Each service's connection in function.json, the setting that says where the service is, and what
# Bicep knows about that.
CONNECTIONS = {
    "blob-storage": ("DOCUMENTS", "blobServiceUri", "blob.outputs.serviceUri"),
    "cosmos-db": ("ORDERS_DB", "accountEndpoint", "cosmos.outputs.endpoint"),
    "service-bus": ("ORDERS_BUS", "fullyQualifiedNamespace", "serviceBus.outputs.hostName"),
}
# What that setting is on a developer's machine. Where it is nothing, the connection is an emulator's.
LOCAL_ADDRESSES = {
    "cosmos-db": "https://cosmos-of-your-deployment.documents.azure.com:443/",
    "service-bus": "sb-of-your-deployment.servicebus.windows.net",
}
EMULATED_STORAGE = "UseDevelopmentStorage=true"
LOCAL_IDENTITY_ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/local"
)


class Secret(NamedTuple):
    """A secret by its name in the vault, and the parameter that receives it."""

    name: str
    parameter: str


class Facts(NamedTuple):
    """What the answers mean; `facts_of` makes it, of answers without a problem."""

    project_name: str
    project_slug: str
    description: str
    function_name: str
    decorators: bool  # declared above each function, else in function.json files
    python_version: str
    ci: str

    identity: str
    identity_source: str  # system, created, existing or parameter
    identity_id: str
    identity_setting: str
    identity_subscription: str
    identity_group: str
    identity_name: str

    vault_setting: str
    vault_name: str
    vault_source: str
    vault_access: str
    vault_subscription: str
    vault_group: str

    declared_vault: str
    declared_identity_id: str
    secrets: tuple[Secret, ...]
    key: str
    services: tuple[str, ...]
    api_scope: str
    network: str  # public or private
    samples: tuple[str, ...]  # the functions that options bring

    @property
    def blob_storage(self) -> bool:
        """Whether the app reads and writes blobs."""
        return "blob-storage" in self.services

    @property
    def cosmos_db(self) -> bool:
        """Whether the app reads documents of Cosmos DB."""
        return "cosmos-db" in self.services

    @property
    def service_bus(self) -> bool:
        """Whether the app works on Service Bus queues."""
        return "service-bus" in self.services

    @property
    def new_vault(self) -> bool:
        """Whether Bicep creates the vault."""
        return self.vault_source == "new"

    @property
    def granted(self) -> bool:
        """Whether the identity already has access to the vault: Bicep deploys no grant."""
        return self.vault_access == "granted"

    @property
    def private(self) -> bool:
        """Whether only the app's own network reaches the vault and the storage."""
        return self.network == "private"

    @property
    def closed_vault(self) -> bool:
        """Whether Bicep creates the vault, and nobody outside of the network reaches it."""
        return self.private and self.new_vault

    @property
    def identity_by_setting(self) -> bool:
        """Whether a setting says at deployment which identity it is."""
        return self.identity_source == "parameter"

    @property
    def identity_exists(self) -> bool:
        """Whether the identity is there already."""
        return self.identity_source in ("existing", "parameter")

    @property
    def connections(self) -> tuple[tuple[str, str], ...]:
        """The settings of identity-based connections, each with its Bicep expression."""
        credential = {"credential": "'managedidentity'", "clientId": "identity.properties.clientId"}
        by_user = credential if self.identity == "user" else {}
        return tuple(
            (f"{CONNECTIONS[service][0]}__{name}", value)
            for service in self.services
            for name, value in (CONNECTIONS[service][1:], *by_user.items())
        )

    @property
    def deployment_variables(self) -> tuple[str, ...]:
        """What main.bicepparam reads from the environment, apart from what azd sets."""
        return (
            *((self.identity_setting,) if self.identity_source == "parameter" else ()),
            *(("API_URL",) if self.api_scope else ()),
            *(("SECRET_SETTER_OBJECT_ID",) if self.vault_source == "new" else ()),
            "ALERT_ACTION_GROUP_ID",
        )

    @property
    def looked_up(self) -> tuple[tuple[str, str], ...]:
        """What people tell a deployment, each variable with the command that finds its value."""
        identity = "az identity show --resource-group GROUP --name IDENTITY"
        asked = (
            (self.new_vault, "SECRET_SETTER_OBJECT_ID", "az ad signed-in-user show"),
            (self.identity_by_setting, self.identity_setting, identity),
        )
        return tuple((v, f"{cmd} --query id --output tsv") for needed, v, cmd in asked if needed)

    @property
    def rights_to_deploy(self) -> tuple[str, ...]:
        """What somebody who deploys must be allowed to do, each with the role that allows it."""
        endpoint = " and approve its private endpoint (Key Vault Contributor on it)"
        assign = "to assign the identity (Managed Identity Operator on it)"
        grant = f"to grant access to the vault{endpoint if self.private else ''}"
        return (
            "to create resources and to assign roles in the resource group (Owner,"
            " or Contributor with Role Based Access Control Administrator)",
            *((assign,) if self.identity_exists else ()),
            *(() if self.new_vault else (grant,)),
        )

    @property
    def declared_types(self) -> tuple[tuple[str, str], ...]:
        """The binding types that this project brings, each with a pattern for any case."""
        kinds = ["keyVault"]
        kinds += ["keyVaultKey"] if self.key else []
        kinds += ["accessToken"] if self.api_scope else []
        return tuple((k, "".join(f"[{c.upper()}{c.lower()}]" for c in k)) for k in kinds)

    @property
    def in_short(self) -> str:
        """What the project is, in one sentence of plain letters."""
        vault = f"the vault {self.vault_name}" if self.vault_source == "existing" else "a new vault"
        identity = {
            "system": "the app's own identity",
            "created": "a new identity",
            "existing": f"the identity {self.identity_name}",
            "parameter": f"the identity that {self.identity_setting} names",
        }[self.identity_source]
        secrets = ", ".join(secret.name for secret in self.secrets)
        return (
            f"The function {self.function_name} receives {secrets} from {vault}, with {identity}."
        )

    @property
    def left_out(self) -> list[str]:
        """The paths that belong to other answers."""
        return left_out(self)

    @property
    def description_in_markdown(self) -> str:
        """The description as it was typed, but hiding nothing of itself and of what follows it."""
        return HIDING.sub(r"\1\\", self.description)

    @property
    def project_name_quoted(self) -> str:
        """The name as a double-quoted string, the same in JSON, YAML, TOML and Python."""
        return quoted(self.project_name)

    @property
    def function_json(self) -> str:
        """The complete text of the first function's function.json."""
        bindings: list[dict[str, Any]] = [
            {
                "name": "req",
                "type": "httpTrigger",
                "direction": "in",
                "authLevel": "function",
                "methods": ["get", "post"],
            },
            {"name": "res", "type": "http", "direction": "out"},
        ]
        bindings += map(self._binding, self.secrets)
        return as_json({"bindings": bindings})

    @property
    def local_settings_json(self) -> str:
        """The complete text of local.settings.json: the app settings on a developer's machine."""
        values = {}
        if self.vault_setting:
            values[self.vault_setting] = "kv-of-your-deployment"
        if self.identity_setting:
            values[self.identity_setting] = LOCAL_IDENTITY_ID
        for service, (connection, setting, _) in CONNECTIONS.items():
            if service in self.services:
                address = LOCAL_ADDRESSES.get(service)
                name = f"{connection}__{setting}" if address else connection
                values[name] = address or EMULATED_STORAGE
        if self.api_scope:
            values["API_URL"] = "https://api-of-yours.example/"
        values["LOCAL_SECRETS_FILE"] = "../secrets.local.json"
        values["FUNCTIONS_WORKER_RUNTIME"] = "python"
        values["AzureWebJobsStorage"] = EMULATED_STORAGE if self.service_bus else ""
        return as_json({"IsEncrypted": False, "Values": values})

    @property
    def local_secrets_json(self) -> str:
        """The complete text of secrets.local.example.json: a value for each secret."""
        return as_json({secret.name: "a value for this machine only" for secret in self.secrets})

    def _binding(self, secret: Secret) -> dict[str, str]:
        binding = {
            "name": secret.parameter,
            "type": "keyVault",
            "direction": "in",
            "secretName": secret.name,
            "vaultName": self.declared_vault,
            "identity": self.identity,
        }
        if self.declared_identity_id:
            binding["identityId"] = self.declared_identity_id
        return binding

    @property
    def another_secret(self) -> str:
        """The declaration of one more secret, for somebody to copy."""
        secret = Secret("another-secret", "another_secret")
        if self.decorators:
            return self._secret_decorator(secret)
        return as_json(self._binding(secret)).rstrip()

    @property
    def signature(self) -> str:
        """The handler's `def` line, split as the formatter would split it."""
        name = self.function_name if self.decorators else "main"
        parameters = ["req: func.HttpRequest", *(f"{s.parameter}: str" for s in self.secrets)]
        return laid_out(f"def {name}(", parameters, ") -> func.HttpResponse:")

    @property
    def secret_decorators(self) -> str:
        """The declarations of the secrets, as decorators of the first function."""
        return "\n".join(map(self._secret_decorator, self.secrets))

    def _secret_decorator(self, secret: Secret) -> str:
        return self._decorator("key_vault_secret", secret.parameter, secret_name=secret.name)

    @property
    def key_decorator(self) -> str:
        """The declaration of the key, as a decorator."""
        return self._decorator("key_vault_key", "key", key_name=self.key)

    @property
    def token_decorator(self) -> str:
        """The declaration of the API's access token, as a decorator."""
        return self._decorator("access_token", "token", scope=self.api_scope)

    def _decorator(self, decorator: str, parameter: str, **named: str) -> str:
        if "scope" not in named:
            named["vault_name"] = self.declared_vault
        named["identity"] = self.identity
        if self.declared_identity_id:
            named["identity_id"] = self.declared_identity_id
        arguments = [quoted(parameter), *(f"{name}={quoted(v)}" for name, v in named.items())]
        return laid_out(f"@{decorator}(", arguments, ")")


def facts_of(answers: Mapping[str, Any]) -> Facts:
    """Turn answers without a problem into facts."""
    answer = {key: value.strip() for key, value in answers.items() if isinstance(value, str)}

    identity_id = answer["identity_id"]
    if answer["identity"] == "system":
        source, setting, declared_id = "system", "", ""
    elif not identity_id:
        source, setting = "created", CREATED_IDENTITY_SETTING
        declared_id = f"%{setting}%"
    elif named := re.fullmatch(SETTING, identity_id):
        source, setting, declared_id = "parameter", named["setting"], identity_id
    else:
        source, setting, declared_id = "existing", "", identity_id
    literal_id = re.fullmatch(IDENTITY_ID, identity_id) if source == "existing" else None

    vault = answer["vault"]
    vault_setting = re.fullmatch(SETTING, vault)
    vault_uri = None if vault_setting else re.fullmatch(VAULT_URI, vault)
    subscription, _, group = answer["vault_resource_group"].rpartition("/")

    return Facts(
        project_name=answer["project_name"],
        project_slug=answer["project_slug"],
        description=answer["description"],
        function_name=answer["function_name"],
        decorators=answer["programming_model"] == "decorators",
        python_version=answer["python_version"],
        ci=answer["ci"],
        identity=answer["identity"],
        identity_source=source,
        identity_id=identity_id if literal_id else "",
        identity_setting=setting,
        identity_subscription=literal_id["subscription"] if literal_id else "",
        identity_group=literal_id["group"] if literal_id else "",
        identity_name=literal_id["name"] if literal_id else "",
        vault_setting=vault_setting["setting"] if vault_setting else "",
        vault_name="" if vault_setting else vault_uri["name"] if vault_uri else vault,
        vault_source=answer["vault_source"],
        vault_access=answer["vault_access"],
        vault_subscription=subscription,
        vault_group=group,
        declared_vault=vault,
        declared_identity_id=declared_id,
        secrets=with_parameters(name.strip() for name in answer["secrets"].split(",")),
        key=answer["key"],
        services=tuple(services_of(answer["services"])),
        api_scope=answer["api_scope"],
        network=answer["network"],
        samples=tuple(sorted(samples_of(answer))),
    )


def with_parameters(names: Iterable[str]) -> tuple[Secret, ...]:
    """Give every secret a parameter name of its own."""
    secrets: list[Secret] = []
    for name in names:
        parameter = base = parameter_name(name)
        number = 2
        while parameter in {secret.parameter for secret in secrets}:
            parameter, number = f"{base}_{number}", number + 1
        secrets.append(Secret(name, parameter))
    return tuple(secrets)


def parameter_name(secret: str) -> str:
    """Make a handler's parameter of a secret's name: `my-apiKey` becomes `my_api_key`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", secret).lower()
    name = "_".join(filter(None, words.split("-"))) or "secret"
    if name[0].isdigit():
        name = f"secret_{name}"
    if keyword.iskeyword(name) or name in TAKEN_PARAMETERS:
        name = f"{name}_secret"
    return name


def laid_out(start: str, parts: Sequence[str], end: str) -> str:
    """Write a list of Python's as the formatter does: in one line, or each part in its own."""
    line = f"{start}{', '.join(parts)}{end}"
    if len(line) <= LINE_LENGTH:
        return line
    return f"{start}\n    " + ",\n    ".join(parts) + f",\n{end}"


def as_json(value: Mapping[str, Any]) -> str:
    """Write a JSON file's text, as people would write it by hand."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def quoted(text: str) -> str:
    """Quote a checked text: its escapes mean the same in JSON, YAML, TOML and Python."""
    return json.dumps(text, ensure_ascii=False)
