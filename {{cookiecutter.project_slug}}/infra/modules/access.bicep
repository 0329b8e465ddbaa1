{%- set facts = cookiecutter | facts -%}
// The roles of the app's identity outside of vaults{{ ', and a check of the vaults for which their grants wait' if not facts.granted }}.
@export()
@description('The Azure roles that this infrastructure assigns, each by the id that it has in every tenant.')
var roles = {
  // Storage Blob Data Owner: the least that the Functions host needs of its storage account.
  // https://learn.microsoft.com/azure/azure-functions/functions-reference#connecting-to-host-storage-with-an-identity
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  // Where main.bicepparam sets storageQueuesAndTables.
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  {%- if facts.vault_access == 'rbac' %}
  // Key Vault Secrets User reads secrets and lists their names: no built-in role does less.
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  {%- if facts.key %}
  // Key Vault Crypto User uses keys, but does not create, delete or export them: no built-in role that signs does less.
  keyVaultCryptoUser: '12338af0-0e69-4776-bea7-57ae8d297424'
  {%- endif %}
  {%- if facts.new_vault %}
  // Key Vault Secrets Officer: no built-in role that sets secrets does less.
  keyVaultSecretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  {%- endif %}
  {%- endif %}
  {%- if facts.blob_storage %}
  storageBlobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  {%- endif %}
  {%- if facts.service_bus %}
  serviceBusDataReceiver: '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
  serviceBusDataSender: '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
  {%- endif %}
}

@export()
@description('A role for a service principal: the id of a built-in role, or of a definition.')
func assigned(principalId string, role string) resourceInput<'Microsoft.Authorization/roleAssignments@2022-04-01'>.properties => {
  principalId: principalId
  principalType: 'ServicePrincipal'
  roleDefinitionId: contains(role, '/') ? role : subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
}

param principalId string
param storageAccountName string
param insightsName string

@description('Whether the app uses queues and tables of its host\'s storage account.')
param queuesAndTables bool
{%- if not facts.granted %}

@description('The vaults that the app reads.')
param vaults { name: string, subscription: string, group: string }[]
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
{%- if not facts.granted %}

resource existingVaults 'Microsoft.KeyVault/vaults@2026-02-01' existing = [
  for vault in vaults: {
    name: vault.name
    scope: resourceGroup(vault.subscription, vault.group)
  }
]

// Stops the deployment where a vault uses the other access model: it would ignore what is granted to the app.
output vaultModes string[] = [
  {%- if facts.vault_access == 'rbac' %}
  for (vault, index) in vaults: existingVaults[index].properties.?enableRbacAuthorization == true
    ? 'rbac'
    : fail('The vault ${vault.name} uses access policies, not Azure RBAC: render the project with vault_access=access-policy.')
  {%- else %}
  for (vault, index) in vaults: existingVaults[index].properties.?enableRbacAuthorization == true
    ? fail('The vault ${vault.name} uses Azure RBAC, not access policies: render the project with vault_access=rbac.')
    : 'access-policy'
  {%- endif %}
]
{%- endif %}

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: storageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource usesStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [
    roles.storageBlobDataOwner
    ...(queuesAndTables ? [roles.storageQueueDataContributor, roles.storageTableDataContributor] : [])
  ]: {
    name: guid(account.id, principalId, role)
    scope: account
    properties: assigned(principalId, role)
  }
]

resource publishesTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, roles.monitoringMetricsPublisher)
  scope: insights
  properties: assigned(principalId, roles.monitoringMetricsPublisher)
}
{%- if facts.blob_storage %}

resource documentsAccount 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: documentsAccountName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource documents 'containers' existing = {
      name: 'documents'
    }

    resource summaries 'containers' existing = {
      name: 'summaries'
    }
  }
}

resource readsDocuments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(documentsAccount::blobs::documents.id, principalId, roles.storageBlobDataReader)
  scope: documentsAccount::blobs::documents
  properties: assigned(principalId, roles.storageBlobDataReader)
}

// Contributor, because the output binding looks for the container before it writes.
resource writesSummaries 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(documentsAccount::blobs::summaries.id, principalId, roles.storageBlobDataContributor)
  scope: documentsAccount::blobs::summaries
  properties: assigned(principalId, roles.storageBlobDataContributor)
}
{%- endif %}
{%- if facts.cosmos_db %}

resource cosmosAccount 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: cosmosAccountName

  resource shop 'sqlDatabases' existing = {
    name: 'shop'

    resource orders 'containers' existing = {
      name: 'orders'
    }
  }
}

// Cosmos DB Built-in Data Reader. Roles on data are Cosmos DB's own, not Azure's.
var cosmosDataReader = '00000000-0000-0000-0000-000000000001'

resource readsOrders 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = {
  parent: cosmosAccount
  name: guid(cosmosAccount::shop::orders.id, principalId, cosmosDataReader)
  properties: {
    principalId: principalId
    roleDefinitionId: '${cosmosAccount.id}/sqlRoleDefinitions/${cosmosDataReader}'
    scope: '${cosmosAccount.id}/dbs/${cosmosAccount::shop.name}/colls/${cosmosAccount::shop::orders.name}'
  }
}
{%- endif %}
{%- if facts.service_bus %}

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' existing = {
  name: serviceBusName

  resource orders 'queues' existing = {
    name: 'orders'
  }

  resource shipments 'queues' existing = {
    name: 'shipments'
  }
}

resource receivesOrders 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(namespace::orders.id, principalId, roles.serviceBusDataReceiver)
  scope: namespace::orders
  properties: assigned(principalId, roles.serviceBusDataReceiver)
}

resource sendsShipments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(namespace::shipments.id, principalId, roles.serviceBusDataSender)
  scope: namespace::shipments
  properties: assigned(principalId, roles.serviceBusDataSender)
}
{%- endif %}
