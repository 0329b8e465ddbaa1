{%- set facts = cookiecutter | facts -%}
// Everything the app needs, in one resource group. modules/ has one file for each concern; this file connects them.
// Names and ids are computed here and passed to modules, never read from their outputs, so that what-if knows them.
targetScope = 'resourceGroup'

@description('The region. Default: that of the resource group.')
param location string = resourceGroup().location

@description('The azd environment that this deployment belongs to.')
param environmentName string

@description('Tags for every resource.')
param tags object = {}

@description('What the resources\' names begin with. Two apps in one resource group need two.')
@minLength(2)
@maxLength(32)
param project string = '{{ facts.project_slug }}'

@description('The cloud. Outside of the public one, the host needs the addresses of its storage.')
param cloud string = environment().name

@description('Memory of one instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('The maximum number of instances that run at the same time.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('The app\'s globally unique name. With more than 32 characters, two apps could share a host id.')
@minLength(2)
@maxLength(32)
param appName string = 'func-${take(project, 13)}-${uniqueString(resourceGroup().id, project)}'

@description('The globally unique name of the host\'s storage account.')
@minLength(3)
@maxLength(24)
param storageAccountName string = 'st${uniqueString(resourceGroup().id, project)}'

@description('How often the app reads each secret again, in seconds.')
@minValue(1)
param secretRefreshSeconds int = 300

@description('How long the app keeps using a secret that it lost access to, in seconds.')
@minValue(0)
param secretGraceSeconds int = 900

@description('Whether the app uses queues and tables of its storage account, as queue triggers and Durable Functions do.')
param storageQueuesAndTables bool = false
{%- if facts.vault_setting %}

@description('The vault\'s globally unique name. It stays taken after the vault is deleted.')
@minLength(3)
@maxLength(24)
param vaultName string = 'kv-${uniqueString(resourceGroup().id, project)}'
{%- endif %}

@description('Resource id of the action group that is notified when the app loses access to a secret. Empty: nobody is.')
param alertActionGroupId string = ''
{%- if not facts.granted or facts.private %}

@description('Other vaults that the app reads. Default place: this resource group and subscription.')
param otherVaults otherVault[] = []

type otherVault = {
  @minLength(3)
  @maxLength(24)
  name: string
  resourceGroup: string?
  @minLength(36)
  @maxLength(36)
  subscription: string?
}
{%- endif %}
{%- if facts.new_vault %}

@description('Recover the deleted vault of this name with its secrets, in the first deployment after its deletion.')
param recoverVault bool = false

@description('Object id of the user, group or application that may set secrets in the vault. Empty: nobody.')
param setterObjectId string = ''
{%- endif %}
{%- if facts.blob_storage %}

@description('The globally unique name of the storage account for documents.')
@minLength(3)
@maxLength(24)
param documentsAccountName string = 'stdocs${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.cosmos_db %}

@description('The globally unique name of the Cosmos DB account.')
@minLength(3)
@maxLength(44)
param cosmosAccountName string = 'cosmos-${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.service_bus %}

@description('The globally unique name of the Service Bus namespace.')
@minLength(6)
@maxLength(50)
param serviceBusName string = 'sb-${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.private %}

@description('The addresses of the app\'s virtual network, a /25 or larger. To be peered, they must be free.')
param networkAddresses string = '10.0.0.0/24'
{%- endif %}
{%- if facts.api_scope %}

@description('The address of the API that the app calls.')
param apiUrl string = ''
{%- endif %}
{%- if facts.identity_by_setting %}

@description('Resource id of the existing identity that the app runs as.')
param identityId string
{%- endif %}
{%- if not facts.vault_setting %}

var vaultName = '{{ facts.vault_name }}'
{%- endif %}
{%- if facts.vault_group and (facts.private or not facts.granted) %}
var vaultGroup = '{{ facts.vault_group }}'
var vaultSubscription = {{ "'%s'" % facts.vault_subscription if facts.vault_subscription else 'subscription().subscriptionId' }}
{%- endif %}
{%- if facts.identity_source == 'existing' %}
var identityGroup = '{{ facts.identity_group }}'
var identitySubscription = '{{ facts.identity_subscription }}'
{%- endif %}

// A parameter that cannot work ends the deployment with its name, before any resource is created.
func madeOf(text string, characters string) bool =>
  empty(filter(range(0, length(text)), index => !contains(characters, substring(text, index, 1))))

func isGuid(text string) bool =>
  madeOf(toLower(text), '0123456789abcdef-') && join(map(split(text, '-'), part => string(length(part))), ' ') == '8 4 4 4 12'

func isIdOf(path array, type string) bool =>
  length(path) == 9 && isGuid(path[?2] ?? '') && !empty(path[?4]) && !empty(path[?8]) && toLower(join(
    [path[?1], path[?3], path[?5], path[?6], path[?7]],
    '/'
  )) == 'subscriptions/resourcegroups/providers/${type}'

var lettersAndDigits = 'abcdefghijklmnopqrstuvwxyz0123456789'
{%- if facts.identity_by_setting %}
var identityPath = split(identityId, '/')
{%- endif %}
{%- if not facts.granted or facts.private %}
var otherVaultNames = map(otherVaults, other => toLower(other.name))
{%- endif %}
{%- if facts.private %}
var networkPath = split(networkAddresses, '/')
var octets = map(range(0, 256), octet => string(octet))
{%- endif %}
var checks = [
  {
    passed: madeOf(toLower(project), '${lettersAndDigits}-')
    problem: 'project: \'${project}\': letters, digits and hyphens are expected'
  }
  {
    passed: madeOf(toLower(appName), '${lettersAndDigits}-')
    problem: 'appName: \'${appName}\': letters, digits and hyphens are expected'
  }
  {
    passed: madeOf(storageAccountName, lettersAndDigits)
    problem: 'storageAccountName: \'${storageAccountName}\': lower-case letters and digits are expected'
  }
  {
    passed: empty(alertActionGroupId) || isIdOf(split(alertActionGroupId, '/'), 'microsoft.insights/actiongroups')
    problem: 'alertActionGroupId: \'${alertActionGroupId}\': /subscriptions/…/Microsoft.Insights/actionGroups/… is expected'
  }
  {%- if facts.identity_by_setting %}
  {
    passed: isIdOf(identityPath, 'microsoft.managedidentity/userassignedidentities')
    problem: 'identityId: \'${identityId}\': set {{ facts.identity_setting }} to /subscriptions/…/Microsoft.ManagedIdentity/userAssignedIdentities/…'
  }
  {%- endif %}
  {%- if facts.new_vault %}
  {
    passed: empty(setterObjectId) || isGuid(setterObjectId)
    problem: 'setterObjectId: \'${setterObjectId}\': an object id is expected, which is a GUID'
  }
  {%- endif %}
  {%- if not facts.granted or facts.private %}
  {
    passed: length(otherVaultNames) == length(union(otherVaultNames, []))
    problem: 'otherVaults: ${join(otherVaultNames, ', ')}: each vault is expected once'
  }
  {
    passed: empty(filter(
      otherVaults,
      other => other.?subscription != null && (!isGuid(other.?subscription ?? '') || empty(other.?resourceGroup))
    ))
    problem: 'otherVaults: a subscription is expected to be a GUID, together with a resourceGroup'
  }
  {
    passed: !contains(otherVaultNames, toLower(vaultName))
    problem: 'otherVaults: ${vaultName}: the app\'s own vault is expected in vaultName only'
  }
  {%- endif %}
  {%- if facts.blob_storage %}
  {
    passed: toLower(storageAccountName) != toLower(documentsAccountName)
    problem: 'documentsAccountName: ${documentsAccountName}: a name that differs from storageAccountName is expected'
  }
  {%- endif %}
  {%- if facts.private %}
  {
    passed: length(filter(split(networkPath[0], '.'), octet => contains(octets, octet))) == 4 && contains(
        skip(take(octets, 26), 8),
        networkPath[?1] ?? ''
      )
      ? parseCidr(networkAddresses).network == networkPath[0]
      : false
    problem: 'networkAddresses: \'${networkAddresses}\': a network from /8 to /25 is expected, such as 10.0.0.0/24'
  }
  {%- endif %}
]
var problems = map(filter(checks, check => !check.passed), check => check.problem)
var allTags = empty(problems)
  ? union(tags, { 'azd-env-name': environmentName, project: project })
  : fail(join(problems, '; '))

var insightsName = 'appi-${project}'
var workspaceName = 'log-${project}'
var packageContainerName = 'app-package'
{%- if facts.private %}
var networkName = 'vnet-${project}'
var endpointSubnetId = resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'endpoints')
var zones = {
  vault: replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  {%- if facts.cosmos_db %}
  // environment() does not have Cosmos DB's domain, which ends as the portal's does.
  Sql: replace(split(environment().portal, '/')[2], 'portal.', 'privatelink.documents.')
  {%- endif %}
  ...(storageQueuesAndTables
    ? {
        queue: 'privatelink.queue.${environment().suffixes.storage}'
        table: 'privatelink.table.${environment().suffixes.storage}'
      }
    : {})
}
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
  scope: resourceGroup(identitySubscription, identityGroup)
}
{%- elif facts.identity_by_setting %}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityPath[8]
  scope: resourceGroup(identityPath[2], identityPath[4])
}
{%- endif %}

