"""Models, endpoint configurations and tags, as boto3 sees them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.accounts import Account

IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"


@pytest.fixture
def artifact(aws: Account) -> str:
    aws.client("s3").put_object(Bucket=aws.bucket, Key="m/model.tar.gz", Body=b"a model")
    return f"s3://{aws.bucket}/m/model.tar.gz"


def refusal(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def create_model(aws: Account, name: str = "abalone-1", **container: Any) -> str:
    arn: str = aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer={"Image": IMAGE, **container}, ExecutionRoleArn=aws.role
    )["ModelArn"]
    return arn


def test_model_keeps_what_it_was_created_with(aws: Account, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    members = {
        "ModelName": "abalone-1",
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": artifact, "Environment": {"A": "1"}},
        "ExecutionRoleArn": aws.role,
        "EnableNetworkIsolation": True,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
    }
    sagemaker.create_model(**members, Tags=[{"Key": "k", "Value": "v"}])
    described = sagemaker.describe_model(ModelName="abalone-1")
    assert {name: described[name] for name in members} == members
    assert sagemaker.list_tags(ResourceArn=described["ModelArn"])["Tags"] == [{"Key": "k", "Value": "v"}]


def test_model_name_is_taken_once(aws: Account, artifact: str) -> None:
    arn = create_model(aws, ModelDataUrl=artifact)
    expected = ("ValidationException", f'Cannot create already existing model "{arn}".')
    assert refusal(lambda: create_model(aws, ModelDataUrl=artifact)) == expected


@pytest.mark.parametrize("operation", ["describe_model", "delete_model"])
def test_missing_model_is_named(aws: Account, operation: str) -> None:
    expected = f'Could not find model "arn:aws:sagemaker:eu-west-1:{aws.account}:model/gone".'
    call = getattr(aws.client("sagemaker"), operation)
    assert refusal(call, ModelName="gone") == ("ValidationException", expected)


def test_model_whose_artifact_is_missing_is_refused(aws: Account) -> None:
    code, message = refusal(lambda: create_model(aws, ModelDataUrl=f"s3://{aws.bucket}/none.tar.gz"))
    assert (code, message) == ("ValidationException", f"Could not find model data at s3://{aws.bucket}/none.tar.gz.")


@pytest.mark.parametrize("key", ["runs/a#1/model.tar.gz", "runs/a?b/model.tar.gz", "runs/ä b/model.tar.gz"])
def test_an_artifact_may_have_any_key(aws: Account, key: str) -> None:
    aws.client("s3").put_object(Bucket=aws.bucket, Key=key, Body=b"a model")
    assert create_model(aws, ModelDataUrl=f"s3://{aws.bucket}/{key}").endswith(":model/abalone-1")


def test_containers_of_one_name_are_refused(aws: Account) -> None:
    containers = [{"Image": IMAGE, "ContainerHostname": "first"}] * 2
    create = aws.client("sagemaker").create_model
    code, message = refusal(create, ModelName="m", Containers=containers, ExecutionRoleArn=aws.role)
    assert (code, "unique ContainerHostname" in message) == ("ValidationException", True)


@pytest.mark.parametrize(
    ("status", "served"), [("PendingManualApproval", False), ("Rejected", False), ("Approved", True)]
)
def test_only_approved_packages_become_models(aws: Account, artifact: str, status: str, served: bool) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="abalone")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="abalone",
        ModelApprovalStatus=status,
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": artifact}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    create = {"ModelName": "m", "PrimaryContainer": {"ModelPackageName": arn}, "ExecutionRoleArn": aws.role}
    if served:
        sagemaker.create_model(**create)
        assert sagemaker.describe_model(ModelName="m")["PrimaryContainer"] == {"ModelPackageName": arn}
    else:
        code, message = refusal(sagemaker.create_model, **create)
        assert (code, status in message) == ("ValidationException", True)


def variant(**members: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "ModelName": "abalone-1",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        **members,
    }


def test_endpoint_configuration_keeps_what_it_was_created_with(aws: Account, artifact: str) -> None:
    create_model(aws, ModelDataUrl=artifact)
    members = {
        "EndpointConfigName": "c",
        "ProductionVariants": [variant(InitialVariantWeight=0.5)],
        "ShadowProductionVariants": [variant(VariantName="Shadow", InitialVariantWeight=1.0)],
        "DataCaptureConfig": {
            "InitialSamplingPercentage": 20,
            "DestinationS3Uri": f"s3://{aws.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
        "ExplainerConfig": {
            "ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": "1,2,3"}}}
        },
        "KmsKeyId": "alias/models",
    }
    sagemaker = aws.client("sagemaker")
    sagemaker.create_endpoint_config(**members)
    described = sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert {name: described[name] for name in members} == members


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([variant(ModelName="gone")], "Could not find model"),
        ([variant(), variant()], "Variant names must be unique"),
        ([{"VariantName": "a", "ModelName": "abalone-1"}], "needs InstanceType and InitialInstanceCount"),
        ([variant(ServerlessConfig={"MemorySizeInMB": 1024, "MaxConcurrency": 1})], "has ServerlessConfig and"),
        ([variant(InstanceType="ml.huge.large")], "Member must satisfy enum value set"),
        ([variant(VariantName=f"v{number}") for number in range(11)], "Member must have length less than or equal to"),
    ],
)
def test_impossible_variants_are_refused(
    aws: Account, artifact: str, variants: list[dict[str, Any]], message: str
) -> None:
    create_model(aws, ModelDataUrl=artifact)
    create = aws.client("sagemaker").create_endpoint_config
    code, said = refusal(create, EndpointConfigName="c", ProductionVariants=variants)
    assert (code, message in said) == ("ValidationException", True)


def test_missing_endpoint_configuration_is_named(aws: Account) -> None:
    expected = f'Could not find endpoint configuration "arn:aws:sagemaker:eu-west-1:{aws.account}:endpoint-config/c".'
    sagemaker = aws.client("sagemaker")
    for call in (sagemaker.describe_endpoint_config, sagemaker.delete_endpoint_config):
        assert refusal(call, EndpointConfigName="c") == ("ValidationException", expected)


def test_deleted_names_can_be_used_again_without_their_tags(aws: Account, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arn = create_model(aws, ModelDataUrl=artifact)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "old", "Value": "1"}])
    sagemaker.delete_model(ModelName="abalone-1")
    assert create_model(aws, ModelDataUrl=artifact) == arn
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_accounts_and_regions_do_not_see_each_other(aws: Account, artifact: str) -> None:
    create_model(aws, ModelDataUrl=artifact)
    assert len(aws.client("sagemaker").list_models()["Models"]) == 1
    elsewhere = aws.session().client("sagemaker", endpoint_url=aws.url, region_name="us-east-1")
    assert elsewhere.list_models()["Models"] == []
    stranger = Account(aws.url, "000011112222")
    assert stranger.client("sagemaker").list_models(NameContains="abalone")["Models"] == []


def test_tags_are_added_replaced_and_removed(aws: Account, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arn = create_model(aws, ModelDataUrl=artifact)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "unknown"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}]


def test_fifty_tags_are_the_limit(aws: Account, artifact: str) -> None:
    sagemaker = aws.client("sagemaker")
    arn = create_model(aws, ModelDataUrl=artifact)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    code, _ = refusal(sagemaker.add_tags, ResourceArn=arn, Tags=[{"Key": "more", "Value": ""}])
    assert code == "ResourceLimitExceeded"
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 50})
    assert sum(len(page["Tags"]) for page in pages) == 50


def test_tagging_what_does_not_exist_is_refused(aws: Account) -> None:
    arn = f"arn:aws:sagemaker:eu-west-1:{aws.account}:model/gone"
    sagemaker = aws.client("sagemaker")
    assert refusal(sagemaker.add_tags, ResourceArn=arn, Tags=[{"Key": "a", "Value": "b"}])[0] == "ValidationException"
    assert refusal(sagemaker.list_tags, ResourceArn=arn)[0] == "ValidationException"


def test_a_token_that_no_list_of_tags_gave_is_refused(aws: Account, artifact: str) -> None:
    arn = create_model(aws, ModelDataUrl=artifact)
    list_tags = aws.client("sagemaker").list_tags
    assert refusal(list_tags, ResourceArn=arn, NextToken="garbage") == ("ValidationException", "Invalid NextToken.")
