# The roles of infra/policies/README.md: which of them are made follows from the environment's duties.
locals {
  trains   = contains(var.duties, "train")
  approves = contains(var.duties, "approve")
  serves   = contains(var.duties, "serve")
  models   = toset(keys(var.models))
  served   = setunion(local.models, var.shared_endpoints)

  warehouse = length(var.warehouse_secrets) > 0 ? ["warehouse"] : []
  network   = var.network == null ? [] : ["network"]

  roles = merge(
    { for model in local.models : "models-train-${model}" => {
      trust     = "trust-train"
      policies  = concat(["train", "never"], local.warehouse)
      tags      = { model = model }
      variables = { model = model, tuning = substr(model, 0, 16) }
    } if local.trains },
    { for model in local.models : "models-jobs-${model}" => {
      trust     = "trust-sagemaker"
      policies  = concat(local.trains ? concat(["jobs-training"], local.warehouse) : [], local.serves ? ["jobs-operations"] : [], local.network)
      tags      = { model = model }
      variables = { model = model }
    } if local.trains || local.serves },
    { for name in local.served : "models-endpoint-${name}" => {
      trust     = "trust-sagemaker"
      policies  = concat(["endpoint"], local.network)
      tags      = { model = name }
      variables = { endpoint = name }
    } if local.serves },
    { for name in ["approve"] : "models-${name}" => { trust = "trust-approve", policies = [name, "never"], tags = {}, variables = {} } if local.approves },
    { for name in ["deploy", "operate"] : "models-${name}" => { trust = "trust-main", policies = [name, "never"], tags = {}, variables = {} } if local.serves },
    { for name in ["on-call"] : "models-${name}" => { trust = null, policies = [name, "never"], tags = {}, variables = {} } if local.serves && length(var.on_call) > 0 },
  )
  role_policies = merge([for role, each in local.roles : { for policy in each.policies : "${role}/${policy}" => { role = role, policy = policy } }]...)

  packages  = var.packages == null ? { account = var.account, region = var.region, bucket = local.bucket, key = aws_kms_key.models.arn } : var.packages
  sagemaker = "arn:aws:sagemaker:*:${var.account}"

  # What the templates call these things; a list stands there as JSON.
  variables = {
    account          = var.account
    region           = var.region
    bucket           = local.bucket
    key              = aws_kms_key.models.arn
    topic            = aws_sns_topic.models.arn
    packages_account = local.packages.account
    packages_region  = local.packages.region
    packages_bucket  = local.packages.bucket
    packages_key     = local.packages.key
    organisation     = var.circleci.organisation
    project          = var.circleci.project
    repository       = var.circleci.repository
    approvers = jsonencode([for user in sort(var.circleci.approvers) :
    "org/${var.circleci.organisation}/project/${var.circleci.project}/user/${user}/vcs-origin/${var.circleci.repository}/vcs-ref/refs/heads/*"])
    secrets = jsonencode(sort(var.warehouse_secrets))
    serving = jsonencode(flatten([for name in sort(local.served) :
    ["${local.sagemaker}:endpoint/${name}", "${local.sagemaker}:endpoint-config/${name}-*", "${local.sagemaker}:model/${name}-*"]]))
    alarms = jsonencode([for name in sort(local.served) : "arn:aws:cloudwatch:*:${var.account}:alarm:${name}-*"])
    jobs = jsonencode(flatten([for model in sort(local.models) :
    ["${local.sagemaker}:processing-job/${model}-*", "${local.sagemaker}:transform-job/${model}-*", "${local.sagemaker}:model/${model}-batch-*"]]))
  }
  # People are no templates' business: whom the role of those on call trusts is for the organisation to say.
  trust_people = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = sort(var.on_call) } }]
  })
}

# CircleCI signs a token for each job; roles trust its claims, and no key is stored anywhere.
resource "aws_iam_openid_connect_provider" "circleci" {
  url            = "https://oidc.circleci.com/org/${var.circleci.organisation}"
  client_id_list = [var.circleci.organisation]
}

resource "aws_iam_role" "models" {
  for_each           = local.roles
  name               = each.key
  assume_role_policy = each.value.trust == null ? local.trust_people : templatefile("${local.policies}/${each.value.trust}.json.tftpl", local.variables)
  tags               = each.value.tags
  # SageMaker asks for an hour at most; a job of CircleCI that trains or deploys may take longer.
  max_session_duration = each.value.trust == "trust-sagemaker" ? 3600 : var.session_seconds
}

resource "aws_iam_role_policy" "models" {
  for_each = local.role_policies
  name     = each.value.policy
  role     = aws_iam_role.models[each.value.role].name
  # Parsed, so that a template that is no JSON fails the plan, and written without white space, which IAM would count.
  policy = jsonencode(jsondecode(templatefile("${local.policies}/${each.value.policy}.json.tftpl", merge(local.variables, local.roles[each.value.role].variables))))
}
