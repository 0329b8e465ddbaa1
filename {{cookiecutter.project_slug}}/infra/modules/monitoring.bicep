// Logs: a workspace, and Application Insights on top of it. Both accept data from identities only.
param project string
param workspaceName string
param insightsName string
param location string
param tags object

@description('Resource id of the action group that an alert on denials goes to. Empty: no alert.')
param alertActionGroupId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 90
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

// Looks for the words of the one line that the engine logs when it is denied what it has read before.
// No identity: the rule may read what whoever deploys it may read at that time.
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule#configure-the-alert-rule-details
resource denied 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (!empty(alertActionGroupId)) {
  name: 'alert-denied-${project}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${project} is denied a secret'
    description: 'The message says what is denied, why, and after "Repair:" the command to run. Until the time in it has passed, the app works on with the last value; then the functions that need it fail. Once it is repaired, the app reads by itself: no restart is needed.'
    severity: 1
    scopes: [insights.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      allOf: [
        {
          query: 'traces | where message has "The last value is kept for"'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          // Each message is an alert of its own, and stands in it.
          dimensions: [{ name: 'message', operator: 'Include', values: ['*'] }]
        }
      ]
    }
    // The line is logged once. That it does not come again does not mean that the secret can be read.
    autoMitigate: false
    actions: { actionGroups: [alertActionGroupId] }
  }
}
