"""The policies of a set of accounts, read back from where they were applied; and requests that they decide."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from common.environments import Environment
from tests.permissions.requests import Document, Request
from tests.permissions.table import Actor, Row, Token

Client = Callable[[Environment, str], Any]
"""(environment, service) -> a boto3 client with all rights in the environment's account."""

ADMINISTRATOR: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
"""What an account's administrators have: what is refused them, the resource refuses."""
_NONE = ("NoSuchBucketPolicy", "ValidationException", "ResourceNotFound")
_ARNS = {
    "role": "arn:aws:iam::{account}:role/{name}",
    "secret": "arn:aws:secretsmanager:{region}:{account}:secret:{name}",
    "alarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "logs": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "rule": "arn:aws:events:{region}:{account}:rule/{name}",
    "scalable-target": "arn:aws:application-autoscaling:{region}:{account}:scalable-target/{name}",
}


@dataclass(frozen=True)
class Role:
    """A role as it stands in its account."""

    policies: tuple[Document, ...]
    trust: Document
    tags: Mapping[str, str]


class Identity(NamedTuple):
    """Who a job of the project is for CircleCI."""

    organisation: str
    project: str
    repository: str
    user: str
    """One who is no approver."""


@dataclass(frozen=True)
class Applied:
    """All the policies of the accounts."""

    environments: Mapping[str, Environment]
    roles: Mapping[str, Role]
    """By ARN."""
    attached: Mapping[str, Document]
    """The policies of buckets, keys, topics and package groups, by ARN."""

    @property
    def apart(self) -> bool:
        """Whether the environments are accounts of their own."""
        return len({environment.account for environment in self.environments.values()}) > 1

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Every document, with what it stands at."""
        for arn, role in self.roles.items():
            yield f"trust of {arn}", role.trust
            for policy in role.policies:
                yield arn, policy
        yield from self.attached.items()

    def request(self, actor: Actor, row: Row) -> Request:
        """What a row says, as a request to AWS."""
        resource, owner = self._resource(row.on)
        principal, identity, context = self._principal(actor)
        return Request(
            principal,
            row.action,
            resource,
            owner or principal.split(":")[4],
            context | {key: self._value(value) for key, value in row.given.items()},
            identity,
            self._attached(row.action, resource),
        )

    def request_with(self, token: Token, own: Identity) -> Request:
        """Taking on a role with the identity of a CircleCI job."""
        role, account = self._resource(token.role)
        organisation = token.organisation or own.organisation
        issuer = f"oidc.circleci.com/org/{organisation}"
        subject = (
            f"org/{organisation}/project/{token.project or own.project}/user/{token.user or own.user}"
            f"/vcs-origin/{token.repository or own.repository}/vcs-ref/{token.reference}"
        )
        return Request(
            f"arn:aws:iam::{account}:oidc-provider/{issuer}",
            "sts:AssumeRoleWithWebIdentity",
            role,
            account,
            {f"{issuer}:aud": token.audience or organisation, f"{issuer}:sub": subject},
            (),
            self.roles[role].trust,
        )

    def _value(self, value: str | list[str]) -> str | list[str]:
        return self._resource(value)[0] if isinstance(value, str) and "@" in value else value

    def _principal(self, actor: Actor) -> tuple[str, tuple[Document, ...], dict[str, str | list[str]]]:
        if "@" not in actor.principal:
            return actor.principal, (), {"aws:SecureTransport": "true"}
        arn, account = self._resource(actor.principal)
        role = self.roles.get(arn)
        assert role or actor.administrator, f"There is no {arn}."
        identity = (ADMINISTRATOR,) if role is None or actor.administrator else role.policies
        context: dict[str, str | list[str]] = {
            "aws:SecureTransport": "true",
            "aws:PrincipalArn": arn,
            "aws:PrincipalAccount": account,
        }
        context |= {f"aws:PrincipalTag/{key}": value for key, value in (role.tags if role else {}).items()}
        return f"arn:aws:sts::{account}:assumed-role/{arn.rpartition('/')[2]}/session", identity, context

    def _resource(self, text: str) -> tuple[str, str]:
        """(ARN, account) of a resource as rows name it."""
        if text == "*":
            return "*", ""
        kind, _, where = text.partition("@")
        name, _, rest = where.partition(":")
        environment = self.environment(name)
        own = {
            "account": environment.account,
            "bucket": f"arn:aws:s3:::{environment.bucket}",
            "s3": f"arn:aws:s3:::{environment.bucket}/{rest}",
            "key": environment.kms_key,
            "topic": environment.topic,
        }
        default = "arn:aws:sagemaker:{region}:{account}:" + kind + "/{name}"
        arn = own.get(kind) or _ARNS.get(kind, default).format(
            account=environment.account, region=environment.region, name=rest
        )
        return arn, environment.account

    def environment(self, name: str) -> Environment:
        """The environment of that name; where there is one for everything, that; a stranger's for twelve digits."""
        if name.isdigit():
            return Environment(name, name, "eu-west-1", "")
        return self.environments[name] if self.apart else next(iter(self.environments.values()))

    def _attached(self, action: str, resource: str) -> Document | None:
        if action.startswith("sts:"):
            role = self.roles.get(resource)
            return role.trust if role else None
        if resource.startswith("arn:aws:s3:::"):
            return self.attached.get(resource.partition("/")[0])
        kind, _, name = resource.partition("/")
        if kind.endswith(":model-package"):
            return self.attached.get(f"{kind}-group/{name.partition('/')[0]}")
        return self.attached.get(resource)


def read_back(environments: Mapping[str, Environment], client: Client) -> Applied:
    """Read what stands in the accounts, by the same calls that a reader of real ones makes."""
    roles: dict[str, Role] = {}
    attached: dict[str, Document] = {}
    for environment in {each.account: each for each in environments.values()}.values():
        roles.update(_roles(client(environment, "iam")))
        attached.update(_attached_in(environment, client))
    return Applied(environments, roles, attached)


def _roles(iam: Any) -> Iterator[tuple[str, Role]]:
    for role in (role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]):
        name = role["RoleName"]
        inline = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        managed = [
            _default_version(iam, policy["PolicyArn"])
            for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        ]
        tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=name)["Tags"]}
        yield role["Arn"], Role((*inline, *managed), role["AssumeRolePolicyDocument"], tags)


def _default_version(iam: Any, arn: str) -> Document:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document: Document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return document


def _attached_in(environment: Environment, client: Client) -> Iterator[tuple[str, Document]]:
    s3, kms, sns = (client(environment, service) for service in ("s3", "kms", "sns"))
    sagemaker = client(environment, "sagemaker")
    for name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        yield from _read(f"arn:aws:s3:::{name}", s3.get_bucket_policy, ("Policy",), Bucket=name)
    for arn in [key["KeyArn"] for key in kms.list_keys()["Keys"]]:
        yield from _read(arn, kms.get_key_policy, ("Policy",), KeyId=arn, PolicyName="default")
    for arn in [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]:
        yield from _read(arn, sns.get_topic_attributes, ("Attributes", "Policy"), TopicArn=arn)
    for group in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        arn, name = group["ModelPackageGroupArn"], group["ModelPackageGroupName"]
        yield from _read(arn, sagemaker.get_model_package_group_policy, ("ResourcePolicy",), ModelPackageGroupName=name)


def _read(arn: str, get: Callable[..., Any], path: tuple[str, ...], **of: str) -> Iterator[tuple[str, Document]]:
    """The document below that path of the answer, if there is one."""
    try:
        found = get(**of)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in _NONE:
            raise
        return
    for member in path:
        found = found[member]
    yield arn, json.loads(found)
