{%- set facts = cookiecutter | facts -%}
{#- Two levels of conditions: a private network's list of endpoints has one for each service. -#}
// All that the app needs, in one resource group: modules/ has one file for each concern, this one joins them.
targetScope = 'resourceGroup'

@description('The region. By default that of the resource group.')
param location string = resourceGroup().location

@description('The azd environment that this deployment belongs to.')
param environmentName string

@description('Tags for every resource.')
param tags object = {}

@description('How the resources\' names begin. Two apps in one resource group need two.')
@minLength(2)
@maxLength(32)
param project string = '{{ facts.project_slug }}'

@description('Memory of one instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('The most instances that may run at the same time.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('The app\'s name, unique in the world. Longer than 32 characters, apps could share a host id.')
@minLength(2)
@maxLength(32)
param appName string = 'func-${take(project, 13)}-${uniqueString(resourceGroup().id, project)}'

@description('The name of the host\'s storage account, unique in the world.')
@minLength(3)
@maxLength(24)
param storageAccountName string = 'st${uniqueString(resourceGroup().id, project)}'
{%- if facts.vault_setting %}

@description('The vault\'s name, unique in the world, among deleted vaults too.')
@minLength(3)
@maxLength(24)
param vaultName string = 'kv-${uniqueString(resourceGroup().id, project)}'
{%- endif %}

@description('Resource id of the action group that hears of it when the app is denied a secret. Empty: nobody.')
param alertActionGroupId string = ''

@description('Existing vaults that the app may read too. By default in this resource group and subscription.')
param otherVaults { name: string, resourceGroup: string?, subscription: string? }[] = []
{%- if facts.new_vault %}

@description('Bring the deleted vault of this name back, with its secrets: for the first deployment after a deletion.')
param recoverVault bool = false

@description('Object id of the person, group or application that may set secrets in the vault. Empty: nobody.')
param setterObjectId string = ''
{%- endif %}
{%- if facts.blob_storage %}

@description('The name of the storage account for documents, unique in the world.')
@minLength(3)
@maxLength(24)
param documentsAccountName string = 'stdocs${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.cosmos_db %}

@description('The name of the Cosmos DB account, unique in the world.')
@minLength(3)
@maxLength(44)
param cosmosAccountName string = 'cosmos-${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.service_bus %}

@description('The name of the Service Bus namespace, unique in the world.')
@minLength(6)
@maxLength(50)
param serviceBusName string = 'sb-${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.private %}

@description('The addresses of the app\'s own network, /25 or larger. To be peered, it needs some that are free.')
param networkAddresses string = '10.0.0.0/24'
{%- endif %}
{%- if facts.api_scope %}

@description('Address of the API that the app calls.')
param apiUrl string = ''
{%- endif %}
{%- if facts.identity_by_setting %}

@description('Resource id of the existing identity that the app runs as.')
param identityId string
{%- endif %}

var allTags = union(tags, { 'azd-env-name': environmentName })
{%- if not facts.vault_setting %}
var vaultName = '{{ facts.vault_name }}'
{%- endif %}
{%- if facts.identity_source == 'created' %}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${project}'
  location: location
  tags: allTags
}
{%- elif facts.identity_source == 'existing' %}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: '{{ facts.identity_name }}'
  scope: resourceGroup('{{ facts.identity_subscription }}', '{{ facts.identity_group }}')
}
{%- elif facts.identity_by_setting %}

var noIdentity = 'Set {{ facts.identity_setting }} to the resource id of the identity.'
var identityPath = split(empty(identityId) ? fail(noIdentity) : identityId, '/')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityPath[8]
  scope: resourceGroup(identityPath[2], identityPath[4])
}
{%- endif %}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    project: project
    location: location
    tags: allTags
    alertActionGroupId: alertActionGroupId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: {
    name: storageAccountName
    location: location
    tags: allTags
  }
}
{%- if facts.private %}

module network 'modules/network.bicep' = {
  name: 'network'
  params: {
    project: project
    location: location
    tags: allTags
    addressPrefix: networkAddresses
  }
}
{%- endif %}

module app 'modules/app.bicep' = {
  name: 'app'
  params: {
    name: appName
    planName: 'plan-${project}'
    location: location
    tags: allTags
    {%- if facts.identity == 'user' %}
    identityId: identity.id
    {%- endif %}
    packageContainerUri: storage.outputs.packageContainerUri
    {%- if facts.private %}
    subnetId: network.outputs.appSubnetId
    {%- endif %}
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
  }
}

var principalId = {{ 'app.outputs' if facts.identity == 'system' else 'identity.properties' }}.principalId

module hostAccess 'modules/host-access.bicep' = {
  name: 'host-access'
  params: {
    principalId: principalId
    storageAccountName: storage.outputs.name
    insightsName: monitoring.outputs.insightsName
  }
}
{%- if facts.new_vault %}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  params: {
    name: vaultName
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    recover: recoverVault
    setterObjectId: setterObjectId
  }
}
{%- endif %}

