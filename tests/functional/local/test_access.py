"""Who may do what on the running local AWS: roles with policies are held to them by every service."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.accounts import REGION, Account, client_of

ISSUER = "oidc.circleci.com/org/acme"
SAGEMAKER = "arn:aws:sagemaker:eu-west-1"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(actions: Any, resources: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


def role(aws: Account, *statements: dict[str, Any], name: str = "ci", trust: dict[str, Any] | None = None) -> str:
    """A role with one inline policy; whoever the account lets assume it may."""
    trust = trust or {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account}}
    made = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    aws.client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
    arn: str = made["Role"]["Arn"]
    return arn


def acting(aws: Account, arn: str, **more: Any) -> Callable[[str], Any]:
    """Makes clients that act as a role."""
    given = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="build", **more)["Credentials"]
    return lambda service: client_of(aws.url, service, given)


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_role_is_held_to_its_policies_by_every_protocol(aws: Account) -> None:
    own = f"{SAGEMAKER}:{aws.account}"
    topic = aws.client("sns").create_topic(Name="t")["TopicArn"]
    as_role = acting(
        aws,
        role(
            aws,
            statement("sagemaker:CreateModelPackageGroup", f"{own}:model-package-group/abalone"),
            statement("sns:Publish", topic),
            statement("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{REGION}:{aws.account}:alarm:abalone-*"),
            statement("cloudwatch:PutMetricData", Condition={"StringEquals": {"cloudwatch:namespace": "models"}}),
            statement("logs:*", f"arn:aws:logs:{REGION}:{aws.account}:log-group:/models/*"),
        ),
    )
    who = f"arn:aws:sts::{aws.account}:assumed-role/ci/build"

    def sentence(action: str, resource: str) -> str:
        reason = f"because no identity-based policy allows the {action} action"
        return f"User: {who} is not authorized to perform: {action} on resource: {resource} {reason}"

    group = as_role("sagemaker").create_model_package_group
    group(ModelPackageGroupName="abalone")
    denied = sentence("sagemaker:CreateModelPackageGroup", f"{own}:model-package-group/churn")
    assert refusal(group, ModelPackageGroupName="churn") == ("AccessDeniedException", denied)
    tagged = refusal(group, ModelPackageGroupName="abalone", Tags=[{"Key": "a", "Value": "b"}])
    assert tagged[1] == sentence("sagemaker:AddTags", f"{own}:model-package-group/abalone")
    assert refusal(as_role("sagemaker").list_models)[1] == sentence("sagemaker:ListModels", "*")

    as_role("sns").publish(TopicArn=topic, Message="m")
    denied = sentence("sns:CreateTopic", topic)
    assert refusal(as_role("sns").create_topic, Name="t") == ("AuthorizationError", denied)

    alarm: dict[str, Any] = {
        "MetricName": "m", "Namespace": "n", "ComparisonOperator": "LessThanThreshold", "EvaluationPeriods": 1,
        "Threshold": 1.0, "Period": 60, "Statistic": "Sum",
    }  # fmt: skip
    as_role("cloudwatch").put_metric_alarm(AlarmName="abalone-errors", **alarm)
    code, message = refusal(as_role("cloudwatch").put_metric_alarm, AlarmName="churn-errors", **alarm)
    denied = sentence("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{REGION}:{aws.account}:alarm:churn-errors")
    assert (code, message) == ("AccessDeniedException", denied)
    data = [{"MetricName": "m", "Value": 1.0}]
    as_role("cloudwatch").put_metric_data(Namespace="models", MetricData=data)
    assert (
        refusal(as_role("cloudwatch").put_metric_data, Namespace="other", MetricData=data)[0] == "AccessDeniedException"
    )

    as_role("logs").create_log_group(logGroupName="/models/a")
    denied = sentence("logs:CreateLogGroup", f"arn:aws:logs:{REGION}:{aws.account}:log-group:/other:log-stream:")
    assert refusal(as_role("logs").create_log_group, logGroupName="/other") == ("AccessDeniedException", denied)

    assert refusal(as_role("iam").list_roles) == ("AccessDenied", sentence("iam:ListRoles", "*"))
    assert as_role("sts").get_caller_identity()["Arn"] == who


def test_changed_policy_holds_at_once(aws: Account) -> None:
    as_role = acting(aws, role(aws, statement("sagemaker:ListEndpoints")))
    as_role("sagemaker").list_endpoints()
    iam = aws.client("iam")
    iam.put_role_policy(RoleName="ci", PolicyName="p", PolicyDocument=document(statement("sagemaker:ListModels")))
    assert refusal(as_role("sagemaker").list_endpoints)[0] == "AccessDeniedException"
    managed = iam.create_policy(PolicyName="m", PolicyDocument=document(statement("sagemaker:ListEndpoints")))
    iam.attach_role_policy(RoleName="ci", PolicyArn=managed["Policy"]["Arn"])
    as_role("sagemaker").list_endpoints()


def test_role_without_policies_is_an_administrator(aws: Account) -> None:
    arn = role(aws, statement("sagemaker:ListModels"))
    aws.client("iam").delete_role_policy(RoleName="ci", PolicyName="p")
    acting(aws, arn)("sagemaker").list_endpoints()


def test_objects_are_read_and_written_as_the_policy_says(aws: Account) -> None:
    bucket = f"arn:aws:s3:::{aws.bucket}"
    as_role = acting(
        aws,
        role(
            aws,
            statement("s3:ListBucket", bucket, Condition={"StringLike": {"s3:prefix": "abalone/*"}}),
            statement(["s3:GetObject", "s3:PutObject"], f"{bucket}/abalone/*"),
        ),
    )
    s3 = as_role("s3")
    aws.client("s3").put_object(Bucket=aws.bucket, Key="churn/a", Body=b"a")
    s3.put_object(Bucket=aws.bucket, Key="abalone/ä b", Body=b"a")
    assert s3.get_object(Bucket=aws.bucket, Key="abalone/ä b")["Body"].read() == b"a"
    assert len(s3.list_objects_v2(Bucket=aws.bucket, Prefix="abalone/")["Contents"]) == 1
    code, message = refusal(s3.get_object, Bucket=aws.bucket, Key="churn/a")
    assert code == "AccessDenied"
    assert f"s3:GetObject on resource: {bucket}/churn/a" in message
    assert refusal(s3.list_objects_v2, Bucket=aws.bucket, Prefix="churn/")[0] == "AccessDenied"
    assert refusal(s3.list_objects_v2, Bucket=aws.bucket)[0] == "AccessDenied"
    assert refusal(s3.delete_object, Bucket=aws.bucket, Key="abalone/ä b")[0] == "AccessDenied"
    gone = {"Objects": [{"Key": "abalone/ä b"}]}
    assert "s3:DeleteObject" in refusal(s3.delete_objects, Bucket=aws.bucket, Delete=gone)[1]
    source = {"Bucket": aws.bucket, "Key": "churn/a"}
    assert "s3:GetObject" in refusal(s3.copy_object, Bucket=aws.bucket, Key="abalone/c", CopySource=source)[1]
    assert refusal(s3.head_object, Bucket=aws.bucket, Key="churn/a")[0] == "403"
    assert refusal(s3.get_object, Bucket=aws.bucket, Key="abalone/none")[0] == "NoSuchKey"
    code, message = refusal(s3.get_bucket_policy, Bucket=aws.bucket)
    assert code == "AccessDenied"
    assert "s3:GetBucketPolicy" in message
    url = s3.generate_presigned_url("get_object", {"Bucket": aws.bucket, "Key": "churn/a"})
    assert requests.get(url, timeout=10).status_code == 403


def test_encrypted_topic_takes_its_key_too(aws: Account) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]
    topic = aws.client("sns").create_topic(Name="t", Attributes={"KmsMasterKeyId": key["KeyId"]})["TopicArn"]
    arn = role(aws, statement("sns:Publish", topic))
    code, message = refusal(acting(aws, arn)("sns").publish, TopicArn=topic, Message="m")
    assert code == "AuthorizationError"
    assert f"kms:GenerateDataKey on resource: {key['Arn']}" in message
    via = {"StringEquals": {"kms:ViaService": f"sns.{REGION}.amazonaws.com"}}
    use = statement(["kms:GenerateDataKey", "kms:Decrypt"], key["Arn"], Condition=via)
    more = document(statement("sns:Publish", topic), use)
    aws.client("iam").put_role_policy(RoleName="ci", PolicyName="p", PolicyDocument=more)
    acting(aws, arn)("sns").publish(TopicArn=topic, Message="m")


def test_missing_object_is_hidden_from_who_may_not_list(aws: Account) -> None:
    s3 = acting(aws, role(aws, statement("s3:GetObject", f"arn:aws:s3:::{aws.bucket}/*")))("s3")
    code, message = refusal(s3.get_object, Bucket=aws.bucket, Key="none")
    assert code == "AccessDenied"
    assert "s3:ListBucket" in message


def test_bucket_policy_holds_for_administrators_too_but_tls_is_taken_for_granted(aws: Account) -> None:
    s3 = aws.client("s3")
    resources = [f"arn:aws:s3:::{aws.bucket}", f"arn:aws:s3:::{aws.bucket}/*"]
    deny: dict[str, Any] = {"effect": "Deny", "Principal": "*"}
    policy = document(
        statement("s3:*", resources, **deny, Condition={"Bool": {"aws:SecureTransport": "false"}}),
        statement("s3:DeleteObject", resources[1], **deny),
    )
    s3.put_bucket_policy(Bucket=aws.bucket, Policy=policy)
    s3.put_object(Bucket=aws.bucket, Key="a", Body=b"a")
    code, message = refusal(s3.delete_object, Bucket=aws.bucket, Key="a")
    assert code == "AccessDenied"
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_other_account_needs_bucket_key_and_its_own_policy(aws_url: str, aws: Account) -> None:
    other = Account(aws_url, f"{int(aws.account) ^ 1:012d}")
    arn = role(other, statement("s3:GetObject", f"arn:aws:s3:::{aws.bucket}/*"))
    s3, kms = aws.client("s3"), aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=aws.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=aws.bucket, Key="a", Body=b"a")
    reader = acting(other, arn)("s3")

    def read() -> tuple[str, str]:
        return refusal(reader.get_object, Bucket=aws.bucket, Key="a")

    assert read()[1].endswith("because no resource-based policy allows the s3:GetObject action")
    grant = statement("s3:GetObject", f"arn:aws:s3:::{aws.bucket}/*", Principal={"AWS": arn})
    s3.put_bucket_policy(Bucket=aws.bucket, Policy=document(grant))
    who = f"arn:aws:sts::{other.account}:assumed-role/ci/build"
    head = f"User: {who} is not authorized to perform: kms:Decrypt on resource: {key} because no"
    assert read() == ("AccessDenied", f"{head} resource-based policy allows the kms:Decrypt action")
    via = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    own = statement("kms:*", Principal={"AWS": aws.account})
    used = statement("kms:Decrypt", Principal={"AWS": other.account}, Condition=via)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(own, used))
    assert read()[1] == f"{head} identity-based policy allows the kms:Decrypt action"
    more = document(statement("s3:GetObject"), statement("kms:Decrypt", key))
    other.client("iam").put_role_policy(RoleName="ci", PolicyName="p", PolicyDocument=more)
    assert reader.get_object(Bucket=aws.bucket, Key="a")["Body"].read() == b"a"
    assert refusal(acting(other, arn)("kms").decrypt, CiphertextBlob=b"x", KeyId=key)[0] == "AccessDeniedException"


def test_packages_ask_both_accounts_and_conditions(aws_url: str, aws: Account) -> None:
    other = Account(aws_url, f"{int(aws.account) ^ 1:012d}")
    packages = f"{SAGEMAKER}:{aws.account}:model-package/abalone/*"
    status = {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    group = f"{SAGEMAKER}:{aws.account}:model-package-group/abalone"
    arn = role(
        other,
        statement("sagemaker:CreateModelPackage", [group, packages], Condition=status),
        statement("sagemaker:DescribeModelPackage", packages),
    )
    sagemaker = aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="abalone")
    create = acting(other, arn)("sagemaker").create_model_package
    request: dict[str, Any] = {"ModelPackageGroupName": group, "ModelApprovalStatus": "PendingManualApproval"}
    assert "no resource-based policy" in refusal(create, **request)[1]
    grant = statement(["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"], [group, packages])
    policy = document({**grant, "Principal": {"AWS": arn}})
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="abalone", ResourcePolicy=policy)
    package = create(**request)["ModelPackageArn"]
    assert "no identity-based policy" in refusal(create, **{**request, "ModelApprovalStatus": "Approved"})[1]
    update = acting(other, arn)("sagemaker").update_model_package
    assert "no identity-based" in refusal(update, ModelPackageArn=package, ModelApprovalStatus="Approved")[1]


def test_passing_a_role_takes_its_own_permission(aws: Account) -> None:
    execution = f"arn:aws:iam::{aws.account}:role/jobs"
    passing = statement(
        "iam:PassRole", execution, Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    )
    own = acting(aws, role(aws, statement("sagemaker:*"), passing))("sagemaker").create_model
    container = {"Image": "1.dkr.ecr.eu-west-1.amazonaws.com/x:1"}
    code, message = refusal(
        own, ModelName="m", PrimaryContainer=container, ExecutionRoleArn=f"arn:aws:iam::{aws.account}:role/admin"
    )
    assert code == "AccessDeniedException"
    assert "iam:PassRole on resource" in message
    assert message.count("role/admin") == 1
    own(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=execution)


def test_trust_of_a_role_decides_who_assumes_it(aws_url: str, aws: Account) -> None:
    other = Account(aws_url, f"{int(aws.account) ^ 1:012d}")
    arn = role(aws, statement("s3:*"))
    code, message = refusal(other.client("sts").assume_role, RoleArn=arn, RoleSessionName="other")
    assert code == "AccessDenied"
    assert "no role trust policy allows the sts:AssumeRole action" in message
    assume = aws.client("sts").assume_role
    assert "role chaining" in refusal(assume, RoleArn=arn, RoleSessionName="other", DurationSeconds=3601)[1]
    assert refusal(assume, RoleArn=arn, RoleSessionName="other", Policy="{}")[0] == "UnsupportedOperation"


def web_identity(aws: Account, **claims: Any) -> str:
    body = {"iss": f"https://{ISSUER}", "aud": "acme", "sub": "main", **claims}
    answer = requests.post(f"{aws.url}/_local/oidc/token", json={"claims": body}, timeout=10)
    token: str = answer.json()["token"]
    return token


def test_web_identity_is_checked_and_goes_on_with_the_session(aws: Account) -> None:
    provider = aws.client("iam").create_open_id_connect_provider(
        Url=f"https://{ISSUER}", ClientIDList=["acme"], ThumbprintList=["0" * 40]
    )["OpenIDConnectProviderArn"]
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider},
        "Condition": {"StringEquals": {f"{ISSUER}:aud": "acme"}, "StringLike": {f"{ISSUER}:sub": "ma*"}},
    }
    arn = role(
        aws, statement("sagemaker:ListModels", Condition={"StringEquals": {f"{ISSUER}:sub": "main"}}), trust=trust
    )
    assume = client_of(aws.url, "sts", None).assume_role_with_web_identity

    def given(token: str, role_arn: str = arn) -> dict[str, Any]:
        answer: dict[str, Any] = assume(RoleArn=role_arn, RoleSessionName="build", WebIdentityToken=token)
        return answer["Credentials"]  # type: ignore[no-any-return]

    client_of(aws.url, "sagemaker", given(web_identity(aws))).list_models()
    other = client_of(aws.url, "sagemaker", given(web_identity(aws, sub="maybe")))
    assert refusal(other.list_models)[0] == "AccessDeniedException"

    header, claims, signature = web_identity(aws).split(".")
    for token, code in [
        ("nonsense", "InvalidIdentityToken"),
        (f"{header}.{claims}.{signature[::-1]}", "InvalidIdentityToken"),
        (web_identity(aws, exp=1), "ExpiredTokenException"),
        (web_identity(aws, iss="https://elsewhere"), "InvalidIdentityToken"),
        (web_identity(aws, aud="others"), "InvalidIdentityToken"),
        (web_identity(aws, sub="feature"), "AccessDenied"),
    ]:
        assert refusal(given, token=token)[0] == code
    assert refusal(given, token=web_identity(aws), role_arn=f"{arn}x")[1] == (
        "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    )
    missing = requests.post(f"{aws.url}/_local/oidc/token", json={"claims": {"iss": "x"}}, timeout=10)
    assert missing.status_code == 400
    assert "aud, sub" in missing.text


def test_session_ends_with_its_time_for_every_service(aws: Account) -> None:
    as_role = acting(aws, role(aws, statement("*")), DurationSeconds=900)
    as_role("s3").list_buckets()
    requests.post(f"{aws.url}/_local/clock", json={"advance": 901}, timeout=10)
    assert refusal(as_role("sagemaker").list_models)[0] == "ExpiredTokenException"
    assert refusal(as_role("logs").describe_log_groups)[0] == "ExpiredTokenException"
    assert refusal(as_role("s3").list_buckets) == ("ExpiredToken", "The provided token has expired.")
    assert refusal(as_role("sts").get_caller_identity)[0] == "ExpiredToken"
    assert refusal(as_role("cloudwatch").describe_alarms)[0] == "ExpiredTokenException"
    acting(aws, f"arn:aws:iam::{aws.account}:role/ci")("s3").list_buckets()


def test_policy_that_cannot_be_evaluated_denies_and_says_so(aws: Account) -> None:
    unclear = statement("sagemaker:*", Condition={"StringEquals": {"aws:TagKeys": "a"}})
    create = acting(aws, role(aws, unclear))("sagemaker").create_model_package_group
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    code, message = refusal(create, ModelPackageGroupName="abalone", Tags=tags)
    assert code == "AccessDeniedException"
    assert "say ForAllValues: or ForAnyValue:" in message


def test_a_version_is_deleted_by_who_may_delete_versions(aws: Account) -> None:
    bucket = f"arn:aws:s3:::{aws.bucket}"
    aws.client("s3").put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = aws.client("s3").put_object(Bucket=aws.bucket, Key="a", Body=b"a")["VersionId"]
    s3 = acting(aws, role(aws, statement("s3:DeleteObject", f"{bucket}/*")))("s3")
    for named in ({"Key": "a", "VersionId": version}, {"VersionId": version, "Key": "a"}):
        assert "s3:DeleteObjectVersion" in refusal(s3.delete_objects, Bucket=aws.bucket, Delete={"Objects": [named]})[1]
    assert "Errors" not in s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": "a"}]})


def test_who_does_not_say_who_it_is_may_nothing(aws: Account) -> None:
    def nobody(service: Any, version: Any = UNSIGNED) -> Any:
        return aws.session().client(service, endpoint_url=aws.url, config=Config(signature_version=version))

    aws.client("s3").put_object(Bucket=aws.bucket, Key="a", Body=b"a")
    for version in (UNSIGNED, "s3"):
        assert refusal(nobody("s3", version).get_object, Bucket=aws.bucket, Key="a")[0] == "AccessDenied"
        assert refusal(nobody("s3", version).put_object, Bucket=aws.bucket, Key="b")[0] == "AccessDenied"
    assert refusal(nobody("iam").list_roles)[0] == "AccessDenied"
    code, message = refusal(nobody("logs").describe_log_groups)
    assert code == "AccessDenied"
    assert "no signature of the fourth version" in message


def test_bucket_before_the_servers_name_is_the_same_bucket(aws: Account) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=aws.bucket, Key="a/b", Body=b"a")
    denied = statement("s3:GetObject", f"arn:aws:s3:::{aws.bucket}/a/*", effect="Deny", Principal="*")
    s3.put_bucket_policy(Bucket=aws.bucket, Policy=document(denied))
    virtual = aws.session().client(
        "s3", endpoint_url="http://localhost:80", config=Config(s3={"addressing_style": "virtual"})
    )
    url = virtual.generate_presigned_url("get_object", {"Bucket": aws.bucket, "Key": "a/b"})
    host, _, path = url.removeprefix("http://").partition("/")
    assert host == f"{aws.bucket}.localhost:80"
    assert requests.get(f"{aws.url}/{path}", headers={"Host": host}, timeout=10).status_code == 403
    s3.delete_bucket_policy(Bucket=aws.bucket)
    assert requests.get(f"{aws.url}/{path}", headers={"Host": host}, timeout=10).content == b"a"


def test_session_is_nobodys_when_its_role_has_gone_or_the_server_does_not_know_it(aws: Account) -> None:
    as_role = acting(aws, role(aws, statement("*")))
    as_role("s3").list_buckets()
    aws.client("iam").delete_role_policy(RoleName="ci", PolicyName="p")
    aws.client("iam").delete_role(RoleName="ci")
    given = {"AccessKeyId": "ASIAXXXXXXXXXXXXXXXX", "SecretAccessKey": "none", "SessionToken": "none"}
    for client in (as_role, lambda service: client_of(aws.url, service, given)):
        assert refusal(client("iam").list_roles)[0] == "InvalidClientTokenId"
        assert refusal(client("sagemaker").list_models)[0] == "UnrecognizedClientException"
        assert refusal(client("s3").list_buckets)[0] == "InvalidAccessKeyId"
