resource "aws_sagemaker_model_package_group" "models" {
  for_each                        = var.models
  model_package_group_name        = each.key
  model_package_group_description = each.value
  tags                            = { model = each.key }
}

# For the roles of other accounts: those of this one need no more than their own policies.
resource "aws_sagemaker_model_package_group_policy" "models" {
  for_each                 = var.registrars
  model_package_group_name = aws_sagemaker_model_package_group.models[each.key].model_package_group_name
  resource_policy = templatefile("${path.module}/../../policies/package-group.json.tftpl", {
    account    = var.account
    region     = var.region
    model      = each.key
    registrars = jsonencode(each.value)
    deployers  = jsonencode(var.deployers)
  })
}
