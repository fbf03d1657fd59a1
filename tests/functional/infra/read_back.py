"""What stands in an account after Terraform has applied `infra/`, read back by boto3 and held against what was declared."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from common.local.accounts import layout
from common.local.accounts.layout import Organisation, Place
from common.notifications.rules import declared_rules
from tests.accounts import Account

ALL_BLOCKED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


def same(document: Any, expected: Any) -> bool:
    """Whether two policies say the same: lists in them are sets, one of one element is that element."""
    return bool(_plain(document) == _plain(expected))


def _plain(document: Any) -> Any:
    if isinstance(document, str) and document.startswith("{"):
        return _plain(json.loads(document))
    if isinstance(document, Mapping):
        return {key: _plain(value) for key, value in document.items()}
    if isinstance(document, list):
        members = sorted((_plain(member) for member in document), key=lambda member: json.dumps(member, sort_keys=True))
        return members[0] if len(members) == 1 else members
    return document


def check_key(own: Account, place: Place, organisation: Organisation, key: str) -> None:
    kms = own.client("kms")
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    assert same(policy, layout.key_policy(organisation, place))
    assert kms.describe_key(KeyId=f"alias/{place.bucket}")["KeyMetadata"]["Arn"] == key


def check_bucket(own: Account, place: Place, organisation: Organisation, key: str) -> None:
    s3, bucket = own.client("s3"), {"Bucket": place.bucket}
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    [rule] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rule["BucketKeyEnabled"]
    assert s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"] == ALL_BLOCKED
    [ownership] = s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"]["Rules"]
    assert ownership["ObjectOwnership"] == "BucketOwnerEnforced"
    policy = json.loads(s3.get_bucket_policy(**bucket)["Policy"])
    assert same(policy, layout.bucket_policy(organisation, place, key))
    [tls] = [each for each in policy["Statement"] if "aws:SecureTransport" in each.get("Condition", {}).get("Bool", {})]
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")


def check_roles(own: Account, expected: Iterable[layout.Role], more: Mapping[str, Mapping[str, str]]) -> None:
    """Exactly these roles are there, each with its trust, tags and policies.

    Args:
        more: further policies, by the role's name and theirs.
    """
    iam = own.client("iam")
    names = {role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("models-")}
    by_name = {role.name: role for role in expected}
    assert names == set(by_name) | set(more)
    for name, role in by_name.items():
        found = iam.get_role(RoleName=name)["Role"]
        assert same(found["AssumeRolePolicyDocument"], role.trust), name
        assert found["MaxSessionDuration"] == role.session_seconds, name
        tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=name)["Tags"]}
        assert tags == dict(role.tags) | {"made-by": "terraform"}, name
    for name in names:
        wanted = dict(by_name[name].policies if name in by_name else {}) | dict(more.get(name, {}))
        written = iam.list_role_policies(RoleName=name)["PolicyNames"]
        assert sorted(written) == sorted(wanted), name
        for policy in written:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            assert same(document, wanted[policy]), f"{name}/{policy}"


def check_circleci(own: Account, organisation: Organisation) -> None:
    iam, name = own.client("iam"), organisation.circleci.organisation
    [provider] = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
    assert (found["Url"], found["ClientIDList"]) == (f"oidc.circleci.com/org/{name}", [name])


def check_notifications(own: Account, place: Place, key: str, subscriber: str) -> None:
    """The topic, the same rules and targets as `models events` makes, and an alarm for each that could fail unheard."""
    sns, events = own.client("sns"), own.client("events")
    topic = sns.get_topic_attributes(TopicArn=place.topic)["Attributes"]
    assert topic["KmsMasterKeyId"] == key
    assert same(topic["Policy"], layout.topic_policy(place))
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=place.topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", subscriber)
    live = {rule["Name"]: rule for rule in events.list_rules(NamePrefix="models-")["Rules"]}
    rules = declared_rules()
    assert set(live) == {rule.name for rule in rules}
    for rule in rules:
        found = live[rule.name]
        assert (found["Description"], found["State"]) == (rule.description, "ENABLED")
        assert json.loads(found["EventPattern"]) == rule.pattern
        assert events.list_targets_by_rule(Rule=rule.name)["Targets"] == [rule.target(place.topic)]
    alarms = own.client("cloudwatch").describe_alarms()["MetricAlarms"]
    watched = {(alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for alarm in alarms}
    assert watched == {("AWS/Events", "FailedInvocations", rule.name) for rule in rules} | {
        ("AWS/SNS", "NumberOfNotificationsFailed", "models-notifications")
    }
    assert all(alarm["AlarmActions"] == [place.topic] and alarm["Threshold"] == 0 for alarm in alarms)


def check_budget(own: Account, place: Place, limit: str) -> None:
    budgets, named = own.client("budgets"), {"AccountId": own.account, "BudgetName": f"models-{place.name}"}
    budget = budgets.describe_budget(**named)["Budget"]
    assert (float(budget["BudgetLimit"]["Amount"]), budget["TimeUnit"]) == (float(limit), "MONTHLY")
    notifications = budgets.describe_notifications_for_budget(**named)["Notifications"]
    assert {(each["NotificationType"], each["Threshold"]) for each in notifications} == {
        ("ACTUAL", 80.0), ("FORECASTED", 100.0)
    }  # fmt: skip
    for notification in notifications:
        told = budgets.describe_subscribers_for_notification(**named, Notification=notification)["Subscribers"]
        assert told == [{"SubscriptionType": "SNS", "Address": place.topic}]


def check_logs(own: Account, key: str, expected: set[str]) -> None:
    groups = own.client("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    assert {group["logGroupName"].removeprefix("/aws/sagemaker/") for group in groups} == expected
    assert all((group["retentionInDays"], group["kmsKeyId"]) == (30, key) for group in groups)


def check_groups(own: Account, organisation: Organisation, descriptions: Mapping[str, str]) -> None:
    """A package group for each model, with the policy for other accounts; none where there are none."""
    sagemaker = own.client("sagemaker")
    summaries = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert {group["ModelPackageGroupName"] for group in summaries} == set(descriptions)
    for group in summaries:
        model, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
        assert group["ModelPackageGroupDescription"] == descriptions[model]
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        assert tags == {"model": model, "made-by": "terraform"}
        assert same(_group_policy(sagemaker, model), layout.group_policy(organisation, model))


def _group_policy(sagemaker: Any, model: str) -> str:
    try:
        return str(sagemaker.get_model_package_group_policy(ModelPackageGroupName=model)["ResourcePolicy"])
    except ClientError:
        return ""


def check_network(own: Account, network: Mapping[str, Any]) -> None:
    """Subnets of several zones without a way to the internet, and AWS's services through endpoints in them."""
    ec2 = own.client("ec2")
    subnets = ec2.describe_subnets(SubnetIds=network["subnets"])["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    [vpc] = {subnet["VpcId"] for subnet in subnets}
    within = [{"Name": "vpc-id", "Values": [vpc]}]
    gateways = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
    assert gateways["InternetGateways"] == []
    endpoints = ec2.describe_vpc_endpoints(Filters=within)["VpcEndpoints"]
    services = {end["ServiceName"].partition(f"{own.region}.")[2]: end for end in endpoints}
    assert set(services) == {
        "s3", "sagemaker.api", "sagemaker.runtime", "logs", "monitoring", "ecr.api", "ecr.dkr", "sts", "kms",
        "secretsmanager",
    }  # fmt: skip
    assert services.pop("s3")["VpcEndpointType"] == "Gateway"
    assert all(sorted(end["SubnetIds"]) == sorted(network["subnets"]) for end in services.values())
    [jobs] = ec2.describe_security_groups(GroupIds=network["security_groups"])["SecurityGroups"]
    assert not any(
        address["CidrIp"] for permission in jobs["IpPermissionsEgress"] for address in permission["IpRanges"]
    )


def check_nothing_left(own: Account) -> None:
    """After destroy: no bucket, role, rule, topic or group of ours."""
    assert own.client("s3").list_buckets()["Buckets"] == []
    assert [role for role in own.client("iam").list_roles()["Roles"] if role["RoleName"].startswith("models-")] == []
    assert own.client("events").list_rules(NamePrefix="models-")["Rules"] == []
    assert own.client("sns").list_topics()["Topics"] == []
    assert own.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"] == []
