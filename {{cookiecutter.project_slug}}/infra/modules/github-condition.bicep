// The condition under which somebody may assign roles.
// https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples

func has(source string, attribute string, operator string, values string) string =>
  '@${source}[Microsoft.Authorization/roleAssignments:${attribute}] ${operator} {${values}}'

func roleIs(source string, roleIds string) string =>
  has(source, 'RoleDefinitionId', 'ForAnyOfAnyValues:GuidEquals', roleIds)

func principalIs(source string, principalIds string) string =>
  has(source, 'PrincipalId', 'ForAnyOfAnyValues:GuidEquals', principalIds)

func principalIsNot(source string, principalIds string) string =>
  has(source, 'PrincipalId', 'ForAnyOfAllValues:GuidNotEquals', principalIds)

func principalIsService(source string) string =>
  has(source, 'PrincipalType', 'ForAnyOfAnyValues:StringEqualsIgnoreCase', '\'ServicePrincipal\'')

@export()
@description('One of the roles, to the app. Until it is deployed, to any service principal but those of the workflow.')
func toApp(source string, roleIds string[], appPrincipalIds string[], workflowPrincipalIds string[]) string =>
  '${roleIs(source, join(roleIds, ', '))} AND ${principalIsService(source)} AND ${empty(appPrincipalIds) ? principalIsNot(source, join(workflowPrincipalIds, ', ')) : principalIs(source, join(appPrincipalIds, ', '))}'

@export()
@description('One role, to one principal.')
func toOne(source string, roleId string, principalId string) string =>
  '${roleIs(source, roleId)} AND ${principalIs(source, principalId)}'

func only(action string, clauses string[]) string =>
  '((!(ActionMatches{\'Microsoft.Authorization/roleAssignments/${action}\'})) OR ((${join(clauses, ') OR (')})))'

@export()
@description('Role assignments are created and deleted only where one of the clauses holds.')
func onlyWhere(ofRequest string[], ofResource string[]) string =>
  '${only('write', ofRequest)} AND ${only('delete', ofResource)}'