module monitoring 'modules/monitoring.bicep' = {
  name: '${project}-monitoring'
  params: {
    project: project
    workspaceName: workspaceName
    insightsName: insightsName
    location: location
    tags: allTags
    alertActionGroupId: alertActionGroupId
  }
}

module storage 'modules/storage.bicep' = {
  name: '${project}-storage'
  params: {
    name: storageAccountName
    packageContainerName: packageContainerName
    location: location
    tags: allTags
  }
}
{%- if facts.private %}

module network 'modules/network.bicep' = {
  name: '${project}-network'
  params: {
    name: networkName
    location: location
    tags: allTags
    addressPrefix: networkAddresses
    zones: zones
  }
}
{%- endif %}

module app 'modules/app.bicep' = {
  name: '${project}-app'
  dependsOn: [
    storage
    {%- if facts.private %}
    network
    {%- endif %}
  ]
  params: {
    name: appName
    planName: 'plan-${project}'
    location: location
    tags: allTags
    {%- if facts.identity == 'user' %}
    identityId: identity.id
    {%- endif %}
    storageAccountName: storageAccountName
    packageContainerName: packageContainerName
    {%- if facts.private %}
    subnetId: resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'app')
    {%- endif %}
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
  }
}
{%- if facts.blob_storage %}

module blob 'modules/blob.bicep' = {
  name: '${project}-blob'
  params: {
    name: documentsAccountName
    location: location
    tags: allTags
  }
}
{%- endif %}
{%- if facts.cosmos_db %}

