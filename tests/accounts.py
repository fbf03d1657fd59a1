"""An account of the local AWS as tests use it."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import boto3
from botocore.config import Config

REGION = "eu-west-1"


@dataclass(frozen=True)
class Account:
    """An account of the local AWS, and everything that a test or a process that it starts needs to use it."""

    url: str
    account: str
    region: str = REGION

    @property
    def role(self) -> str:
        """ARN of the execution role."""
        return f"arn:aws:iam::{self.account}:role/SageMakerExecution"

    @property
    def bucket(self) -> str:
        return f"models-{self.account}"

    @cached_property
    def credentials(self) -> dict[str, str]:
        """Access keys of the account, by the names that boto3's constructors take."""
        sts = _client(self.url, "sts", "local", "local", "")
        given = sts.assume_role(RoleArn=f"arn:aws:iam::{self.account}:role/Test", RoleSessionName="test")["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def session(self) -> boto3.Session:
        """A boto3 session of the account. Its clients need `endpoint_url=aws.url`, or `aws.env` in the environment."""
        key, secret, token = self.credentials.values()
        return boto3.Session(key, secret, token, self.region)

    def client(self, service: str) -> Any:
        """A boto3 client that does not retry, so that a failing test fails at once."""
        return _client(self.url, service, *self.credentials.values())

    @property
    def env(self) -> dict[str, str]:
        """The environment variables by which a process of its own finds this account."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            **{name.upper(): value for name, value in self.credentials.items()},
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAGEMAKER_BUCKET": self.bucket,
            "SAGEMAKER_EXECUTION_ROLE_ARN": self.role,
        }


def client_of(url: str, service: str, credentials: dict[str, Any] | None) -> Any:
    """A client with keys as STS answers them; None stands for a caller without any."""
    given = credentials or {"AccessKeyId": "none", "SecretAccessKey": "none", "SessionToken": ""}
    return _client(url, service, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


@cache
def _client(url: str, service: str, key: str, secret: str, token: str) -> Any:
    """Building a client takes some 20 ms."""
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token or None,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=50),
    )
