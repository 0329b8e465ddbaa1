{%- set facts = cookiecutter | facts -%}
using './github.bicep'

// scripts/connect-github.sh sets these variables; README.md has the same without the script.
param appGroup = readEnvironmentVariable('AZURE_RESOURCE_GROUP')
param repository = json(readEnvironmentVariable('GITHUB_REPOSITORY_IDS'))
param subjectFormat = json(readEnvironmentVariable('GITHUB_SUBJECT_FORMAT'))
param appPrincipalIds = json(readEnvironmentVariable('APP_PRINCIPAL_IDS', '[]'))
param alertActionGroupId = readEnvironmentVariable('ALERT_ACTION_GROUP_ID', '')
{%- if facts.identity_by_setting %}
param identityId = readEnvironmentVariable('APP_IDENTITY_ID')
{%- endif %}
{%- if facts.new_vault and facts.vault_access == 'rbac' %}
param setterObjectId = readEnvironmentVariable('SECRET_SETTER_OBJECT_ID', '')
{%- endif %}

// 'false' where you may not assign roles in another resource group that the app uses.
param assignElsewhere = bool(readEnvironmentVariable('ASSIGN_ELSEWHERE', 'true'))
{%- if not facts.granted or facts.private %}

// The same as in main.bicepparam.
param otherVaults = []
{%- endif %}
