// Orders in Cosmos DB, paid by use. No keys: identities only, and this one may only read.
param name string
param location string
param tags object
param principalId string

// Cosmos DB Built-in Data Reader. Roles on data are Cosmos DB's own, not Azure's.
var dataReader = '00000000-0000-0000-0000-000000000001'

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: [{ name: 'EnableServerless' }]
    locations: [{ locationName: location, failoverPriority: 0 }]
    disableLocalAuth: true
    minimalTlsVersion: 'Tls12'
    {%- if cookiecutter.network == 'private' %}
    publicNetworkAccess: 'Disabled'
    networkAclBypass: 'None'
    {%- endif %}
  }

  resource shop 'sqlDatabases' = {
    name: 'shop'
    properties: { resource: { id: 'shop' } }

    resource orders 'containers' = {
      name: 'orders'
      properties: {
        resource: {
          id: 'orders'
          partitionKey: { kind: 'Hash', paths: ['/id'] }
        }
      }
    }
  }
}

resource readsOrders 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = {
  parent: account
  name: guid(account::shop::orders.id, principalId, dataReader)
  properties: {
    principalId: principalId
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataReader}'
    scope: '${account.id}/dbs/${account::shop.name}/colls/${account::shop::orders.name}'
  }
}

{% if cookiecutter.network == 'private' -%}
output id string = account.id
{% endif -%}
output endpoint string = account.properties.documentEndpoint
