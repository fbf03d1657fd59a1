locals {
  # The rules of `models events`, from the same files.
  rules = { for file in fileset(local.events, "*.json") : trimsuffix(file, ".json") => jsondecode(file("${local.events}/${file}")) }
}

resource "aws_sns_topic" "models" {
  name = "models-notifications"
  # A key of our own: with the one that AWS manages EventBridge may not publish, and every message is lost.
  kms_master_key_id = aws_kms_key.models.arn
}

resource "aws_sns_topic_policy" "models" {
  arn = aws_sns_topic.models.arn
  policy = templatefile("${local.policies}/topic.json.tftpl", {
    account = var.account
    topic   = aws_sns_topic.models.arn
    rules   = jsonencode([for name in sort(keys(local.rules)) : "arn:aws:events:${var.region}:${var.account}:rule/models-${name}"])
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.subscribers
  topic_arn = aws_sns_topic.models.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_event_rule" "models" {
  for_each      = local.rules
  name          = "models-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
}

resource "aws_cloudwatch_event_target" "models" {
  for_each  = local.rules
  rule      = aws_cloudwatch_event_rule.models[each.key].name
  target_id = "topic"
  arn       = aws_sns_topic.models.arn
  input_transformer {
    input_paths    = each.value.input_paths
    input_template = each.value.input_template
  }
}

# What AWS itself could not tell: a rule that may not publish loses its events without a word.
resource "aws_cloudwatch_metric_alarm" "rule_failed" {
  for_each            = local.rules
  alarm_name          = "models-untold-${each.key}"
  alarm_description   = "EventBridge's rule models-${each.key} could not publish: somebody was not told. Look at the policies of the topic and of its key."
  namespace           = "AWS/Events"
  metric_name         = "FailedInvocations"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.models[each.key].name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.models.arn]
}

resource "aws_cloudwatch_metric_alarm" "topic_failed" {
  alarm_name          = "models-undelivered"
  alarm_description   = "The topic models-notifications could not deliver a message to one of its subscribers."
  namespace           = "AWS/SNS"
  metric_name         = "NumberOfNotificationsFailed"
  dimensions          = { TopicName = aws_sns_topic.models.name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.models.arn]
}

resource "aws_budgets_budget" "models" {
  count        = var.budget == null ? 0 : 1
  name         = "models-${var.environment}"
  budget_type  = "COST"
  limit_amount = tostring(var.budget)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.models.arn]
    }
  }
  # Budgets looks whether it may publish.
  depends_on = [aws_sns_topic_policy.models, aws_kms_key_policy.models]
}
