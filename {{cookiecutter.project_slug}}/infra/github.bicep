{%- set facts = cookiecutter | facts -%}
{%- set vaults = not facts.granted or facts.private -%}
// Connects this repository's workflow to Azure without a stored credential: two identities that trust GitHub's tokens,
// and their roles. scripts/connect-github.sh deploys it, and again when infra/ assigns another role.
targetScope = 'subscription'
{# A blank line. #}
{%- if vaults %}
import { idProblem, otherVault, vaultProblems } from 'main.bicep'
{%- else %}
import { idProblem } from 'main.bicep'
{%- endif %}

@description('Resource group of the app.')
param appGroup string

@description('The repository, with the ids that never change.')
param repository { owner: string, ownerId: int, name: string, id: int }

@description('What GitHub answers to GET /repos/OWNER/NAME/actions/oidc/customization/sub. Empty for a server without it.')
param subjectFormat { use_default: bool?, include_claim_keys: string[]?, sub_claim_prefix: string? }

@description('Principal ids of the app. Without them, every service principal but these identities can get the roles of infra/.')
param appPrincipalIds string[] = []
{%- if vaults %}

@description('The same vaults as in main.bicepparam.')
param otherVaults otherVault[] = []
{%- endif %}

@description('The same action group as in main.bicepparam.')
param alertActionGroupId string = ''
{%- if facts.identity_by_setting %}

@description('The same identity as in main.bicepparam.')
param identityId string
{%- elif facts.identity_exists %}

var identityId = '{{ facts.identity_id }}'
{%- endif %}
{%- if facts.new_vault and facts.vault_access == 'rbac' %}

@description('The same person, group or application as in main.bicepparam.')
param setterObjectId string = ''
{%- endif %}

@description('False if the owners of other resource groups assign the roles there: the notes have their commands.')
param assignElsewhere bool = true

// The subject of a token, as GitHub composes it of claims. The prefix that GitHub names is right, whatever else it says.
var claims = {
  context: 'environment:ENVIRONMENT'
  repo: subjectFormat.?sub_claim_prefix ?? 'repo:${repository.owner}/${repository.name}'
  repository: 'repository:${repository.owner}/${repository.name}'
  repository_id: 'repository_id:${repository.id}'
  repository_owner: 'repository_owner:${repository.owner}'
  repository_owner_id: 'repository_owner_id:${repository.ownerId}'
}
var customKeys = subjectFormat.?use_default == false ? subjectFormat.?include_claim_keys ?? [] : []
var claimKeys = empty(customKeys) ? ['repo', 'context'] : customKeys
var subject = map(
  claimKeys,
  key =>
    claims[?key] ?? fail('The OIDC subject of this repository has the claim ${key}, which is not the same in each run: take it out of include_claim_keys.')
)

// A group of their own: whoever may write in the app's group could change whom the identities trust.
resource identityGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(problems) ? '${appGroup}-github' : fail(join(problems, '; '))
  location: deployment().location
}

module identities 'modules/github-identity.bicep' = [
  for one in [{ name: 'plan', environment: 'plan' }, { name: 'deploy', environment: 'production' }]: {
    name: 'github-${one.name}'
    scope: identityGroup
    params: {
      name: 'id-{{ facts.project_slug }}-github-${one.name}'
      location: deployment().location
      subject: replace(join(subject, ':'), 'environment:ENVIRONMENT', 'environment:${one.environment}')
    }
  }
]

// Parameters that cannot work end the deployment with their names, before any resource is created.
var problems = filter(
  [
    idProblem('alertActionGroupId', alertActionGroupId, 'Microsoft.Insights/actionGroups')
    {%- if facts.identity_by_setting %}
    idProblem('identityId', empty(identityId) ? '/' : identityId, 'Microsoft.ManagedIdentity/userAssignedIdentities')
    {%- endif %}
    {%- if vaults %}
    ...flatten(map(otherVaults, one => vaultProblems(one)))
    {%- endif %}
  ],
  problem => !empty(problem)
)

// What the app uses in other resource groups.
{%- if vaults or facts.identity_exists %}
var elsewhere = [
  {%- if vaults and facts.vault_group %}
  resourceId({{ "'" ~ facts.vault_subscription ~ "'" if facts.vault_subscription else 'subscription().subscriptionId' }}, '{{ facts.vault_group }}', 'Microsoft.KeyVault/vaults', '{{ facts.vault_name }}')
  {%- endif %}
  {%- if facts.identity_exists %}
  identityId
  {%- endif %}
  {%- if vaults %}
  ...map(
    filter(otherVaults, one => one.?resourceGroup != null),
    one =>
      '/subscriptions/${one.?subscription ?? subscription().subscriptionId}/resourceGroups/${one.?resourceGroup}/providers/Microsoft.KeyVault/vaults/${one.name}'
  )
  {%- endif %}
  ...(empty(alertActionGroupId) ? [] : [alertActionGroupId])
]
{%- else %}
var elsewhere = empty(alertActionGroupId) ? [] : [alertActionGroupId]
{%- endif %}

// One after the other: several may be in the same group, and write the same role definitions.
@batchSize(1)
module access 'modules/github-access.bicep' = [
  for (id, index) in ['${subscription().id}/resourceGroups/${appGroup}', ...(assignElsewhere ? elsewhere : [])]: {
    name: 'github-access-${index}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      planPrincipalId: identities[0].outputs.principalId
      deployPrincipalId: identities[1].outputs.principalId
      appPrincipalIds: appPrincipalIds
      {%- if facts.new_vault and facts.vault_access == 'rbac' %}
      setterObjectId: setterObjectId
      {%- endif %}
      resourceId: id
    }
  }
]

output planClientId string = identities[0].outputs.clientId
output deployClientId string = identities[1].outputs.clientId
output tenantId string = tenant().tenantId
output subscriptionId string = subscription().subscriptionId
output notes string[] = [
  ...(contains(claimKeys, 'context')
    ? []
    : [
        'The OIDC subject of this repository has no context, so environments do not separate plan from deploy: any workflow run of the repository can sign in as the deploy identity, without approval. Add "context" to include_claim_keys, and run this again.'
      ])
  ...map(
    assignElsewhere ? [] : elsewhere,
    id =>
      'The owner of ${split(id, '/')[4]} must run: az deployment group create --subscription ${split(id, '/')[2]} --resource-group ${split(id, '/')[4]} --name github --template-file infra/modules/github-access.bicep --parameters planPrincipalId=${identities[0].outputs.principalId} deployPrincipalId=${identities[1].outputs.principalId} resourceId=${id}'
  )
]
