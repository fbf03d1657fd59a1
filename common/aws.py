"""Clients of AWS, built once each, and AWS's own errors in words that say what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from common.errors import AwsError
from common.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient

# botocore's default ("legacy") retries a failing call for up to half a minute and waits a minute for a connection.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=70)


@dataclass(frozen=True)
class Aws:
    """The AWS account and region that a command works in."""

    settings: Settings

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(region_name=self.settings.region)

    @cached_property
    def s3(self) -> S3Client:
        return self._session.client("s3", config=_CONFIG)

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        return self._session.client("sagemaker", config=_CONFIG)

    @cached_property
    def runtime(self) -> SageMakerRuntimeClient:
        return self._session.client("sagemaker-runtime", config=_CONFIG)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self._session.client("logs", config=_CONFIG)

    @cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return self._session.client("cloudwatch", config=_CONFIG)

    @cached_property
    def sns(self) -> SNSClient:
        return self._session.client("sns", config=_CONFIG)

    @cached_property
    def events(self) -> EventBridgeClient:
        return self._session.client("events", config=_CONFIG)

    @cached_property
    def autoscaling(self) -> ApplicationAutoScalingClient:
        return self._session.client("application-autoscaling", config=_CONFIG)

    @cached_property
    def sts(self) -> STSClient:
        return self._session.client("sts", config=_CONFIG)


_MISSING = {"ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "404"}
_MISSING_IN_WORDS = ("could not find", "does not exist", "not found")


def error_code(error: ClientError) -> str:
    """The code of AWS's answer, e.g. `ResourceNotFound`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def says(error: ClientError, *phrases: str) -> bool:
    """Whether AWS's code or message contains one of the phrases; SageMaker reuses `ValidationException` for many things."""
    text = f"{error_code(error)} {error.response.get('Error', {}).get('Message', '')}".lower()
    return any(phrase.lower() in text for phrase in phrases)


def is_missing(error: ClientError) -> bool:
    """Whether the answer means that the thing asked for does not exist."""
    code = error_code(error)
    # The wording counts in SageMaker's own refusals only: elsewhere account ids and keys may spell anything.
    return code in _MISSING or (code.startswith("Validation") and says(error, *_MISSING_IN_WORDS))


_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_INVALID = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
            "InvalidIdentityToken", "IncompleteSignature"}  # fmt: skip
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}


def explain(error: ClientError | BotoCoreError | Boto3Error) -> AwsError:
    """AWS's error as one of ours: what was asked, what AWS said, and the usual remedy."""
    if isinstance(error, ClientError):
        return _explain_answer(error)
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if isinstance(error, NoCredentialsError):
        return AwsError(
            "No AWS credentials were found.",
            "In CircleCI: give the job a context with AWS_ROLE_ARN, so that the OIDC step runs. "
            "On your machine: `aws sso login`, or `./models local up --detach` for the AWS on this machine.",
        )
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError | ReadTimeoutError):
        return AwsError(
            f"AWS did not answer: {error}",
            f"AWS_ENDPOINT_URL is {endpoint}: start the local AWS with `./models local up --detach`, or unset it."
            if endpoint
            else "Check the network, the region and any proxy; then run the command again, it continues where it stopped.",
        )
    return AwsError(f"AWS could not be called: {error}", "Check credentials, region and AWS_* variables.")


def _explain_answer(error: ClientError) -> AwsError:
    code = error_code(error)
    message = error.response.get("Error", {}).get("Message", "")
    what = f"AWS refused {error.operation_name}: {code}: {message}"
    if code in _EXPIRED:
        return AwsError(what, "The credentials have expired. Log in again; in CircleCI, rerun the job.")
    if code in _INVALID:
        return AwsError(what, "AWS does not know these credentials. Check AWS_* variables, profile and region.")
    if code in _DENIED and error.operation_name == "AssumeRoleWithWebIdentity":
        return AwsError(
            what,
            "AWS_ROLE_ARN names a role that does not exist, or whose trust policy does not admit this organisation, "
            "project and branch; see docs/circleci.md, «Connecting a project».",
        )
    if code in _DENIED:
        return AwsError(
            what, f"The role of this job needs permission for {error.operation_name}; see README, «Permissions»."
        )
    if code == "NoSuchBucket":
        return AwsError(what, "Check SAGEMAKER_BUCKET: the bucket has to exist in this account and region.")
    if code in {"ThrottlingException", "Throttling", "SlowDown"}:
        return AwsError(what, "AWS throttled the account. Run the command again, it continues where it stopped.")
    if code == "ResourceLimitExceeded":
        return AwsError(
            what,
            "Ask for a higher quota (AWS console, Service Quotas, Amazon SageMaker), or declare another instance type. "
            "The same command then continues where it stopped.",
        )
    return AwsError(
        what, "If the message does not help, run the command again with AWS's documentation of this call at hand."
    )


@contextmanager
def explained() -> Iterator[None]:
    """Turn AWS's errors inside into `AwsError`."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise explain(error) from error
