{#- Two levels of conditions: each way of letting in has its own right for keys. -#}
// Lets one identity read the secrets of one vault{{ ' and sign with its keys' if cookiecutter.key.strip() }}, by the least right that there is.
{%- if cookiecutter.vault_access == 'rbac' %}
import { roles } from '../roles.bicep'
{% endif %}
param principalId string
param vaultName string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}
{%- if cookiecutter.vault_access == 'access-policy' %}

// 'add' joins the vault's policies and replaces nobody's.
resource mayGet 'Microsoft.KeyVault/vaults/accessPolicies@2026-02-01' = {
  parent: vault
  name: 'add'
  properties: {
    accessPolicies: [
      {
        tenantId: tenant().tenantId
        objectId: principalId
        {%- if cookiecutter.key.strip() %}
        // Signatures are verified with the public half, which get brings.
        permissions: { secrets: ['get'], keys: ['get', 'sign'] }
        {%- else %}
        permissions: { secrets: ['get'] }
        {%- endif %}
      }
    ]
  }
}

// A vault that goes by roles ignores its policies: better no deployment than an app that is refused.
output vaultUri string = vault.properties.?enableRbacAuthorization == true
  ? fail('The vault ${vaultName} goes by Azure roles, not by access policies: generate the project with vault_access=rbac.')
  : vault.properties.vaultUri
{%- else %}

// On the vault: a secret that does not exist yet cannot be a scope.
resource mayGet 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, roles.keyVaultSecretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser)
  }
}
{%- if cookiecutter.key.strip() %}

resource maySign 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, roles.keyVaultCryptoUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultCryptoUser)
  }
}
{%- endif %}

// A vault that goes by access policies ignores roles: better no deployment than an app that is refused.
output vaultUri string = vault.properties.?enableRbacAuthorization == true
  ? vault.properties.vaultUri
  : fail('The vault ${vaultName} goes by access policies, not by Azure roles: generate the project with vault_access=access-policy.')
{%- endif %}
{%- if cookiecutter.network == 'private' %}

output vaultId string = vault.id
{%- endif %}
