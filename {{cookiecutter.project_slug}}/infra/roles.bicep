{%- set facts = cookiecutter | facts -%}
// The Azure roles that this infrastructure assigns, each by the id that it has in every tenant.
{%- if facts.cosmos_db %}
// Cosmos DB's data roles are not Azure roles: modules/access.bicep has them.
{%- endif %}
@export()
var roles = {
  // Storage Blob Data Owner: the least that the Functions host needs of its storage account.
  // https://learn.microsoft.com/azure/azure-functions/functions-reference#connecting-to-host-storage-with-an-identity
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  // Where main.bicepparam sets storageQueuesAndTables.
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  {%- if facts.vault_access == 'rbac' %}
  // Key Vault Secrets User reads secrets and lists their names: no built-in role does less.
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  {%- if facts.key %}
  // Key Vault Crypto User uses keys, but does not create, delete or export them: no built-in role that signs does less.
  keyVaultCryptoUser: '12338af0-0e69-4776-bea7-57ae8d297424'
  {%- endif %}
  {%- if facts.new_vault %}
  // Key Vault Secrets Officer: no built-in role that sets secrets does less.
  keyVaultSecretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  {%- endif %}
  {%- endif %}
  {%- if facts.blob_storage %}
  storageBlobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  {%- endif %}
  {%- if facts.service_bus %}
  serviceBusDataReceiver: '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0'
  serviceBusDataSender: '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
  {%- endif %}
}
