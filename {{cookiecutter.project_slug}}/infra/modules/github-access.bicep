{%- set facts = cookiecutter | facts -%}
{%- set setter = facts.new_vault and facts.vault_access == 'rbac' -%}
{%- set connects = facts.vault_access == 'access-policy' or facts.private -%}
{%- set vaults = not facts.granted or facts.private -%}
{%- set connect = 1 if facts.granted else 3 -%}
// What the workflow's identities may do with one resource: the app's resource group, or what the app uses in another one.
import { assigned, roles } from 'access.bicep'

param planPrincipalId string
param deployPrincipalId string
param appPrincipalIds string[] = []
{%- if setter %}
param setterObjectId string = ''
{%- endif %}

@description('Id of the app\'s resource group, or of an existing {{ 'vault, ' if vaults and facts.identity_exists else 'vault or ' if vaults }}{{ 'identity or ' if facts.identity_exists }}action group.')
param resourceId string

var path = split(resourceId, '/')
var type = toLower(path[?7] ?? '')
var isAppGroup = length(path) == 5
{%- if vaults %}
var isVault = type == 'vaults'
{%- endif %}
{%- if facts.identity_exists %}
var isIdentity = type == 'userassignedidentities'
{%- endif %}
var isActionGroup = type == 'actiongroups'
var group = resourceGroup().id

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
{%- if connects %}

// A custom role: Key Vault Contributor could also delete the vault.
var vaultActions = [
  'Microsoft.KeyVault/vaults/read'
  {%- if facts.vault_access == 'access-policy' %}
  'Microsoft.KeyVault/vaults/accessPolicies/write'
  {%- endif %}
  {%- if facts.private %}
  'Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action'
  {%- endif %}
]
{%- endif %}

// Their names are unique in the tenant. They read no key, no secret and no app setting.
var customRoles = [
  {
    where: isAppGroup
    id: guid(group, '{{ facts.project_slug }}', 'plan')
    name: 'Plan {{ facts.project_slug }} ${uniqueString(group)}'
    actions: planActions
  }
  {%- if not facts.granted %}
  {
    where: isVault
    id: guid(group, 'plan elsewhere')
    name: 'Plan elsewhere ${uniqueString(group)}'
    actions: [
      'Microsoft.KeyVault/vaults/read'
      'Microsoft.Resources/deployments/read'
      'Microsoft.Resources/subscriptions/resourceGroups/read'
      'Microsoft.Authorization/roleAssignments/read'
      'Microsoft.Resources/deployments/whatIf/action'
    ]
  }
  {
    where: isVault
    id: guid(group, 'deploy elsewhere')
    name: 'Deploy elsewhere ${uniqueString(group)}'
    actions: [
      'Microsoft.KeyVault/vaults/read'
      'Microsoft.Resources/deployments/read'
      'Microsoft.Resources/subscriptions/resourceGroups/read'
      'Microsoft.Resources/deployments/write'
      'Microsoft.Resources/deployments/validate/action'
      'Microsoft.Resources/deployments/operations/read'
      'Microsoft.Resources/deployments/operationstatuses/read'
    ]
  }
  {%- endif %}
  {%- if connects %}
  // Other projects may need other actions on a vault of this group.
  {
    where: isVault
    id: guid(group, 'vault', join(vaultActions, ' '))
    name: 'Connect to vault ${uniqueString(group, join(vaultActions, ' '))}'
    actions: vaultActions
  }
  {%- endif %}
]

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for role in customRoles: if (role.where) {
    name: role.id
    properties: {
      roleName: role.name
      ...(isAppGroup
        ? { description: 'Predicts what a deployment would change. Reads no key, no secret and no app setting.' }
        : {})
      type: 'CustomRole'
      assignableScopes: [group]
      permissions: [{ actions: role.actions }]
    }
  }
]

var contributor = 'b24988ac-6180-42a0-ab88-20f7382dd24c'
var roleAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168' // Role Based Access Control Administrator

resource plans 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isAppGroup) {
  name: guid(group, planPrincipalId, definitions[0].id)
  properties: { ...assigned(planPrincipalId, definitions[0].id), description: 'GitHub: what-if on pull requests' }
}

resource deploys 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isAppGroup) {
  name: guid(group, deployPrincipalId, contributor)
  properties: { ...assigned(deployPrincipalId, contributor), description: 'GitHub: deployment' }
}

resource assignsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isAppGroup) {
  name: guid(group, deployPrincipalId, roleAdministrator)
  properties: {
    ...assigned(deployPrincipalId, roleAdministrator)
    description: 'GitHub: assigns the roles of infra/, and no others'
    conditionVersion: '2.0'
    condition: condition
  }
}
{%- if not facts.granted %}

