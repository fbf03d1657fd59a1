"""What is said of a name that AWS does not know, by planted faults."""

import pytest

from tests.permissions import iam_simulate, names
from tests.permissions.requests import Document

OBJECTS = "arn:aws:s3:::bucket/model/*"


def statement(effect: str, action: str | list[str], resource: str, condition: dict[str, dict[str, str]]) -> Document:
    one = {"Effect": effect, "Action": action, "Resource": resource, "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [one]}


@pytest.fixture(scope="session")
def known() -> tuple[dict[str, iam_simulate.Service], frozenset[str]]:
    iam_simulate.require()
    return iam_simulate.known({"s3", "sagemaker", "nowhere"})


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (statement("Allow", "s3:GetObjects", OBJECTS, {}), "s3:GetObjects is no action."),
        (statement("Allow", "nowhere:Get*", "*", {}), "nowhere:Get* is no action."),
        (statement("Allow", ["s3:GetObject", "s3:ListBucket"], OBJECTS, {}), f"s3:ListBucket has no resource like {OBJECTS}."),
        (statement("Deny", "s3:List*", "arn:aws:sqs:::x", {}), "arn:aws:sqs:::x is a resource of none of"),
        (
            statement("Allow", ["s3:PutObject", "s3:GetObject"], OBJECTS, {"StringEquals": {"s3:x-amz-acl": "private"}}),
            "s3:x-amz-acl comes with no request of s3:GetObject.",
        ),
        (
            statement("Deny", "s3:*", OBJECTS, {"Bool": {"aws:SecureTransprt": "false"}}),
            "aws:SecureTransprt comes with no request of",
        ),
    ],
)  # fmt: skip
def test_a_name_that_aws_does_not_know_is_found(
    document: Document, fault: str, known: tuple[dict[str, iam_simulate.Service], frozenset[str]]
) -> None:
    assert [found[: len(fault)] for found in names.faults(document, *known)] == [fault]


@pytest.mark.parametrize(
    "document",
    [
        statement("Allow", "s3:GetObject", OBJECTS, {"StringEquals": {"aws:PrincipalTag/model": "abalone"}}),
        statement("Allow", "s3:ListBucket", "arn:aws:s3:::bucket", {"StringLike": {"s3:prefix": "model/*"}}),
        statement("Deny", "s3:*", OBJECTS, {"Bool": {"aws:SecureTransport": "false"}}),
        statement("Deny", ["s3:PutObject", "s3:GetObject"], OBJECTS, {"Null": {"s3:x-amz-acl": "false"}}),
        statement(
            "Allow",
            "sagemaker:CreateModelPackage",
            "arn:aws:sagemaker:eu-west-1:222222222222:model-package/abalone/*",
            {"StringEquals": {"sagemaker:ModelApprovalStatus": "Rejected"}},
        ),
    ],
)
def test_names_that_aws_knows_pass(
    document: Document, known: tuple[dict[str, iam_simulate.Service], frozenset[str]]
) -> None:
    assert names.faults(document, *known) == []


@pytest.mark.parametrize(
    ("resource", "kind", "can"),
    [
        ("arn:aws:s3:::bucket", "arn:${Partition}:s3:::${BucketName}", True),
        ("arn:aws:s3:::bucket/*", "arn:${Partition}:s3:::${BucketName}", False),
        ("arn:aws:s3:::*", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", True),
        ("arn:aws:sagemaker:*:1:model/a-*", "arn:${Partition}:sagemaker:${Region}:${Account}:model/${ModelName}", True),
        ("arn:aws:sagemaker:*:1:model-package/a", "arn:${Partition}:sagemaker:${Region}:${Account}:model/${ModelName}", False),
        ("arn:aws:s3:::bucket/*", "arn:${Partition}:sagemaker:${Region}:${Account}:model/${ModelName}", False),
    ],
)  # fmt: skip
def test_a_resource_is_of_a_kind(resource: str, kind: str, can: bool) -> None:
    assert names.overlap(resource, kind) is can
