locals {
  job_logs = setunion(
    local.trains ? ["TrainingJobs", "ProcessingJobs"] : [],
    local.serves ? ["ProcessingJobs", "TransformJobs"] : [],
    [for name in local.served : "Endpoints/${name}" if local.serves],
  )
}

# SageMaker would make these groups itself, without a key and for ever.
resource "aws_cloudwatch_log_group" "sagemaker" {
  for_each          = local.job_logs
  name              = "/aws/sagemaker/${each.value}"
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.models.arn
  # CloudWatch tries the key when it makes a group.
  depends_on = [aws_kms_key_policy.models]
}