module cosmos 'modules/cosmos.bicep' = {
  name: '${project}-cosmos'
  params: {
    name: cosmosAccountName
    location: location
    tags: allTags
  }
}
{%- endif %}
{%- if facts.service_bus %}

module serviceBus 'modules/service-bus.bicep' = {
  name: '${project}-service-bus'
  params: {
    name: serviceBusName
    location: location
    tags: allTags
  }
}
{%- endif %}
{%- if facts.new_vault %}

module vault 'modules/vault.bicep' = {
  name: '${project}-vault'
  dependsOn: [monitoring]
  params: {
    name: vaultName
    location: location
    tags: allTags
    workspaceName: workspaceName
    recover: recoverVault
    setterObjectId: setterObjectId
  }
}
{%- endif %}

var principalId = {{ 'app.outputs' if facts.identity == 'system' else 'identity.properties' }}.principalId

module access 'modules/access.bicep' = {
  name: '${project}-access'
  dependsOn: [
    storage
    monitoring
    {%- if facts.blob_storage %}
    blob
    {%- endif %}
    {%- if facts.cosmos_db %}
    cosmos
    {%- endif %}
    {%- if facts.service_bus %}
    serviceBus
    {%- endif %}
  ]
  params: {
    principalId: principalId
    storageAccountName: storageAccountName
    insightsName: insightsName
    queuesAndTables: storageQueuesAndTables
    {%- if facts.blob_storage %}
    documentsAccountName: documentsAccountName
    {%- endif %}
    {%- if facts.cosmos_db %}
    cosmosAccountName: cosmosAccountName
    {%- endif %}
    {%- if facts.service_bus %}
    serviceBusName: serviceBusName
    {%- endif %}
  }
}
{%- if not facts.granted %}

// In the group of a vault there may be deployments of other apps.
var ofThisApp = '${project}-${uniqueString(resourceGroup().id)}'

module vaultMode 'modules/vault-mode.bicep' = {
  name: 'vault-mode-${ofThisApp}'
  {%- if facts.vault_group %}
  scope: resourceGroup(vaultSubscription, vaultGroup)
  {%- endif %}
  {%- if facts.new_vault %}
  dependsOn: [vault]
  {%- endif %}
  params: {
    vaultName: vaultName
  }
}

module vaultAccess 'modules/vault-access.bicep' = {
  name: 'vault-access-${ofThisApp}'
  {%- if facts.vault_group %}
  scope: resourceGroup(vaultSubscription, vaultGroup)
  {%- endif %}
  dependsOn: [vaultMode]
  params: {
    principalId: principalId
    vaultName: vaultName
  }
}

