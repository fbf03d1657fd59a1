# One key for all that the project keeps in this account: objects, volumes and outputs of jobs, captured calls, logs, messages.
resource "aws_kms_key" "models" {
  description             = "Models of ${var.environment}: objects, volumes, logs and notifications"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_key_policy" "models" {
  key_id = aws_kms_key.models.key_id
  policy = templatefile("${local.policies}/key.json.tftpl", {
    account = var.account
    region  = var.region
    users   = jsonencode(length(var.key_users) > 0 ? sort(var.key_users) : [local.root])
  })
}

resource "aws_kms_alias" "models" {
  name          = "alias/${local.bucket}"
  target_key_id = aws_kms_key.models.key_id
}
