variable "name" {
  description = "What the name of the bucket begins with."
  type        = string
}

variable "environment" {
  description = "Name of the environment, as in environments.json."
  type        = string
}

variable "account" {
  description = "Id of its account."
  type        = string
}

variable "region" {
  description = "Its region."
  type        = string
}

variable "duties" {
  description = "What is done here: train, approve, serve, or several of them; roles and logs follow from it."
  type        = set(string)
  validation {
    condition     = length(setsubtract(var.duties, ["train", "approve", "serve"])) == 0
    error_message = "duties are train, approve and serve."
  }
}

variable "packages" {
  description = "Where packages are registered, and the bucket and key of that environment; null: here."
  type = object({
    account = string
    region  = string
    bucket  = string
    key     = string
  })
  default = null
}

variable "sharing" {
  description = "Ids of the accounts that train from, and of those that serve from, this environment's bucket; both empty but in a registry of its own."
  type = object({
    train_accounts  = list(string)
    deploy_accounts = list(string)
  })
  default = { train_accounts = [], deploy_accounts = [] }
}

variable "models" {
  description = "The models, by name."
  type        = map(string)
}

variable "shared_endpoints" {
  description = "Names of the endpoints that several models share."
  type        = set(string)
}

variable "circleci" {
  description = "Ids of CircleCI's organisation, project and approving users, and the repository."
  type = object({
    organisation = string
    project      = string
    repository   = string
    approvers    = set(string)
  })
}

variable "on_call" {
  description = "ARNs of who may take on models-on-call; none: there is no such role."
  type        = set(string)
}

variable "key_users" {
  description = "ARNs of principals of other accounts, and of further ones, that may use the key."
  type        = set(string)
}

variable "session_seconds" {
  description = "How long the credentials of CircleCI's jobs last."
  type        = number
}

variable "warehouse_secrets" {
  description = "ARNs of the secrets that training reads."
  type        = set(string)
}

variable "network" {
  description = "The VPC of jobs and endpoints; null: none."
  type = object({
    cidr     = string
    zones    = number
    isolated = bool
  })
  default = null
}

variable "subscribers" {
  description = "E-mail addresses that are told."
  type        = set(string)
}

variable "budget" {
  description = "USD a month after which somebody is told; null: no budget."
  type        = number
}

variable "noncurrent_days" {
  description = "Days until replaced and deleted versions of objects go; null: never."
  type        = number
}

variable "log_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "erasable" {
  description = "Whether `terraform destroy` also deletes what is in the bucket."
  type        = bool
}
