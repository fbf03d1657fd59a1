"""Holds: somebody has decided that the endpoint stays as it is, and says why. They are tags of the endpoint itself.

A deploy that would change what serves is refused while there is one. Four tags and not one JSON document: the values of
SageMaker's tags may hold no braces, quotes or commas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast, get_args

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.errors import DeploymentError
from common.registry import metadata_values

Kind = Literal["hold", "shadow", "ab"]

_KIND, _BY, _AT, _REASON = "hold", "held-by", "held-at", "held-because"


@dataclass(frozen=True)
class Hold:
    """Who keeps the endpoint as it is.

    Attributes:
        kind: a person's decision, or an experiment that runs on the endpoint.
        at: when it began, ISO 8601 in UTC.
    """

    reason: str
    by: str
    at: str
    kind: Kind = "hold"

    def __str__(self) -> str:
        what = {"hold": "held", "shadow": "held by a shadow test", "ab": "held by an A/B test"}[self.kind]
        return f"{what} since {self.at} by {self.by}: {self.reason}"

    def way_out(self, name: str) -> str:
        """What to do in order to change the endpoint of that model nevertheless."""
        match self.kind:
            case "hold":
                return f"Ask {self.by}; `./models release {name}` ends the hold."
            case "shadow":
                return f"`./models shadow {name} --promote` or `--stop` ends the shadow test."
            case "ab":
                return f"`./models ab {name} --conclude winner` or `--stop` ends the A/B test."


def hold_from(tags: Mapping[str, str]) -> Hold | None:
    """The hold that an endpoint's tags tell of; None where nobody holds it."""
    kind = tags.get(_KIND, "")
    if not kind:
        return None
    known = cast("Kind", kind) if kind in get_args(Kind) else "hold"
    return Hold(tags.get(_REASON, "no reason given"), tags.get(_BY, "somebody"), tags.get(_AT, "?"), known)


def hold_of(aws: Aws, name: str) -> Hold | None:
    """The hold on the endpoint of that name; None also where there is no endpoint."""
    try:
        arn = aws.sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]
        return hold_on(aws, arn)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def hold_on(aws: Aws, endpoint_arn: str) -> Hold | None:
    """The hold on the endpoint of that ARN."""
    tags = aws.sagemaker.list_tags(ResourceArn=endpoint_arn)["Tags"]
    return hold_from({tag["Key"]: tag["Value"] for tag in tags})


def put_hold(aws: Aws, name: str, *, reason: str, by: str, kind: Kind = "hold") -> Hold:
    """Hold the endpoint of that name.

    Args:
        by: who holds it, as `Registry.identity` says.

    Raises:
        DeploymentError: there is no endpoint, or somebody holds it already.
    """
    arn = _endpoint_arn(aws, name)
    if held := hold_on(aws, arn):
        raise already_held(name, held)
    # The microseconds tell two holds of the same person apart.
    told = metadata_values(
        {_KIND: kind, _BY: by, _AT: datetime.now(UTC).isoformat(), _REASON: " ".join(reason.split())}
    )
    aws.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in told.items()])
    now = hold_on(aws, arn)
    if now is None:
        raise DeploymentError(f"Somebody released the hold on {name} at once.", "Find out who, then hold it again.")
    if now != hold_from(told):  # somebody else asked at the same moment
        raise already_held(name, now)
    return now


def release(aws: Aws, name: str) -> Hold | None:
    """End the hold on the endpoint of that name, whatever its kind; the hold that was, or None where there was none."""
    held = hold_of(aws, name)
    if held:
        aws.sagemaker.delete_tags(ResourceArn=_endpoint_arn(aws, name), TagKeys=[_KIND, _BY, _AT, _REASON])
    return held


def already_held(name: str, held: Hold) -> DeploymentError:
    """The refusal of whatever would change an endpoint that is held."""
    return DeploymentError(f"The endpoint {name} is {held}.", held.way_out(name))


def _endpoint_arn(aws: Aws, name: str) -> str:
    try:
        return aws.sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]
    except ClientError as error:
        if not is_missing(error):
            raise
        raise DeploymentError(
            f"There is no endpoint {name}, so there is nothing to hold.",
            "A deploy of a model that it serves creates it.",
        ) from error
