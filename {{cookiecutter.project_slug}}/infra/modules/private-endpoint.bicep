// Private endpoints in the app's network, and their records in its DNS zones.
param location string
param tags object
param subnetId string

@description('The ids of the DNS zones, by the group of the private endpoints that they resolve. Empty: a policy adds the records.')
param zoneIds object

@description('A name, the resource, and its group: vault, blob, queue, table, Sql or sites.')
param targets { name: string, resourceId: string, group: string }[]

// One at a time: several endpoints of one account or subnet can refuse each other.
@batchSize(1)
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

@batchSize(1)
resource record 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (target, index) in (empty(zoneIds) ? [] : targets): {
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
