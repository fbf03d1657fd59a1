"""What every kind of resource shares: names and ARNs, tags, and lists with filters, sorting and pages."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from common.local.api import ApiError, Call, validation_error
from common.local.store import Document

MAX_TAGS = 50

_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<kind>[a-z-]+)/(?P<name>.+)")


class Resource(NamedTuple):
    """A resource by where it lives; documents lie in the store under the `kind` that the ARN spells."""

    account: str
    region: str
    kind: str
    name: str

    @property
    def scope(self) -> str:
        return f"{self.account}/{self.region}"

    @property
    def arn(self) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{self.kind}/{self.name}"


def parse_arn(arn: str) -> Resource:
    """Raises ApiError (`ValidationException`) when this is no ARN of SageMaker's."""
    found = _ARN.fullmatch(arn)
    if not found:
        raise validation_error(f"{arn} is not an ARN of SageMaker.")
    return Resource(found["account"], found["region"], found["kind"], found["name"])


def resource(call: Call, kind: str, name_or_arn: str) -> Resource:
    """The resource that a member meant which takes a name (in the caller's account and region) or an ARN."""
    if name_or_arn.startswith("arn:"):
        found = parse_arn(name_or_arn)
        if found.kind != kind:
            raise validation_error(f"{name_or_arn} is not the ARN of a {kind}.")
        if found.region != call.region:
            raise validation_error(f"{name_or_arn} is in another region than {call.region}.")
        return found
    return Resource(call.account, call.region, kind, name_or_arn)


def set_tags(call: Call, arn: str, tags: Iterable[dict[str, str]]) -> None:
    """Add tags to a resource, replacing the values of keys that it has.

    Raises:
        ApiError: a key is given twice, or there would be more than 50.
    """
    tags = list(tags)
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise validation_error("Duplicate tag keys found. Please note that tag keys are case insensitive.")
    with call.aws.store.transaction():
        merged = get_tags(call, arn) | {tag["Key"]: tag["Value"] for tag in tags}
        if len(merged) > MAX_TAGS:
            raise ApiError("ResourceLimitExceeded", f"A resource can have {MAX_TAGS} tags, not {len(merged)}.")
        call.aws.store.put(parse_arn(arn).scope, "tags", arn, {"Tags": merged})


def get_tags(call: Call, arn: str) -> dict[str, str]:
    """The tags of a resource, by key."""
    document = call.aws.store.get(parse_arn(arn).scope, "tags", arn)
    tags: dict[str, str] = document["Tags"] if document else {}
    return tags


def drop_tags(call: Call, arn: str) -> None:
    """Forget the tags of a resource that is being deleted."""
    call.aws.store.delete(parse_arn(arn).scope, "tags", arn)


class Page(NamedTuple):
    """One page of a list: its documents, and the token of the next page if there is one."""

    items: list[Document]
    next_token: str | None


def list_page(
    call: Call,
    documents: Iterable[Document],
    *,
    name: str,
    status: str = "",
    sort_by: str = "CreationTime",
    descending: bool = False,
) -> Page:
    """What a List operation answers of these documents, by the request's own members.

    Understood are NameContains, CreationTime- and LastModifiedTime- Before and After, StatusEquals, SortBy, SortOrder,
    MaxResults (10 when it is not given) and NextToken.

    Args:
        name, status: the members that hold a document's unique name and its status.
        sort_by, descending: the operation's defaults.

    Raises:
        ApiError: the token is not one that this list, with these filters, gave.
    """
    request = call.request
    by = {"Name": name, "Status": status}.get(request.get("SortBy", sort_by), request.get("SortBy", sort_by))
    if "SortOrder" in request:
        descending = request["SortOrder"] == "Descending"
    found = [document for document in documents if _wanted(document, request, name, status)]

    def key(document: Document) -> tuple[Any, str]:
        return document.get(by, document["CreationTime"]), str(document[name])

    found.sort(key=key, reverse=descending)
    if token := request.get("NextToken"):
        last = _read_token(token, request)
        found = [document for document in found if (key(document) < last if descending else key(document) > last)]
    size = request.get("MaxResults", 10)
    more = len(found) > size
    return Page(found[:size], _token(key(found[size - 1]), request) if more else None)


def _wanted(document: Document, request: dict[str, Any], name: str, status: str) -> bool:
    if request.get("NameContains", "") not in _plain(document[name]):
        return False
    if "StatusEquals" in request and document[status] != request["StatusEquals"]:
        return False
    return all(_within(document, request, member) for member in ("CreationTime", "LastModifiedTime"))


def _within(document: Document, request: dict[str, Any], member: str) -> bool:
    """Whether a time lies in the bounds that the request sets for it, to the millisecond that callers see."""
    moment = round(document[member if member in document else "CreationTime"], 3)
    after, before = request.get(f"{member}After", float("-inf")), request.get(f"{member}Before", float("inf"))
    return bool(round(after, 3) <= moment <= round(before, 3))


def _plain(name: str) -> str:
    """The name within an ARN, for kinds whose only unique name is that."""
    return name.partition("/")[2] if name.startswith("arn:") else name


def _token(last: tuple[Any, str], request: dict[str, Any]) -> str:
    """The place after an item, not a count: what is created or deleted meanwhile shifts no page."""
    return base64.urlsafe_b64encode(json.dumps([_question(request), *last]).encode()).decode()


def _read_token(token: str, request: dict[str, Any]) -> tuple[Any, str]:
    try:
        question, value, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        raise validation_error("Invalid NextToken.") from None
    if question != _question(request):
        raise validation_error("Invalid NextToken: it belongs to a list with other filters.")
    return value, name


def _question(request: dict[str, Any]) -> str:
    asked = {key: value for key, value in request.items() if key not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]
