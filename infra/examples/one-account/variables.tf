variable "account" {
  description = "Id of the account."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account is the 12 digits of an AWS account."
  }
}

variable "region" {
  description = "Region of everything that is made."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is one of AWS's, such as eu-west-1."
  }
}

variable "name" {
  description = "What the names of the buckets begin with, e.g. acme-models; with the environment's name it has to be unique in the world."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,40}[a-z0-9]$", var.name))
    error_message = "name has 3 to 42 lower-case letters, digits and hyphens: bucket names are made from it."
  }
}

variable "models" {
  description = "The models of the repository: name => description, as in the package groups."
  type        = map(string)
  validation {
    condition     = alltrue([for name in keys(var.models) : can(regex("^[a-z][a-z0-9]{0,23}$", name))])
    error_message = "The name of a model has 1 to 24 lower-case letters and digits, a letter first, as MODEL in its folder says."
  }
}

variable "shared_endpoints" {
  description = "Names of the endpoints that several models share, as deploy.py declares them."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for name in var.shared_endpoints : can(regex("^[a-z][a-z0-9]{0,23}$", name))])
    error_message = "The name of a shared endpoint has 1 to 24 lower-case letters and digits, a letter first."
  }
  validation {
    condition     = length(setintersection(var.shared_endpoints, keys(var.models))) == 0
    error_message = "A shared endpoint cannot have the name of a model."
  }
}

variable "circleci" {
  description = "Who may take on the roles: ids of CircleCI's organisation, project and approving users, and the repository, e.g. github.com/acme/models."
  type = object({
    organisation = string
    project      = string
    repository   = string
    approvers    = set(string)
  })
  validation {
    condition = alltrue([
      for id in concat([var.circleci.organisation, var.circleci.project], tolist(var.circleci.approvers)) :
      can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))
    ])
    error_message = "organisation, project and approvers are CircleCI's ids (lower-case UUIDs), not names: see docs/infra.md."
  }
  validation {
    condition     = length(var.circleci.approvers) > 0
    error_message = "Without approvers nobody could approve a package."
  }
  validation {
    condition     = can(regex("^[a-z0-9.-]+/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.circleci.repository))
    error_message = "repository is host/owner/name without https:// and .git, e.g. github.com/acme/models."
  }
}

variable "network" {
  description = "A VPC for jobs and endpoints; null: they run in SageMaker's own network. isolated: their containers reach no network at all."
  type = object({
    cidr     = optional(string, "10.40.0.0/20")
    zones    = optional(number, 2)
    isolated = optional(bool, false)
  })
  default = null
  validation {
    condition     = var.network == null ? true : can(cidrsubnet(var.network.cidr, 3, 7)) && tonumber(split("/", var.network.cidr)[1]) <= 24
    error_message = "cidr is a network of at least 256 addresses, e.g. 10.40.0.0/20."
  }
  validation {
    condition     = var.network == null ? true : var.network.zones >= 2 && var.network.zones <= 6 && floor(var.network.zones) == var.network.zones
    error_message = "zones is a whole number from 2 to 6: an endpoint of two instances needs two."
  }
}

variable "on_call" {
  description = "ARNs of roles or users of people who may take on models-on-call where models serve; none: there is no such role."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.on_call : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "on_call are ARNs of roles or users."
  }
}

variable "key_users" {
  description = "ARNs of further roles that may use the keys to read and write, e.g. of a data lake's writers or of people."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.key_users : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "key_users are ARNs of roles or users."
  }
}

variable "subscribers" {
  description = "E-mail addresses that are told what fails, is approved and is deployed; each has to confirm once."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.subscribers : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", address))])
    error_message = "subscribers are e-mail addresses."
  }
}

variable "budget" {
  description = "USD a month that an account may cost: at 80 % of it, and when AWS foresees more than it, somebody is told. null: no budget."
  type        = number
  default     = null
  validation {
    condition     = var.budget == null ? true : var.budget > 0
    error_message = "budget is a number of USD above 0."
  }
}

variable "session_hours" {
  description = "How long the credentials of a job of CircleCI last. A job that takes longer fails; rerun, it goes on where it was."
  type        = number
  default     = 4
  validation {
    condition     = var.session_hours >= 1 && var.session_hours <= 12 && floor(var.session_hours) == var.session_hours
    error_message = "session_hours is a whole number from 1 to 12: IAM allows no more."
  }
}

variable "warehouse_secrets" {
  description = "ARNs of the secrets in Secrets Manager that gather_data.py reads, such as a warehouse's password."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.warehouse_secrets : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$", arn))])
    error_message = "warehouse_secrets are ARNs of secrets: arn:aws:secretsmanager:…"
  }
}

variable "noncurrent_days" {
  description = "Days until replaced and deleted versions of objects go for good; null: they stay."
  type        = number
  default     = 90
  validation {
    condition     = var.noncurrent_days == null ? true : var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days is a whole number of days, or null."
  }
}

variable "log_days" {
  description = "Days that the logs of jobs and endpoints are kept."
  type        = number
  default     = 90
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch keeps logs 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 days, or 3, 5, 6, 7, 8, 9 or 10 years in days."
  }
}

variable "erasable" {
  description = "Whether `terraform destroy` also deletes the data, packages and reports in the buckets."
  type        = bool
  default     = false
}
