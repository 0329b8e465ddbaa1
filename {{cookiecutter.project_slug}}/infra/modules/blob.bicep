// Documents and their summaries, in a storage account of their own. No shared keys.
param name string
param location string
param tags object
param principalId string

var blobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
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

    resource documents 'containers' = {
      name: 'documents'
    }

    resource summaries 'containers' = {
      name: 'summaries'
    }
  }
}

resource readsDocuments 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::documents.id, principalId, blobDataReader)
  scope: account::blobs::documents
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataReader)
  }
}

// Contributor, because the binding looks whether the container is there before it writes.
resource writesSummaries 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::summaries.id, principalId, blobDataContributor)
  scope: account::blobs::summaries
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
}

{% if cookiecutter.network == 'private' -%}
output id string = account.id
{% endif -%}
output serviceUri string = account.properties.primaryEndpoints.blob
