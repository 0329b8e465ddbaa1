{%- set facts = cookiecutter | facts -%}
// What the app's identity may do outside of vaults. Its modules have no principal id, so that what-if shows them.
import { roles } from '../roles.bicep'

param principalId string
param storageAccountName string
param insightsName string

@description('Whether the app uses queues and tables of its host\'s storage account.')
param queuesAndTables bool
{%- if facts.blob_storage %}
param documentsAccountName string
{%- endif %}
{%- if facts.cosmos_db %}
param cosmosAccountName string
{%- endif %}
{%- if facts.service_bus %}
param serviceBusName string
{%- endif %}

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: storageAccountName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource ownsBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, roles.storageBlobDataOwner)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner)
  }
}

// Queue triggers and Durable Functions need both: https://learn.microsoft.com/azure/azure-functions/functions-reference#connecting-to-host-storage-with-an-identity
resource usesQueuesAndTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in (queuesAndTables ? [roles.storageQueueDataContributor, roles.storageTableDataContributor] : []): {
    name: guid(account.id, principalId, role)
    scope: account
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource publishesTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, roles.monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
  }
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
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataReader)
  }
}

// Contributor, because the output binding looks for the container before it writes.
resource writesSummaries 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(documentsAccount::blobs::summaries.id, principalId, roles.storageBlobDataContributor)
  scope: documentsAccount::blobs::summaries
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.storageBlobDataContributor
    )
  }
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
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataReceiver)
  }
}

resource sendsShipments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(namespace::shipments.id, principalId, roles.serviceBusDataSender)
  scope: namespace::shipments
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.serviceBusDataSender)
  }
}
{%- endif %}
