output "map" {
  description = "The environment as environments.json tells of it."
  value = { for member, value in {
    account         = var.account
    region          = var.region
    bucket          = aws_s3_bucket.models.id
    kms_key         = aws_kms_key.models.arn
    topic           = aws_sns_topic.models.arn
    session_seconds = var.session_seconds
    job_role        = local.trains || local.serves ? "arn:aws:iam::${var.account}:role/models-jobs-{model}" : null
    endpoint_role   = local.serves ? "arn:aws:iam::${var.account}:role/models-endpoint-{model}" : null
    network = var.network == null ? null : {
      subnets         = module.network[0].subnets
      security_groups = [module.network[0].security_group]
      isolated        = var.network.isolated
    }
  } : member => value if value != null }
}

output "packages" {
  description = "What other environments have to know of this one where it is the registry."
  value = {
    account = var.account
    region  = var.region
    bucket  = aws_s3_bucket.models.id
    key     = aws_kms_key.models.arn
  }
}

output "roles" {
  description = "ARNs of the roles, by name."
  value       = { for name, role in aws_iam_role.models : name => role.arn }
}
