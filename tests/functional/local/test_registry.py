"""Model package groups and packages, as boto3 sees them."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"


@pytest.fixture
def artifact(aws: Account) -> str:
    aws.client("s3").put_object(Bucket=aws.bucket, Key="m/model.tar.gz", Body=b"a model")
    return f"s3://{aws.bucket}/m/model.tar.gz"


@pytest.fixture
def group(aws: Account) -> str:
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="abalone")
    return "abalone"


def specification(artifact: str) -> dict[str, Any]:
    return {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": artifact}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }


def register(aws: Account, artifact: str, **members: Any) -> str:
    members = {"ModelPackageGroupName": "abalone", **members}
    created = aws.client("sagemaker").create_model_package(InferenceSpecification=specification(artifact), **members)
    arn: str = created["ModelPackageArn"]
    return arn


def refusal(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_group_is_described_by_name_and_by_arn(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    arn = sagemaker.create_model_package_group(
        ModelPackageGroupName="abalone", ModelPackageGroupDescription="Rings", Tags=[{"Key": "team", "Value": "sea"}]
    )["ModelPackageGroupArn"]
    for name in ("abalone", arn):
        described = sagemaker.describe_model_package_group(ModelPackageGroupName=name)
        assert described["ModelPackageGroupArn"] == arn
        assert described["ModelPackageGroupDescription"] == "Rings"
        assert described["ModelPackageGroupStatus"] == "Completed"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "sea"}]


def test_group_cannot_be_created_twice(aws: Account, group: str) -> None:
    code, message = refusal(aws.client("sagemaker").create_model_package_group, ModelPackageGroupName=group)
    assert code == "ValidationException"
    assert message.startswith("Model Package Group already exists: arn:aws:sagemaker:eu-west-1:")


def test_group_with_packages_cannot_be_deleted(aws: Account, group: str, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arn = register(aws, artifact)
    assert refusal(sagemaker.delete_model_package_group, ModelPackageGroupName=group)[0] == "ConflictException"
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    code, message = refusal(sagemaker.describe_model_package_group, ModelPackageGroupName=group)
    assert (code, message.endswith("does not exist.")) == ("ValidationException", True)


def test_listing_or_creating_in_a_missing_group_is_an_error(aws: Account, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    missing = f"ModelPackageGroup arn:aws:sagemaker:eu-west-1:{aws.account}:model-package-group/abalone does not exist."
    expected = ("ValidationException", missing)
    assert refusal(sagemaker.list_model_packages, ModelPackageGroupName="abalone") == expected
    create = sagemaker.create_model_package
    assert refusal(create, ModelPackageGroupName="abalone", InferenceSpecification=specification(artifact)) == expected


def test_package_keeps_everything_it_was_registered_with(aws: Account, group: str, artifact: str) -> None:
    quality = {"ContentType": "application/json", "S3Uri": f"s3://{aws.bucket}/evaluation.json"}
    members = {
        "ModelPackageDescription": "rings",
        "CustomerMetadataProperties": {"source": "abc", "data": "def"},
        "MetadataProperties": {"CommitId": "c0ffee"},
        "ModelMetrics": {"ModelQuality": {"Statistics": quality}},
        "DriftCheckBaselines": {"ModelQuality": {"Statistics": quality}},
    }
    arn = register(aws, artifact, **members)
    described = aws.client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert {name: described[name] for name in members} == members
    assert described["InferenceSpecification"] == specification(artifact)
    assert described["ModelPackageGroupName"] == group
    assert described["ModelPackageVersion"] == 1
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelPackageStatusDetails"] == {"ValidationStatuses": [], "ImageScanStatuses": []}


def test_version_numbers_are_never_reused(aws: Account, group: str, artifact: str) -> None:
    arns = [register(aws, artifact) for _ in range(2)]
    aws.client("sagemaker").delete_model_package(ModelPackageName=arns[1])
    assert register(aws, artifact).endswith(f"/{group}/3")
    code, message = refusal(aws.client("sagemaker").describe_model_package, ModelPackageName=arns[1])
    assert (code, message) == ("ValidationException", f"ModelPackage {arns[1]} does not exist.")


def test_same_client_token_registers_once(aws: Account, group: str, artifact: str) -> None:
    token = str(uuid.uuid4())
    first = register(aws, artifact, ClientToken=token)
    assert register(aws, artifact, ClientToken=token) == first
    code, _ = refusal(lambda: register(aws, artifact, ClientToken=token, ModelPackageDescription="another"))
    assert code == "ConflictException"


def test_package_without_its_artifact_is_refused(aws: Account, group: str) -> None:
    code, message = refusal(lambda: register(aws, f"s3://{aws.bucket}/missing.tar.gz"))
    assert (code, message) == ("ValidationException", f"Could not find model data at s3://{aws.bucket}/missing.tar.gz.")
    assert refusal(lambda: register(aws, "s3://no-such-bucket/m.tar.gz"))[0] == "ValidationException"


def test_versioned_package_takes_no_tags_of_its_own(aws: Account, group: str, artifact: str) -> None:
    code, message = refusal(lambda: register(aws, artifact, Tags=[{"Key": "a", "Value": "b"}]))
    assert code == "ValidationException"
    assert "group" in message


def test_package_of_its_own_name_is_found_by_name(aws: Account, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    create = sagemaker.create_model_package
    arn = create(ModelPackageName="alone", InferenceSpecification=specification(artifact))["ModelPackageArn"]
    for name in ("alone", arn):
        described = sagemaker.describe_model_package(ModelPackageName=name)
        assert described["ModelPackageName"] == "alone"
        assert "ModelPackageVersion" not in described
    code, _ = refusal(create, ModelPackageName="alone", InferenceSpecification=specification(artifact))
    assert code == "ConflictException"
    assert [each["ModelPackageArn"] for each in sagemaker.list_model_packages()["ModelPackageSummaryList"]] == [arn]


def test_approval_keeps_the_metadata_and_merges_what_comes_with_it(aws: Account, group: str, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arn = register(aws, artifact, CustomerMetadataProperties={"source": "abc", "branch": "x", "gone": "y"})
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="by Ada",
        CustomerMetadataProperties={"approver": "ada", "branch": "main"},
        CustomerMetadataPropertiesToRemove=["gone"],
    )
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ApprovalDescription"] == "by Ada"
    assert described["CustomerMetadataProperties"] == {"source": "abc", "branch": "main", "approver": "ada"}
    assert described["LastModifiedTime"] >= described["CreationTime"]


def test_metadata_of_a_package_end_at_fifty_entries(aws: Account, group: str, artifact: str) -> None:
    arn = register(aws, artifact, CustomerMetadataProperties={f"k{n}": "v" for n in range(50)})
    update = aws.client("sagemaker").update_model_package
    update(ModelPackageArn=arn, CustomerMetadataProperties={"k0": "w"})
    code, message = refusal(update, ModelPackageArn=arn, CustomerMetadataProperties={"one-more": "v"})
    assert (code, "51" in message) == ("ValidationException", True)


def test_update_checks_the_artifact_that_it_adds(aws: Account, group: str, artifact: str) -> None:
    arn = register(aws, artifact)
    update = aws.client("sagemaker").update_model_package
    more = {"Name": "more", "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{aws.bucket}/none"}]}
    refused = refusal(update, ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[more])
    assert refused == ("ValidationException", f"Could not find model data at s3://{aws.bucket}/none.")


def test_packages_are_filtered_and_sorted(aws: Account, group: str, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arns = [register(aws, artifact) for _ in range(3)]
    sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Approved")
    middle = sagemaker.describe_model_package(ModelPackageName=arns[1])["CreationTime"]

    def listed(**members: Any) -> list[str]:
        found = sagemaker.list_model_packages(ModelPackageGroupName=group, **members)["ModelPackageSummaryList"]
        return [each["ModelPackageArn"] for each in found]

    assert listed() == arns
    assert listed(SortOrder="Descending") == arns[::-1]
    assert listed(ModelApprovalStatus="Approved") == [arns[1]]
    assert arns[0] not in listed(CreationTimeAfter=middle)
    assert arns[2] not in listed(CreationTimeBefore=middle)
    assert listed(NameContains="abalone") == arns
    assert listed(NameContains="package") == []
    by_arn = f"arn:aws:sagemaker:eu-west-1:{aws.account}:model-package-group/{group}"
    assert len(sagemaker.list_model_packages(ModelPackageGroupName=by_arn)["ModelPackageSummaryList"]) == 3


def test_pages_hold_every_package_once_while_others_are_registered(aws: Account, group: str, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arns = [register(aws, artifact) for _ in range(12)]
    first = sagemaker.list_model_packages(ModelPackageGroupName=group, SortOrder="Descending")
    assert len(first["ModelPackageSummaryList"]) == 10
    register(aws, artifact)
    token = first["NextToken"]
    second = sagemaker.list_model_packages(ModelPackageGroupName=group, SortOrder="Descending", NextToken=token)
    assert "NextToken" not in second
    seen = [each["ModelPackageArn"] for page in (first, second) for each in page["ModelPackageSummaryList"]]
    assert seen == arns[::-1]


@pytest.mark.parametrize("token", ["garbage", "W10=", "MTIz"])
def test_foreign_next_token_is_refused(aws: Account, group: str, token: str) -> None:
    sagemaker = aws.client("sagemaker")
    code, message = refusal(sagemaker.list_model_packages, ModelPackageGroupName=group, NextToken=token)
    assert (code, message.startswith("Invalid NextToken")) == ("ValidationException", True)


def test_token_of_another_question_is_refused(aws: Account) -> None:
    sagemaker = aws.client("sagemaker")
    for number in range(2):
        sagemaker.create_model_package_group(ModelPackageGroupName=f"g{number}")
    token = sagemaker.list_model_package_groups(MaxResults=1)["NextToken"]
    code, message = refusal(sagemaker.list_model_package_groups, NameContains="g", NextToken=token)
    assert (code, "other filters" in message) == ("ValidationException", True)


def test_batch_describe_answers_what_it_can(aws: Account, group: str, artifact: str) -> None:
    arn = register(aws, artifact)
    missing = arn.removesuffix("/1") + "/9"
    answer = aws.client("sagemaker").batch_describe_model_package(ModelPackageArnList=[arn, missing])
    assert answer["ModelPackageSummaries"][arn]["ModelPackageVersion"] == 1
    assert answer["BatchDescribeModelPackageErrorMap"][missing]["ErrorCode"] == "ValidationException"


def test_other_account_needs_the_groups_policy(aws_url: str, aws: Account, group: str, artifact: str) -> None:
    other = Account(aws_url, "999988887777")
    arn = register(aws, artifact, ModelApprovalStatus="Approved")
    describe = other.client("sagemaker").describe_model_package
    code, message = refusal(describe, ModelPackageName=arn)
    assert code == "AccessDeniedException"
    assert "sagemaker:DescribeModelPackage" in message
    allow(aws, group, other.account, ["sagemaker:Describe*", "sagemaker:ListModelPackages"])
    assert describe(ModelPackageName=arn)["ModelPackageArn"] == arn
    group_arn = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)[
        "ModelPackageGroupArn"
    ]
    listed = other.client("sagemaker").list_model_packages(ModelPackageGroupName=group_arn)
    assert len(listed["ModelPackageSummaryList"]) == 1
    update = other.client("sagemaker").update_model_package
    assert refusal(update, ModelPackageArn=arn, ModelApprovalStatus="Rejected")[0] == "AccessDeniedException"


def allow(aws: Account, group: str, account: str, actions: list[str]) -> None:
    prefix = f"arn:aws:sagemaker:eu-west-1:{aws.account}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": actions,
        "Resource": [f"{prefix}:model-package-group/{group}", f"{prefix}:model-package/{group}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sagemaker = aws.client("sagemaker")
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)
    read = sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
    assert json.loads(read) == json.loads(policy)


def test_other_account_registers_into_the_group_and_makes_models_of_it(
    aws_url: str, aws: Account, group: str, artifact: str
) -> None:
    other = Account(aws_url, "999988886666")
    allow(aws, group, other.account, ["sagemaker:CreateModelPackage", "sagemaker:CreateModel"])
    group_arn = f"arn:aws:sagemaker:eu-west-1:{aws.account}:model-package-group/{group}"
    arn = register(other, artifact, ModelPackageGroupName=group_arn, ModelApprovalStatus="Approved")
    assert f":{aws.account}:model-package/{group}/1" in arn
    model = f"m-{uuid.uuid4()}"
    create = other.client("sagemaker").create_model
    wanted = {"ModelName": model, "PrimaryContainer": {"ModelPackageName": arn}, "ExecutionRoleArn": other.role}
    code, message = refusal(create, **wanted)
    assert (code, message.split(". ")[0]) == ("ValidationException", f"Could not access model data at {artifact}")
    admitted = {
        "Effect": "Allow",
        "Principal": {"AWS": other.role},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{aws.bucket}/*",
    }
    aws.client("s3").put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Statement": admitted}))
    create(**wanted)
    assert f":{other.account}:" in other.client("sagemaker").describe_model(ModelName=model)["ModelArn"]


def test_policy_of_a_group_goes_and_comes(aws: Account, group: str) -> None:
    sagemaker = aws.client("sagemaker")
    code, message = refusal(sagemaker.get_model_package_group_policy, ModelPackageGroupName=group)
    assert (code, message.split(":")[0]) == ("ValidationException", "Cannot find resource policy for")
    allow(aws, group, "111122223333", ["sagemaker:*"])
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    assert refusal(sagemaker.delete_model_package_group_policy, ModelPackageGroupName=group)[0] == code
    code, message = refusal(sagemaker.get_model_package_group_policy, ModelPackageGroupName="nobody")
    assert message.startswith("Cannot find Model Package Group: ")
