{#- Two levels of conditions: each way of letting in has its own right for keys. -#}
// Lets one identity read the secrets of one vault{{ ' and sign with its keys' if cookiecutter.key.strip() }}, by the least right that there is.
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

// Key Vault Secrets User gets secrets and lists their names: there is no narrower built-in role. On the vault, because
// a secret that does not exist yet cannot be a scope.
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource mayGet 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}
{%- if cookiecutter.key.strip() %}

// Key Vault Crypto User uses keys in every way, sets their attributes and backs them up, but neither creates, deletes
// nor exports them: there is no narrower built-in role that signs.
var cryptoUser = '12338af0-0e69-4776-bea7-57ae8d297424'

resource maySign 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, cryptoUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cryptoUser)
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
