// Two queues without keys: orders come in, shipments go out.
param name string
param location string
param tags object

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

  // A message that fails five times, or is not received within two weeks, moves to the dead-letter queue.
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
