"""Each thing is told once, whoever tells it how often, and whatever fails on the way."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from common.aws import Aws
from common.errors import NotificationError
from common.notifications import Notice, notify
from tests.functional.notifications.conftest import Ears

NOTICE = Notice("deployed", "abalone", "version 7", "It serves.", {"Job": "https://ci/1"}, key="abalone/7 deployed")


def record(ears: Ears) -> dict[str, Any]:
    name = hashlib.sha256(NOTICE.key.encode()).hexdigest()[:32]
    body = ears.account.client("s3").get_object(Bucket=ears.account.bucket, Key=f"notifications/{name}.json")["Body"]
    found: dict[str, Any] = json.loads(body.read())
    return found


def test_what_is_told_several_times_at_once_arrives_once(ears: Ears) -> None:
    teller = replace(ears, made=ears.aws)
    for client in (teller.aws.sns, teller.aws.s3):  # made before several threads ask for them at once
        assert client

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: notify(teller, NOTICE), range(8)))
    (message,) = ears.inbox.events()
    assert message["Subject"] == "abalone: deployed: version 7"
    assert message["Message"].endswith("It serves.\n\nJob: https://ci/1")
    assert ears.inbox.is_quiet()
    assert sorted(line.partition(":")[0] for line in ears.said) == ["  notified", *["  notified before"] * 7]
    assert record(ears)["message_id"] == message["MessageId"]


def test_what_sns_refuses_is_said_and_sent_by_the_next_run(ears: Ears) -> None:
    topic, ears.topic = ears.topic, f"{ears.topic}-gone"
    with pytest.raises(NotificationError, match=r"could not be sent to arn:aws:sns:.*alerts-gone.*NotFound"):
        notify(ears, NOTICE)
    ears.topic = topic
    notify(ears, NOTICE)
    assert len(ears.inbox.events()) == 1


def test_what_was_sent_and_cannot_be_noted_is_no_failure(ears: Ears) -> None:
    ears.made, puts = ears.aws, list[str]()

    def refuse(params: dict[str, Any], **_: Any) -> None:
        puts.append(params["url_path"])
        if len(puts) == 2:
            raise ConnectionClosedError(endpoint_url="s3")

    ears.made.s3.meta.events.register("before-call.s3.PutObject", refuse)
    notify(ears, NOTICE)
    assert len(ears.inbox.events()) == 1
    assert "it was sent, which could not be noted" in ears.said[0]
    assert ears.said[1] == "  notified: abalone: deployed: version 7"


def test_a_bucket_that_cannot_be_written_is_said_and_what_was_done_with_it(ears: Ears) -> None:
    settings = replace(ears.aws.settings, bucket="no-such-bucket-anywhere")
    ears.made = Aws(settings)
    vars(ears.made)["_session"] = ears.account.session()
    with pytest.raises(NotificationError, match=r"NoSuchBucket(.|\n)*What it tells of is done"):
        notify(ears, NOTICE)
    assert ears.inbox.is_quiet(0)


@pytest.mark.parametrize(("minutes", "sent"), [(5, 0), (15, 1)])
def test_a_claim_that_somebody_was_killed_with_is_taken_over_in_time(ears: Ears, minutes: int, sent: int) -> None:
    notify(ears, NOTICE)
    ears.inbox.receive()
    claimed = datetime.now(UTC) - timedelta(minutes=minutes)
    name = hashlib.sha256(NOTICE.key.encode()).hexdigest()[:32]
    body = json.dumps({"state": "sending", "at": claimed.isoformat()})
    ears.account.client("s3").put_object(Bucket=ears.account.bucket, Key=f"notifications/{name}.json", Body=body)
    notify(ears, NOTICE)
    assert len(ears.inbox.receive(seconds=0.3)) == sent


def test_without_a_topic_it_says_so_and_goes_on(ears: Ears) -> None:
    ears.topic = ""
    notify(ears, NOTICE)
    assert ears.said == ["  nobody is notified of «abalone: deployed: version 7»: NOTIFY_TOPIC_ARN is not set"]
    assert ears.inbox.is_quiet(0)
