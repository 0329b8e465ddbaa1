{%- set facts = cookiecutter | facts -%}
// Stops the deployment where the app or its private endpoints cannot use a subnet of others.

@export()
@sealed()
type network = {
  @description('The subnet that the app sends from: a /27 or larger, delegated to Microsoft.App/environments.')
  appSubnetId: id
  @description('The subnet of the private endpoints.')
  endpointSubnetId: id
  @description('The private DNS zones. None: a policy adds the records of private endpoints.')
  zoneIds: {
    vault: id
    blob: id
    {%- if facts.cosmos_db %}
    Sql: id
    {%- endif %}
    queue: id?
    table: id?
    sites: id?
  }?
}

@minLength(1)
type id = string

param location string
param appSubnetId string
param endpointSubnetId string

var appPath = split(appSubnetId, '/')
var endpointPath = split(endpointSubnetId, '/')

resource appNetwork 'Microsoft.Network/virtualNetworks@2025-05-01' existing = {
  name: appPath[8]
  scope: resourceGroup(appPath[2], appPath[4])

  resource subnet 'subnets' existing = {
    name: appPath[10]
  }
}

resource endpointNetwork 'Microsoft.Network/virtualNetworks@2025-05-01' existing = {
  name: endpointPath[8]
  scope: resourceGroup(endpointPath[2], endpointPath[4])
}

var subnet = appNetwork::subnet.properties
var found = filter(
  problemsOfSubnets(
    location,
    {
      location: appNetwork.location
      delegations: subnet.?delegations ?? []
      addresses: subnet.?addressPrefixes ?? [subnet.?addressPrefix]
    },
    { location: endpointNetwork.location }
  ),
  problem => !empty(problem)
)

output checked string = empty(found) ? 'existingNetwork' : fail(join(found, '; '))

@export()
@description('https://learn.microsoft.com/azure/azure-functions/flex-consumption-how-to#enable-virtual-network-integration')
func problemsOfSubnets(region string, app object, endpoints object) string[] => [
  inRegion(app.location, region)
    ? ''
    : 'existingNetwork.appSubnetId: ${app.location}: a subnet in ${region} is expected'
  inRegion(endpoints.location, region)
    ? ''
    : 'existingNetwork.endpointSubnetId: ${endpoints.location}: a subnet in ${region} is expected'
  contains(map(app.delegations, one => toLower(one.properties.serviceName)), 'microsoft.app/environments')
    ? ''
    : 'existingNetwork.appSubnetId: a subnet that is delegated to Microsoft.App/environments is expected'
  empty(filter(app.addresses, one => parseCidr(one).cidr > 27))
    ? ''
    : 'existingNetwork.appSubnetId: ${join(app.addresses, ', ')}: a /27 or larger is expected'
]

func inRegion(some string, region string) bool => toLower(replace(some, ' ', '')) == toLower(replace(region, ' ', ''))
