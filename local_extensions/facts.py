"""The facts that templates read."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .answers import CREATED_IDENTITY_SETTING, IDENTITY_ID, SETTING, VAULT_URI, services_of
from .names import TAKEN_PARAMETERS
from .paths import SERVICES, left_out

# Markdown that could hide the text after it: a fence, some HTML, a link's definition.
HIDING = re.compile(
    r"^( {0,3})(?=```|~~~|<[!?]|<(?:script|pre|style|textarea)\b|\[[^\]]+\]:)",
    re.MULTILINE | re.IGNORECASE,
)


class Secret(NamedTuple):
    """A secret by its name in the vault, and the parameter that receives it."""

    name: str
    parameter: str


class Cloud(NamedTuple):
    """An Azure cloud, as the workflow signs in to it."""

    environment: str  # the name that azure/login has for it
    audience: str  # of GitHub's token


PUBLIC_CLOUD = Cloud("azurecloud", "api://AzureADTokenExchange")
CLOUDS = {
    "azure.cn": Cloud("azurechinacloud", "api://AzureADTokenExchangeChina"),
    "usgovcloudapi.net": Cloud("azureusgovernment", "api://AzureADTokenExchangeUSGov"),
}


class Facts:
    """What the answers mean."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        """Take answers without a problem."""
        answer = {name: value.strip() for name, value in answers.items() if isinstance(value, str)}
        # paths.py reads the facts with a type: mypy could not infer it, as both modules need each other.
        self.project_name = answer["project_name"]
        self.project_slug = answer["project_slug"]
        self.description = answer["description"]
        self.function_name = answer["function_name"]
        # Declared above each function, else in function.json files
        self.decorators: bool = answer["programming_model"] == "decorators"
        self.python_version = answer["python_version"]
        self.ci: str = answer["ci"]

        self.identity = answer["identity"]
        self.identity_id = answer["identity_id"]
        named = re.fullmatch(SETTING, self.identity_id)
        self.identity_by_setting = bool(named)  # an environment variable names it at deployment
        self.identity_created = self.identity == "user" and not self.identity_id
        created = CREATED_IDENTITY_SETTING if self.identity_created else ""
        self.identity_setting = named["setting"] if named else created
        by_setting = f"%{self.identity_setting}%"
        self.declared_identity_id = by_setting if self.identity_setting else self.identity_id
        parts = re.fullmatch(IDENTITY_ID, self.identity_id)
        self.identity_subscription = parts["subscription"] if parts else ""
        self.identity_group = parts["group"] if parts else ""
        self.identity_name = parts["name"] if parts else ""

        self.declared_vault = answer["vault"]
        named = re.fullmatch(SETTING, self.declared_vault)
        self.vault_setting = named["setting"] if named else ""
        uri = re.fullmatch(VAULT_URI, self.declared_vault)
        self.vault_name = "" if named else uri["name"] if uri else self.declared_vault
        self.new_vault: bool = answer["vault_source"] == "new"
        self.vault_access = answer["vault_access"]
        # The identity already has access to the vault: Bicep deploys no grant.
        self.granted: bool = self.vault_access == "granted"
        group = answer["vault_resource_group"]
        self.vault_subscription, _, self.vault_group = group.rpartition("/")

        self.secrets = with_parameters(name.strip() for name in answer["secrets"].split(","))
        self.key: str = answer["key"]
        self.services = services_of(answer["services"])
        self.blob_storage: bool = "blob-storage" in self.services
        self.cosmos_db: bool = "cosmos-db" in self.services
        self.service_bus: bool = "service-bus" in self.services
        self.api_scope: str = answer["api_scope"]
        # Only the app's own network reaches the vault and the storage.
        self.private: bool = answer["network"] == "private"

    @property
    def identity_exists(self) -> bool:
        """Whether Bicep uses an existing identity."""
        return bool(self.identity_id)

    @property
    def samples(self) -> list[str]:
        """The sample functions of the chosen options."""
        samples = [SERVICES[service].sample for service in self.services]
        if self.key:
            samples.append("sign_document")
        if self.api_scope:
            samples.append("call_api")
        return sorted(samples)

    @property
    def cloud(self) -> Cloud:
        """The cloud that the vault's URI names. A name or an app setting names none."""
        host = self.declared_vault.lower()
        return next((CLOUDS[one] for one in CLOUDS if f".vault.{one}" in host), PUBLIC_CLOUD)

    @property
    def deployment_variables(self) -> tuple[str, ...]:
        """What main.bicepparam reads from the environment, apart from what azd sets."""
        return (
            *((self.identity_setting,) if self.identity_by_setting else ()),
            *(("API_URL",) if self.api_scope else ()),
            *(("SECRET_SETTER_OBJECT_ID",) if self.new_vault else ()),
            "ALERT_ACTION_GROUP_ID",
        )

    @property
    def left_out(self) -> list[str]:
        """The files that belong to other answers."""
        return left_out(self)

    @property
    def description_in_markdown(self) -> str:
        """The description, escaped where it would hide itself or the text after it."""
        return HIDING.sub(r"\1\\", self.description)

    @property
    def project_name_quoted(self) -> str:
        """The name as a double-quoted string, which JSON, YAML, TOML and Python read alike."""
        return json.dumps(self.project_name, ensure_ascii=False)


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
