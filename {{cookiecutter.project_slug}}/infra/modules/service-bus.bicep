// Two queues: orders come in, shipments go out. No keys: identities only.
import { roles } from '../roles.bicep'

param name string
param location string
param tags object
param principalId string

// Basic has queues with dead-lettering and is paid by use. Topics, sessions and duplicate detection need Standard.
resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
  }

  // What fails five times, or is not taken within two weeks, is kept aside in the queue's dead-letter queue.
  resource orders 'queues' = {
    name: 'orders'
    properties: {
      maxDeliveryCount: 5
      defaultMessageTimeToLive: 'P14D'
      deadLetteringOnMessageExpiration: true
    }
  }

  resource shipments 'queues' = {
    name: 'shipments'
    properties: {
      maxDeliveryCount: 5
      defaultMessageTimeToLive: 'P14D'
      deadLetteringOnMessageExpiration: true
    }
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

output hostName string = split(split(namespace.properties.serviceBusEndpoint, '/')[2], ':')[0]
