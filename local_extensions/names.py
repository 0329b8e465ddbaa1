"""Names that an answer cannot take, because they mean something else already."""

import builtins
import sys

from .paths import SERVICES

CONNECTIONS = tuple(service.connection for service in SERVICES.values())

# App settings and environment variables that the platform, azd, GitHub, a shell or the project's own
# files use; in upper case.
RESERVED_BEGINNINGS = (
    *("AZUREWEBJOBS", "AZUREFUNCTIONSJOBHOST", "AZURE_", "WEBSITE_", "WEBSITES_", "FUNCTIONS_"),
    *("APPLICATIONINSIGHTS_", "APPINSIGHTS_", "APPSETTING_", "IDENTITY_", "MSI_", "SCM_"),
    *("CONTAINER_", "PYTHON", "DOTNET_", "OTEL_", "AZD_", "GITHUB_", "RUNNER_"),
    *("BASH", "LC_", "LD_"),
    *(f"{connection}__" for connection in CONNECTIONS),
)
RESERVED_SETTINGS = {
    *("SECRET_REFRESH_SECONDS", "SECRET_GRACE_SECONDS", "SECRET_SETTER_OBJECT_ID"),
    *("KEY_VAULT_DNS_SUFFIX", "LOCAL_SECRETS_FILE", "RECOVER_VAULT", "ALERT_ACTION_GROUP_ID"),
    *("APP_IDENTITY_ID", "APP_PRINCIPAL_IDS", "ASSIGN_ELSEWHERE", "REVIEWER", "SUBJECT_PREFIX"),
    *("BICEP", "CI", "CI_OUTPUT", "GH_TOKEN", "RUN_ID", "API_URL", *CONNECTIONS),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("PATH", "HOME", "PORT", "USER", "HOSTNAME", "LANG", "PWD", "OLDPWD", "IFS", "UID"),
    *("EUID", "PPID", "GROUPS", "RANDOM", "SECONDS", "SHELL", "SHELLOPTS", "ENV", "TERM"),
    *("TMPDIR", "TEMP", "TMP"),
}
# The commands of the project's README.md and scripts/connect-github.sh set these, beside the variable
# that names an identity.
COMMAND_VARIABLES = {
    *("GROUP", "APP", "URL", "VAULT", "PRINCIPAL", "KEY", "API", "SCOPE", "URI", "TOKEN", "ROLE"),
    *("ANSWER", "APPROVAL", "BRANCHES", "DEPLOY", "EXISTS", "ID", "IDS", "ME", "NAME", "NAMES"),
    *("OTHERS", "PLAN", "POLICIES", "RULE", "STATUS", "STEP", "VALUE", "VARIABLES"),
}

WINDOWS_DEVICE = "(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])"
# Azure refuses these in the name of anything that has a public address.
TRADEMARK = "(?i:login.*|.*(?:microsoft|windows).*)"

SAMPLES = {"sign_document", "call_api"} | {service.sample for service in SERVICES.values()}
TESTED = {"grant_api_role"}  # tests/ has a test of it
# A function's folder of such a name would hide the module.
TAKEN_MODULES = sys.stdlib_module_names | {
    *("azure", "function_app", "functions", "identity_bindings", "tests"),
}
# Names that function_app.py uses, where the first function is in it.
TAKEN_NAMES = {
    *("app", "func", "key_vault_secret", "isolated", "blueprints", "blueprint"),
    *dir(builtins),
}
# Names that the parameter of a secret cannot have, because a handler uses them otherwise.
TAKEN_PARAMETERS = {"req", "res", "context", "func", "json", "secrets", "arrived"}
