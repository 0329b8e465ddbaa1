{%- set facts = cookiecutter | facts -%}
#!/usr/bin/env bash
# Connects a repository on GitHub to Azure, so that its workflow deploys without a stored credential: README.md says how.
# Run it again after an interruption, after the first deployment (from then on only the app can get roles), and when infra/
# assigns other roles. REVIEWER: the GitHub user who approves deployments, by default you. ASSIGN_ELSEWHERE=false: assign
# no roles in other resource groups that the app uses, and print what their owners run.
set -euo pipefail
{%- if facts.identity_by_setting %}
export APP_IDENTITY_ID="{{ '${' ~ facts.identity_setting }}:?must be the resource id of the identity that the app runs as}"
{%- endif %}
step="read the arguments: scripts/connect-github.sh OWNER/REPOSITORY RESOURCE_GROUP [REGION]"
trap 'status=$?; [[ -z "$step" ]] || { echo "Not finished: $step. You can run this again." >&2; exit $((status ? status : 1)); }' EXIT
cd "$(dirname "$0")/.."
[[ "${1:-}" == ?*/?* && -n "${2:-}" && $# -le 3 ]]
export AZURE_RESOURCE_GROUP="$2" AZURE_LOCATION="${3:-westeurope}"
export GITHUB_REPOSITORY_IDS GITHUB_SUBJECT_FORMAT APP_PRINCIPAL_IDS AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID
step="read the repository $1"
GITHUB_REPOSITORY_IDS=$(gh api "repos/$1" --jq '{owner: .owner.login, ownerId: .owner.id, name: .name, id: .id}')
GITHUB_SUBJECT_FORMAT=$(gh api "repos/$1/actions/oidc/customization/sub" 2>&1) || # 404: an older server
  case "$GITHUB_SUBJECT_FORMAT" in *"HTTP 404"*) GITHUB_SUBJECT_FORMAT='{}' ;; *) echo "$GITHUB_SUBJECT_FORMAT" >&2 && exit 1 ;; esac
me=$(gh api user --jq .id)
reviewer=$(gh api "${REVIEWER:+users/}${REVIEWER:-user}" --jq .id)
[[ "$reviewer" == "$me" ]] && not_self=false || not_self=true # alone, nobody else could approve
step="restrict the environments plan and production. Private repositories on GitHub Free have no such rules, and then any branch could deploy: make the repository public, or change its plan"
branches='"deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}'
approval="\"reviewers\": [{\"type\": \"User\", \"id\": $reviewer}], \"prevent_self_review\": $not_self"
gh api --method PUT "repos/$1/environments/plan" --silent --input - <<<"{$branches}"
answer=$(gh api --method PUT "repos/$1/environments/production" --input - <<<"{$approval, $branches}" 2>&1) || {
  [[ "$answer" == *"billing plan"* ]] || { echo "$answer" >&2 && exit 1; }
  echo "This repository's plan has no required reviewers: what reaches main is deployed. Protect main with a ruleset." >&2
  gh api --method PUT "repos/$1/environments/production" --silent --input - <<<"{$branches}"
}
for rule in production=main plan=refs/pull/*/merge; do
  policies="repos/$1/environments/${rule%%=*}/deployment-branch-policies"
  names=$(gh api "$policies" --jq '.branch_policies[].name')
  grep -qxF "${rule#*=}" <<<"$names" || gh api --method POST "$policies" --silent --raw-field name="${rule#*=}"
done
gh api --method PUT "repos/$1/private-vulnerability-reporting" --silent ||
  echo "Private vulnerability reporting is off: it needs a public repository. Name another way in SECURITY.md." >&2
step="register the resource providers of the subscription"
providers="App {{ 'DocumentDB ' if facts.cosmos_db }}Insights KeyVault ManagedIdentity Network OperationalInsights {{ 'ServiceBus ' if facts.service_bus }}Storage Web"
for name in $providers; do az provider register --namespace "Microsoft.$name" --output none; done
step="find or create the resource group $2"
exists=$(az group exists --name "$2" --output tsv)
[[ "$exists" == true ]] || az group create --name "$2" --location "$AZURE_LOCATION" --output none
AZURE_LOCATION=$(az group show --name "$2" --query location --output tsv)
APP_PRINCIPAL_IDS=$(az resource list --resource-group "$2" --resource-type Microsoft.Web/sites --output json \
  --query "[].identity.[principalId, userAssignedIdentities.*.principalId][][] | [?@]")
step="deploy infra/github.bicep (RoleAssignmentExists: README.md has the command that removes the older assignment)"
outputs="planClientId.value, deployClientId.value, tenantId.value, subscriptionId.value"
ids=$(az deployment sub create --name "github-$AZURE_LOCATION" --location "$AZURE_LOCATION" --template-file infra/github.bicep \
  --parameters infra/github.bicepparam --query "join(' ', properties.outputs.[$outputs])" --output tsv)
az deployment sub show --name "github-$AZURE_LOCATION" --query properties.outputs.notes.value --output tsv >&2
step="set the repository's variables, and delete the identities of an earlier version of this script"
read -r plan deploy AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID <<<"$ids"
gh variable set AZURE_CLIENT_ID --repo "$1" --env plan --body "$plan"
gh variable set AZURE_CLIENT_ID --repo "$1" --env production --body "$deploy"
{%- if facts.identity_by_setting %}
gh variable set {{ facts.identity_setting }} --repo "$1" --body "$APP_IDENTITY_ID"
{%- endif %}
for name in AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID {% for name in facts.deployment_variables if name != facts.identity_setting %}{{ name }} {% endfor %}AZURE_RESOURCE_GROUP; do
  [[ -z "${!name:-}" ]] || gh variable set "$name" --repo "$1" --body "${!name}" # with the last one, the workflow signs in
done
for name in plan deploy; do az identity delete --resource-group "$2-github" --name "id-{{ facts.project_slug }}-$name" --output none; done
step="" && echo "$1 can deploy into $2: push to main, and approve the deployment on GitHub."
