"""What an account on the local AWS needs before a model can be trained: a bucket and the jobs' role."""

from typing import Final

import boto3

from common.local.daemon import Running

BUCKET = "sagemaker-models"
ROLE = "sagemaker-execution"
_REGION: Final = "eu-west-1"
_TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
  "Principal": {"Service": "sagemaker.amazonaws.com"}}]}"""


def prepare_account(running: Running) -> str:
    """Create bucket and role in the default account, and answer the shell lines that make a shell use them."""
    session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=_REGION)  # noqa: S106
    s3 = session.client("s3", endpoint_url=running.url)
    if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
    iam = session.client("iam", endpoint_url=running.url)
    roles = {role["RoleName"]: role["Arn"] for role in iam.list_roles()["Roles"]}
    if ROLE not in roles:
        roles[ROLE] = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
    return running.exports + f"export SAGEMAKER_BUCKET={BUCKET} SAGEMAKER_EXECUTION_ROLE_ARN={roles[ROLE]}"
