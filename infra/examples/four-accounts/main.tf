# Four accounts: dev trains, the registry keeps packages and what they were made from, staging and production serve.
terraform {
  required_version = ">= 1.10"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
  backend "s3" {}
}

locals {
  tags = { made-by = "terraform" }
}

provider "aws" {
  alias               = "dev"
  region              = var.region
  allowed_account_ids = [var.accounts.dev]
  assume_role {
    role_arn = "arn:aws:iam::${var.accounts.dev}:role/${var.administrator}"
  }
  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias               = "registry"
  region              = var.region
  allowed_account_ids = [var.accounts.registry]
  assume_role {
    role_arn = "arn:aws:iam::${var.accounts.registry}:role/${var.administrator}"
  }
  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias               = "staging"
  region              = var.region
  allowed_account_ids = [var.accounts.staging]
  assume_role {
    role_arn = "arn:aws:iam::${var.accounts.staging}:role/${var.administrator}"
  }
  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias               = "production"
  region              = var.region
  allowed_account_ids = [var.accounts.production]
  assume_role {
    role_arn = "arn:aws:iam::${var.accounts.production}:role/${var.administrator}"
  }
  default_tags {
    tags = local.tags
  }
}

module "dev" {
  source            = "../../modules/environment"
  providers         = { aws = aws.dev }
  name              = var.name
  environment       = "dev"
  account           = var.accounts.dev
  region            = var.region
  duties            = ["train"]
  packages          = module.registry.packages
  models            = var.models
  shared_endpoints  = var.shared_endpoints
  circleci          = var.circleci
  on_call           = var.on_call
  key_users         = var.key_users
  session_seconds   = var.session_hours * 3600
  warehouse_secrets = var.warehouse_secrets
  network           = var.network
  subscribers       = var.subscribers
  budget            = var.budget
  noncurrent_days   = var.noncurrent_days
  log_days          = var.log_days
  erasable          = var.erasable
}

module "registry" {
  source      = "../../modules/environment"
  providers   = { aws = aws.registry }
  name        = var.name
  environment = "registry"
  account     = var.accounts.registry
  region      = var.region
  duties      = ["approve"]
  sharing = {
    train_accounts  = [var.accounts.dev]
    deploy_accounts = [var.accounts.staging, var.accounts.production]
  }
  models            = var.models
  shared_endpoints  = var.shared_endpoints
  circleci          = var.circleci
  on_call           = var.on_call
  key_users         = setunion(var.key_users, values(module.dev.roles), values(module.staging.roles), values(module.production.roles))
  session_seconds   = var.session_hours * 3600
  warehouse_secrets = var.warehouse_secrets
  subscribers       = var.subscribers
  budget            = var.budget
  noncurrent_days   = var.noncurrent_days
  log_days          = var.log_days
  erasable          = var.erasable
}

module "staging" {
  source            = "../../modules/environment"
  providers         = { aws = aws.staging }
  name              = var.name
  environment       = "staging"
  account           = var.accounts.staging
  region            = var.region
  duties            = ["serve"]
  packages          = module.registry.packages
  models            = var.models
  shared_endpoints  = var.shared_endpoints
  circleci          = var.circleci
  on_call           = var.on_call
  key_users         = var.key_users
  session_seconds   = var.session_hours * 3600
  warehouse_secrets = var.warehouse_secrets
  network           = var.network
  subscribers       = var.subscribers
  budget            = var.budget
  noncurrent_days   = var.noncurrent_days
  log_days          = var.log_days
  erasable          = var.erasable
}

module "production" {
  source            = "../../modules/environment"
  providers         = { aws = aws.production }
  name              = var.name
  environment       = "production"
  account           = var.accounts.production
  region            = var.region
  duties            = ["serve"]
  packages          = module.registry.packages
  models            = var.models
  shared_endpoints  = var.shared_endpoints
  circleci          = var.circleci
  on_call           = var.on_call
  key_users         = var.key_users
  session_seconds   = var.session_hours * 3600
  warehouse_secrets = var.warehouse_secrets
  network           = var.network
  subscribers       = var.subscribers
  budget            = var.budget
  noncurrent_days   = var.noncurrent_days
  log_days          = var.log_days
  erasable          = var.erasable
}

module "packages" {
  source     = "../../modules/registry"
  providers  = { aws = aws.registry }
  models     = var.models
  account    = var.accounts.registry
  region     = var.region
  registrars = { for model in keys(var.models) : model => [module.dev.roles["models-train-${model}"]] }
  deployers = [
    for role in setproduct([module.staging.roles, module.production.roles], ["models-deploy", "models-operate", "models-on-call"]) :
    role[0][role[1]] if contains(keys(role[0]), role[1])
  ]
}
