// The app's settings. None of them is a secret.
param appName string
param storageAccountName string
param insightsName string
{%- if cookiecutter.identity == 'user' %}
param clientId string
{%- endif %}

@description('Whether sampling must leave out no log line. It is more to store.')
param keepsTraces bool

@description('The settings that the declarations of the functions name.')
param declared object

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: storageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
    {%- if cookiecutter.identity == 'user' %}
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: clientId
    {%- endif %}
    // Says where to send. The key in it opens nothing: local authentication is off.
    APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
    {%- if cookiecutter.identity == 'system' %}
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD'
    {%- else %}
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
    {%- endif %}
    // In the place of what host.json says.
    // https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
    ...(keepsTraces
      ? { AzureFunctionsJobHost__logging__applicationInsights__samplingSettings__excludedTypes: 'Request;Trace' }
      : {})
    ...declared
  }
}
