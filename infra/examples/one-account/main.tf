# One account does everything: it trains, keeps the packages and serves.
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

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account]
  default_tags {
    tags = { made-by = "terraform" }
  }
}

module "production" {
  source            = "../../modules/environment"
  name              = var.name
  environment       = "production"
  account           = var.account
  region            = var.region
  duties            = ["train", "approve", "serve"]
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
  source  = "../../modules/registry"
  models  = var.models
  account = var.account
  region  = var.region
}
