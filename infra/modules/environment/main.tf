# Everything that an environment has in its account: key, bucket, topic and rules, budget, logs, roles, and a network if it wants one.
locals {
  bucket   = "${var.name}-${var.environment}"
  root     = "arn:aws:iam::${var.account}:root"
  policies = "${path.module}/../../policies"
  events   = "${path.module}/../../events"

  # Who else uses this environment's bucket and key: the accounts that train and serve, where this is the registry.
  sharers   = distinct(concat(var.sharing.train_accounts, var.sharing.deploy_accounts))
  roots     = { for duty, accounts in var.sharing : duty => jsonencode([for id in accounts : "arn:aws:iam::${id}:root"]) }
  key_users = concat([for id in local.sharers : "arn:aws:iam::${id}:root"], sort(var.key_users))
}

module "network" {
  source      = "../network"
  count       = var.network == null ? 0 : 1
  environment = var.environment
  region      = var.region
  cidr        = var.network.cidr
  zones       = var.network.zones
}
