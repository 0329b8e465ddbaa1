// Documents and their summaries, in a storage account of their own. No shared keys.
import { roles } from '../roles.bicep'

param name string
param location string
param tags object
param principalId string

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
  name: guid(account::blobs::documents.id, principalId, roles.storageBlobDataReader)
  scope: account::blobs::documents
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataReader)
  }
}

// Contributor, because the binding looks whether the container is there before it writes.
resource writesSummaries 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account::blobs::summaries.id, principalId, roles.storageBlobDataContributor)
  scope: account::blobs::summaries
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.storageBlobDataContributor
    )
  }
}

{% if cookiecutter.network == 'private' -%}
output id string = account.id
{% endif -%}
output serviceUri string = account.properties.primaryEndpoints.blob
