"""The server as a whole: what every request meets before, and after, its operation."""

import io
import json
import time
import urllib.request
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.accounts import REGION, Account


def refusal(call: Any, **members: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    response: dict[str, Any] = caught.value.response  # type: ignore[assignment]
    return response


def test_health_names_the_clock(aws_url: str) -> None:
    with urllib.request.urlopen(f"{aws_url}/_local/health") as answer:  # noqa: S310
        health = json.load(answer)
    assert health.pop("time") > time.time() - 60  # other tests skip time
    assert health == {"status": "ok", "url": aws_url, "time_scale": 0.01}


def test_s3_objects_round_trip(aws: Account) -> None:
    s3 = aws.client("s3")
    metadata = {"commit": "c0ffee", "data_version": "1_2"}
    s3.put_object(Bucket=aws.bucket, Key="a/b", Body=b"x" * 100_000, Metadata=metadata)
    head = s3.head_object(Bucket=aws.bucket, Key="a/b")
    assert (head["ContentLength"], head["Metadata"]) == (100_000, metadata)
    assert s3.get_object(Bucket=aws.bucket, Key="a/b")["Body"].read() == b"x" * 100_000
    url = s3.generate_presigned_url("get_object", Params={"Bucket": aws.bucket, "Key": "a/b"})
    with urllib.request.urlopen(url) as answer:  # noqa: S310
        assert len(answer.read()) == 100_000


def test_s3_takes_the_empty_object_that_marks_a_folder(aws: Account) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=aws.bucket, Key="folder/")
    assert s3.head_object(Bucket=aws.bucket, Key="folder/")["ContentLength"] == 0


def test_s3_takes_large_objects_in_parts(aws: Account) -> None:
    s3 = aws.client("s3")
    content = b"0123456789abcdef" * (10 * 2**20 // 16)
    s3.upload_fileobj(io.BytesIO(content), aws.bucket, "large")
    assert s3.get_object(Bucket=aws.bucket, Key="large")["Body"].read() == content


@pytest.mark.parametrize("key", ["a b", "a+b", "a%2Fb", "ü/é", "a//b", "a=b&c?d#e"])
def test_s3_keys_are_kept_to_the_letter(aws: Account, key: str) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=aws.bucket, Key=key, Body=key.encode())
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=aws.bucket)["Contents"]] == [key]
    assert s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read() == key.encode()


def test_unsupported_operation_is_named_at_once(aws: Account) -> None:
    sagemaker = boto3.client("sagemaker", REGION, endpoint_url=aws.url, **aws.credentials)  # type: ignore[call-overload]
    response = refusal(sagemaker.list_notebook_instances)
    assert response["Error"]["Code"] == "UnsupportedOperation"
    assert "ListNotebookInstances" in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["ResponseMetadata"]["RetryAttempts"] == 0


def test_unsupported_runtime_operation_is_named(aws: Account) -> None:
    runtime = aws.client("sagemaker-runtime")
    response = refusal(runtime.invoke_endpoint_with_response_stream, EndpointName="e", Body=b"1")
    assert response["Error"]["Code"] == "UnsupportedOperation"
    assert "/endpoints/e/invocations-response-stream" in response["Error"]["Message"]


@pytest.mark.parametrize(
    ("service", "operation", "members"),
    [
        ("cloudwatch", "list_metric_streams", {}),
        ("events", "list_endpoints", {}),
        ("sns", "list_origination_numbers", {}),
        ("iotfleetwise", "list_fleets", {}),
    ],
)
def test_what_moto_lacks_is_a_clean_refusal(
    aws: Account, service: str, operation: str, members: dict[str, Any]
) -> None:
    response = refusal(getattr(aws.client(service), operation), **members)
    assert response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404)
    assert response["Error"]["Message"]


def test_invocation_of_a_missing_endpoint_is_a_validation_error(aws: Account) -> None:
    response = refusal(aws.client("sagemaker-runtime").invoke_endpoint, EndpointName="none", Body=b"1,2")
    assert response["Error"]["Code"] == "ValidationError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_headers_of_an_invocation_have_their_limits(aws: Account) -> None:
    invoke = aws.client("sagemaker-runtime").invoke_endpoint
    response = refusal(invoke, EndpointName="e", Body=b"", TargetModel="m" * 1025)
    assert response["Error"]["Code"] == "ValidationError"
    assert "less than or equal to 1024" in response["Error"]["Message"]


def test_every_answer_has_a_request_id(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    good = sagemaker.list_models()["ResponseMetadata"]["RequestId"]
    bad = refusal(sagemaker.describe_model, ModelName="gone")["ResponseMetadata"]["RequestId"]
    assert len(good) == len(bad) == 36
    assert good != bad


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})  # noqa: S310
    with pytest.raises(HTTPError) as caught, urllib.request.urlopen(request):  # noqa: S310
        raise AssertionError("the request was not refused")
    with caught.value as error:
        return error.code, json.load(error)


def test_unsigned_request_is_refused(aws_url: str) -> None:
    status, body = post(aws_url, b"{}", X_Amz_Target="SageMaker.ListModels")
    assert (status, body["__type"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"text"', b'{"MaxResults": NaN}'])
def test_body_that_is_no_json_object_is_refused(aws_url: str, body: bytes) -> None:
    signed = "AWS4-HMAC-SHA256 Credential=key/20261121/eu-west-1/sagemaker/aws4_request, Signature=x"
    status, answer = post(aws_url, body, X_Amz_Target="SageMaker.ListModels", Authorization=signed)
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_times_are_what_boto3_reads_as_times(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="g")
    created = sagemaker.describe_model_package_group(ModelPackageGroupName="g")["CreationTime"]
    found = sagemaker.list_model_package_groups(CreationTimeAfter=created, CreationTimeBefore=created)
    assert [each["ModelPackageGroupName"] for each in found["ModelPackageGroupSummaryList"]] == ["g"]


def test_sessions_of_a_role_are_who_they_say(aws: Account) -> None:
    identity = aws.client("sts").get_caller_identity()
    assert identity["Account"] == aws.account
    assert identity["Arn"] == f"arn:aws:sts::{aws.account}:assumed-role/Test/test"
