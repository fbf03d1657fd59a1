"""Making the accounts of an organisation on the local AWS; what is there already is brought to what it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from common.local.accounts import layout
from common.local.accounts.layout import REGION, Organisation, Place, Role

DEFAULT_ACCOUNT = "123456789012"
"""The account that any access key belongs to which no role has given out."""
_ALIAS = "alias/models"
_THERE = ("EntityAlreadyExists", "BucketAlreadyOwnedByYou", "ResourceInUse", "ValidationException")


@dataclass(frozen=True)
class Administrator:
    """Somebody whom no policy holds, in an account of the local AWS at that URL."""

    url: str
    account: str

    def client(self, service: str) -> Any:
        """A boto3 client that works in the account."""
        return _client(self.url, service, *self._keys)

    @property
    def _keys(self) -> tuple[str, str, str]:
        if self.account == DEFAULT_ACCOUNT:
            return "local", "local", ""
        return _keys_of(self.url, self.account)


@cache
def _keys_of(url: str, account: str) -> tuple[str, str, str]:
    """Keys of a role that IAM does not have, which is therefore held by nothing."""
    sts = _client(url, "sts", "local", "local", "")
    given = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/Administrator", RoleSessionName="local")
    keys = given["Credentials"]
    return keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]


@cache
def _client(url: str, service: str, key: str, secret: str, token: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token or None,
        config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
    )


def make(url: str, organisation: Organisation) -> dict[str, str]:
    """Make all accounts, and answer the ARN of each environment's key, by the environment's name."""
    keys = {place.name: _key(url, organisation, place) for place in organisation.places}
    for place in organisation.places:
        _bucket(url, organisation, place, keys[place.name])
        _topic(url, place, keys[place.name])
        iam = Administrator(url, place.account).client("iam")
        _provider(iam, organisation)
        for role in layout.roles(organisation, place, keys):
            _role(iam, role)
    for model in organisation.models:
        _group(url, organisation, model)
    return keys


def _key(url: str, organisation: Organisation, place: Place) -> str:
    kms = Administrator(url, place.account).client("kms")
    policy = layout.key_policy(organisation, place)
    try:
        arn = str(kms.describe_key(KeyId=_ALIAS)["KeyMetadata"]["Arn"])
    except kms.exceptions.NotFoundException:
        arn = str(kms.create_key(Description=f"Models in {place.name}", Policy=policy)["KeyMetadata"]["Arn"])
        kms.create_alias(AliasName=_ALIAS, TargetKeyId=arn)
    else:
        kms.put_key_policy(KeyId=arn, PolicyName="default", Policy=policy)
    return arn


def _bucket(url: str, organisation: Organisation, place: Place, key: str) -> None:
    s3 = Administrator(url, place.account).client("s3")
    where = {"LocationConstraint": place.region}
    _unless_there(lambda: s3.create_bucket(Bucket=place.bucket, CreateBucketConfiguration=where))
    s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=place.bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_policy(Bucket=place.bucket, Policy=layout.bucket_policy(organisation, place, key))


def _topic(url: str, place: Place, key: str) -> None:
    sns = Administrator(url, place.account).client("sns")
    sns.create_topic(Name=place.topic.rpartition(":")[2])  # as it is, where there is one
    for name, value in (("Policy", layout.topic_policy(place)), ("KmsMasterKeyId", key)):
        sns.set_topic_attributes(TopicArn=place.topic, AttributeName=name, AttributeValue=value)


def _provider(iam: Any, organisation: Organisation) -> None:
    name = organisation.circleci.organisation
    _unless_there(
        lambda: iam.create_open_id_connect_provider(
            Url=f"https://oidc.circleci.com/org/{name}", ClientIDList=[name], ThumbprintList=["0" * 40]
        )
    )


def _role(iam: Any, role: Role) -> None:
    tags: Any = [{"Key": key, "Value": value} for key, value in role.tags.items()]
    try:
        iam.create_role(
            RoleName=role.name,
            AssumeRolePolicyDocument=role.trust,
            MaxSessionDuration=role.session_seconds,
            Tags=tags,
        )
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=role.trust)
    for name, text in role.policies.items():
        iam.put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=text)


def _group(url: str, organisation: Organisation, model: str) -> None:
    """The package group, where other accounts use it; in one account whoever trains first makes it."""
    policy = layout.group_policy(organisation, model)
    if not policy:
        return
    sagemaker = Administrator(url, organisation.registry.account).client("sagemaker")
    tags = [{"Key": "model", "Value": model}]
    _unless_there(lambda: sagemaker.create_model_package_group(ModelPackageGroupName=model, Tags=tags))
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=model, ResourcePolicy=json.dumps(json.loads(policy)))


def _unless_there(create: Callable[[], object]) -> None:
    try:
        create()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _THERE:
            raise