resource inGroupOfVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (principalId, index) in (isVault ? [planPrincipalId, deployPrincipalId] : []): {
    name: guid(group, principalId, definitions[index + 1].id)
    properties: {
      ...assigned(principalId, definitions[index + 1].id)
      description: 'GitHub: ${index == 0 ? 'plan' : 'deploy'}'
    }
  }
]
{%- endif %}
{%- if vaults %}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = if (isVault) {
  name: isVault ? path[8] : 'none'
}
{%- endif %}
{%- if connects %}

resource changesVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isVault) {
  name: guid(vault.id, deployPrincipalId, definitions[{{ connect }}].id)
  scope: vault
  properties: { ...assigned(deployPrincipalId, definitions[{{ connect }}].id), description: 'GitHub: deployment' }
}
{%- endif %}
{%- if facts.vault_access == 'rbac' %}

resource assignsRolesOnVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isVault) {
  name: guid(vault.id, deployPrincipalId, roleAdministrator)
  scope: vault
  properties: {
    ...assigned(deployPrincipalId, roleAdministrator)
    description: 'GitHub: assigns the app the roles that it needs on the vault, and no others'
    conditionVersion: '2.0'
    condition: condition
  }
}
{%- endif %}

// An identity or an action group has no keys to read.
var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
{%- if facts.identity_exists %}
var managedIdentityOperator = 'f1a07417-d97a-45cb-824c-7a7467783830'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (isIdentity) {
  name: isIdentity ? path[8] : 'none'
}

resource readsIdentity 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isIdentity) {
  name: guid(identity.id, planPrincipalId, reader)
  scope: identity
  properties: { ...assigned(planPrincipalId, reader), description: 'GitHub: what-if on pull requests' }
}

resource assignsIdentity 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isIdentity) {
  name: guid(identity.id, deployPrincipalId, managedIdentityOperator)
  scope: identity
  properties: { ...assigned(deployPrincipalId, managedIdentityOperator), description: 'GitHub: deployment' }
}
{%- endif %}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' existing = if (isActionGroup) {
  name: isActionGroup ? path[8] : 'none'
}

resource readsActionGroup 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isActionGroup) {
  name: guid(actionGroup.id, deployPrincipalId, reader)
  scope: actionGroup
  properties: { ...assigned(deployPrincipalId, reader), description: 'GitHub: deployment' }
}

// The condition under which the deploy identity assigns roles: only those of infra/, and only to the app. Until the app is
// deployed, to any service principal but those of the workflow.
// https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
{%- if facts.vault_access == 'rbac' %}
var ofVault = [roles.keyVaultSecretsUser{{ ', roles.keyVaultCryptoUser' if facts.key }}]
{%- endif %}
{%- if setter %}
var ofInfra = filter(items(roles), role => role.key != 'keyVaultSecretsOfficer')
{%- else %}
var ofInfra = items(roles)
{%- endif %}
{%- if facts.vault_access == 'rbac' %}
var roleIds = isVault ? ofVault : map(ofInfra, role => role.value)
{%- else %}
var roleIds = map(ofInfra, role => role.value)
{%- endif %}
var clauses = [
  join(
    [
      has('RoleDefinitionId', 'OfAnyValues:GuidEquals', roleIds)
      has('PrincipalType', 'OfAnyValues:StringEqualsIgnoreCase', ['\'ServicePrincipal\''])
      empty(appPrincipalIds)
        ? has('PrincipalId', 'OfAllValues:GuidNotEquals', [planPrincipalId, deployPrincipalId])
        : has('PrincipalId', 'OfAnyValues:GuidEquals', appPrincipalIds)
    ],
    ' AND '
  )
  {%- if setter %}
  ...(isVault || empty(setterObjectId)
    ? []
    : [
        join(
          [
            has('RoleDefinitionId', 'OfAnyValues:GuidEquals', [roles.keyVaultSecretsOfficer])
            has('PrincipalId', 'OfAnyValues:GuidEquals', [setterObjectId])
          ],
          ' AND '
        )
      ])
  {%- endif %}
]
var condition = '${only('write', 'Request', clauses)} AND ${only('delete', 'Resource', clauses)}'

func has(attribute string, test string, values string[]) string =>
  '@SOURCE[Microsoft.Authorization/roleAssignments:${attribute}] ForAny${test} {${join(values, ', ')}}'

func only(action string, source string, clauses string[]) string =>
  '((!(ActionMatches{\'Microsoft.Authorization/roleAssignments/${action}\'})) OR ((${replace(join(clauses, ') OR ('), '@SOURCE', '@${source}')})))'
