{%- set facts = cookiecutter | facts -%}
// Stops the deployment where a vault uses the other access model: it would ignore what is granted here.
param vaultName string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}
{% if facts.vault_access == 'rbac' %}
output mode string = vault.properties.?enableRbacAuthorization == true
  ? 'rbac'
  : fail('The vault ${vaultName} uses access policies, not Azure RBAC: render the project with vault_access=access-policy.')
{%- else %}
output mode string = vault.properties.?enableRbacAuthorization == true
  ? fail('The vault ${vaultName} uses Azure RBAC, not access policies: render the project with vault_access=rbac.')
  : 'access-policy'
{%- endif %}
