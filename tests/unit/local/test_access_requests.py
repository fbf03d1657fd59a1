"""What requests need, by the pages of the Service Authorization Reference; and what is checked of a session before it is made."""

from typing import Any

import pytest

from common.local.access.assume import check_assume_role
from common.local.access.callers import Caller
from common.local.access.gate import in_form
from common.local.access.guard import Need
from common.local.access.s3_requests import s3_needs
from common.local.access.sagemaker_requests import request_conditions, sagemaker_needs
from common.local.access.service_requests import Asked, read_request, service_needs
from common.local.api import ApiError

ACCOUNT = "111111111111"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
BUCKET, OBJECT = "arn:aws:s3:::no-such-bucket", "arn:aws:s3:::no-such-bucket/a/b c"


def environ(method: str, path: str, query: str = "", **headers: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, **headers}


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected"),
    [
        ("GET", "/", "", {}, [("s3:ListAllMyBuckets", "*")]),
        ("PUT", "/no-such-bucket", "", {}, [("s3:CreateBucket", BUCKET)]),
        ("DELETE", "/no-such-bucket", "", {}, [("s3:DeleteBucket", BUCKET)]),
        ("HEAD", "/no-such-bucket", "", {}, [("s3:ListBucket", BUCKET)]),
        ("GET", "/no-such-bucket/", "list-type=2&prefix=a", {}, [("s3:ListBucket", BUCKET)]),
        ("GET", "/no-such-bucket", "versions", {}, [("s3:ListBucketVersions", BUCKET)]),
        ("GET", "/no-such-bucket", "uploads", {}, [("s3:ListBucketMultipartUploads", BUCKET)]),
        ("GET", "/no-such-bucket", "location=", {}, [("s3:GetBucketLocation", BUCKET)]),
        ("GET", "/no-such-bucket", "encryption", {}, [("s3:GetEncryptionConfiguration", BUCKET)]),
        ("PUT", "/no-such-bucket", "policy", {}, [("s3:PutBucketPolicy", BUCKET)]),
        ("DELETE", "/no-such-bucket", "policy", {}, [("s3:DeleteBucketPolicy", BUCKET)]),
        ("DELETE", "/no-such-bucket", "lifecycle", {}, [("s3:PutLifecycleConfiguration", BUCKET)]),
        ("GET", "/no-such-bucket/a/b c", "tagging", {}, [("s3:GetObjectTagging", OBJECT)]),
        ("PUT", "/no-such-bucket/a/b c", "acl&versionId=1", {}, [("s3:PutObjectVersionAcl", OBJECT)]),
        ("GET", "/no-such-bucket/a/b c", "uploadId=u", {}, [("s3:ListMultipartUploadParts", OBJECT)]),
        (
            "GET",
            "/no-such-bucket/a/b c",
            "versionId=1",
            {},
            [("s3:GetObjectVersion", OBJECT), ("s3:ListBucket", BUCKET)],
        ),
        ("HEAD", "/no-such-bucket/a/b c", "", {}, [("s3:GetObject", OBJECT), ("s3:ListBucket", BUCKET)]),
        ("DELETE", "/no-such-bucket/a/b c", "", {}, [("s3:DeleteObject", OBJECT)]),
        ("DELETE", "/no-such-bucket/a/b c", "versionId=1", {}, [("s3:DeleteObjectVersion", OBJECT)]),
        ("DELETE", "/no-such-bucket/a/b c", "uploadId=u", {}, [("s3:AbortMultipartUpload", OBJECT)]),
        ("POST", "/no-such-bucket/a/b c", "uploads", {}, [("s3:PutObject", OBJECT)]),
        ("POST", "/no-such-bucket/a/b c", "restore", {}, [("s3:RestoreObject", OBJECT)]),
        ("PUT", "/no-such-bucket/a/b c", "uploadId=u&partNumber=1", {}, [("s3:PutObject", OBJECT)]),
        (
            "PUT",
            "/no-such-bucket/a/b c",
            "",
            {"HTTP_X_AMZ_TAGGING": "a=b"},
            [("s3:PutObject", OBJECT), ("s3:PutObjectTagging", OBJECT)],
        ),
        (
            "PUT",
            "/no-such-bucket/a/b c",
            "",
            {"HTTP_X_AMZ_COPY_SOURCE": "other-bucket/x%20y?versionId=3"},
            [
                ("s3:GetObjectVersion", "arn:aws:s3:::other-bucket/x y"),
                ("s3:ListBucket", "arn:aws:s3:::other-bucket"),
                ("s3:PutObject", OBJECT),
            ],
        ),
    ],
)
def test_requests_to_s3(
    method: str, path: str, query: str, headers: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    assert [need[:2] for need in s3_needs(environ(method, path, query, **headers), ROOT, b"")] == expected


def test_several_objects_are_deleted_one_by_one() -> None:
    body = b"<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key><VersionId>1</VersionId></Object></Delete>"
    needs = list(s3_needs(environ("POST", "/no-such-bucket", "delete"), ROOT, body))
    assert needs == [Need("s3:DeleteObject", f"{BUCKET}/a&b"), Need("s3:DeleteObjectVersion", f"{BUCKET}/c")]


def test_lists_and_writes_say_what_conditions_ask() -> None:
    [listed] = s3_needs(environ("GET", "/no-such-bucket", "prefix=a%2F&delimiter=/&max-keys=3"), ROOT, b"")
    assert listed.context == {"s3:prefix": "a/", "s3:delimiter": "/", "s3:max-keys": "3"}
    [written] = s3_needs(environ("PUT", "/no-such-bucket/a", HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION="aws:kms"), ROOT, b"")
    assert written.context == {"s3:x-amz-server-side-encryption": "aws:kms"}


def asked(service: str, operation: str, **parameters: Any) -> Asked:
    return Asked(service, operation, parameters, ACCOUNT, "eu-west-1")


@pytest.mark.parametrize(
    ("request_", "resources"),
    [
        (asked("sns", "Publish", TopicArn="arn:aws:sns:eu-west-1:1:t"), ["arn:aws:sns:eu-west-1:1:t"]),
        (asked("sns", "Unsubscribe", SubscriptionArn="arn:aws:sns:e:1:t:id"), ["arn:aws:sns:e:1:t"]),
        (asked("sns", "ListTopics"), ["*"]),
        (asked("events", "PutRule", Name="r"), [f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/r"]),
        (asked("events", "PutTargets", Rule="r", EventBusName="b"), [f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/b/r"]),
        (asked("events", "PutEvents", Entries=[{}]), [f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/default"]),
        (asked("events", "DeleteConnection", Name="c"), [f"arn:aws:events:eu-west-1:{ACCOUNT}:connection/c"]),
        (asked("cloudwatch", "DescribeAlarms"), [f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:*"]),
        (
            asked("cloudwatch", "DeleteAlarms", AlarmNames=["a", "b"]),
            [f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:{name}" for name in "ab"],
        ),
        (asked("cloudwatch", "GetMetricStatistics", Namespace="n"), ["*"]),
        (
            asked("cloudwatch", "GetDashboard", DashboardName="d"),
            [f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/d"],
        ),
        (
            asked("logs", "GetLogEvents", logGroupName="g", logStreamName="s"),
            [f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:g:log-stream:s"],
        ),
        (asked("logs", "DescribeLogGroups"), [f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group::log-stream:"]),
        (asked("sqs", "SendMessage", QueueUrl="http://x/222222222222/q"), ["arn:aws:sqs:eu-west-1:222222222222:q"]),
        (asked("sqs", "CreateQueue", QueueName="q"), [f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q"]),
        (
            asked("secretsmanager", "GetSecretValue", SecretId="warehouse"),
            [f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:warehouse-??????"],
        ),
        (asked("kms", "CreateKey"), ["*"]),
        (asked("kms", "DescribeKey", KeyId="id"), [f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/id"]),
        (
            asked("ecr", "BatchGetImage", registryId="2", repositoryName="r"),
            ["arn:aws:ecr:eu-west-1:2:repository/r"],
        ),
        (asked("ecr", "GetAuthorizationToken"), ["*"]),
        (asked("iam", "CreateRole", RoleName="r", Path="/ci/"), [f"arn:aws:iam::{ACCOUNT}:role/ci/r"]),
        (asked("iam", "ListRoles"), ["*"]),
        (
            asked("iam", "CreateOpenIDConnectProvider", Url="https://i/o"),
            [f"arn:aws:iam::{ACCOUNT}:oidc-provider/i/o"],
        ),
        (
            asked("application-autoscaling", "PutScalingPolicy", ServiceNamespace="sagemaker"),
            [f"arn:aws:application-autoscaling:eu-west-1:{ACCOUNT}:scalable-target/*"],
        ),
        (asked("ssm", "GetParameter", Name="p"), ["*"]),
        (asked("sts", "GetCallerIdentity"), []),
    ],
)
def test_requests_to_other_services(request_: Asked, resources: list[str]) -> None:
    needs = list(service_needs(request_))
    assert [need.resource for need in needs] == resources
    assert {need.action for need in needs} <= {f"{request_.service}:{request_.operation}"}


def test_tags_of_what_is_created_take_a_permission_of_their_own() -> None:
    tagged = asked("cloudwatch", "PutMetricAlarm", AlarmName="a", Tags=[{"Key": "model", "Value": "abalone"}])
    put, tag = service_needs(tagged)
    assert (put.action, tag.action, tag.resource) == (
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
        put.resource,
    )
    assert tag.context == {"aws:TagKeys": ["model"], "aws:RequestTag/model": "abalone"}
    queue = asked("sqs", "CreateQueue", QueueName="q", tags={"a": "b"})
    assert [need.action for need in service_needs(queue)] == ["sqs:CreateQueue", "sqs:TagQueue"]


def test_targets_of_rules_pass_their_roles() -> None:
    target = {"Id": "1", "Arn": "a", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/sender"}
    passed = list(service_needs(asked("events", "PutTargets", Rule="r", Targets=[target])))[-1]
    assert passed == Need("iam:PassRole", target["RoleArn"], {"iam:PassedToService": "events.amazonaws.com"})


@pytest.mark.parametrize(
    ("headers", "path", "body", "expected"),
    [
        ({"HTTP_X_AMZ_TARGET": "Logs_20140328.Operation"}, "/", b'{"a": "b"}', {"a": "b"}),
        ({}, "/service/GraniteServiceVersion20100801/operation/Operation", b"\xa1\x61a\x61b", {"a": "b"}),
        ({}, "/", b"Action=Operation&a=b&C.member.1=x&C.member.2=y", {"a": "b", "C": ["x", "y"]}),
        (
            {},
            "/",
            b"Action=Operation&Tags.member.1.Key=k&Tags.member.1.Value=v",
            {"Tags": [{"Key": "k", "Value": "v"}]},
        ),
    ],
)
def test_every_protocol_is_read(headers: dict[str, str], path: str, body: bytes, expected: dict[str, Any]) -> None:
    found = read_request(environ("POST", path, **headers), body, "monitoring", ACCOUNT, "eu-west-1")
    assert (found.service, found.operation) == ("cloudwatch", "Operation")
    assert {name: value for name, value in found.parameters.items() if name != "Action"} == expected


def test_request_of_another_protocol_is_refused_as_nobody_knows_what_it_does() -> None:
    with pytest.raises(ApiError, match="cannot tell which action of lambda GET /functions is") as caught:
        read_request(environ("GET", "/functions"), b"", "lambda", ACCOUNT, "eu-west-1")
    assert caught.value.code == "AccessDeniedException"


OWN = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/jobs"


def test_creating_passes_roles_and_tags() -> None:
    request = {"TrainingJobName": "j", "RoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}]}
    job = f"{OWN}:training-job/j"
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com", "iam:AssociatedResourceArn": job}
    assert list(sagemaker_needs(asked("sagemaker", "CreateTrainingJob", **request))) == [
        Need("sagemaker:CreateTrainingJob", job),
        Need("sagemaker:AddTags", job),
        Need("iam:PassRole", ROLE, passed),
    ]
    tuning = {"HyperParameterTuningJobName": "t", "TrainingJobDefinitions": [{"RoleArn": ROLE}]}
    needs = list(sagemaker_needs(asked("sagemaker", "CreateHyperParameterTuningJob", **tuning)))
    assert [need.action for need in needs] == ["sagemaker:CreateHyperParameterTuningJob", "iam:PassRole"]


@pytest.mark.parametrize(
    ("operation", "request_", "resources"),
    [
        ("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, ["endpoint-config/c", "endpoint/e"]),
        ("CreateTransformJob", {"TransformJobName": "t", "ModelName": "m"}, ["transform-job/t"]),
        ("InvokeEndpoint", {"EndpointName": "e"}, ["endpoint/e"]),
        ("ListTags", {"ResourceArn": f"{OWN}:endpoint/e"}, ["endpoint/e"]),
    ],
)
def test_resources_of_sagemaker(operation: str, request_: dict[str, Any], resources: list[str]) -> None:
    needs = list(sagemaker_needs(asked("sagemaker", operation, **request_)))
    assert needs == [Need(f"sagemaker:{operation}", f"{OWN}:{resource}") for resource in resources]


def test_lists_have_no_resource_and_packages_ask_later() -> None:
    assert list(sagemaker_needs(asked("sagemaker", "ListModels"))) == [Need("sagemaker:ListModels")]
    assert list(sagemaker_needs(asked("sagemaker", "ListModelPackages", ModelPackageGroupName="g"))) == []


def test_condition_keys_of_a_request() -> None:
    request = {
        "Tags": [{"Key": "Model", "Value": "abalone"}],
        "ModelApprovalStatus": "Approved",
        "EnableNetworkIsolation": True,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "VolumeKmsKeyId": "k"},
        "VpcConfig": {"Subnets": ["s2", "s1"], "SecurityGroupIds": ["g"]},
    }
    assert request_conditions(request, {"team": "blue"}) == {
        "aws:tagkeys": ["Model"],
        "aws:requesttag/model": "abalone",
        "aws:resourcetag/team": "blue",
        "sagemaker:resourcetag/team": "blue",
        "sagemaker:modelapprovalstatus": "Approved",
        "sagemaker:networkisolation": "true",
        "sagemaker:instancetypes": ["ml.m5.large"],
        "sagemaker:volumekmskey": ["k"],
        "sagemaker:vpcsubnets": ["s1", "s2"],
        "sagemaker:vpcsecuritygroupids": ["g"],
    }


@pytest.mark.parametrize(
    ("service", "json_", "error", "expected"),
    [
        ("s3", False, "AccessDeniedException", ("AccessDenied", 403)),
        ("s3", False, "ExpiredToken", ("ExpiredToken", 400)),
        ("sns", False, "AccessDeniedException", ("AuthorizationError", 403)),
        ("iam", False, "ExpiredToken", ("ExpiredToken", 403)),
        ("sts", False, "ExpiredTokenException", ("ExpiredTokenException", 400)),
        ("logs", True, "ExpiredToken", ("ExpiredTokenException", 400)),
        ("logs", True, "AccessDeniedException", ("AccessDeniedException", 400)),
        ("logs", True, "ValidationException", ("ValidationException", 400)),
    ],
)
def test_errors_have_the_form_of_their_service(
    service: str, json_: bool, error: str, expected: tuple[str, int]
) -> None:
    formed = in_form(ApiError(error, "m"), service, json=json_)
    assert (formed.code, formed.status) == expected


@pytest.mark.parametrize(
    ("seconds", "caller", "message"),
    [
        ("899", ROOT, "between 900 and 43200"),
        ("43201", ROOT, "between 900 and 43200"),
        ("soon", ROOT, "between 900 and 43200"),
        ("3601", f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", "role chaining"),
    ],
)
def test_sessions_last_as_long_as_aws_lets_them(seconds: str, caller: str, message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        check_assume_role(Caller(ACCOUNT, caller), {"RoleArn": ROLE, "DurationSeconds": seconds})
    assert caught.value.code == "ValidationError"
