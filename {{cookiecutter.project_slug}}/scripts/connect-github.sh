{%- set facts = cookiecutter | facts -%}
#!/usr/bin/env bash
# Connects a repository on GitHub to Azure, without a stored credential. README.md says how, and when to run it again.
set -euo pipefail
[[ "${1:-}" == ?*/?* && -n "${2:-}" && $# -le 3 ]] || { echo "Usage: scripts/connect-github.sh OWNER/REPOSITORY RESOURCE_GROUP [REGION]" >&2 && exit 1; }
step="read the repository $1" variables="{{ facts.deployment_variables | join(' ') }}"
trap 'status=$?; [[ -z "$step" ]] || { echo "Not finished: $step. You can run this again." >&2; exit $((status ? status : 1)); }' EXIT
cd "$(dirname "$0")/.."
export AZURE_RESOURCE_GROUP="$2" AZURE_LOCATION="${3:-westeurope}" GITHUB_REPOSITORY_IDS GITHUB_SUBJECT_FORMAT APP_PRINCIPAL_IDS AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID me
GITHUB_REPOSITORY_IDS=$(gh api "repos/$1" --jq '{owner: .owner.login, ownerId: .owner.id, name: .name, id: .id}')
GITHUB_SUBJECT_FORMAT=$(gh api "repos/$1/actions/oidc/customization/sub" 2>&1) || # 404: an older server
  case "$GITHUB_SUBJECT_FORMAT" in *"HTTP 404"*) GITHUB_SUBJECT_FORMAT='{}' ;; *) echo "$GITHUB_SUBJECT_FORMAT" >&2 && exit 1 ;; esac
for name in $variables; do # what is not set stays as an earlier run set it
  [[ -n "${!name:-}" ]] || value=$(gh api "repos/$1/actions/variables/$name" --jq .value 2>&1) || [[ "$value" == *"HTTP 404"* ]] || { echo "$value" >&2 && exit 1; }
  [[ -n "${!name:-}" || "$value" == *"HTTP 404"* ]] || export "$name=$value"
done
{%- if facts.identity_by_setting %}
export APP_IDENTITY_ID="{{ '${' ~ facts.identity_setting }}:?must be the resource id of the identity that the app runs as}"
{%- endif %}
approval=$(gh api "repos/$1/environments/production" 2>&1 --jq '[.protection_rules[] | if .type == "wait_timer" then {wait_timer}
  elif .reviewers and .reviewers != [] and (env.REVIEWER // "") == "" then {reviewers: [.reviewers[] | {type, id: .reviewer.id}], prevent_self_review}
  else {} end | to_entries[] | ", \(.key | tojson): \(.value | tojson)"] | add // ""') ||
  case "$approval" in *"HTTP 404"*) approval="" ;; *) echo "$approval" >&2 && exit 1 ;; esac
me=$(gh api user --jq .id) # alone, nobody else could approve
[[ "$approval" == *'"reviewers": '* ]] || approval+=$(gh api "${REVIEWER:+users/}${REVIEWER:-user}" --jq \
  '", \"reviewers\": [{\"type\": \"User\", \"id\": \(.id)}], \"prevent_self_review\": \(.id != (env.me | tonumber))"')
step="restrict the environments plan and production. Private repositories on GitHub Free have no such rules, and then any branch could deploy: make the repository public, or change its plan"
branches='"deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}'
gh api --method PUT "repos/$1/environments/plan" --silent --input - <<<"{$branches}"
answer=$(gh api --method PUT "repos/$1/environments/production" --input - <<<"{$branches$approval}" 2>&1 \
  --jq '[.protection_rules[].reviewers[]?.reviewer | .login // .slug] | join(" or ")') || {
  [[ "$answer" == *"billing plan"* ]] || { echo "$answer" >&2 && exit 1; }
  gh api --method PUT "repos/$1/environments/production" --silent --input - <<<"{$branches}"
  answer="nobody: this repository's plan has no required reviewers: what reaches main is deployed. Protect main with a ruleset"
}
echo "Deployments are approved by $answer."
for rule in production=main plan=refs/pull/*/merge; do
  policies="repos/$1/environments/${rule%%=*}/deployment-branch-policies"
  names=$(gh api "$policies" --jq '.branch_policies[] | "\(.type // "branch") \(.name)"')
  grep -qxF "branch ${rule#*=}" <<<"$names" || gh api --method POST "$policies" --silent --raw-field name="${rule#*=}"
  others=$(gh api "$policies" --jq ".branch_policies[] | select(\"\(.type // \"branch\") \(.name)\" != \"branch ${rule#*=}\").id")
  for id in $others; do gh api --method DELETE "$policies/$id" --silent; done
done
gh api --method PUT "repos/$1/private-vulnerability-reporting" --silent || echo "Private vulnerability reporting is off: it needs a public repository. Name another way in SECURITY.md." >&2
step="register the resource providers of the subscription"
for name in App {{ 'DocumentDB ' if facts.cosmos_db }}Insights KeyVault ManagedIdentity Network OperationalInsights {{ 'ServiceBus ' if facts.service_bus }}Storage Web; do az provider register --namespace "Microsoft.$name" --output none; done
step="find or create the resource group $2"
exists=$(az group exists --name "$2" --output tsv)
[[ "$exists" == true ]] || az group create --name "$2" --location "$AZURE_LOCATION" --output none
AZURE_LOCATION=$(az group show --name "$2" --query location --output tsv)
APP_PRINCIPAL_IDS=$(az resource list --resource-group "$2" --resource-type Microsoft.Web/sites --output json \
  --query "[?tags.project=='{{ facts.project_slug }}'].identity.[principalId, userAssignedIdentities.*.principalId][][] | [?@]")
step="deploy infra/github.bicep (RoleAssignmentExists: README.md has the command that removes the older assignment)"
ids=$(az deployment sub create --name "github-$AZURE_LOCATION" --location "$AZURE_LOCATION" --template-file infra/github.bicep --parameters infra/github.bicepparam \
  --query "join(' ', properties.outputs.[planClientId.value, deployClientId.value, tenantId.value, subscriptionId.value])" --output tsv)
az deployment sub show --name "github-$AZURE_LOCATION" --query properties.outputs.notes.value --output tsv >&2
step="set the repository's variables" && read -r plan deploy AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID <<<"$ids"
gh variable set AZURE_CLIENT_ID --repo "$1" --env plan --body "$plan"
gh variable set AZURE_CLIENT_ID --repo "$1" --env production --body "$deploy"
for name in AZURE_TENANT_ID AZURE_SUBSCRIPTION_ID $variables AZURE_RESOURCE_GROUP; do
  [[ -z "${!name:-}" ]] || gh variable set "$name" --repo "$1" --body "${!name}" # with the last one, the workflow signs in
done
step="" && echo "$1 can deploy into $2: push to main, and approve the deployment on GitHub."
