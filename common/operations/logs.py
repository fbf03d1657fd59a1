"""What an endpoint's containers have printed, from CloudWatch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.errors import DeploymentError
from common.steps.context import Context

LOG_GROUP = "/aws/sagemaker/Endpoints/{}"
_POLL_SECONDS = 2.0
_LATE_SECONDS = 30
"""CloudWatch may show a line so long after a later one."""


def show_logs(context: Context, endpoint: str, minutes: int, *, follow: bool) -> None:
    """Print the lines of the last minutes in the order of their times, by variant and instance; then those that come.

    Raises:
        DeploymentError: there is no log.
    """
    since, seen = int((time.time() - minutes * 60) * 1000), set[str]()
    while True:
        fresh = 0
        for event_id, at, line in sorted(_lines(context.aws, endpoint, since), key=itemgetter(1)):
            if event_id not in seen:
                seen.add(event_id)
                context.say(line)
                fresh, since = fresh + 1, max(since, at - _LATE_SECONDS * 1000)
        if not follow:
            if not fresh:
                context.say(f"{endpoint} has printed nothing in the last {minutes} minutes")
            return
        time.sleep(_POLL_SECONDS)


def _lines(aws: Aws, endpoint: str, since: int) -> Iterator[tuple[str, int, str]]:
    """(id, time in ms, line) of every event since then."""
    group = LOG_GROUP.format(endpoint)
    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    try:
        for page in pages:
            for event in page["events"]:
                at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                text = event["message"].rstrip()
                yield event["eventId"], event["timestamp"], f"{at:%Y-%m-%d %H:%M:%S} {event['logStreamName']}  {text}"
    except ClientError as error:
        if not is_missing(error):
            raise
        raise DeploymentError(
            f"There is no log {group}: the endpoint {endpoint} has never printed anything.",
            "`./models status` shows whether it exists, `./models watch` whether its instances start.",
        ) from error
