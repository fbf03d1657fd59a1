output "backend" {
  description = "What backend.hcl beside an example's main.tf says."
  value       = <<-HCL
    bucket       = "${aws_s3_bucket.state.id}"
    key          = "models/terraform.tfstate"
    region       = "${var.region}"
    kms_key_id   = "${aws_kms_key.state.arn}"
    encrypt      = true
    use_lockfile = true
  HCL
}
