{%- set facts = cookiecutter | facts -%}
{%- set other_vaults = not facts.granted or facts.private -%}
// Everything the app needs, in one resource group. modules/ has what needs another scope or a principal id, and what some
// projects leave out. Names and ids are computed here and passed to modules, never read from their outputs, so that
// what-if knows them.
targetScope = 'resourceGroup'
{%- if (facts.new_vault and facts.vault_access == 'rbac') or facts.private %}
{# A blank line. #}
{%- endif %}
{%- if facts.new_vault and facts.vault_access == 'rbac' %}
import { roles } from 'modules/access.bicep'
{%- endif %}
{%- if facts.private %}
import * as given from 'modules/existing-network.bicep'
{%- endif %}

param location string = resourceGroup().location

@description('The azd environment that this deployment belongs to.')
@maxLength(256)
param environmentName string

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

@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

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
param otherVaults otherVault[] = []
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
{%- if facts.identity_name %}
var identityGroup = '{{ facts.identity_group }}'
var identitySubscription = '{{ facts.identity_subscription }}'
{%- endif %}
{%- if other_vaults %}
{%- if facts.vault_group %}
var vault = {
  name: vaultName
  resourceGroup: '{{ facts.vault_group }}'
  {%- if facts.vault_subscription %}
  subscription: '{{ facts.vault_subscription }}'
  {%- endif %}
}
{%- endif %}
var vaults = map([{{ 'vault' if facts.vault_group else '{ name: vaultName }' }}, ...otherVaults], one => {
  name: one.name
  subscription: one.?subscription ?? subscription().subscriptionId
  group: one.?resourceGroup ?? resourceGroup().name
})
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
    nameProblem('project', project)
    nameProblem('appName', appName)
    storageNameProblem('storageAccountName', storageAccountName)
    empty(prefix) ? '' : strictNameProblem('prefix', endsWith(prefix, '-') ? take(prefix, length(prefix) - 1) : prefix)
    idProblem('alertActionGroupId', alertActionGroupId, 'Microsoft.Insights/actionGroups')
    idProblem('logWorkspaceId', logWorkspaceId, 'Microsoft.OperationalInsights/workspaces')
    empty(logWorkspaceId) || logRetentionDays == null && logDailyCapGB == null
      ? ''
      : 'logWorkspaceId: an existing workspace has its own retention and cap: remove logRetentionDays and logDailyCapGB'
    ...map(items(alwaysReady), one => alwaysReadyProblem(one.key, one.value, maximumInstanceCount))
    ...map(allowedAddresses, one => networkProblem('allowedAddresses', one, 1, 32))
    ...map(authAllowedApplications, one => guidProblem('authAllowedApplications', one))
    contains(authAudiences, '') ? 'authAudiences: \'\': an audience is expected, such as api://orders' : ''
    empty(authClientId) ? '' : guidProblem('authClientId', authClientId)
    empty(authClientId) == empty(authAllowedApplications) && !(empty(authClientId) && !empty(authAudiences))
      ? ''
      : 'authClientId: it is expected together with authAllowedApplications, and authAudiences only with both'
    {%- if facts.identity_by_setting %}
    empty(identityId) || !empty(idProblem('identityId', identityId, 'Microsoft.ManagedIdentity/userAssignedIdentities'))
      ? 'identityId: \'${identityId}\': set {{ facts.identity_setting }} to /subscriptions/…/Microsoft.ManagedIdentity/userAssignedIdentities/…'
      : ''
    {%- endif %}
    {%- if facts.new_vault %}
    empty(setterObjectId) ? '' : guidProblem('setterObjectId', setterObjectId)
    {%- endif %}
    {%- if facts.vault_setting %}
    strictNameProblem('vaultName', vaultName)
    {%- endif %}
    {%- if other_vaults %}
    ...flatten(map(otherVaults, one => vaultProblems(one)))
    length(vaultNames) == length(union(vaultNames, [])) ? '' : 'otherVaults: each vault is expected once, the app\'s own in vaultName only'
    {%- endif %}
    {%- if facts.blob_storage %}
    storageNameProblem('documentsAccountName', documentsAccountName)
    documentsAccountName != storageAccountName
      ? ''
      : 'documentsAccountName: ${documentsAccountName}: a name that differs from storageAccountName is expected'
    {%- endif %}
    {%- if facts.cosmos_db %}
    cosmosNameProblem('cosmosAccountName', cosmosAccountName)
    {%- endif %}
    {%- if facts.service_bus %}
    strictNameProblem('serviceBusName', serviceBusName)
    {%- endif %}
    {%- if facts.private %}
    networkProblem('networkAddresses', networkAddresses, 8, 25)
    ...(existingNetwork == null ? [] : existingNetworkProblems(existingNetwork!, groups))
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
var workspaceId = empty(logWorkspaceId) ? workspace.id : logWorkspaceId
var everything = {
  workspaceId: workspaceId
  logs: [{ categoryGroup: 'allLogs', enabled: true }]
  metrics: [{ category: 'AllMetrics', enabled: true }]
}
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
{%- if facts.identity_created %}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${prefix}id-${project}'
  location: location
  tags: allTags
}
{%- elif facts.identity_name %}

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

