# Private subnets without a way to the internet: what jobs and endpoints need of AWS comes through the VPC endpoints below.
locals {
  interfaces = concat(
    ["sagemaker.api", "sagemaker.runtime", "logs", "monitoring", "ecr.api", "ecr.dkr", "sts", "kms"],
    var.secrets ? ["secretsmanager"] : [],
  )
  tags = { Name = "models-${var.environment}" }
}

data "aws_availability_zones" "available" {
  state = "available"
  # Without local zones, in which there is no SageMaker.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "models" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = local.tags
}

resource "aws_subnet" "private" {
  count             = var.zones
  vpc_id            = aws_vpc.models.id
  cidr_block        = cidrsubnet(var.cidr, 3, count.index)
  availability_zone = data.aws_availability_zones.available.names[count.index]
  tags              = local.tags
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.models.id
  tags   = local.tags
}

resource "aws_route_table_association" "private" {
  count          = var.zones
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "jobs" {
  name        = "models-jobs"
  description = "Jobs and endpoints: each other, S3 and the VPC endpoints, and nothing else"
  vpc_id      = aws_vpc.models.id
  tags        = local.tags
}

resource "aws_security_group" "endpoints" {
  name        = "models-vpc-endpoints"
  description = "VPC endpoints: HTTPS from jobs and endpoints"
  vpc_id      = aws_vpc.models.id
  tags        = local.tags
}

# The instances of one job talk to each other.
resource "aws_vpc_security_group_ingress_rule" "jobs_themselves" {
  security_group_id            = aws_security_group.jobs.id
  referenced_security_group_id = aws_security_group.jobs.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "jobs_themselves" {
  security_group_id            = aws_security_group.jobs.id
  referenced_security_group_id = aws_security_group.jobs.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_endpoints" {
  security_group_id            = aws_security_group.jobs.id
  referenced_security_group_id = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_s3" {
  security_group_id = aws_security_group.jobs.id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_from_jobs" {
  security_group_id            = aws_security_group.endpoints.id
  referenced_security_group_id = aws_security_group.jobs.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# Images of SageMaker's own containers lie in S3 buckets of AWS's: roles and bucket policies say what may be read, not this.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.models.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  tags              = local.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each            = toset(local.interfaces)
  vpc_id              = aws_vpc.models.id
  service_name        = "com.amazonaws.${var.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = local.tags
}
