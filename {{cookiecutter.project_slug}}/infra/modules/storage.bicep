// The storage of the app's host: its locks, its function keys, and the app's package. No shared keys.
param name string
param location string
param tags object

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

    resource packages 'containers' = {
      name: 'app-package'
    }
  }
}

output name string = account.name
{%- if cookiecutter.network == 'private' %}
output id string = account.id
{%- endif %}
output packageContainerUri string = '${account.properties.primaryEndpoints.blob}${account::blobs::packages.name}'
