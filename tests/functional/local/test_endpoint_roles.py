"""What endpoints do as the execution role of their models: artifacts, also of another account, captures, results, keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from common.local.api import OPERATIONS, Answer, ApiError, Call
from common.local.hosting.host import Hosting
from tests.functional.local.async_kit import AsyncEndpoint
from tests.functional.local.hosting_kit import IMAGE, REGION, Local, artifact, eventually

TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def may(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


class Own:
    """An account with a role of its own for endpoints."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.role = f"arn:aws:iam::{local.account}:role/endpoint"
        self.iam: Any = get_backend("iam")[local.account]["aws"]
        self.s3: Any = get_backend("s3")[local.account]["aws"]
        self.kms: Any = get_backend("kms")[local.account][REGION]
        self.iam.create_role("endpoint", document(TRUST), "/", None, "", [], "3600")

    def may(self, *statements: dict[str, Any]) -> None:
        """What the role may do from now on."""
        self.iam.put_role_policy("endpoint", "own", document(*statements))

    def key(self, *admitted: str) -> Any:
        """A new key, for the account and the principals admitted."""
        principals = [f"arn:aws:iam::{self.local.account}:root", *admitted]
        policy = may("kms:*", Principal={"AWS": principals})
        return self.kms.create_key(document(policy), "", "SYMMETRIC_DEFAULT", "", [])

    def do(self, name: str, **request: Any) -> Answer:
        """As the account's administrator."""
        local = self.local
        return OPERATIONS[name](Call(local.aws, local.account, REGION, request, f"arn:aws:iam::{local.account}:root"))

    def logged(self, text: str) -> bool:
        self.local.aws.part(Hosting).telemetry.flush()
        logs: Any = get_backend("logs")[self.local.account][REGION]
        groups = [group for name, group in logs.groups.items() if name.endswith("/e")]
        streams = [stream for group in groups for stream in group.streams.values()]
        return any(text in event.message for stream in streams for event in stream.events)


def registered(registry: Own, serving: Own, key: Any) -> str:
    """ARN of an approved package in the registry's group, which the serving account may use, its artifact encrypted."""
    url = registry.local.put_object("m/packages/1/model.tar.gz", b"")
    bucket = url.split("/")[2]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key.arn}
    registry.s3.put_bucket_encryption(bucket, {"Rule": {"ApplyServerSideEncryptionByDefault": default}})
    registry.local.put_object("m/packages/1/model.tar.gz", artifact(answer="ours:"))
    registry.do("CreateModelPackageGroup", ModelPackageGroupName="m")
    described = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": url}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    package: str = registry.do(
        "CreateModelPackage",
        ModelPackageGroupName="m",
        ModelApprovalStatus="Approved",
        InferenceSpecification=described,
    )["ModelPackageArn"]
    admitted = {"AWS": f"arn:aws:iam::{serving.local.account}:root"}
    actions = may("sagemaker:DescribeModelPackage", "sagemaker:CreateModel", resource=package, Principal=admitted)
    registry.do("PutModelPackageGroupPolicy", ModelPackageGroupName="m", ResourcePolicy=document(actions))
    return package


def test_an_endpoint_serves_a_package_of_another_account_when_bucket_key_and_role_allow_it(local: Local) -> None:
    registry, serving = Own(local), Own(Local(local.aws))
    key = registry.key()
    package = registered(registry, serving, key)
    bucket = f"models-{local.account}"
    objects = f"arn:aws:s3:::{bucket}/m/packages/*"
    serving.may(may("s3:GetObject", resource=objects), may("kms:Decrypt", resource=key.arn))
    model = {"ModelName": "m", "PrimaryContainer": {"ModelPackageName": package}, "ExecutionRoleArn": serving.role}

    with pytest.raises(
        ApiError, match=r"Could not access model data at s3://.*no resource-based policy allows the s3:Get"
    ):
        serving.do("CreateModel", **model)
    admitted = may("s3:GetObject", resource=objects, Principal={"AWS": serving.role})
    registry.s3.put_bucket_policy(bucket, document(admitted).encode())
    serving.do("CreateModel", **model)

    serving.local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=serving.local.config("m"))
    failed = serving.local.settled()
    assert failed["EndpointStatus"] == "Failed"
    assert failed["FailureReason"].startswith('Failed to download model data for container "primary" from URL: "s3://')
    assert (
        f"User: arn:aws:sts::{serving.local.account}:assumed-role/endpoint/SageMaker is not authorized to perform: kms:Decrypt "
        f"on resource: {key.arn} because no resource-based policy allows the kms:Decrypt action"
    ) in failed["FailureReason"]

    via_s3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    key.policy = document(may("kms:Decrypt", Principal={"AWS": serving.role}, Condition=via_s3))
    serving.local.do("CreateEndpoint", EndpointName="f", EndpointConfigName="m")
    assert serving.local.settled("f")["EndpointStatus"] == "InService"
    assert serving.local.invoke(b"1", endpoint="f")[0] == b"ours:1"


