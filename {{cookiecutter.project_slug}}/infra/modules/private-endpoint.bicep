// Private addresses of services in the app's network, and their entries in its DNS zones.
param location string
param tags object
param subnetId string
param zoneIds object

@description('A name, what is reached, and which of its groups: vault, blob or Sql.')
param targets { name: string, resourceId: string, group: string }[]

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for (target, index) in targets: {
    name: target.name
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        {
          name: target.group
          properties: {
            privateLinkServiceId: targets[index].resourceId
            groupIds: [target.group]
          }
        }
      ]
    }
  }
]

resource entry 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (target, index) in targets: {
    parent: endpoint[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: target.group
          properties: { privateDnsZoneId: zoneIds[target.group] }
        }
      ]
    }
  }
]
