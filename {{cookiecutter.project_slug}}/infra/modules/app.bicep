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
param privateInbound bool
{%- endif %}
param scale object
param zoneRedundant bool
param allowedAddresses string[]

@description('Where all logs and metrics go. Empty: nowhere.')
param workspaceId string

// The storage of the Functions host: its locks, the function keys and the app's package. Without shared keys.
resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: storageAccountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    {%- if cookiecutter.network == 'private' %}
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'None' }
    {%- endif %}
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource packages 'containers' = {
      name: packageContainerName
    }
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, ...(zoneRedundant ? { zoneRedundant: true } : {}) }
}

var restrictions = map(allowedAddresses, (address, index) => {
  ipAddress: address
  action: 'Allow'
  priority: 100 + index
  name: 'allowed-${index}'
})

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
    ...(privateInbound ? { publicNetworkAccess: 'Disabled' } : {})
    {%- endif %}
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ...(empty(allowedAddresses)
        ? {}
        : { ipSecurityRestrictions: restrictions, ipSecurityRestrictionsDefaultAction: 'Deny' })
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
      scaleAndConcurrency: scale
    }
  }

  // No passwords for publishing: whoever deploys signs in to Entra ID. Flex Consumption has no FTP.
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

var everything = {
  workspaceId: workspaceId
  logs: [{ categoryGroup: 'allLogs', enabled: true }]
  metrics: [{ category: 'AllMetrics', enabled: true }]
}

resource logsOfApp 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'all'
  scope: app
  properties: everything
}

resource logsOfBlobs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'all'
  scope: account::blobs
  properties: everything
}

output hostName string = app.properties.defaultHostName
{%- if cookiecutter.identity == 'system' %}
output principalId string = app.identity.principalId
{%- endif %}