// Logs: a workspace, and Application Insights on top of it. Both accept data from identities only.
resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (empty(logWorkspaceId)) {
  name: '${prefix}log-${project}'
  location: location
  tags: allTags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: logRetentionDays ?? 90
    features: { disableLocalAuth: true }
    ...(logDailyCapGB == null ? {} : { workspaceCapping: { dailyQuotaGb: logDailyCapGB } })
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${prefix}appi-${project}'
  location: location
  tags: allTags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
  }
}

// Looks for the line that the app logs when it loses access to a secret.
// Without an identity, the rule has the permissions of whoever deploys it, at that time.
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule#configure-the-alert-rule-details
resource denied 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (!empty(alertActionGroupId)) {
  name: '${prefix}alert-denied-${project}'
  location: location
  tags: allTags
  kind: 'LogAlert'
  properties: {
    displayName: '${project} lost access to a secret'
    description: 'The message names the secret, the reason, and after "Repair:" the command to run. The app uses the last value until the time in the message has passed; then the functions that need the secret fail. After the repair, the app reads it again without a restart.'
    severity: 1
    scopes: [insights.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      allOf: [
        {
          query: 'traces | where message has "The last value is kept for"'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          // Each message is a separate alert, which contains it.
          dimensions: [{ name: 'message', operator: 'Include', values: ['*'] }]
        }
      ]
    }
    // The line is logged once. Its absence later does not mean that the app has access again.
    autoMitigate: false
    actions: { actionGroups: [alertActionGroupId] }
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

// The storage of the Functions host: its locks, the function keys and the app's package. Without shared keys.
resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: storageAccountName
  location: location
  tags: allTags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    {%- if facts.private %}
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'None' }
    {%- endif %}
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource packages 'containers' = {
      name: 'app-package'
    }
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: '${prefix}plan-${project}'
  location: location
  tags: allTags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, ...(zoneRedundant ? { zoneRedundant: true } : {}) }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: appName
  location: location
  tags: union(allTags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  {%- if facts.private %}
  dependsOn: [network, existingNetworkCheck]
  {%- endif %}
  {%- if facts.identity == 'system' %}
  identity: { type: 'SystemAssigned' }
  {%- else %}
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  {%- endif %}
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    {%- if facts.private %}
    virtualNetworkSubnetId: subnets.appSubnetId
    // All outbound traffic, also of the platform for the app's package, goes through the network.
    outboundVnetRouting: { allTraffic: true }
    ...(privateInbound ? { publicNetworkAccess: 'Disabled' } : {})
    {%- endif %}
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ...(empty(allowedAddresses)
        ? {}
        : {
            ipSecurityRestrictionsDefaultAction: 'Deny'
            ipSecurityRestrictions: map(allowedAddresses, (address, index) => {
              ipAddress: address
              action: 'Allow'
              priority: 100 + index
              name: 'allowed-${index}'
            })
          })
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${account::blobs::packages.name}'
          {%- if facts.identity == 'system' %}
          authentication: { type: 'SystemAssignedIdentity' }
          {%- else %}
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identity.id }
          {%- endif %}
        }
      }
      runtime: { name: 'python', version: '{{ facts.python_version }}' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        ...(empty(alwaysReady)
          ? {}
          : { alwaysReady: map(items(alwaysReady), one => { name: one.key, instanceCount: one.value }) })
        ...(httpConcurrency == null ? {} : { triggers: { http: { perInstanceConcurrency: httpConcurrency } } })
      }
    }
  }

  // No passwords for publishing: whoever deploys signs in to Entra ID. Flex Consumption has no FTP.
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

resource logsOfApp 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics) {
  name: 'all'
  scope: app
  properties: everything
}

resource logsOfBlobs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnostics) {
  name: 'all'
  scope: account::blobs
  properties: everything
}
{%- if facts.blob_storage %}

