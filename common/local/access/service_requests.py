"""What a request to one of moto's services needs: `service:Operation` on the resource that the request names.

Source: the services' pages in the Service Authorization Reference. An action for which none is found here has the resource
`*`, which only statements on `"Resource": "*"` match.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from botocore.parsers import RpcV2CBORParser
from moto.backends import get_backend

from common.local.access.guard import Need
from common.local.access.roles import find_role
from common.local.api import ApiError

Parameters = Mapping[str, Any]

_PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag"}
"""The names of services in actions, where requests are signed for another."""
_FREE = {"sts:GetCallerIdentity", "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"}
"""The first is allowed to all, the others are decided upon by the trust policies of roles (`assume`)."""


_TAGGING = {
    "iam:CreateRole": "iam:TagRole",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateOpenIDConnectProvider": "iam:TagOpenIDConnectProvider",
    "sqs:CreateQueue": "sqs:TagQueue",
}
"""The action that tags what is created, where it is not `TagResource`."""


class Asked(NamedTuple):
    """A request by its operation and parameters."""

    service: str
    """As it is called in actions."""
    operation: str
    parameters: Parameters
    account: str
    region: str

    def arn(self, rest: str, *, regional: bool = True) -> str:
        return f"arn:aws:{self.service}:{self.region if regional else ''}:{self.account}:{rest}"


def read_request(environ: Mapping[str, Any], body: bytes, service: str, account: str, region: str) -> Asked:
    """The operation and parameters of a request by any of the RPC protocols: JSON, CBOR, query.

    Raises:
        ApiError: `AccessDeniedException`: it is none, so that nobody can tell what it does.
    """
    prefix = _PREFIXES.get(service, service)
    target, path = environ.get("HTTP_X_AMZ_TARGET", ""), environ["PATH_INFO"]
    try:
        if target:
            return Asked(prefix, target.rpartition(".")[2], json.loads(body or b"{}"), account, region)
        if "/operation/" in path:
            parsed: Any = RpcV2CBORParser().parse_data_item(BytesIO(body)) if body else {}
            return Asked(prefix, path.rpartition("/")[2], parsed, account, region)
        pairs = parse_qsl(body.decode() or environ.get("QUERY_STRING", ""), keep_blank_values=True)
    except (ValueError, TypeError) as error:
        raise ApiError("SerializationException", f"The request cannot be read: {error}") from None
    parameters = _gathered(pairs)
    if "Action" not in parameters:
        raise ApiError(
            "AccessDeniedException",
            f"The local AWS cannot tell which action of {prefix} {environ['REQUEST_METHOD']} {path} is, "
            "so that it cannot be allowed to a role that has policies.",
        )
    return Asked(prefix, str(parameters["Action"]), parameters, account, region)


def _gathered(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Parameters of the query protocol by name; lists of texts (`Name.member.1`) as lists, deeper ones left out."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        name, *rest = [part for part in key.split(".") if part not in ("member", "entry")]
        if not rest:
            found[name] = value
        elif len(rest) == 1 and rest[0].isdecimal():
            found.setdefault(name, []).append(value)
        elif rest[0].isdecimal() and rest[1] in ("Key", "Value"):
            items = found.setdefault(name, [])
            while len(items) < int(rest[0]) <= 100:
                items.append({})
            items[int(rest[0]) - 1][rest[1]] = value
    return found


def service_needs(asked: Asked) -> Iterator[Need]:
    """What has to be allowed."""
    action = f"{asked.service}:{asked.operation}"
    if action in _FREE:
        return
    find = _RESOURCES.get(asked.service)
    context = _conditions(asked)
    resources = (find(asked) if find else []) or ["*"]
    for resource in resources:
        yield Need(action, resource, context)
    if "aws:TagKeys" in context and asked.operation.startswith(("Create", "Put", "Register")):
        yield Need(_TAGGING.get(action, f"{asked.service}:TagResource"), resources[0], context)
    if action == "sns:Publish":
        yield from _topic_key(asked, resources[0])
    for role, service in _passed(asked):
        yield Need("iam:PassRole", role, {"iam:PassedToService": service})


def _topic_key(asked: Asked, topic_arn: str) -> Iterator[Need]:
    """What SNS asks of KMS in the caller's name, where the topic is encrypted with a key of the customer's."""
    _, _, _, region, account, _ = f"{topic_arn}:::::".split(":", 5)
    topic: Any = get_backend("sns")[account][region].topics.get(topic_arn) if region else None
    key = topic.kms_master_key_id if topic else ""
    if not key or key.endswith("alias/aws/sns"):
        return
    [key_arn] = _keys(Asked("kms", "Encrypt", {"KeyId": key}, account, region))
    context = {"kms:ViaService": f"sns.{region}.amazonaws.com", "kms:CallerAccount": asked.account}
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        yield Need(action, key_arn, context)


def _conditions(asked: Asked) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    if "Namespace" in asked.parameters and asked.service == "cloudwatch":
        found["cloudwatch:namespace"] = asked.parameters["Namespace"]
    if "ServiceNamespace" in asked.parameters:
        found["application-autoscaling:service-namespace"] = asked.parameters["ServiceNamespace"]
    if "ScalableDimension" in asked.parameters:
        found["application-autoscaling:scalable-dimension"] = asked.parameters["ScalableDimension"]
    tags = asked.parameters.get("Tags") or asked.parameters.get("tags") or []
    if isinstance(tags, list) and all(isinstance(tag, Mapping) for tag in tags):
        tags = {tag.get("Key") or tag.get("key"): tag.get("Value") or tag.get("value") or "" for tag in tags}
    if isinstance(tags, Mapping) and tags:
        found["aws:TagKeys"] = list(tags)
        found |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return found


def _passed(asked: Asked) -> Iterator[tuple[str, str]]:
    targets = asked.parameters.get("Targets", []) if asked.service == "events" else []
    for role in sorted(
        {target["RoleArn"] for target in targets if isinstance(target, Mapping) and "RoleArn" in target}
    ):
        yield role, "events.amazonaws.com"
    if asked.service == "application-autoscaling" and asked.parameters.get("RoleARN"):
        yield asked.parameters["RoleARN"], "sagemaker.application-autoscaling.amazonaws.com"


def _listed(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value] if value else [])]


def _alarms(asked: Asked) -> list[str]:
    given = asked.parameters
    if "Dashboard" in asked.operation:
        names = _listed(given.get("DashboardNames") or given.get("DashboardName"))
        return [asked.arn(f"dashboard/{name}", regional=False) for name in names]
    if "Alarm" not in asked.operation:
        return _listed(given.get("ResourceARN"))
    names = _listed(given.get("AlarmNames") or given.get("AlarmName"))
    return [asked.arn(f"alarm:{name}") for name in names or ["*"]]


def _topics(asked: Asked) -> list[str]:
    given = asked.parameters
    if asked.operation == "CreateTopic":
        return [asked.arn(str(given.get("Name", "")))]
    subscription = given.get("SubscriptionArn")
    topic = given.get("TopicArn") or given.get("TargetArn") or given.get("ResourceArn")
    return _listed(topic or (subscription.rpartition(":")[0] if subscription else None))


def _log_groups(asked: Asked) -> list[str]:
    """With a stream, as AWS does also where none is named: patterns on groups have to end with a wildcard."""
    given = asked.parameters
    if asked.operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        return _listed(given.get("resourceArn"))
    group = given.get("logGroupName") or given.get("logGroupIdentifier") or ""
    name = group.split(":log-group:")[-1].removesuffix(":*")
    if not name and asked.operation != "DescribeLogGroups":
        return []
    return [asked.arn(f"log-group:{name}:log-stream:{given.get('logStreamName') or ''}")]


def _rules(asked: Asked) -> list[str]:
    given = asked.parameters
    if asked.operation == "PutEvents":
        buses = {entry.get("EventBusName") or "default" for entry in given.get("Entries", [])}
        return sorted(bus if bus.startswith("arn:") else asked.arn(f"event-bus/{bus}") for bus in buses)
    if "Connection" in asked.operation or "ApiDestination" in asked.operation:
        kind = "connection" if "Connection" in asked.operation else "api-destination"
        return [asked.arn(f"{kind}/{given['Name']}")] if "Name" in given else []
    if "EventBus" in asked.operation:
        return [asked.arn(f"event-bus/{given['Name']}")] if "Name" in given else []
    name = given.get("Rule") or (given.get("Name") if "Rule" in asked.operation else None)
    bus = str(given.get("EventBusName") or "default").rpartition("/")[2]
    where = "" if bus == "default" else f"{bus}/"
    return [asked.arn(f"rule/{where}{name}")] if name else _listed(given.get("ResourceARN"))


def _queues(asked: Asked) -> list[str]:
    given = asked.parameters
    if url := given.get("QueueUrl"):
        account, name = str(url).rstrip("/").split("/")[-2:]
        return [f"arn:aws:sqs:{asked.region}:{account if account.isdecimal() else asked.account}:{name}"]
    return [asked.arn(str(given["QueueName"]))] if "QueueName" in given else []


def _secrets(asked: Asked) -> list[str]:
    given = asked.parameters
    name = given.get("SecretId") or (given.get("Name") if asked.operation == "CreateSecret" else None)
    if not name:
        return []
    if name.startswith("arn:"):
        return [name]
    secrets: Any = get_backend("secretsmanager")[asked.account][asked.region].secrets
    found = next((secret.arn for secret in list(secrets.values()) if secret.name == name), None)
    return [found or asked.arn(f"secret:{name}-??????")]


def _keys(asked: Asked) -> list[str]:
    if asked.operation in ("CreateKey", "ListKeys", "ListAliases", "GenerateRandom"):
        return []
    given = asked.parameters
    named = given.get("KeyId") or given.get("TargetKeyId") or given.get("DestinationKeyId")
    if not named and "CiphertextBlob" in given:
        named = _encrypted_with(given["CiphertextBlob"])
    if not named:
        return _listed(given.get("AliasName") and asked.arn(str(given["AliasName"])))
    if ":key/" in named:
        return [named]
    _, _, _, region, account, _ = named.split(":", 5) if named.startswith("arn:") else asked.arn("").split(":", 5)
    kms: Any = get_backend("kms")[account][region]
    try:
        return [f"arn:aws:kms:{region}:{account}:key/{kms.any_id_to_key_id(named)}"]
    except (AttributeError, TypeError):  # moto, where there is no such alias
        return [f"arn:aws:kms:{region}:{account}:key/{named}"]


def _encrypted_with(blob: str) -> str:
    """The key that moto wrote at the beginning of what it encrypted."""
    from base64 import b64decode

    return b64decode(blob)[:36].decode("ascii", "replace")


def _repositories(asked: Asked) -> list[str]:
    given = asked.parameters
    account = given.get("registryId") or asked.account
    names = _listed(given.get("repositoryName") or given.get("repositoryNames"))
    return [f"arn:aws:ecr:{asked.region}:{account}:repository/{name}" for name in names] or _listed(
        given.get("resourceArn")
    )


def _identities(asked: Asked) -> list[str]:
    given = asked.parameters
    if name := given.get("RoleName"):
        role = find_role(f"arn:aws:iam::{asked.account}:role/{name}")
        return [role.arn if role else asked.arn(f"role{given.get('Path', '/')}{name}", regional=False)]
    if name := given.get("UserName"):
        return [asked.arn(f"user/{name}", regional=False)]
    if name := given.get("PolicyName"):
        return [asked.arn(f"policy{given.get('Path', '/')}{name}", regional=False)]
    if url := given.get("Url"):
        return [asked.arn(f"oidc-provider/{str(url).removeprefix('https://')}", regional=False)]
    return _listed(given.get("PolicyArn") or given.get("OpenIDConnectProviderArn"))


def _targets(asked: Asked) -> list[str]:
    """A registered target's ARN holds an id that nobody knows before, so that policies name all of them."""
    tagging = asked.operation in ("TagResource", "UntagResource", "ListTagsForResource")
    if asked.operation.startswith("Describe"):
        return []
    return _listed(asked.parameters.get("ResourceARN")) if tagging else [asked.arn("scalable-target/*")]


_RESOURCES: dict[str, Callable[[Asked], list[str]]] = {
    "application-autoscaling": _targets,
    "cloudwatch": _alarms,
    "ecr": _repositories,
    "events": _rules,
    "iam": _identities,
    "kms": _keys,
    "logs": _log_groups,
    "secretsmanager": _secrets,
    "sns": _topics,
    "sqs": _queues,
}
