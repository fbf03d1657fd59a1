# Everything that an environment has in its account: key, bucket, topic and rules, budget, logs, roles, and a network if it wants one.
locals {
  bucket   = "${var.name}-${var.environment}"
  root     = "arn:aws:iam::${var.account}:root"
  policies = "${path.module}/../../policies"
  events   = "${path.module}/../../events"

  # The accounts that train from and serve from this environment's bucket, where this is a registry of its own.
  roots = { for duty, accounts in var.sharing : duty => jsonencode([for id in accounts : "arn:aws:iam::${id}:root"]) }
}

module "network" {
  source      = "../network"
  count       = var.network == null ? 0 : 1
  environment = var.environment
  region      = var.region
  cidr        = var.network.cidr
  zones       = var.network.zones
  secrets     = local.trains && length(var.warehouse_secrets) > 0
}
