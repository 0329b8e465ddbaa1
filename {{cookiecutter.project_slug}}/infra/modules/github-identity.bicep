// An identity of the workflow. It trusts the jobs of one environment of one repository.
param name string
param location string
param subject string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location

  resource credential 'federatedIdentityCredentials' = {
    name: 'github'
    properties: {
      issuer: 'https://token.actions.githubusercontent.com'
      audiences: ['{{ (cookiecutter | facts).cloud.audience }}']
      subject: subject
    }
  }
}

output principalId string = identity.properties.principalId
output clientId string = identity.properties.clientId
