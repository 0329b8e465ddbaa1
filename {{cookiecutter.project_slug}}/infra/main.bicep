{%- set facts = cookiecutter | facts -%}
{%- set other_vaults = not facts.granted or facts.private -%}
// Everything the app needs, in one resource group. modules/ has one file for each concern; this file connects them.
// Names and ids are computed here and passed to modules, never read from their outputs, so that what-if knows them.
targetScope = 'resourceGroup'

import * as check from 'checks.bicep'
{%- if facts.private %}
import * as given from 'modules/existing-network.bicep'
{%- endif %}

@description('The region. Default: that of the resource group.')
param location string = resourceGroup().location

@description('The azd environment that this deployment belongs to.')
@maxLength(256)
param environmentName string

@description('Tags for every resource.')
param tags { *: string } = {}

@description('Part of the resources\' names. Two apps in one resource group need two.')
@minLength(2)
@maxLength(32)
param project string = '{{ facts.project_slug }}'

@description('What the resources\' names begin with.')
@maxLength(8)
param prefix string = ''

@description('The app\'s globally unique name. With more than 32 characters, two apps could share a host id.')
@minLength(2)
@maxLength(32)
param appName string = '${take('${prefix}func-${project}', 18)}-${uniqueString(resourceGroup().id, project)}'

@description('The globally unique name of the host\'s storage account.')
@minLength(3)
@maxLength(24)
param storageAccountName string = '${toLower(replace(prefix, '-', ''))}st${uniqueString(resourceGroup().id, project)}'

@description('The cloud. Outside of the public one, the host needs the addresses of its storage.')
param cloud string = environment().name