module blob 'modules/blob.bicep' = {
  name: '${project}-blob'
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

{% if facts.vault_access == 'access-policy' -%}
// Created once. A second deployment would remove the access policies that others have added since.
// The price: a later change here does not reach an existing vault.
@onlyIfNotExists()
{% endif -%}
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: vaultName
  location: location
  tags: allTags
  {%- if facts.private %}
  dependsOn: [existingNetworkCheck]
  {%- endif %}
  properties: {
    createMode: recoverVault ? 'recover' : 'default'
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    {%- if facts.vault_access == 'access-policy' %}
    enableRbacAuthorization: false
    accessPolicies: []
    {%- else %}
    enableRbacAuthorization: true
    {%- endif %}
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    {%- if facts.private %}
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'None' }
    {%- endif %}
  }
}
{%- if facts.key %}

// The private key never leaves the vault. An existing key keeps its versions.
resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = {
  parent: vault
  name: '{{ facts.key }}'
  properties: {
    kty: 'RSA'
    keySize: 3072
    keyOps: ['sign', 'verify']
  }
}
{%- endif %}

resource auditLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: diagnostics ? everything : { workspaceId: workspaceId, logs: [{ categoryGroup: 'audit', enabled: true }] }
}
{%- if facts.vault_access == 'access-policy' %}

resource maySet 'Microsoft.KeyVault/vaults/accessPolicies@2026-02-01' = if (!empty(setterObjectId)) {
  parent: vault
  name: 'add'
  properties: {
    accessPolicies: [
      {
        tenantId: tenant().tenantId
        objectId: setterObjectId
        permissions: { secrets: ['set'] }
      }
    ]
  }
}
{%- else %}

resource maySet 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(setterObjectId)) {
  name: guid(vault.id, setterObjectId, roles.keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: setterObjectId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsOfficer)
  }
}
{%- endif %}
{%- endif %}

var principalId = {{ 'app.identity' if facts.identity == 'system' else 'identity.properties' }}.principalId

module access 'modules/access.bicep' = {
  name: '${project}-access'
  {%- if facts.new_vault or facts.private or facts.blob_storage or facts.cosmos_db or facts.service_bus %}
  dependsOn: [
    {%- if facts.new_vault %}
    vault
    {%- endif %}
    {%- if facts.private %}
    existingNetworkCheck
    {%- endif %}
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
  {%- endif %}
  params: {
    principalId: principalId
    storageAccountName: account.name
    insightsName: insights.name
    queuesAndTables: storageQueuesAndTables
    {%- if not facts.granted %}
    vaults: vaults
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
  }
}
{%- if not facts.granted %}

module vaultAccess 'modules/vault-access.bicep' = [
  for (one, index) in vaults: {
    // In the group of a vault there may be deployments of other apps.
    name: 'vault-${index}-${project}-${uniqueString(resourceGroup().id)}'
    scope: resourceGroup(one.subscription, one.group)
    dependsOn: [access]
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
          resourceId: account.id
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
        resourceId: account.id
        group: group
      }),
      map(vaults, (one, index) => {
        name: '${prefix}pe-${index == 0 ? 'vault' : 'other-${one.name}'}-${project}'
        resourceId: resourceId(one.subscription, one.group, 'Microsoft.KeyVault/vaults', one.name)
        group: 'vault'
      }),
      map(privateInbound ? ['sites'] : [], group => {
        name: '${prefix}pe-app-${project}'
        resourceId: app.id
        group: group
      })
    )
  }
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

