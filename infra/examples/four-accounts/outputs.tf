output "environments" {
  description = "The text of environments.json: `make infra-map`."
  value = jsonencode({
    registry = "registry"
    serving  = "production"
    environments = {
      dev        = module.dev.map
      registry   = module.registry.map
      staging    = module.staging.map
      production = merge(module.production.map, { after = "staging" })
    }
  })
}

output "contexts" {
  description = "The variables of each of CircleCI's contexts."
  value = {
    for context, at in {
      train          = { environment = "dev", role = "models-train-{model}" }
      approve        = { environment = "registry", role = "models-approve" }
      deploy-staging = { environment = "staging", role = "models-deploy" }
      deploy         = { environment = "production", role = "models-deploy" }
      operate        = { environment = "production", role = "models-operate" }
    } : context => { AWS_ROLE_ARN = "arn:aws:iam::${var.accounts[at.environment]}:role/${at.role}", MODELS_ENVIRONMENT = at.environment }
  }
}