@description('Memory of one instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('The maximum number of instances that run at the same time.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('How many instances always run, by http, blob, durable, or function:NAME for a function of another trigger.')
param alwaysReady { *: int } = {}

@description('How many HTTP requests an instance serves at the same time. Default: the platform decides.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int?

@description('Whether the app and its storage continue when one availability zone fails.')
param zoneRedundant bool = false

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
param vaultName string = '${prefix}kv-${uniqueString(resourceGroup().id, project)}'
{%- endif %}

@description('Resource id of the action group that is notified when the app loses access to a secret. Empty: nobody is.')
param alertActionGroupId string = ''

@description('Resource id of an existing Log Analytics workspace. Empty: the deployment creates one.')
param logWorkspaceId string = ''

@description('How long the new workspace keeps logs. Default: 90 days.')
@minValue(30)
@maxValue(730)
param logRetentionDays int?

@description('How much the new workspace takes in a day, in GB. Default: no limit.')
@minValue(1)
param logDailyCapGB int?

@description('Whether all logs and metrics of the app, its storage{{ ' and the vault' if facts.new_vault }} go to the workspace.')
param diagnostics bool = false

@description('IPv4 networks that may call the app. Empty: all.')
@maxLength(512)
param allowedAddresses string[] = []

@description('Application id of the app\'s registration in Microsoft Entra ID. Empty: callers need no token.')
param authClientId string = ''

@description('What a token\'s audience may be, beside authClientId. Default: api://authClientId.')
param authAudiences string[] = []

@description('Application ids of those that may call the app.')
param authAllowedApplications string[] = []
{%- if other_vaults %}

@description('Other vaults that the app reads. Default place: this resource group and subscription.')
param otherVaults check.otherVault[] = []
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
param documentsAccountName string = '${take(toLower('${replace(prefix, '-', '')}stdocs'), 11)}${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.cosmos_db %}

@description('The globally unique name of the Cosmos DB account.')
@minLength(3)
@maxLength(44)
param cosmosAccountName string = '${toLower(prefix)}cosmos-${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.service_bus %}

@description('The globally unique name of the Service Bus namespace.')
@minLength(6)
@maxLength(50)
param serviceBusName string = '${prefix}sb-${uniqueString(resourceGroup().id, project)}'
{%- endif %}
{%- if facts.private %}

@description('The addresses of the app\'s virtual network, a /25 or larger. To be peered, they must be free.')
param networkAddresses string = '10.0.0.0/24'

@description('Subnets and DNS zones of others, in place of a virtual network of the app.')
param existingNetwork given.network?

@description('Whether the app is reached through a private endpoint only, also to deploy its code.')
param privateInbound bool = false
{%- endif %}
{%- if facts.api_scope %}

@description('The address of the API that the app calls.')
param apiUrl string = ''
{%- endif %}
{%- if facts.identity_by_setting %}

@description('Resource id of the existing identity that the app runs as.')
param identityId string
{%- endif %}
{%- if facts.vault_setting %}
{# A blank line. #}
{%- else %}

var vaultName = '{{ facts.vault_name }}'
{%- endif %}
{%- if facts.identity_source == 'existing' %}
var identityGroup = '{{ facts.identity_group }}'
var identitySubscription = '{{ facts.identity_subscription }}'
{%- endif %}
{%- if other_vaults %}
var vaults = map(
  [
    {
      name: vaultName
      {%- if facts.vault_group %}
      resourceGroup: '{{ facts.vault_group }}'
      {%- endif %}
      {%- if facts.vault_subscription %}
      subscription: '{{ facts.vault_subscription }}'
      {%- endif %}
    }
    ...otherVaults
  ],
  one => {
    name: one.name
    subscription: one.?subscription ?? subscription().subscriptionId
    group: one.?resourceGroup ?? resourceGroup().name
  }
)
var vaultNames = map(vaults, one => toLower(one.name))
{%- endif %}
{%- if facts.private %}
var groups = [
  'vault'
  'blob'
  {%- if facts.cosmos_db %}
  'Sql'
  {%- endif %}
  ...(storageQueuesAndTables ? ['queue', 'table'] : [])
  ...(privateInbound ? ['sites'] : [])
]
{%- endif %}

// Parameters that cannot work end the deployment with their names, before any resource is created.
var problems = filter(
  [
    check.name('project', project)
    check.name('appName', appName)
    check.storageName('storageAccountName', storageAccountName)
    empty(prefix) ? '' : check.strictName('prefix', endsWith(prefix, '-') ? take(prefix, length(prefix) - 1) : prefix)
    check.id('alertActionGroupId', alertActionGroupId, 'Microsoft.Insights/actionGroups')
    check.id('logWorkspaceId', logWorkspaceId, 'Microsoft.OperationalInsights/workspaces')
    empty(logWorkspaceId) || logRetentionDays == null && logDailyCapGB == null
      ? ''
      : 'logWorkspaceId: an existing workspace has its own retention and cap: remove logRetentionDays and logDailyCapGB'
    ...map(items(alwaysReady), one => check.alwaysReady(one.key, one.value, maximumInstanceCount))
    ...map(allowedAddresses, one => check.network('allowedAddresses', one, 1, 32))
    ...map(authAllowedApplications, one => check.guid('authAllowedApplications', one))
    contains(authAudiences, '') ? 'authAudiences: \'\': an audience is expected, such as api://orders' : ''
    empty(authClientId) ? '' : check.guid('authClientId', authClientId)
    empty(authClientId) == empty(authAllowedApplications) && !(empty(authClientId) && !empty(authAudiences))
      ? ''
      : 'authClientId: it is expected together with authAllowedApplications, and authAudiences only with both'
    {%- if facts.identity_by_setting %}
    empty(identityId) || !empty(check.id('identityId', identityId, 'Microsoft.ManagedIdentity/userAssignedIdentities'))
      ? 'identityId: \'${identityId}\': set {{ facts.identity_setting }} to /subscriptions/…/Microsoft.ManagedIdentity/userAssignedIdentities/…'
      : ''
    {%- endif %}
    {%- if facts.new_vault %}
    empty(setterObjectId) ? '' : check.guid('setterObjectId', setterObjectId)
    {%- endif %}
    {%- if facts.vault_setting %}
    check.strictName('vaultName', vaultName)
    {%- endif %}
    {%- if other_vaults %}
    ...flatten(map(otherVaults, one => check.vault(one)))
    length(vaultNames) == length(union(vaultNames, [])) ? '' : 'otherVaults: each vault is expected once, the app\'s own in vaultName only'
    {%- endif %}
    {%- if facts.blob_storage %}
    check.storageName('documentsAccountName', documentsAccountName)
    documentsAccountName != storageAccountName
      ? ''
      : 'documentsAccountName: ${documentsAccountName}: a name that differs from storageAccountName is expected'
    {%- endif %}
    {%- if facts.cosmos_db %}
    check.cosmosName('cosmosAccountName', cosmosAccountName)
    {%- endif %}
    {%- if facts.service_bus %}
    check.strictName('serviceBusName', serviceBusName)
    {%- endif %}
    {%- if facts.private %}
    check.network('networkAddresses', networkAddresses, 8, 25)
    ...given.problems(existingNetwork, groups)
    existingNetwork == null || networkAddresses == '10.0.0.0/24'
      ? ''
      : 'existingNetwork: an existing network has its own addresses: remove networkAddresses'
    !privateInbound || empty(allowedAddresses)
      ? ''
      : 'privateInbound: only private addresses can call the app: remove allowedAddresses'
    {%- endif %}
  ],
  problem => !empty(problem)
)
var allTags = empty(problems)
  ? union(tags, { 'azd-env-name': environmentName, project: project })
  : fail(join(problems, '; '))
var insightsName = '${prefix}appi-${project}'
var packageContainerName = 'app-package'
var workspaceName = '${prefix}log-${project}'
var workspaceId = empty(logWorkspaceId)
  ? resourceId('Microsoft.OperationalInsights/workspaces', workspaceName)
  : logWorkspaceId
{%- if facts.identity_by_setting %}
var identityPath = split(identityId, '/')
{%- endif %}
{%- if facts.private %}
var networkName = '${prefix}vnet-${project}'
var subnets = existingNetwork ?? {
  appSubnetId: resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'app')
  endpointSubnetId: resourceId('Microsoft.Network/virtualNetworks/subnets', networkName, 'endpoints')
}
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
  // https://learn.microsoft.com/azure/private-link/private-endpoint-dns
  ...(privateInbound ? { sites: 'privatelink.${domains[?cloud] ?? 'azurewebsites.net'}' } : {})
}
var domains = { AzureUSGovernment: 'azurewebsites.us', AzureChinaCloud: 'chinacloudsites.cn' }
var zoneIds = existingNetwork == null
  ? mapValues(zones, zone => resourceId('Microsoft.Network/privateDnsZones', zone))
  : existingNetwork.?zoneIds ?? {}
{%- endif %}
{%- if facts.identity_source == 'created' %}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}id-${project}'
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
    insightsName: insightsName
    workspaceName: empty(logWorkspaceId) ? workspaceName : ''
    workspaceId: workspaceId
    retentionDays: logRetentionDays ?? 90
    dailyCapGB: logDailyCapGB ?? -1
    location: location
    tags: allTags
    alertName: '${prefix}alert-denied-${project}'
    alertActionGroupId: alertActionGroupId
  }
}
{%- if facts.private %}

