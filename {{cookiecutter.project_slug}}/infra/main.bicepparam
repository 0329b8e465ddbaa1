{%- set facts = cookiecutter | facts -%}
using './main.bicep'

// Serves `az deployment group create` and azd alike: azd sets the variables of its environment.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', '{{ facts.project_slug }}')

// The resource id of the action group that hears of it when the app is denied a secret.
param alertActionGroupId = readEnvironmentVariable('ALERT_ACTION_GROUP_ID', '')
{%- if facts.identity_by_setting %}

// The resource id of the identity that the app runs as.
param identityId = readEnvironmentVariable('{{ facts.identity_setting }}', '')
{%- endif %}
{%- if facts.api_scope %}

// The address of the API that the app calls.
param apiUrl = readEnvironmentVariable('API_URL', '')
{%- endif %}
{%- if facts.new_vault %}

// Who may set the secrets. Not AZURE_PRINCIPAL_ID: azd always fills that one, and would grant unasked.
param setterObjectId = readEnvironmentVariable('SECRET_SETTER_OBJECT_ID', '')

// 'true' for the first deployment after the vault was deleted.
param recoverVault = bool(readEnvironmentVariable('RECOVER_VAULT', 'false'))
{%- endif %}
