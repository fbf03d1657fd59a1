"""What an account on the local AWS needs before a model can be trained, and what its CircleCI project would hold."""

from collections.abc import Mapping
from typing import Final

import boto3

from common.local.daemon import Running

ACCOUNT: Final = "123456789012"
"""The account that any access key belongs to which no role has given out."""
BUCKET = "sagemaker-models"
ROLE = "sagemaker-execution"
TOPIC = "models-notifications"
_REGION: Final = "eu-west-1"
_TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
  "Principal": {"Service": "sagemaker.amazonaws.com"}}]}"""


def prepare_account(running: Running) -> str:
    """Create bucket, role and topic in the default account, and answer the shell lines that make a shell use them."""
    session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=_REGION)  # noqa: S106
    s3 = session.client("s3", endpoint_url=running.url)
    if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
    iam = session.client("iam", endpoint_url=running.url)
    if ROLE not in [role["RoleName"] for role in iam.list_roles()["Roles"]]:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_TRUST)
    session.client("sns", endpoint_url=running.url).create_topic(Name=TOPIC)  # as it is, where there is one
    return running.exports + "".join(f"export {name}={value}\n" for name, value in _where().items())


def contexts(running: Running) -> Mapping[str, Mapping[str, str]]:
    """The CircleCI contexts of a project that works in the default account: where it works, and which role it takes on."""
    shared = _where() | {
        "AWS_ENDPOINT_URL": running.url,
        "AWS_REGION": _REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {
        name: shared | {"AWS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/circleci-{name}"}
        for name in ("train", "approve", "deploy", "operate")
    }


def _where() -> dict[str, str]:
    return {
        "SAGEMAKER_BUCKET": BUCKET,
        "SAGEMAKER_EXECUTION_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
        "NOTIFY_TOPIC_ARN": f"arn:aws:sns:{_REGION}:{ACCOUNT}:{TOPIC}",
    }
