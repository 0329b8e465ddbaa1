{%- set facts = cookiecutter | facts -%}
{#- Two levels of conditions: a vault elsewhere takes other rights for each way of letting in. -#}
#!/usr/bin/env bash
# Lets this project's workflow deploy, without a secret: two identities that trust GitHub, and their rights.
#
#   scripts/connect-github.sh OWNER/REPOSITORY RESOURCE_GROUP [REGION]
#
# Run it as somebody who may assign roles (Owner of the subscription), after `az login` and `gh auth login`.
# A second run changes nothing, or corrects what was changed since: after the repository was renamed, or after
# infra/ began to assign another role.
{%- if facts.identity_by_setting %}
# {{ facts.identity_setting }} must hold the resource id of the identity that the app runs as.
{%- endif %}
{%- if facts.new_vault %}
# SECRET_SETTER_OBJECT_ID, if set, is the person or group that may set the vault's secrets.
{%- endif %}
{%- if facts.api_scope %}
# API_URL, if set, is the address of the API that the app calls.
{%- endif %}
# ALERT_ACTION_GROUP_ID, if set, is the resource id of the action group that hears of denied secrets.
# REVIEWER, if set, is the GitHub user who approves deployments; else it is you.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "$*" >&2
  exit 1
}

[[ $# -ge 2 && $# -le 3 && "$1" =~ ^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$ ]] ||
  fail "usage: scripts/connect-github.sh OWNER/REPOSITORY RESOURCE_GROUP [REGION]"
{%- if facts.identity_by_setting %}
# Read first: variables of this script might have the same name.
identity="${{ '{' }}{{ facts.identity_setting }}:?must hold the resource id of the identity that the app runs as}"
{%- elif facts.identity_source == 'existing' %}
identity="{{ facts.identity_id }}"
{%- endif %}
repository="$1"
group="$2"
region="${3:-westeurope}"

# Whom Azure trusts. In a token GitHub calls a repository by its names, or, since June 2026, by its numbers too,
# which nobody else can ever get. Azure must expect what this repository's tokens really say.
names="$(gh api "repos/$repository" --jq '"\(.owner.login) \(.owner.id) \(.name) \(.id)"')"
read -r owner owner_id name name_id <<<"$names"
format="$(gh api "repos/$repository/actions/oidc/customization/sub" \
  --jq '"\(.use_default) \(.use_immutable_subject)"')" || format="not told"
case "${SUBJECT_PREFIX:+given} $format" in
  "given "*) subject="$SUBJECT_PREFIX" ;;
  " true true") subject="repo:$owner@$owner_id/$name@$name_id" ;;
  " true false") subject="repo:$owner/$name" ;;
  *)
    fail "GitHub does not say how its tokens call this repository. Set SUBJECT_PREFIX to one of" \
      "'repo:$owner@$owner_id/$name@$name_id' (made or renamed since June 2026) and 'repo:$owner/$name' (older)," \
      "or to what the error message AADSTS700213 of a first run shows before ':environment:'."
    ;;
esac

subscription="$(az account show --query id --output tsv)"
tenant="$(az account show --query tenantId --output tsv)"
scope="/subscriptions/$subscription/resourceGroups/$group"

trap '[[ $? -eq 0 ]] || echo "Not done. Run it again: Azure may need a minute to know what it has just made." >&2' EXIT
# The two identities stand in a group of their own. Who may write in the app's group could change whom they trust.
identities="$group-github"
for each in "$group" "$identities"; do
  [[ "$(az group exists --name "$each")" == true ]] ||
    az group create --name "$each" --location "$region" --output none
done

# An identity that trusts the jobs of one environment of the repository. Prints its principal and its client id.
trusted_identity() {
  local ids
  ids="$(az identity create --resource-group "$identities" --name "$1" --location "$region" \
    --query '[principalId, clientId]' --output tsv | tr '\n' ' ')"
  az identity federated-credential create --resource-group "$identities" --identity-name "$1" --name github \
    --issuer https://token.actions.githubusercontent.com --audiences api://AzureADTokenExchange \
    --subject "$subject:environment:$2" --output none
  echo "$ids"
}

assign() {
  az role assignment create --assignee-object-id "$1" --assignee-principal-type ServicePrincipal \
    --role "$2" --scope "$3" "${@:4}" --output none
}

# May give and take the roles that infra/ assigns, and no other: above all not Owner to itself.
let_assign_roles() {
  local roles write delete old
  roles="$(grep -rhoE "'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'" infra/modules | tr -d "'" |
    grep -v '^00000000-' | sort -u | paste -sd, - | sed 's/,/, /g')"
  write="((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR \
(@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {$roles}))"
  delete="((!(ActionMatches{'Microsoft.Authorization/roleAssignments/delete'})) OR \
(@Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {$roles}))"
  # Azure keeps the old condition of an assignment that is there already.
  old="$(az role assignment list --assignee "$1" --role 'Role Based Access Control Administrator' \
    --scope "$2" --query '[].id' --output tsv)"
  [[ -z "$old" ]] || az role assignment delete --ids "$old"
  assign "$1" 'Role Based Access Control Administrator' "$2" --condition "$write AND $delete" --condition-version 2.0
}

