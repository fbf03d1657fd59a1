output "environments" {
  description = "The text of environments.json: `make infra-map`."
  value = jsonencode({
    registry     = "production"
    serving      = "production"
    environments = { production = module.production.map }
  })
}

output "contexts" {
  description = "The variables of each of CircleCI's contexts."
  value = {
    for context, role in {
      train   = "models-train-{model}"
      approve = "models-approve"
      deploy  = "models-deploy"
      operate = "models-operate"
    } : context => { AWS_ROLE_ARN = "arn:aws:iam::${var.account}:role/${role}", MODELS_ENVIRONMENT = "production" }
  }
}
