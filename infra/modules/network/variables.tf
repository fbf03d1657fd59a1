variable "environment" {
  description = "Name of the environment, for tags."
  type        = string
}

variable "region" {
  description = "Region of the provider, in which the VPC endpoints' services are."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC, e.g. 10.40.0.0/20; eight subnets of equal size fit into it."
  type        = string
}

variable "zones" {
  description = "In how many availability zones there is a subnet."
  type        = number
}

variable "secrets" {
  description = "Whether jobs read secrets of Secrets Manager."
  type        = bool
}