module otherVaultMode 'modules/vault-mode.bicep' = [
  for (other, index) in otherVaults: {
    name: 'vault-mode-${index}-${ofThisApp}'
    scope: resourceGroup(
      other.?subscription ?? subscription().subscriptionId,
      other.?resourceGroup ?? resourceGroup().name
    )
    params: {
      vaultName: other.name
    }
  }
]

module otherVaultAccess 'modules/vault-access.bicep' = [
  for (other, index) in otherVaults: {
    name: 'vault-access-${index}-${ofThisApp}'
    scope: resourceGroup(
      other.?subscription ?? subscription().subscriptionId,
      other.?resourceGroup ?? resourceGroup().name
    )
    dependsOn: [otherVaultMode]
    params: {
      principalId: principalId
      vaultName: other.name
    }
  }
]
{%- endif %}
{%- if facts.private %}

module privateEndpoints 'modules/private-endpoint.bicep' = {
  name: '${project}-private-endpoints'
  // An account accepts one change at a time, so access comes first.
  dependsOn: [
    network
    access
    {%- if not facts.granted %}
    vaultAccess
    otherVaultAccess
    {%- endif %}
  ]
  params: {
    location: location
    tags: allTags
    subnetId: endpointSubnetId
    zones: zones
    targets: concat(
      [
        {
          name: 'pe-host-${project}'
          resourceId: resourceId('Microsoft.Storage/storageAccounts', storageAccountName)
          group: 'blob'
        }
        {
          name: 'pe-vault-${project}'
          {%- if facts.vault_group %}
          resourceId: resourceId(vaultSubscription, vaultGroup, 'Microsoft.KeyVault/vaults', vaultName)
          {%- else %}
          resourceId: resourceId('Microsoft.KeyVault/vaults', vaultName)
          {%- endif %}
          group: 'vault'
        }
        {%- if facts.blob_storage %}
        {
          name: 'pe-documents-${project}'
          resourceId: resourceId('Microsoft.Storage/storageAccounts', documentsAccountName)
          group: 'blob'
        }
        {%- endif %}
        {%- if facts.cosmos_db %}
        {
          name: 'pe-orders-${project}'
          resourceId: resourceId('Microsoft.DocumentDB/databaseAccounts', cosmosAccountName)
          group: 'Sql'
        }
        {%- endif %}
      ],
      map(storageQueuesAndTables ? ['queue', 'table'] : [], group => {
        name: 'pe-${group}-${project}'
        resourceId: resourceId('Microsoft.Storage/storageAccounts', storageAccountName)
        group: group
      }),
      map(otherVaults, other => {
        name: 'pe-other-${other.name}-${project}'
        resourceId: resourceId(
          other.?subscription ?? subscription().subscriptionId,
          other.?resourceGroup ?? resourceGroup().name,
          'Microsoft.KeyVault/vaults',
          other.name
        )
        group: 'vault'
      })
    )
  }
}
{%- endif %}

module settings 'modules/settings.bicep' = {
  name: '${project}-settings'
  // Writing them restarts the host, which then has its access{{ ' and resolves its private endpoints' if facts.private }}.
  dependsOn: [
    app
    access
    {%- if not facts.granted %}
    vaultAccess
    otherVaultAccess
    {%- endif %}
    {%- if facts.private %}
    privateEndpoints
    {%- endif %}
  ]
  params: {
    appName: appName
    storageAccountName: storageAccountName
    insightsName: insightsName
    cloud: cloud
    keepsTraces: !empty(alertActionGroupId)
    secretRefreshSeconds: secretRefreshSeconds
    secretGraceSeconds: secretGraceSeconds
    {%- if facts.vault_setting %}
    vaultName: vaultName
    {%- endif %}
    {%- if facts.identity == 'user' %}
    identityId: identity.id
    {%- endif %}
    {%- if facts.blob_storage %}
    documentsAccountName: documentsAccountName
    {%- endif %}
    {%- if facts.cosmos_db %}
    cosmosAccountName: cosmosAccountName
    {%- endif %}
    {%- if facts.service_bus %}
    serviceBusName: serviceBusName
    {%- endif %}
    {%- if facts.api_scope %}
    apiUrl: apiUrl
    {%- endif %}
  }
}

output appName string = appName
output appUrl string = 'https://${app.outputs.hostName}'
output identityPrincipalId string = principalId
output vaultName string = vaultName
output vaultUri string = 'https://${vaultName}${environment().suffixes.keyvaultDns}/'
