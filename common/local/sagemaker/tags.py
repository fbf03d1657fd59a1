"""Tags, on every resource that exists."""

from common.local.api import Answer, Call, operation, validation_error
from common.local.sagemaker.resources import get_tags, parse_arn, set_tags


@operation
def add_tags(call: Call) -> Answer:
    """Add tags to a resource, or change their values."""
    with call.aws.store.transaction():  # tags of a resource that is deleted meanwhile would be the next one's
        arn = _existing(call)
        set_tags(call, arn, call.request["Tags"])
        return {"Tags": _listed(get_tags(call, arn))}


@operation
def list_tags(call: Call) -> Answer:
    """List the tags of a resource."""
    tags = _listed(get_tags(call, _existing(call)))
    token = call.request.get("NextToken", "0")
    if not token.isdecimal():
        raise validation_error("Invalid NextToken.")
    start = int(token)
    end = start + call.request.get("MaxResults", len(tags) or 1)
    return {"Tags": tags[start:end], "NextToken": str(end) if end < len(tags) else None}


@operation
def delete_tags(call: Call) -> Answer:
    """Remove tags from a resource; keys that it does not have are ignored."""
    with call.aws.store.transaction():
        arn = _existing(call)
        kept = {key: value for key, value in get_tags(call, arn).items() if key not in call.request["TagKeys"]}
        call.aws.store.put(call.scope, "tags", arn, {"Tags": kept})
    return {}


def _existing(call: Call) -> str:
    """The request's ARN; tags of another account's resources are nobody else's business."""
    arn: str = call.request["ResourceArn"]
    found = parse_arn(arn)
    if found.scope != call.scope or call.aws.store.get(found.scope, found.kind, found.name) is None:
        raise validation_error(f"Could not find resource {arn}.")
    return arn


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
