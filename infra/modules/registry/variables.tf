variable "models" {
  description = "The models, by name: each has a package group of that name."
  type        = map(string)
}

variable "account" {
  description = "Id of the account in which packages are registered."
  type        = string
}

variable "region" {
  description = "Its region."
  type        = string
}

variable "registrars" {
  description = "By model, ARNs of the roles of other accounts that register its packages; empty where this account does it all."
  type        = map(list(string))
  default     = {}
}

variable "deployers" {
  description = "ARNs of the roles of other accounts that deploy packages and make models of them."
  type        = list(string)
  default     = []
}
