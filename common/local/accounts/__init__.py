"""Accounts on the local AWS as Terraform makes real ones: the same roles, keys, buckets and policies, of the same documents."""
