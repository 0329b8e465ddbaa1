{%- set facts = cookiecutter | facts -%}
{%- set connects = facts.vault_access == 'access-policy' or facts.private -%}
{%- set vaults = not facts.granted or facts.private -%}
// What the workflow's identities may do with something that the app uses in another resource group.
{%- if facts.vault_access == 'rbac' %}
import { assigned, roles } from 'access.bicep'
import { onlyWhere, toApp } from 'github-access.bicep'
{%- else %}
import { assigned } from 'access.bicep'
{%- endif %}

{% if not facts.granted or facts.identity_exists -%}
param planPrincipalId string
{% endif -%}
param deployPrincipalId string
{%- if facts.vault_access == 'rbac' %}
param appPrincipalIds string[] = []
{%- endif %}

@description('Id of an existing {{ 'vault, ' if vaults and facts.identity_exists else 'vault or ' if vaults }}{{ 'identity or ' if facts.identity_exists }}action group.')
param resourceId string

var path = split(resourceId, '/')
{%- if vaults %}
var isVault = toLower(path[7]) == 'vaults'
{%- endif %}
{%- if facts.identity_exists %}
var isIdentity = toLower(path[7]) == 'userassignedidentities'
{%- endif %}
var isActionGroup = toLower(path[7]) == 'actiongroups'
{%- if vaults %}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = if (isVault) {
  name: isVault ? path[8] : 'none'
}

var group = resourceGroup().id
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

// Roles for a vault and its group. They change no resource of the group, and read no key and no secret.
var customRoles = [
  {%- if not facts.granted %}
  {
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
    id: guid(group, 'vault', join(vaultActions, ' '))
    name: 'Connect to vault ${uniqueString(group, join(vaultActions, ' '))}'
    actions: vaultActions
  }
  {%- endif %}
]

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for one in (isVault ? customRoles : []): {
    name: one.id
    properties: {
      roleName: one.name
      type: 'CustomRole'
      assignableScopes: [group]
      permissions: [{ actions: one.actions }]
    }
  }
]
{%- if not facts.granted %}

resource inGroup 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (principalId, index) in (isVault ? [planPrincipalId, deployPrincipalId] : []): {
    name: guid(group, principalId, definitions[index].id)
    properties: {
      ...assigned(principalId, definitions[index].id)
      description: 'GitHub: ${index == 0 ? 'plan' : 'deploy'}'
    }
  }
]
{%- endif %}
{%- if connects %}

resource changesVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isVault) {
  name: guid(vault.id, deployPrincipalId, definitions[{{ 0 if facts.granted else 2 }}].id)
  scope: vault
  properties: { ...assigned(deployPrincipalId, definitions[{{ 0 if facts.granted else 2 }}].id), description: 'GitHub: deployment' }
}
{%- endif %}
{%- if facts.vault_access == 'rbac' %}

// Role Based Access Control Administrator
var roleAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168'
var vaultRoleIds = [roles.keyVaultSecretsUser{{ ', roles.keyVaultCryptoUser' if facts.key }}]

resource assignsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isVault) {
  name: guid(vault.id, deployPrincipalId, roleAdministrator)
  scope: vault
  properties: {
    ...assigned(deployPrincipalId, roleAdministrator)
    description: 'GitHub: assigns the app the roles that it needs on the vault, and no others'
    conditionVersion: '2.0'
    condition: onlyWhere([toApp(vaultRoleIds, appPrincipalIds, [planPrincipalId, deployPrincipalId])])
  }
}
{%- endif %}
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
