{%- set facts = cookiecutter | facts -%}
using './main.bicep'

// For `az deployment group create` and azd: azd sets the variables of its environment.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', '{{ facts.project_slug }}')

// true for queue triggers, output bindings to queues and tables, and Durable Functions.
param storageQueuesAndTables = false

// The resource id of the action group that is notified when the app loses access to a secret.
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

// Who may set the secrets. Not AZURE_PRINCIPAL_ID: azd always sets it, also for people who did not ask for it.
param setterObjectId = readEnvironmentVariable('SECRET_SETTER_OBJECT_ID', '')

// 'true' for the first deployment after the vault was deleted.
param recoverVault = bool(readEnvironmentVariable('RECOVER_VAULT', 'false'))
{%- endif %}
