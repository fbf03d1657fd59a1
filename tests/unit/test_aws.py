"""AWS's answers are told apart by code and wording, and explained with a remedy."""

import pytest
from botocore.exceptions import ClientError

from common.aws import explain, is_missing


def answer(code: str, message: str, operation: str = "DescribeEndpoint") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", 'Could not find endpoint "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/abalone".'),
        ("ValidationException", "Requested resource not found."),
        ("ValidationException", "ModelPackage arn:aws:sagemaker:…:model-package/abalone/1 does not exist."),
        ("ValidationError", "Endpoint abalone of account 123456789012 not found."),
        ("ResourceNotFound", "No such thing."),
        ("ResourceNotFoundException", "The specified log group does not exist."),
        ("NoSuchKey", "The specified key does not exist."),
        ("404", "Not Found"),
    ],
)
def test_a_missing_thing_is_recognised(code: str, message: str) -> None:
    assert is_missing(answer(code, message))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "AccessDeniedException",
            "User: arn:aws:sts::404123456789:assumed-role/deploy is not authorized to perform: …",
        ),
        ("AccessDenied", 'not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/abalone/data/9404ab"'),
        ("NoSuchBucket", "The specified bucket does not exist"),
        ("ThrottlingException", "Rate exceeded"),
        (
            "ValidationException",
            'Cannot update in-progress endpoint "arn:aws:sagemaker:eu-west-1:404:endpoint/abalone".',
        ),
    ],
)
def test_a_refusal_is_not_taken_for_a_missing_thing(code: str, message: str) -> None:
    assert not is_missing(answer(code, message))


@pytest.mark.parametrize(
    ("code", "operation", "remedy"),
    [
        ("ResourceLimitExceeded", "CreateTrainingJob", "Service Quotas"),
        ("AccessDenied", "AssumeRoleWithWebIdentity", "trust policy"),
        ("AccessDeniedException", "CreateModel", "needs permission for CreateModel"),
        ("ExpiredTokenException", "AssumeRoleWithWebIdentity", "rerun the job"),
        ("NoSuchBucket", "GetObject", "SAGEMAKER_BUCKET"),
        ("ThrottlingException", "DescribeModel", "Run the command again"),
    ],
)
def test_what_a_person_can_do_is_said(code: str, operation: str, remedy: str) -> None:
    assert remedy in explain(answer(code, "…", operation)).remedy
