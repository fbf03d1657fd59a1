"""Clients of AWS, built once each, and AWS's own errors in words that say what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import boto3
import botocore.session
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.credentials import AssumeRoleWithWebIdentityCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.utils import FileWebIdentityTokenLoader

from common.denials import denial_in
from common.errors import AwsError, SettingsError
from common.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sts import STSClient

# botocore's default ("legacy") retries a failing call for up to half a minute and waits a minute for a connection.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=70)
_BOTOCORES_SECONDS = 3600


@dataclass(frozen=True)
class Aws:
    """The AWS account and region that a command works in."""

    settings: Settings

    @cached_property
    def _session(self) -> boto3.Session:
        session = botocore.session.get_session()
        if "AWS_ACCESS_KEY_ID" not in os.environ and "AWS_WEB_IDENTITY_TOKEN_FILE" in os.environ:
            _take_on_role(session, self.settings)
        return boto3.Session(region_name=self.settings.region, botocore_session=session)

    @cached_property
    def caller(self) -> str:
        """ARN of the identity that AWS sees."""
        return self.sts.get_caller_identity()["Arn"]

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
    def ecr(self) -> ECRClient:
        return self._session.client("ecr", config=_CONFIG)

    @cached_property
    def sts(self) -> STSClient:
        return self._session.client("sts", config=_CONFIG)


def _take_on_role(session: botocore.session.Session, settings: Settings) -> None:
    """Exchange CircleCI's identity for the role, for as long as the settings say; botocore itself asks for an hour only."""
    if settings.session_seconds == _BOTOCORES_SECONDS or "AWS_ROLE_ARN" not in os.environ:
        return
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=partial(session.create_client, region_name=settings.region),
        web_identity_token_loader=FileWebIdentityTokenLoader(os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        role_arn=os.environ["AWS_ROLE_ARN"],
        extra_args={
            "RoleSessionName": os.environ.get("AWS_ROLE_SESSION_NAME", "models"),
            "DurationSeconds": settings.session_seconds,
        },
    )
    held = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role-with-web-identity")
    session._credentials = held  # type: ignore[attr-defined]  # of its public ways none takes credentials that are fetched


def require_account(aws: Aws) -> None:
    """Refuse to go on with the credentials of another account than the settings name.

    Raises:
        SettingsError: they are; names the role, the environment and both accounts.
    """
    settings, caller = aws.settings, aws.caller
    account = caller.split(":")[4]
    if account == settings.account:
        return
    where = (
        f"the environment {settings.environment} is" if settings.environment else "SAGEMAKER_EXECUTION_ROLE_ARN names"
    )
    raise SettingsError(
        f"These are credentials of account {account}, and {where} account {settings.account}: sts:GetCallerIdentity "
        f"answers {caller}.",
        f"Nothing was done. {_WRONG_ACCOUNT if settings.environment else _WRONG_ROLE}",
    )


_WRONG_ACCOUNT = (
    "Check AWS_ROLE_ARN and MODELS_ENVIRONMENT of the CircleCI context (or your profile) against `terraform output contexts`. "
    "If the account has changed: the Terraform variable `accounts` (with one account `account`), then `make infra-map`."
)
_WRONG_ROLE = "Check AWS_ROLE_ARN and SAGEMAKER_EXECUTION_ROLE_ARN of the CircleCI context, or your profile."

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


_EXPIRED_REMEDY = (
    "{role} was asked to do {action} with credentials that have expired. Log in again; in CircleCI, rerun the job: it goes on "
    "where this one stopped. Where jobs take longer than their credentials last, raise the Terraform variable `session_hours`."
)
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
        return AwsError(what, _EXPIRED_REMEDY.format(role=_own_role(), action=error.operation_name))
    if code in _INVALID:
        return AwsError(what, "AWS does not know these credentials. Check AWS_* variables, profile and region.")
    if code in _DENIED and error.operation_name == "AssumeRoleWithWebIdentity":
        return AwsError(
            f"{what} ({_own_role()})",
            "AWS_ROLE_ARN names a role that does not exist, or whose trust policy does not admit this organisation, "
            "project, branch or user to sts:AssumeRoleWithWebIdentity: the Terraform variable `circleci` says which it "
            "does; see docs/circleci.md, «Connecting a project».",
        )
    if denial := denial_in(message):
        return AwsError(what, denial.remedy)
    if code in _DENIED:
        return AwsError(
            what,
            f"{_own_role()} needs permission for {error.operation_name}: docs/permissions.md says who may do what. Check the "
            "Terraform variables `models` and `accounts`.",
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


def _own_role() -> str:
    """The role that the job was to take on, in words."""
    arn = os.environ.get("AWS_ROLE_ARN", "")
    return f"The role {arn.rpartition('/')[2]} ({arn})" if arn else "The identity of your credentials"


@contextmanager
def explained() -> Iterator[None]:
    """Turn AWS's errors inside into `AwsError`."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise explain(error) from error