def test_captures_are_written_as_the_role_with_the_named_key(local: Local) -> None:
    own = Own(local)
    key = own.key()
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://models-{local.account}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
        "KmsKeyId": key.arn,
    }
    own.may(may("s3:GetObject"), may("kms:*"))
    local.model("a")
    local.aws.store.update(local.scope, "model", "a", ExecutionRoleArn=own.role)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a", DataCaptureConfig=capture))
    assert local.settled()["EndpointStatus"] == "InService"
    local.invoke(b"1")
    local.aws.part(Hosting).capture.flush()
    assert own.logged("1 captured requests are lost: AccessDenied: User: ")
    own.may(may("s3:PutObject", resource="arn:aws:s3:::*/capture/*"), may("kms:*"))
    local.invoke(b"2")
    local.aws.part(Hosting).capture.flush()
    [(name, _)] = local.aws.services.list_objects(local.account, f"models-{local.account}", "capture/")
    assert own.s3.get_object(f"models-{local.account}", name).kms_key_id == key.arn


def test_an_asynchronous_endpoint_reads_writes_and_tells_as_its_role(local: Local) -> None:
    own, endpoint = Own(local), AsyncEndpoint(local)
    local.model("a")
    local.aws.store.update(local.scope, "model", "a", ExecutionRoleArn=own.role)
    readable = may("s3:GetObject", resource="arn:aws:s3:::*/a.tar.gz")
    own.may(readable, may("s3:PutObject", resource="arn:aws:s3:::*/bad/*"), may("sns:Publish"))
    endpoint.create()
    assert b"is not authorized to perform: s3:GetObject on resource: " in endpoint.outcome(endpoint.ask(b"1"))
    own.may(may("s3:GetObject"), may("s3:PutObject", resource="arn:aws:s3:::*/bad/*"), may("sns:Publish"))
    assert b"is not authorized to perform: s3:PutObject on resource: " in endpoint.outcome(endpoint.ask(b"2"))
    eventually(lambda: len(endpoint.notifications("failed")) == 2, "both failures are told")
    own.may(may("s3:GetObject", "s3:PutObject"))
    assert endpoint.outcome(endpoint.ask(b"3")) == b"a:3"
    eventually(lambda: local.values("NotificationFailures"), "the third success is told nobody")
    own.may(may("s3:GetObject", "s3:PutObject"), may("sns:Publish"))
    assert endpoint.outcome(endpoint.ask(b"4")) == b"a:4"
    eventually(lambda: endpoint.notifications("done"), "the success is told")
    assert len(endpoint.notifications("done")) == 1


def test_the_key_of_an_endpoints_volumes_has_to_be_usable(local: Local) -> None:
    own = Own(local)
    key = own.key()
    own.may(may("s3:GetObject"))
    local.model("a")
    local.aws.store.update(local.scope, "model", "a", ExecutionRoleArn=own.role)
    for name, message in (
        (key.arn, "assumed-role/endpoint/SageMaker .* kms:CreateGrant"),
        ("gone", "key/gone' does not exist"),
    ):
        local.config(name[-4:], "a", KmsKeyId=name)
        with pytest.raises(ApiError, match=f"The KMS key of the storage volumes cannot be used: .*{message}"):
            local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=name[-4:])


@pytest.mark.parametrize("isolated", [True, False])
def test_the_containers_of_an_isolated_model_do_not_reach_aws(local: Local, isolated: bool) -> None:
    own = Own(local)
    own.may(may("s3:GetObject"))
    local.model("a")
    local.aws.store.update(local.scope, "model", "a", ExecutionRoleArn=own.role, EnableNetworkIsolation=isolated)
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    assert local.settled()["EndpointStatus"] == "InService"
    [process] = local.process_ids()
    environment = Path(f"/proc/{process}/environ").read_bytes()
    for name in (b"AWS_ENDPOINT_URL=", b"AWS_ACCESS_KEY_ID="):
        assert (name in environment) is not isolated


def test_a_role_that_no_longer_trusts_sagemaker_fails_the_endpoint(local: Local) -> None:
    own = Own(local)
    own.may(may("s3:GetObject"))
    local.model("a")
    local.aws.store.update(local.scope, "model", "a", ExecutionRoleArn=own.role)
    own.iam.update_assume_role_policy("endpoint", document(TRUST | {"Principal": {"Service": "lambda.amazonaws.com"}}))
    local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=local.config("a"))
    assert local.settled()["FailureReason"].startswith(f"Could not assume role {own.role}.")
