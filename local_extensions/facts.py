"""The facts that templates read: pure functions over the checked answers."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .answers import (
    CREATED_IDENTITY_SETTING,
    IDENTITY_ID,
    SETTING,
    VAULT_URI,
    samples_of,
    services_of,
)
from .names import TAKEN_PARAMETERS
from .paths import left_out

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
    samples: tuple[str, ...]  # the sample functions of the options

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
    def identity_by_setting(self) -> bool:
        """Whether an environment variable names the identity at deployment."""
        return self.identity_source == "parameter"

    @property
    def identity_exists(self) -> bool:
        """Whether Bicep uses an existing identity."""
        return self.identity_source in ("existing", "parameter")

    @property
    def cloud(self) -> Cloud:
        """The cloud that the vault's URI names. A name or an app setting names none."""
        host = self.declared_vault.lower()
        return next((CLOUDS[one] for one in CLOUDS if f".vault.{one}" in host), PUBLIC_CLOUD)

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
        return quoted(self.project_name)


def facts_of(answers: Mapping[str, Any]) -> Facts:
    """Turn answers without a problem into facts."""
    answer = {key: value.strip() for key, value in answers.items() if isinstance(value, str)}
    identity = _identity_of(answer["identity"], answer["identity_id"])
    setting, name = _vault_of(answer["vault"])
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
        identity_source=identity.source,
        identity_id=answer["identity_id"] if identity.source == "existing" else "",
        identity_setting=identity.setting,
        identity_subscription=identity.subscription,
        identity_group=identity.group,
        identity_name=identity.name,
        vault_setting=setting,
        vault_name=name,
        vault_source=answer["vault_source"],
        vault_access=answer["vault_access"],
        vault_subscription=subscription,
        vault_group=group,
        declared_vault=answer["vault"],
        declared_identity_id=f"%{identity.setting}%" if identity.setting else answer["identity_id"],
        secrets=with_parameters(name.strip() for name in answer["secrets"].split(",")),
        key=answer["key"],
        services=tuple(services_of(answer["services"])),
        api_scope=answer["api_scope"],
        network=answer["network"],
        samples=tuple(sorted(samples_of(answer))),
    )


class _Identity(NamedTuple):
    source: str
    setting: str = ""  # the app setting that holds its resource id
    subscription: str = ""
    group: str = ""
    name: str = ""


def _identity_of(identity: str, identity_id: str) -> _Identity:
    if identity == "system":
        return _Identity("system")
    if not identity_id:
        return _Identity("created", CREATED_IDENTITY_SETTING)
    if named := re.fullmatch(SETTING, identity_id):
        return _Identity("parameter", named["setting"])
    parts = re.fullmatch(IDENTITY_ID, identity_id)
    return _Identity("existing", **parts.groupdict()) if parts else _Identity("existing")


def _vault_of(vault: str) -> tuple[str, str]:
    """Return the app setting that holds the vault's name, or the name."""
    if named := re.fullmatch(SETTING, vault):
        return named["setting"], ""
    uri = re.fullmatch(VAULT_URI, vault)
    return "", uri["name"] if uri else vault


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


def quoted(text: str) -> str:
    """Quote a text with escapes that JSON, YAML, TOML and Python read alike."""
    return json.dumps(text, ensure_ascii=False)