module network 'modules/network.bicep' = if (existingNetwork == null) {
  name: '${project}-network'
  params: {
    name: networkName
    location: location
    tags: allTags
    addressPrefix: networkAddresses
    zones: zones
  }
}

module existingNetworkCheck 'modules/existing-network.bicep' = if (existingNetwork != null) {
  name: '${project}-existing-network'
  params: {
    location: location
    appSubnetId: subnets.appSubnetId
    endpointSubnetId: subnets.endpointSubnetId
  }
}
{%- endif %}

module app 'modules/app.bicep' = {
  name: '${project}-app'
  dependsOn: [
    monitoring
    {%- if facts.private %}
    network
    existingNetworkCheck
    {%- endif %}
  ]
  params: {
    name: appName
    planName: '${prefix}plan-${project}'
    location: location
    tags: allTags
    {%- if facts.identity == 'user' %}
    identityId: identity.id
    {%- endif %}
    storageAccountName: storageAccountName
    packageContainerName: packageContainerName
    {%- if facts.private %}
    subnetId: subnets.appSubnetId
    privateInbound: privateInbound
    {%- endif %}
    zoneRedundant: zoneRedundant
    scale: {
      instanceMemoryMB: instanceMemoryMB
      maximumInstanceCount: maximumInstanceCount
      ...(empty(alwaysReady)
        ? {}
        : { alwaysReady: map(items(alwaysReady), one => { name: one.key, instanceCount: one.value }) })
      ...(httpConcurrency == null ? {} : { triggers: { http: { perInstanceConcurrency: httpConcurrency } } })
    }
    allowedAddresses: allowedAddresses
    workspaceId: diagnostics ? workspaceId : ''
  }
}
{%- if facts.blob_storage %}

