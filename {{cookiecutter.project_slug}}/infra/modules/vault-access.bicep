{%- set facts = cookiecutter | facts -%}
// Gives one identity access to the secrets{{ ' and keys' if facts.key }} of one vault, with the least permissions there are.
{%- if facts.vault_access == 'rbac' %}
import { assigned, roles } from 'access.bicep'
{% endif %}
param principalId string
param vaultName string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}
{%- if facts.vault_access == 'access-policy' %}

// 'add' merges into the vault's access policies and replaces none.
resource policy 'Microsoft.KeyVault/vaults/accessPolicies@2026-02-01' = {
  parent: vault
  name: 'add'
  properties: {
    accessPolicies: [
      {
        tenantId: tenant().tenantId
        objectId: principalId
        {%- if facts.key %}
        // Getting a key returns its public half, which verifies signatures.
        permissions: { secrets: ['get'], keys: ['get', 'sign'] }
        {%- else %}
        permissions: { secrets: ['get'] }
        {%- endif %}
      }
    ]
  }
}
{%- else %}

// On the vault: a secret that does not exist yet cannot be a scope.
resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [roles.keyVaultSecretsUser{{ ', roles.keyVaultCryptoUser' if facts.key }}]: {
    name: guid(vault.id, principalId, role)
    scope: vault
    properties: assigned(principalId, role)
  }
]
{%- endif %}
