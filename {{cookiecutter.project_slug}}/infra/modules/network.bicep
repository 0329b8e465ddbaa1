// The network that the app calls out through, and the DNS zones in which it finds the private endpoints.
param project string
param location string
param tags object
param addressPrefix string

// A zone for each kind of endpoint, named as its cloud names it.
var zones = {
  vault: replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')
  blob: 'privatelink.blob.${environment().suffixes.storage}'
  {%- if 'cosmos-db' in cookiecutter.services %}
  // environment() does not name Cosmos DB's domain, which ends as the portal's does.
  Sql: replace(split(environment().portal, '/')[2], 'portal.', 'privatelink.documents.')
  {%- endif %}
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: 'vnet-${project}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    // Flex Consumption takes no subnet whose name has an underscore.
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          delegations: [{ name: 'flex-consumption', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          defaultOutboundAccess: false
        }
      }
    ]
  }
}

// Azure knows a zone by its name alone: private apps in one resource group share it, each with a link of its own.
resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in items(zones): {
    name: zone.value
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for index in range(0, length(zones)): {
    parent: zone[index]
    name: network.name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      // What has its private endpoint in another network is still found, at its public address.
      resolutionPolicy: 'NxDomainRedirect'
      virtualNetwork: { id: network.id }
    }
  }
]

output appSubnetId string = '${network.id}/subnets/app'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
output zoneIds object = toObject(
  items(zones),
  zone => zone.key,
  zone => resourceId('Microsoft.Network/privateDnsZones', zone.value)
)
