// The vault, its audit log, and the permission to set secrets for setterObjectId.
{%- if cookiecutter.vault_access == 'rbac' %}
import { roles } from 'access.bicep'
{% endif %}
param name string
param location string
param tags object
param workspaceId string
param diagnostics bool
param recover bool
param setterObjectId string

{% if cookiecutter.vault_access == 'access-policy' -%}
// Created once. A second deployment would remove the access policies that others have added since.
// The price: a later change here does not reach an existing vault.
@onlyIfNotExists()
{% endif -%}
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    createMode: recover ? 'recover' : 'default'
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    {%- if cookiecutter.vault_access == 'access-policy' %}
    enableRbacAuthorization: false
    accessPolicies: []
    {%- else %}
    enableRbacAuthorization: true
    {%- endif %}
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    {%- if cookiecutter.network == 'private' %}
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'None' }
    {%- endif %}
  }
}
{%- if cookiecutter.key.strip() %}

// The private key never leaves the vault. An existing key keeps its versions.
resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = {
  parent: vault
  name: '{{ cookiecutter.key.strip() }}'
  properties: {
    kty: 'RSA'
    keySize: 3072
    keyOps: ['sign', 'verify']
  }
}
{%- endif %}

resource auditLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: diagnostics ? 'allLogs' : 'audit', enabled: true }]
    ...(diagnostics ? { metrics: [{ category: 'AllMetrics', enabled: true }] } : {})
  }
}
{%- if cookiecutter.vault_access == 'access-policy' %}

resource maySet 'Microsoft.KeyVault/vaults/accessPolicies@2026-02-01' = if (!empty(setterObjectId)) {
  parent: vault
  name: 'add'
  properties: {
    accessPolicies: [
      {
        tenantId: tenant().tenantId
        objectId: setterObjectId
        permissions: { secrets: ['set'] }
      }
    ]
  }
}
{%- else %}

resource maySet 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(setterObjectId)) {
  name: guid(vault.id, setterObjectId, roles.keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: setterObjectId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsOfficer)
  }
}
{%- endif %}
