// Logs: a workspace, and Application Insights on top of it. Both accept data from identities only.
param project string
param insightsName string

@description('Name of the workspace to create. Empty: an existing one.')
param workspaceName string
param workspaceId string
param retentionDays int
param dailyCapGB int
param location string
param tags object
param alertName string

@description('Resource id of the action group that an alert on denials goes to. Empty: no alert.')
param alertActionGroupId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = if (!empty(workspaceName)) {
  name: empty(workspaceName) ? 'none' : workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true }
    ...(dailyCapGB == -1 ? {} : { workspaceCapping: { dailyQuotaGb: dailyCapGB } })
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  dependsOn: [workspace]
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
  }
}

// Looks for the line that the app logs when it loses access to a secret.
// Without an identity, the rule has the permissions of whoever deploys it, at that time.
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule#configure-the-alert-rule-details
resource denied 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (!empty(alertActionGroupId)) {
  name: alertName
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${project} lost access to a secret'
    description: 'The message names the secret, the reason, and after "Repair:" the command to run. The app uses the last value until the time in the message has passed; then the functions that need the secret fail. After the repair, the app reads it again without a restart.'
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
          // Each message is a separate alert, which contains it.
          dimensions: [{ name: 'message', operator: 'Include', values: ['*'] }]
        }
      ]
    }
    // The line is logged once. Its absence later does not mean that the app has access again.
    autoMitigate: false
    actions: { actionGroups: [alertActionGroupId] }
  }
}
