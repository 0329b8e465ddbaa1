// The identities of the workflow. Each trusts the jobs of one environment of one repository.
param location string
param planSubject string
param deploySubject string

resource plan 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-{{ cookiecutter.project_slug }}-github-plan'
  location: location

  resource github 'federatedIdentityCredentials' = {
    name: 'github'
    properties: {
      issuer: 'https://token.actions.githubusercontent.com'
      audiences: ['api://AzureADTokenExchange']
      subject: planSubject
    }
  }
}

resource deploy 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-{{ cookiecutter.project_slug }}-github-deploy'
  location: location

  resource github 'federatedIdentityCredentials' = {
    name: 'github'
    properties: {
      issuer: 'https://token.actions.githubusercontent.com'
      audiences: ['api://AzureADTokenExchange']
      subject: deploySubject
    }
  }
}

output planPrincipalId string = plan.properties.principalId
output planClientId string = plan.properties.clientId
output deployPrincipalId string = deploy.properties.principalId
output deployClientId string = deploy.properties.clientId
