{%- set facts = cookiecutter | facts -%}
// What the workflow's identities may do in another resource group that the app uses.
{%- if facts.vault_access == 'rbac' %}
import { roles } from 'access.bicep'
import { assigned, onlyWhere, toApp } from 'github-access.bicep'
{%- else %}
import { assigned } from 'github-access.bicep'
{%- endif %}

param planPrincipalId string
param deployPrincipalId string
{%- if facts.vault_access == 'rbac' %}
param appPrincipalIds string[] = []
{%- endif %}

@description('Existing vault that the app reads. Empty: none.')
param vaultName string = ''
{%- if facts.identity_exists %}

@description('Existing identity that the app runs as. Empty: none.')
param identityName string = ''
{%- endif %}

@description('Existing action group that alerts notify. Empty: none.')
param actionGroupName string = ''

// Roles in the group of the vault. They change no resource, and read no key and no secret.
var ofGroup = empty(vaultName)
  ? []
  : [
      {
        name: 'Plan'
        principalId: planPrincipalId
        actions: ['Microsoft.Authorization/roleAssignments/read', 'Microsoft.Resources/deployments/whatIf/action']
      }
      {
        name: 'Deploy'
        principalId: deployPrincipalId
        actions: [
          'Microsoft.Resources/deployments/write'
          'Microsoft.Resources/deployments/validate/action'
          'Microsoft.Resources/deployments/operations/read'
          'Microsoft.Resources/deployments/operationstatuses/read'
        ]
      }
    ]

resource groupRoles 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for one in ofGroup: {
    name: guid(resourceGroup().id, '${toLower(one.name)} elsewhere')
    properties: {
      roleName: '${one.name} elsewhere ${uniqueString(resourceGroup().id)}'
      type: 'CustomRole'
      assignableScopes: [resourceGroup().id]
      permissions: [
        {
          actions: [
            'Microsoft.KeyVault/vaults/read'
            'Microsoft.Resources/deployments/read'
            'Microsoft.Resources/subscriptions/resourceGroups/read'
            ...one.actions
          ]
        }
      ]
    }
  }
]

resource inGroup 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (one, index) in ofGroup: {
    name: guid(resourceGroup().id, one.principalId, groupRoles[index].id)
    properties: assigned(one.principalId, groupRoles[index].id, 'GitHub: ${toLower(one.name)}')
  }
]
{%- if facts.vault_access != 'granted' or facts.private %}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = if (!empty(vaultName)) {
  name: empty(vaultName) ? 'none' : vaultName
}
{%- endif %}
{%- if facts.vault_access == 'access-policy' or facts.private %}

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

// Other projects may need other actions on a vault of this group.
resource vaultRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (!empty(vaultName)) {
  name: guid(resourceGroup().id, 'vault', join(vaultActions, ' '))
  properties: {
    roleName: 'Connect to vault ${uniqueString(resourceGroup().id, join(vaultActions, ' '))}'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [{ actions: vaultActions }]
  }
}

resource changesVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(vaultName)) {
  name: guid(vault.id, deployPrincipalId, vaultRole.id)
  scope: vault
  properties: assigned(deployPrincipalId, vaultRole.id, 'GitHub: deployment')
}
{%- endif %}
{%- if facts.vault_access == 'rbac' %}

// Role Based Access Control Administrator
var roleAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168'
var vaultRoleIds = [roles.keyVaultSecretsUser{{ ', roles.keyVaultCryptoUser' if facts.key }}]
var clauses = map(
  ['Request', 'Resource'],
  source => [toApp(source, vaultRoleIds, appPrincipalIds, [planPrincipalId, deployPrincipalId])]
)

resource assignsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(vaultName)) {
  name: guid(vault.id, deployPrincipalId, roleAdministrator)
  scope: vault
  properties: {
    ...assigned(
      deployPrincipalId,
      roleAdministrator,
      'GitHub: assigns the app the roles that it needs on the vault, and no others'
    )
    conditionVersion: '2.0'
    condition: onlyWhere(clauses[0], clauses[1])
  }
}
{%- endif %}
{%- if facts.identity_exists %}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (!empty(identityName)) {
  name: empty(identityName) ? 'none' : identityName
}

var managedIdentityOperator = 'f1a07417-d97a-45cb-824c-7a7467783830'

resource assignsIdentity 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(identityName)) {
  name: guid(identity.id, deployPrincipalId, managedIdentityOperator)
  scope: identity
  properties: assigned(deployPrincipalId, managedIdentityOperator, 'GitHub: deployment')
}
{%- endif %}

// An identity or an action group has no keys to read.
var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
{%- if facts.identity_exists %}

resource readsIdentity 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(identityName)) {
  name: guid(identity.id, planPrincipalId, reader)
  scope: identity
  properties: assigned(planPrincipalId, reader, 'GitHub: what-if on pull requests')
}
{%- endif %}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' existing = if (!empty(actionGroupName)) {
  name: empty(actionGroupName) ? 'none' : actionGroupName
}

resource readsActionGroup 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(actionGroupName)) {
  name: guid(actionGroup.id, deployPrincipalId, reader)
  scope: actionGroup
  properties: assigned(deployPrincipalId, reader, 'GitHub: deployment')
}
