// The identities of the workflow. Each trusts the jobs of one environment of one repository.
param location string
param trusted { name: string, subject: string }[]

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [
  for one in trusted: {
    name: 'id-{{ cookiecutter.project_slug }}-github-${one.name}'
    location: location
  }
]

resource credentials 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = [
  for (one, index) in trusted: {
    parent: identities[index]
    name: 'github'
    properties: {
      issuer: 'https://token.actions.githubusercontent.com'
      audiences: ['{{ (cookiecutter | facts).cloud.audience }}']
      subject: one.subject
    }
  }
]

output planPrincipalId string = identities[0].properties.principalId
output planClientId string = identities[0].properties.clientId
output deployPrincipalId string = identities[1].properties.principalId
output deployClientId string = identities[1].properties.clientId
