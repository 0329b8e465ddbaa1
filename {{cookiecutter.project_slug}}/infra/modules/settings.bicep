{%- set facts = cookiecutter | facts -%}
// The app settings, none of which is a secret, and the sign-in of callers.
param appName string
param storageAccountName string
param insightsName string

@description('The name of the cloud.')
param cloud string

@description('Whether sampling keeps every log line, which costs more.')
param keepsTraces bool
param authClientId string
param authAudiences string[]
param authAllowedApplications string[]
param secretRefreshSeconds int
param secretGraceSeconds int
{%- if facts.vault_setting %}
param vaultName string
{%- endif %}
{%- if facts.identity == 'user' %}
param identityId string
{%- endif %}
{%- if facts.blob_storage %}
param documentsAccountName string
{%- endif %}
{%- if facts.cosmos_db %}
param cosmosAccountName string
{%- endif %}
{%- if facts.service_bus %}
param serviceBusName string
{%- endif %}
{%- if facts.api_scope %}
param apiUrl string
{%- endif %}

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: storageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}
{%- if facts.identity == 'user' %}

var identityPath = split(identityId, '/')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityPath[8]
  scope: resourceGroup(identityPath[2], identityPath[4])
}
{%- endif %}
{%- if facts.blob_storage %}

resource documentsAccount 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: documentsAccountName
}
{%- endif %}
{%- if facts.cosmos_db %}

resource cosmosAccount 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: cosmosAccountName
}
{%- endif %}
{%- if facts.service_bus %}

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: serviceBusName
}
{%- endif %}

// A caller needs a token for the app. Nobody is sent to a login page, and no token is stored.
resource signIn 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(authClientId)) {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      // Event Grid and Durable Functions call these, and have a system key.
      excludedPaths: ['/runtime/webhooks/*']
    }
    httpSettings: { requireHttps: true }
    login: { tokenStore: { enabled: false } }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: authClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: empty(authAudiences) ? ['api://${authClientId}'] : authAudiences
          defaultAuthorizationPolicy: { allowedApplications: authAllowedApplications }
        }
      }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  dependsOn: [signIn]
  properties: {
    AzureWebJobsStorage__accountName: storageAccountName
    AzureWebJobsStorage__credential: 'managedidentity'
    {%- if facts.identity == 'user' %}
    AzureWebJobsStorage__clientId: identity.properties.clientId
    {%- endif %}
    // The host derives its storage's addresses from the account's name in the public cloud only.
    ...(cloud == 'AzureCloud'
      ? {}
      : {
          AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
          AzureWebJobsStorage__queueServiceUri: account.properties.primaryEndpoints.queue
          AzureWebJobsStorage__tableServiceUri: account.properties.primaryEndpoints.table
        })
    // Where to send telemetry. The key in it gives no access: local authentication is off.
    APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
    {%- if facts.identity == 'system' %}
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD'
    {%- else %}
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
    {%- endif %}
    // Overrides host.json: https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
    ...(keepsTraces
      ? { AzureFunctionsJobHost__logging__applicationInsights__samplingSettings__excludedTypes: 'Request;Trace' }
      : {})
    {%- if facts.python_version in ['3.11', '3.12'] %}
    // On this Python, requests of an app with HTTP streams hang without it.
    PYTHON_ENABLE_INIT_INDEXING: '1'
    {%- endif %}
    SECRET_REFRESH_SECONDS: string(secretRefreshSeconds)
    SECRET_GRACE_SECONDS: string(secretGraceSeconds)
    KEY_VAULT_DNS_SUFFIX: substring(environment().suffixes.keyvaultDns, 1)
    {%- if facts.vault_setting %}
    {{ facts.vault_setting }}: vaultName
    {%- endif %}
    {%- if facts.identity_setting %}
    {{ facts.identity_setting }}: identityId
    {%- endif %}
    {%- if facts.blob_storage %}
    DOCUMENTS__blobServiceUri: documentsAccount.properties.primaryEndpoints.blob
    {%- if facts.identity == 'user' %}
    DOCUMENTS__credential: 'managedidentity'
    DOCUMENTS__clientId: identity.properties.clientId
    {%- endif %}
    {%- endif %}
    {%- if facts.cosmos_db %}
    ORDERS_DB__accountEndpoint: cosmosAccount.properties.documentEndpoint
    {%- if facts.identity == 'user' %}
    ORDERS_DB__credential: 'managedidentity'
    ORDERS_DB__clientId: identity.properties.clientId
    {%- endif %}
    {%- endif %}
    {%- if facts.service_bus %}
    ORDERS_BUS__fullyQualifiedNamespace: split(split(namespace.properties.serviceBusEndpoint, '/')[2], ':')[0]
    {%- if facts.identity == 'user' %}
    ORDERS_BUS__credential: 'managedidentity'
    ORDERS_BUS__clientId: identity.properties.clientId
    {%- endif %}
    {%- endif %}
    {%- if facts.api_scope %}
    API_URL: apiUrl
    {%- endif %}
  }
}
