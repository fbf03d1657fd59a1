output "subnets" {
  description = "Ids of the private subnets."
  value       = aws_subnet.private[*].id
}

output "security_group" {
  description = "Id of the security group of jobs and endpoints."
  value       = aws_security_group.jobs.id
}
