resource "aws_s3_bucket" "models" {
  bucket        = local.bucket
  force_destroy = var.erasable
}

resource "aws_s3_bucket_versioning" "models" {
  bucket = aws_s3_bucket.models.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "models" {
  bucket = aws_s3_bucket.models.id
  rule {
    # One request to KMS for many objects, instead of one for each.
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.models.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "models" {
  bucket                  = aws_s3_bucket.models.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "models" {
  bucket = aws_s3_bucket.models.id
  rule {
    # What another account writes belongs to this one; there are no ACLs.
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "models" {
  count  = var.noncurrent_days == null ? 0 : 1
  bucket = aws_s3_bucket.models.id
  rule {
    id     = "replaced-and-deleted"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.models]
}

resource "aws_s3_bucket_policy" "models" {
  bucket = aws_s3_bucket.models.id
  policy = templatefile("${local.policies}/${length(var.sharing.deploy_accounts) > 0 ? "packages-bucket" : "bucket"}.json.tftpl", {
    bucket          = local.bucket
    key             = aws_kms_key.models.arn
    train_accounts  = local.roots.train_accounts
    deploy_accounts = local.roots.deploy_accounts
  })
  # S3 refuses a policy while it changes what the bucket blocks.
  depends_on = [aws_s3_bucket_public_access_block.models]
}