// The app settings, none of which is a secret, and the sign-in of callers.
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
  // Writing them restarts the host, which then has its access{{ ' and resolves its private endpoints' if facts.private }}.
  dependsOn: [
    signIn
    access
    {%- if not facts.granted %}
    vaultAccess
    {%- endif %}
    {%- if facts.private %}
    privateEndpoints
    {%- endif %}
  ]
  properties: {
    AzureWebJobsStorage__accountName: account.name
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
    ...(!empty(alertActionGroupId)
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
    {{ facts.identity_setting }}: identity.id
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

output appName string = appName
output appUrl string = 'https://${app.properties.defaultHostName}'
output identityPrincipalId string = principalId
output vaultName string = vaultName
output vaultUri string = 'https://${vaultName}${environment().suffixes.keyvaultDns}/'

// Checks that a type cannot express. Each returns what is wrong with a parameter, or nothing. Names have the characters of
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules

func problem(parameter string, value string, expected string) string => '${parameter}: \'${value}\': ${expected}'

func madeOf(text string, characters string) bool =>
  empty(filter(range(0, length(text)), index => !contains(characters, substring(text, index, 1))))

func isName(text string) bool =>
  madeOf(toLower(text), 'abcdefghijklmnopqrstuvwxyz0123456789-') && !startsWith(text, '-') && !endsWith(text, '-')

func nameProblem(parameter string, value string) string =>
  isName(value) ? '' : problem(parameter, value, 'letters, digits and hyphens are expected')

func strictNameProblem(parameter string, value string) string =>
  isName(value) && !contains(value, '--') && !contains('0123456789', first(value))
    ? ''
    : problem(parameter, value, 'a letter is expected first, then letters, digits and single hyphens')

func storageNameProblem(parameter string, value string) string =>
  madeOf(value, 'abcdefghijklmnopqrstuvwxyz0123456789')
    ? ''
    : problem(parameter, value, 'lower-case letters and digits are expected')
{%- if facts.cosmos_db %}

func cosmosNameProblem(parameter string, value string) string =>
  isName(value) && !contains(value, '--') && toLower(value) == value
    ? ''
    : problem(parameter, value, 'lower-case letters, digits and single hyphens are expected')
{%- endif %}

func isGuid(text string) bool =>
  madeOf(toLower(text), '0123456789abcdef-') && join(map(split(text, '-'), part => string(length(part))), ' ') == '8 4 4 4 12'

func guidProblem(parameter string, value string) string =>
  isGuid(value) ? '' : problem(parameter, value, 'a GUID is expected')

// The parts of an id that are not names. At 6 is the namespace of the type.
func withoutNames(path string[]) string => join(filter(path, (part, index) => index == 6 || index % 2 == 1), '/')

func isId(path string[], type string) bool =>
  isGuid(path[?2] ?? '') && length(path) % 2 == 1 && !contains(skip(path, 1), '') && toLower(withoutNames(path)) == toLower('subscriptions/resourceGroups/providers/${type}')

@export()
func idProblem(parameter string, value string, type string) string =>
  empty(value) || isId(split(value, '/'), type)
    ? ''
    : problem(parameter, value, '/subscriptions/…/${type}/… is expected')

func isNumber(text string, from int, to int) bool =>
  contains(map(range(from, to - from + 1), number => string(number)), text)

func isNetwork(octets string[], prefix string, from int, to int) bool =>
  length(octets) == 4 && empty(filter(octets, octet => !isNumber(octet, 0, 255))) && isNumber(prefix, from, to)
    ? parseCidr('${join(octets, '.')}/${prefix}').network == join(octets, '.')
    : false

func networkProblem(parameter string, value string, from int, to int) string =>
  isNetwork(split(split(value, '/')[0], '.'), split(value, '/')[?1] ?? '', from, to)
    ? ''
    : problem(parameter, value, 'a network from /${from} to /${to} is expected, such as 10.0.0.0/24')

@description('https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#always-ready-instances')
func alwaysReadyProblem(group string, count int, maximum int) string =>
  count >= 1 && count <= maximum && (contains(['http', 'blob', 'durable'], group) || startsWith(group, 'function:'))
    ? ''
    : 'alwaysReady: ${group} ${count}: http, blob, durable or function:NAME is expected, and 1 to maximumInstanceCount'
{%- if other_vaults %}

@export()
@sealed()
type otherVault = {
  @minLength(3)
  @maxLength(24)
  name: string
  @minLength(1)
  @maxLength(90)
  resourceGroup: string?
  subscription: string?
}

@export()
func vaultProblems(vault otherVault) string[] => [
  strictNameProblem('otherVaults', vault.name)
  vault.?subscription == null ? '' : guidProblem('otherVaults', vault.?subscription ?? '')
  vault.?subscription == null || vault.?resourceGroup != null
    ? ''
    : 'otherVaults: ${vault.name}: a subscription is expected together with a resourceGroup'
]
{%- endif %}
{%- if facts.private %}

func existingNetworkProblems(existing given.network, groups string[]) string[] => [
  idProblem('existingNetwork.appSubnetId', existing.appSubnetId, 'Microsoft.Network/virtualNetworks/subnets')
  idProblem('existingNetwork.endpointSubnetId', existing.endpointSubnetId, 'Microsoft.Network/virtualNetworks/subnets')
  contains(last(split(existing.appSubnetId, '/')), '_')
    ? 'existingNetwork.appSubnetId: Flex Consumption accepts no underscore in the name of its subnet'
    : ''
  toLower(existing.appSubnetId) == toLower(existing.endpointSubnetId)
    ? 'existingNetwork.endpointSubnetId: another subnet than appSubnetId is expected'
    : ''
  ...map(
    items(existing.?zoneIds ?? {}),
    zone => idProblem('existingNetwork.zoneIds.${zone.key}', zone.value, 'Microsoft.Network/privateDnsZones')
  )
  ...map(
    filter(existing.?zoneIds == null ? [] : groups, group => !contains(existing.?zoneIds ?? {}, group)),
    group => 'existingNetwork.zoneIds.${group}: the id of each zone that has a private endpoint is expected'
  )
]
{%- endif %}