module blob 'modules/blob.bicep' = {
  name: '${project}-blob'
  dependsOn: [monitoring]
  params: {
    name: documentsAccountName
    workspaceId: diagnostics ? workspaceId : ''
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
  dependsOn: [
    monitoring
    {%- if facts.private %}
    existingNetworkCheck
    {%- endif %}
  ]
  params: {
    name: vaultName
    location: location
    tags: allTags
    workspaceId: workspaceId
    diagnostics: diagnostics
    recover: recoverVault
    setterObjectId: setterObjectId
  }
}
{%- endif %}

var principalId = {{ 'app.outputs' if facts.identity == 'system' else 'identity.properties' }}.principalId

module access 'modules/access.bicep' = {
  name: '${project}-access'
  dependsOn: [
    {{ 'monitoring' if facts.identity == 'system' else 'app' }}
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

module vaultMode 'modules/vault-mode.bicep' = [
  for (one, index) in vaults: {
    name: 'vault-mode-${index}-${ofThisApp}'
    scope: resourceGroup(one.subscription, one.group)
    {%- if facts.new_vault %}
    dependsOn: [vault]
    {%- elif facts.private %}
    dependsOn: [existingNetworkCheck]
    {%- endif %}
    params: { vaultName: one.name }
  }
]

module vaultAccess 'modules/vault-access.bicep' = [
  for (one, index) in vaults: {
    name: 'vault-access-${index}-${ofThisApp}'
    scope: resourceGroup(one.subscription, one.group)
    dependsOn: [vaultMode]
    params: { principalId: principalId, vaultName: one.name }
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
    {%- endif %}
  ]
  params: {
    location: location
    tags: allTags
    subnetId: subnets.endpointSubnetId
    zoneIds: zoneIds
    targets: concat(
      [
        {
          name: '${prefix}pe-host-${project}'
          resourceId: resourceId('Microsoft.Storage/storageAccounts', storageAccountName)
          group: 'blob'
        }
        {%- if facts.blob_storage %}
        {
          name: '${prefix}pe-documents-${project}'
          resourceId: resourceId('Microsoft.Storage/storageAccounts', documentsAccountName)
          group: 'blob'
        }
        {%- endif %}
        {%- if facts.cosmos_db %}
        {
          name: '${prefix}pe-orders-${project}'
          resourceId: resourceId('Microsoft.DocumentDB/databaseAccounts', cosmosAccountName)
          group: 'Sql'
        }
        {%- endif %}
      ],
      map(storageQueuesAndTables ? ['queue', 'table'] : [], group => {
        name: '${prefix}pe-${group}-${project}'
        resourceId: resourceId('Microsoft.Storage/storageAccounts', storageAccountName)
        group: group
      }),
      map(vaults, (one, index) => {
        name: '${prefix}pe-${index == 0 ? 'vault' : 'other-${one.name}'}-${project}'
        resourceId: resourceId(one.subscription, one.group, 'Microsoft.KeyVault/vaults', one.name)
        group: 'vault'
      }),
      map(privateInbound ? ['sites'] : [], group => {
        name: '${prefix}pe-app-${project}'
        resourceId: resourceId('Microsoft.Web/sites', appName)
        group: group
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
    authClientId: authClientId
    authAudiences: authAudiences
    authAllowedApplications: authAllowedApplications
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