# Deploys, from the environment production.
ids="$(trusted_identity id-{{ facts.project_slug }}-deploy production)"
read -r deployer deployer_client <<<"$ids"
assign "$deployer" Contributor "$scope"
let_assign_roles "$deployer" "$scope"
{%- if facts.identity_exists %}
assign "$deployer" 'Managed Identity Operator' "$identity"
{%- endif %}
# Whoever makes an alert must be let read the action group that it goes to.
[[ -z "${ALERT_ACTION_GROUP_ID:-}" ]] || assign "$deployer" Reader "$ALERT_ACTION_GROUP_ID"
{%- if facts.vault_group %}

# The vault stands elsewhere. Tag Contributor is the least built-in role that may deploy a module there.
vault_group="/subscriptions/{{ facts.vault_subscription or '$subscription' }}/resourceGroups/{{ facts.vault_group }}"
vault="$vault_group/providers/Microsoft.KeyVault/vaults/{{ facts.vault_name }}"
assign "$deployer" 'Tag Contributor' "$vault_group"
{%- if facts.vault_access == 'access-policy' or facts.private %}
assign "$deployer" 'Key Vault Contributor' "$vault"
{%- endif %}
{%- if facts.vault_access == 'rbac' %}
let_assign_roles "$deployer" "$vault"
{%- endif %}
{%- endif %}

# Asks what a deployment would change, from the environment plan: reads, and writes nothing.
ids="$(trusted_identity id-{{ facts.project_slug }}-plan plan)"
read -r planner planner_client <<<"$ids"
role="What-if in $group"
definition="{\"Name\": \"$role\", \"Description\": \"Reads resources, and asks what a deployment would change.\",
  \"Actions\": [\"*/read\", \"Microsoft.Resources/deployments/whatIf/action\"],
  \"AssignableScopes\": [\"$scope\"{% if facts.vault_group %}, \"$vault_group\"{% endif %}]}"
known="$(az role definition list --name "$role" --scope "$scope" --query '[].id' --output tsv)"
[[ -n "$known" ]] || az role definition create --role-definition "$definition" --output none
assign "$planner" "$role" "$scope"
{%- if facts.vault_group %}
assign "$planner" "$role" "$vault_group"
{%- endif %}
{%- if facts.identity_exists %}
assign "$planner" Reader "$identity"
{%- endif %}

# What the workflow must know. None of it is a secret.
set_variable() {
  gh variable set "$1" --repo "$repository" --body "$2" "${@:3}"
}

reviewer="$(gh api "${REVIEWER:+users/}${REVIEWER:-user}" --jq .id)"
gh api --method PUT "repos/$repository/environments/plan" --silent
gh api --method PUT "repos/$repository/environments/production" --silent --input - <<JSON ||
{"reviewers": [{"type": "User", "id": $reviewer}],
 "deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}}
JSON
  fail "GitHub refuses an environment with approval: it takes a public repository, or GitHub Enterprise."
branches="$(gh api "repos/$repository/environments/production/deployment-branch-policies" \
  --jq '.branch_policies[].name')"
grep -qx main <<<"$branches" ||
  gh api --method POST "repos/$repository/environments/production/deployment-branch-policies" --silent --field name=main

set_variable AZURE_CLIENT_ID "$deployer_client" --env production
set_variable AZURE_CLIENT_ID "$planner_client" --env plan
set_variable AZURE_TENANT_ID "$tenant"
set_variable AZURE_SUBSCRIPTION_ID "$subscription"
{%- if facts.identity_by_setting %}
set_variable {{ facts.identity_setting }} "$identity"
{%- endif %}
{%- if facts.new_vault %}
[[ -z "${SECRET_SETTER_OBJECT_ID:-}" ]] || set_variable SECRET_SETTER_OBJECT_ID "$SECRET_SETTER_OBJECT_ID"
{%- endif %}
{%- if facts.api_scope %}
[[ -z "${API_URL:-}" ]] || set_variable API_URL "$API_URL"
{%- endif %}
[[ -z "${ALERT_ACTION_GROUP_ID:-}" ]] || set_variable ALERT_ACTION_GROUP_ID "$ALERT_ACTION_GROUP_ID"
# The last one: the workflow signs in to Azure as soon as it stands.
set_variable AZURE_RESOURCE_GROUP "$group"

echo "$repository may deploy into $group. Push to main, and approve the deployment on GitHub."
