// The app on Flex Consumption. Its settings come last, in settings.bicep: the host needs its rights first.
param name string
param planName string
param location string
param tags object
{%- if cookiecutter.identity == 'user' %}
param identityId string
{%- endif %}
param packageContainerUri string
{%- if cookiecutter.network == 'private' %}
param subnetId string
{%- endif %}
param instanceMemoryMB int
param maximumInstanceCount int

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
    // All that the app sends, its package and its settings too, goes through the network.
    outboundVnetRouting: { allTraffic: true }
    {%- endif %}
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUri
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

  // No passwords for publishing: whoever deploys signs in to Entra ID.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
{%- if cookiecutter.identity == 'system' %}
output principalId string = app.identity.principalId
{%- endif %}
