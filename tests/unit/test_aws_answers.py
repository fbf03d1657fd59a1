"""Answers that AWS gives and that are rare on a quiet machine, played to the code that has to bear them."""

from datetime import UTC, datetime
from typing import Any, Literal

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from common.aws import Aws
from common.model import Model
from common.registry import PENDING, Package, Registry
from common.settings import Run, Settings
from common.training.job import LOG_GROUP, JobLog

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/rings/1"


def stubbed(service: Literal["sagemaker", "logs"]) -> tuple[Aws, Stubber]:
    """An account whose client of that service answers as it is told."""
    client: Any = boto3.client(service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    aws = Aws(Settings("eu-west-1", "models", "arn:aws:iam::123456789012:role/jobs"))
    vars(aws)[service] = client
    stubber = Stubber(client)
    stubber.activate()
    return aws, stubber


def registry(aws: Aws) -> Registry:
    return Registry(aws, Model("rings", "Rings.", "rings", "regression"))


def test_a_package_that_serves_and_was_deleted_is_none() -> None:
    aws, sagemaker = stubbed("sagemaker")
    sagemaker.add_client_error(
        "describe_model_package", "ValidationException", f"ModelPackage {ARN} does not exist.", http_status_code=400
    )
    assert registry(aws).serving(ARN) is None
    assert registry(aws).serving("") is None


def test_a_package_that_may_not_be_described_is_not_taken_for_a_deleted_one() -> None:
    aws, sagemaker = stubbed("sagemaker")
    sagemaker.add_client_error("describe_model_package", "AccessDeniedException", "404 is not authorized")
    with pytest.raises(ClientError, match="not authorized"):
        registry(aws).serving(ARN)


def test_who_clicked_approves_and_not_who_pushed() -> None:
    aws, sagemaker = stubbed("sagemaker")
    updates: list[dict[str, Any]] = []
    aws.sagemaker.meta.events.register(
        "before-parameter-build.sagemaker.UpdateModelPackage", lambda params, **_: updates.append(dict(params))
    )
    sagemaker.add_response("list_model_packages", {"ModelPackageSummaryList": []})  # whether another claims the same
    sagemaker.add_response("update_model_package", {"ModelPackageArn": ARN})
    package = Package(ARN, 1, PENDING, datetime.now(UTC), "image", "s3://models/model.tar.gz")
    sagemaker.add_client_error("describe_model_package", "AccessDeniedException", "and now it is known")
    with pytest.raises(ClientError, match="it is known"):
        registry(aws).approve(package, Run("pusher", url="https://circle/7", actor="clicker"))
    assert updates[0]["CustomerMetadataProperties"]["approved_by"] == "CircleCI user clicker"
    assert "pusher" not in str(updates)


def test_a_log_is_read_past_pages_without_streams_and_lines() -> None:
    aws, logs = stubbed("logs")
    logs.add_response("describe_log_streams", {"logStreams": [], "nextToken": "more"})  # of many instances
    logs.add_response("describe_log_streams", {"logStreams": [{"logStreamName": "job/algo-1"}]})
    where: dict[str, Any] = {"logGroupName": LOG_GROUP, "logStreamName": "job/algo-1", "startFromHead": True}
    asked = where
    for token, lines in (("t1", ["a"]), ("t2", []), ("t3", ["b"]), ("t3", [])):
        events = [{"message": line} for line in lines]
        logs.add_response("get_log_events", {"events": events, "nextForwardToken": token}, asked)
        asked = where | {"nextToken": token}
    assert JobLog(aws, "job", LOG_GROUP).new_lines() == ["a", "b"]
