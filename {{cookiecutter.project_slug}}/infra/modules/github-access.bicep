{%- set facts = cookiecutter | facts -%}
{%- set setter = facts.new_vault and facts.vault_access == 'rbac' -%}
// What the workflow's identities may do in the app's resource group.
import { assigned, roles } from 'access.bicep'

param planPrincipalId string
param deployPrincipalId string
param appPrincipalIds string[]
{%- if setter %}
param setterObjectId string
{%- endif %}

// What `what-if` reads: each type of infra/, and nothing that returns a key or an app setting. No `*`: `*/read` includes
// the app's master key. tests/contract/test_infrastructure.py says which action a new type needs.
var planActions = [
  'Microsoft.Resources/deployments/read'
  'Microsoft.Resources/deployments/whatIf/action'
  'Microsoft.Resources/subscriptions/resourceGroups/read'
  'Microsoft.Authorization/roleAssignments/read'
  'Microsoft.Insights/components/read'
  'Microsoft.Insights/diagnosticSettings/read'
  'Microsoft.Insights/scheduledQueryRules/read'
  {%- if facts.identity == 'user' %}
  'Microsoft.ManagedIdentity/userAssignedIdentities/read'
  {%- endif %}
  {%- if not facts.granted %}
  'Microsoft.KeyVault/vaults/read'
  {%- endif %}
  {%- if facts.new_vault and facts.key %}
  'Microsoft.KeyVault/vaults/keys/read' // the public half
  {%- endif %}
  'Microsoft.OperationalInsights/workspaces/read'
  'Microsoft.Storage/storageAccounts/read'
  'Microsoft.Storage/storageAccounts/blobServices/read'
  'Microsoft.Storage/storageAccounts/blobServices/containers/read'
  'Microsoft.Web/serverfarms/read'
  'Microsoft.Web/sites/read'
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies/read'
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies/scm/read'
  'Microsoft.Web/sites/config/read' // not the app settings
  {%- if facts.cosmos_db %}
  'Microsoft.DocumentDB/databaseAccounts/read'
  'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/read'
  'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/read'
  'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments/read'
  {%- endif %}
  {%- if facts.service_bus %}
  'Microsoft.ServiceBus/namespaces/read'
  'Microsoft.ServiceBus/namespaces/queues/read'
  {%- endif %}
  {%- if facts.private %}
  'Microsoft.Network/privateDnsZones/read'
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks/read'
  'Microsoft.Network/privateEndpoints/read'
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read'
  'Microsoft.Network/virtualNetworks/read'
  'Microsoft.Network/virtualNetworks/subnets/read'
  {%- endif %}
]

resource planRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, '{{ facts.project_slug }}', 'plan')
  properties: {
    // Unique in the tenant.
    roleName: 'Plan {{ facts.project_slug }} ${uniqueString(resourceGroup().id)}'
    description: 'Predicts what a deployment would change. Reads no key, no secret and no app setting.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [{ actions: planActions }]
  }
}

resource plans 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, planPrincipalId, planRole.id)
  properties: { ...assigned(planPrincipalId, planRole.id), description: 'GitHub: what-if on pull requests' }
}

var contributor = 'b24988ac-6180-42a0-ab88-20f7382dd24c'

resource deploys 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, deployPrincipalId, contributor)
  properties: { ...assigned(deployPrincipalId, contributor), description: 'GitHub: deployment' }
}

// Role Based Access Control Administrator
var roleAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168'

{% if setter -%}
var roleIds = map(filter(items(roles), role => role.key != 'keyVaultSecretsOfficer'), role => role.value)
{%- else -%}
var roleIds = map(items(roles), role => role.value)
{%- endif %}
resource assignsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, deployPrincipalId, roleAdministrator)
  properties: {
    ...assigned(deployPrincipalId, roleAdministrator)
    description: 'GitHub: assigns the roles of infra/, and no others'
    conditionVersion: '2.0'
    {%- if setter %}
    condition: onlyWhere([
      toApp(roleIds, appPrincipalIds, [planPrincipalId, deployPrincipalId])
      ...(empty(setterObjectId) ? [] : [toOne(roles.keyVaultSecretsOfficer, setterObjectId)])
    ])
    {%- else %}
    condition: onlyWhere([toApp(roleIds, appPrincipalIds, [planPrincipalId, deployPrincipalId])])
    {%- endif %}
  }
}

// The condition under which somebody may assign roles:
// https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples

func has(attribute string, test string, values string[]) string =>
  '@SOURCE[Microsoft.Authorization/roleAssignments:${attribute}] ForAny${test} {${join(values, ', ')}}'

@export()
@description('One of the roles, to the app. Until it is deployed, to any service principal but those of the workflow.')
func toApp(roleIds string[], appPrincipalIds string[], workflowPrincipalIds string[]) string =>
  join(
    [
      has('RoleDefinitionId', 'OfAnyValues:GuidEquals', roleIds)
      has('PrincipalType', 'OfAnyValues:StringEqualsIgnoreCase', ['\'ServicePrincipal\''])
      empty(appPrincipalIds)
        ? has('PrincipalId', 'OfAllValues:GuidNotEquals', workflowPrincipalIds)
        : has('PrincipalId', 'OfAnyValues:GuidEquals', appPrincipalIds)
    ],
    ' AND '
  )
{%- if setter %}

@description('One role, to one principal.')
func toOne(roleId string, principalId string) string =>
  join(
    [
      has('RoleDefinitionId', 'OfAnyValues:GuidEquals', [roleId])
      has('PrincipalId', 'OfAnyValues:GuidEquals', [principalId])
    ],
    ' AND '
  )
{%- endif %}

@export()
@description('Role assignments are created and deleted only where one of the clauses holds.')
func onlyWhere(clauses string[]) string =>
  '${only('write', 'Request', clauses)} AND ${only('delete', 'Resource', clauses)}'

func only(action string, source string, clauses string[]) string =>
  '((!(ActionMatches{\'Microsoft.Authorization/roleAssignments/${action}\'})) OR ((${replace(join(clauses, ') OR ('), '@SOURCE', '@${source}')})))'
