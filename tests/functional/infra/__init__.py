"""Tests of infra/, which Terraform applies to the local AWS."""
