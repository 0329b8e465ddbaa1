{%- set facts = cookiecutter | facts -%}
// Checks of main.bicep's parameters that a type cannot express. Names have the characters of
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
{%- if not facts.granted or facts.private %}

@export()
@sealed()
type otherVault = {
  @minLength(3)
  @maxLength(24)
  name: string
  @minLength(1)
  @maxLength(90)
  resourceGroup: string?
  @minLength(36)
  @maxLength(36)
  subscription: string?
}
{%- endif %}

func madeOf(text string, characters string) bool =>
  empty(filter(range(0, length(text)), index => !contains(characters, substring(text, index, 1))))

func isName(text string) bool =>
  madeOf(toLower(text), 'abcdefghijklmnopqrstuvwxyz0123456789-') && !startsWith(text, '-') && !endsWith(text, '-')

func isGuid(text string) bool =>
  madeOf(toLower(text), '0123456789abcdef-') && join(map(split(text, '-'), part => string(length(part))), ' ') == '8 4 4 4 12'

func isId(path string[], type string) bool =>
  isGuid(path[?2] ?? '') && length(path) % 2 == 1 && !contains(skip(path, 1), '') && toLower(withoutNames(path)) == toLower('subscriptions/resourceGroups/providers/${type}')

// The parts of an id that are not names. At 6 is the namespace of the type.
func withoutNames(path string[]) string => join(filter(path, (part, index) => index == 6 || index % 2 == 1), '/')

func isNetwork(address string, octets string[], prefix string, from int, to int) bool =>
  length(octets) == 4 && empty(filter(octets, octet => !isNumber(octet, 0, 255))) && isNumber(prefix, from, to)
    ? parseCidr('${address}/${prefix}').network == address
    : false

func isNumber(text string, from int, to int) bool =>
  contains(map(range(from, to - from + 1), number => string(number)), text)

func problem(parameter string, value string, expected string) string => '${parameter}: \'${value}\': ${expected}'

// What is wrong with a parameter, or nothing.

@export()
func name(parameter string, value string) string =>
  isName(value) ? '' : problem(parameter, value, 'letters, digits and hyphens are expected')

@export()
func strictName(parameter string, value string) string =>
  isName(value) && !contains(value, '--') && !contains('0123456789', first(value))
    ? ''
    : problem(parameter, value, 'a letter is expected first, then letters, digits and single hyphens')

@export()
func storageName(parameter string, value string) string =>
  madeOf(value, 'abcdefghijklmnopqrstuvwxyz0123456789')
    ? ''
    : problem(parameter, value, 'lower-case letters and digits are expected')

@export()
func guid(parameter string, value string) string => isGuid(value) ? '' : problem(parameter, value, 'a GUID is expected')

@export()
func id(parameter string, value string, type string) string =>
  empty(value) || isId(split(value, '/'), type)
    ? ''
    : problem(parameter, value, '/subscriptions/…/${type}/… is expected')

@export()
func network(parameter string, value string, from int, to int) string =>
  isNetwork(split(value, '/')[0], split(split(value, '/')[0], '.'), split(value, '/')[?1] ?? '', from, to)
    ? ''
    : problem(parameter, value, 'a network from /${from} to /${to} is expected, such as 10.0.0.0/24')

@export()
@description('https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#always-ready-instances')
func alwaysReady(group string, count int, maximum int) string =>
  count >= 1 && count <= maximum && (contains(['http', 'blob', 'durable'], group) || startsWith(group, 'function:'))
    ? ''
    : 'alwaysReady: ${group} ${count}: http, blob, durable or function:NAME is expected, and 1 to maximumInstanceCount'
{%- if not facts.granted or facts.private %}

@export()
func vault(one otherVault) string[] => [
  strictName('otherVaults', one.name)
  one.?subscription == null ? '' : guid('otherVaults', one.?subscription ?? '')
  one.?subscription == null || one.?resourceGroup != null
    ? ''
    : 'otherVaults: ${one.name}: a subscription is expected together with a resourceGroup'
]
{%- endif %}
{%- if facts.cosmos_db %}

@export()
func cosmosName(parameter string, value string) string =>
  isName(value) && !contains(value, '--') && toLower(value) == value
    ? ''
    : problem(parameter, value, 'lower-case letters, digits and single hyphens are expected')
{%- endif %}
