// Orders in Cosmos DB, paid by use and without keys.
param name string
param location string
param tags object

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
