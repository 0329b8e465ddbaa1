// The app on Flex Consumption. settings.bicep sets its app settings last: before, the host has no access to its storage.
param name string
param planName string
param location string
param tags object
{%- if cookiecutter.identity == 'user' %}
param identityId string
{%- endif %}
param storageAccountName string
param packageContainerName string
{%- if cookiecutter.network == 'private' %}
param subnetId string
{%- endif %}
param instanceMemoryMB int
param maximumInstanceCount int

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: storageAccountName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  {%- if cookiecutter.identity == 'system' %}
  identity: { type: 'SystemAssigned' }
  {%- else %}
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  {%- endif %}
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    {%- if cookiecutter.network == 'private' %}
    virtualNetworkSubnetId: subnetId
    // All outbound traffic, also of the platform for the app's package, goes through the network.
    outboundVnetRouting: { allTraffic: true }
    {%- endif %}
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${packageContainerName}'
          {%- if cookiecutter.identity == 'system' %}
          authentication: { type: 'SystemAssignedIdentity' }
          {%- else %}
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
          {%- endif %}
        }
      }
      runtime: { name: 'python', version: '{{ cookiecutter.python_version }}' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
    }
  }

  // No passwords for publishing: whoever deploys signs in to Entra ID. Flex Consumption has no FTP.
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output hostName string = app.properties.defaultHostName
{%- if cookiecutter.identity == 'system' %}
output principalId string = app.identity.principalId
{%- endif %}