module vaultAccess 'modules/vault-access.bicep' = {
  name: 'vault-access'
  {%- if facts.vault_subscription %}
  scope: resourceGroup('{{ facts.vault_subscription }}', '{{ facts.vault_group }}')
  {%- elif facts.vault_group %}
  scope: resourceGroup('{{ facts.vault_group }}')
  {%- endif %}
  params: {
    principalId: principalId
    vaultName: {{ 'vault.outputs.name' if facts.new_vault else 'vaultName' }}
  }
}

module otherVaultAccess 'modules/vault-access.bicep' = [
  for (other, index) in otherVaults: {
    name: 'vault-access-${index}'
    scope: resourceGroup(
      other.?subscription ?? subscription().subscriptionId,
      other.?resourceGroup ?? resourceGroup().name
    )
    params: {
      principalId: principalId
      vaultName: other.name
    }
  }
]
{%- if facts.blob_storage %}

module blob 'modules/blob.bicep' = {
  name: 'blob'
  params: {
    name: documentsAccountName
    location: location
    tags: allTags
    principalId: principalId
  }
}
{%- endif %}
{%- if facts.cosmos_db %}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  params: {
    name: cosmosAccountName
    location: location
    tags: allTags
    principalId: principalId
  }
}
{%- endif %}
{%- if facts.service_bus %}

module serviceBus 'modules/service-bus.bicep' = {
  name: 'service-bus'
  params: {
    name: serviceBusName
    location: location
    tags: allTags
    principalId: principalId
  }
}
{%- endif %}
{%- if facts.private %}

module privateEndpoints 'modules/private-endpoint.bicep' = {
  name: 'private-endpoints'
  params: {
    location: location
    tags: allTags
    subnetId: network.outputs.endpointSubnetId
    zoneIds: network.outputs.zoneIds
    targets: [
      { name: 'pe-host-${project}', resourceId: storage.outputs.id, group: 'blob' }
      { name: 'pe-vault-${project}', resourceId: vaultAccess.outputs.vaultId, group: 'vault' }
      {%- if facts.blob_storage %}
      { name: 'pe-documents-${project}', resourceId: blob.outputs.id, group: 'blob' }
      {%- endif %}
      {%- if facts.cosmos_db %}
      { name: 'pe-orders-${project}', resourceId: cosmos.outputs.id, group: 'Sql' }
      {%- endif %}
    ]
  }
}

module otherVaultEndpoints 'modules/private-endpoint.bicep' = [
  for (other, index) in otherVaults: {
    name: 'private-endpoint-${index}'
    params: {
      location: location
      tags: allTags
      subnetId: network.outputs.endpointSubnetId
      zoneIds: network.outputs.zoneIds
      targets: [
        { name: 'pe-${other.name}-${project}', resourceId: otherVaultAccess[index].outputs.vaultId, group: 'vault' }
      ]
    }
  }
]
{%- endif %}

module settings 'modules/settings.bicep' = {
  name: 'settings'
  {%- if facts.private %}
  // Settings restart the host, and then its identity has its rights and finds its way.
  dependsOn: [hostAccess, vaultAccess, otherVaultAccess, privateEndpoints, otherVaultEndpoints]
  {%- else %}
  // Settings restart the host, and then its identity has its rights.
  dependsOn: [hostAccess, vaultAccess, otherVaultAccess]
  {%- endif %}
  params: {
    appName: app.outputs.name
    storageAccountName: storage.outputs.name
    insightsName: monitoring.outputs.insightsName
    keepsTraces: !empty(alertActionGroupId)
    {%- if facts.identity == 'user' %}
    clientId: identity.properties.clientId
    {%- endif %}
    declared: {
      {%- if facts.vault_setting %}
      {{ facts.vault_setting }}: vaultName
      {%- endif %}
      {%- if facts.identity_setting %}
      {{ facts.identity_setting }}: identity.id
      {%- endif %}
      KEY_VAULT_DNS_SUFFIX: substring(environment().suffixes.keyvaultDns, 1)
      {%- if facts.blob_storage %}
      DOCUMENTS__blobServiceUri: blob.outputs.serviceUri
      {%- if facts.identity == 'user' %}
      DOCUMENTS__credential: 'managedidentity'
      DOCUMENTS__clientId: identity.properties.clientId
      {%- endif %}
      {%- endif %}
      {%- if facts.cosmos_db %}
      ORDERS_DB__accountEndpoint: cosmos.outputs.endpoint
      {%- if facts.identity == 'user' %}
      ORDERS_DB__credential: 'managedidentity'
      ORDERS_DB__clientId: identity.properties.clientId
      {%- endif %}
      {%- endif %}
      {%- if facts.service_bus %}
      ORDERS_BUS__fullyQualifiedNamespace: serviceBus.outputs.hostName
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
}

output appName string = app.outputs.name
output appUrl string = 'https://${app.outputs.hostName}'
output identityPrincipalId string = principalId
output vaultName string = vaultName
output vaultUri string = vaultAccess.outputs.vaultUri
