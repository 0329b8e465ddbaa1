{%- set facts = cookiecutter | facts -%}
{%- set vaults = not facts.granted or facts.private -%}
{%- set plans_elsewhere = not facts.granted or facts.identity_exists -%}
// Connects this repository's workflow to Azure without a stored credential: two identities that trust GitHub's tokens,
// and their roles. scripts/connect-github.sh deploys it, and again when infra/ assigns another role.
targetScope = 'subscription'

import * as check from 'checks.bicep'

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
param otherVaults check.otherVault[] = []
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
var planSubject = replace(join(subject, ':'), 'environment:ENVIRONMENT', 'environment:plan')
var deploySubject = replace(join(subject, ':'), 'environment:ENVIRONMENT', 'environment:production')

// A group of their own: whoever may write in the app's group could change whom the identities trust.
resource identityGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(problems) ? '${appGroup}-github' : fail(join(problems, '; '))
  location: deployment().location
}

module identities 'modules/github-identities.bicep' = {
  name: 'github-identities'
  scope: identityGroup
  params: {
    location: deployment().location
    trusted: [{ name: 'plan', subject: planSubject }, { name: 'deploy', subject: deploySubject }]
  }
}

module access 'modules/github-access.bicep' = {
  name: 'github-access'
  scope: resourceGroup(appGroup)
  params: {
    planPrincipalId: identities.outputs.planPrincipalId
    deployPrincipalId: identities.outputs.deployPrincipalId
    appPrincipalIds: appPrincipalIds
    {%- if facts.new_vault and facts.vault_access == 'rbac' %}
    setterObjectId: setterObjectId
    {%- endif %}
  }
}

// Parameters that cannot work end the deployment with their names, before any resource is created.
var problems = filter(
  [
    check.id('alertActionGroupId', alertActionGroupId, 'Microsoft.Insights/actionGroups')
    {%- if facts.identity_by_setting %}
    check.id('identityId', empty(identityId) ? '/' : identityId, 'Microsoft.ManagedIdentity/userAssignedIdentities')
    {%- endif %}
    {%- if vaults %}
    ...flatten(map(otherVaults, one => check.vault(one)))
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
      resourceId(
        one.?subscription ?? subscription().subscriptionId,
        one.?resourceGroup ?? '',
        'Microsoft.KeyVault/vaults',
        one.name
      )
  )
  {%- endif %}
  ...(empty(alertActionGroupId) ? [] : [alertActionGroupId])
]
{%- else %}
var elsewhere = empty(alertActionGroupId) ? [] : [alertActionGroupId]
{%- endif %}

// One after the other: several may be in the same group, and write the same role definitions.
@batchSize(1)
module rolesElsewhere 'modules/github-elsewhere.bicep' = [
  for (id, index) in elsewhere: if (assignElsewhere) {
    name: 'github-elsewhere-${index}'
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: {
      {%- if plans_elsewhere %}
      planPrincipalId: identities.outputs.planPrincipalId
      {%- endif %}
      deployPrincipalId: identities.outputs.deployPrincipalId
      {%- if facts.vault_access == 'rbac' %}
      appPrincipalIds: appPrincipalIds
      {%- endif %}
      resourceId: id
    }
  }
]

output planClientId string = identities.outputs.planClientId
output deployClientId string = identities.outputs.deployClientId
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
      'The owner of ${split(id, '/')[4]} must run: az deployment group create --subscription ${split(id, '/')[2]} --resource-group ${split(id, '/')[4]} --name github --template-file infra/modules/github-elsewhere.bicep --parameters {{ 'planPrincipalId=${identities.outputs.planPrincipalId} ' if plans_elsewhere }}deployPrincipalId=${identities.outputs.deployPrincipalId} resourceId=${id}'
  )
]
