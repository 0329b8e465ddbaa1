// The virtual network of the app, and the private DNS zones that resolve its private endpoints.
param name string
param location string
param tags object
param addressPrefix string

@description('The names of the DNS zones, by the group of the private endpoints that they resolve.')
param zones object

// Without a list of subnets, which would delete those that others have added.
resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
  }

  // Created once. A second deployment would remove the network security groups and route tables that others have attached.
  // The price: a later change here does not reach an existing subnet.
  // Flex Consumption accepts no underscore in the name of its subnet.
  @onlyIfNotExists()
  resource appSubnet 'subnets' = {
    name: 'app'
    properties: {
      addressPrefix: cidrSubnet(addressPrefix, 26, 0)
      delegations: [{ name: 'flex-consumption', properties: { serviceName: 'Microsoft.App/environments' } }]
    }
  }

  @onlyIfNotExists()
  resource endpointSubnet 'subnets' = {
    name: 'endpoints'
    // A network accepts one change at a time.
    dependsOn: [appSubnet]
    properties: {
      addressPrefix: cidrSubnet(addressPrefix, 26, 1)
      defaultOutboundAccess: false
    }
  }
}

// The apps in a resource group share a zone, so none of them tags or changes it. Each has a link of its own.
@onlyIfNotExists()
resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in items(zones): {
    name: zone.value
    location: 'global'
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
      // A name that the zone does not have resolves to its public address.
      resolutionPolicy: 'NxDomainRedirect'
      virtualNetwork: { id: network.id }
    }
  }
]
