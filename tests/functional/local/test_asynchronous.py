"""Asynchronous endpoints: every request ends in S3 and in a notification, through poison, restarts and zero instances."""

import random
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from common.local.api import ApiError
from common.local.sagemaker import endpoints, runtime_async
from tests.functional.local.async_kit import Asked, AsyncEndpoint
from tests.functional.local.hosting_kit import IMAGE, Local, eventually, open_local


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


@pytest.fixture
def asynchronous(local: Local) -> AsyncEndpoint:
    local.model("a")
    return AsyncEndpoint(local)


def test_an_answer_is_written_to_s3_and_announced(asynchronous: AsyncEndpoint) -> None:
    asynchronous.create()
    asked = asynchronous.ask(b"1,2", ContentType="text/csv", Accept="text/csv", InferenceId="mine")
    assert asked.inference_id == "mine"
    assert re.fullmatch(rf"s3://{asynchronous.bucket}/out/[0-9a-f-]{{36}}\.out", asked.output)
    assert re.fullmatch(rf"s3://{asynchronous.bucket}/bad/[0-9a-f-]{{36}}-error\.out", asked.failure)
    assert asynchronous.outcome(asked) == b"a:1,2"
    [told] = eventually(lambda: asynchronous.notifications("done"), "a notification")
    times = told.pop("receivedTime"), told.pop("eventTime")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment) for moment in times)
    assert times[0] <= times[1]
    assert told == {
        "awsRegion": "eu-west-1",
        "invocationStatus": "Completed",
        "requestParameters": {
            "accept": "text/csv",
            "contentType": "text/csv",
            "endpointName": "e",
            "inputLocation": f"s3://{asynchronous.bucket}/in/{hash(b'1,2')}",
        },
        "responseParameters": {"contentType": "text/csv", "outputLocation": asked.output},
        "inferenceId": "mine",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert asynchronous.notifications("failed") == []


def test_the_models_error_is_written_to_the_failure_path_and_announced(
    local: Local, asynchronous: AsyncEndpoint
) -> None:
    asynchronous.create(include=("ERROR_NOTIFICATION_TOPIC",))
    asked = asynchronous.ask(b"bad")
    text = asynchronous.outcome(asked).decode()
    assert text.startswith('Received client error (415) from primary with message "not that".')
    assert asynchronous.read(asked.output) is None
    [told] = eventually(lambda: asynchronous.notifications("failed"), "a notification")
    assert (told["invocationStatus"], told["failureReason"], told["inferenceId"]) == (
        "Failed",
        text,
        asked.inference_id,
    )
    assert told["responseBody"] == {"content": text, "contentType": "text/plain", "encoding": "UTF8"}
    assert eventually(lambda: local.values("InvocationFailures"), "a metric") == [1.0]
    assert local.values("Invocation4XXErrors") == [1.0]
    assert [local.values(name) for name in ("Invocations", "InvocationsPerInstance", "OverheadLatency")] == [[]] * 3


def test_a_topic_that_is_gone_is_a_metric_and_not_a_request_that_comes_again(
    local: Local, asynchronous: AsyncEndpoint
) -> None:
    asynchronous.create()
    asynchronous.forget_topics()
    asked = asynchronous.ask(b"1")
    assert asynchronous.outcome(asked) == b"a:1"
    assert eventually(lambda: local.values("NotificationFailures"), "a metric") == [1.0]
    eventually(lambda: local.aws.store.list(local.scope, "async-request") == [], "the request is forgotten")


def test_an_input_that_does_not_exist_is_a_failure_not_an_error_of_the_call(asynchronous: AsyncEndpoint) -> None:
    asynchronous.create()
    asked = asynchronous.ask_for(f"s3://{asynchronous.bucket}/nothing")
    assert b"Could not access object" in asynchronous.outcome(asked)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"InputLocation": ""}, "InputLocation is required"),
        ({"InputLocation": "https://example.com/in.csv"}, "must be an object in S3"),
        ({"InputLocation": "s3://bucket"}, "must be an object in S3"),
        ({"Filename": "mine.csv"}, "does not support Filename"),
        ({"EndpointName": "other"}, "Endpoint other of account"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_at_once(
    asynchronous: AsyncEndpoint, members: dict[str, Any], says: str
) -> None:
    asynchronous.create()
    error = asynchronous.refused(**members)
    assert (error.code, says in error.message) == ("ValidationError", True), error.message


def test_each_kind_of_endpoint_takes_its_own_kind_of_call(local: Local, asynchronous: AsyncEndpoint) -> None:
    asynchronous.create()
    with pytest.raises(ApiError, match="takes InvokeEndpointAsync") as error:
        local.invoke(b"1")
    assert error.value.code == "ValidationError"
    with pytest.raises(ApiError, match="from real-time to asynchronous"):
        local.update(local.config("sync", "a"))
    local.do("CreateEndpoint", EndpointName="sync", EndpointConfigName="sync")
    local.settled("sync")
    assert "is not an asynchronous endpoint" in asynchronous.refused(EndpointName="sync").message


def test_a_multi_model_container_cannot_be_asynchronous(local: Local, asynchronous: AsyncEndpoint) -> None:
    container = {"Image": IMAGE, "Mode": "MultiModel", "Environment": {"SAGEMAKER_PROGRAM": "inference.py"}}
    local.model_from("a", {**container, "ModelDataUrl": f"s3://{asynchronous.bucket}/"})
    with pytest.raises(ApiError, match="InvokeEndpointAsync names no model"):
        local.do("CreateEndpoint", EndpointName="e", EndpointConfigName=asynchronous.config("a"))


def test_requests_wait_while_there_are_no_instances(local: Local, asynchronous: AsyncEndpoint) -> None:
    asynchronous.create()
    asynchronous.scale(0)
    assert local.process_ids() == []
    assert local.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    asked = [asynchronous.ask(f"{number}".encode()) for number in range(3)]
    eventually(lambda: asynchronous.values("HasBacklogWithoutCapacity")[-1:] == [1], "a backlog")
    assert asynchronous.values("ApproximateBacklogSize")[-1] == 3
    assert asynchronous.values("ApproximateBacklogSizePerInstance")[-1] == 3
    assert [asynchronous.read(each.output) for each in asked] == [None] * 3
    asynchronous.scale(1)
    assert [asynchronous.outcome(each) for each in asked] == [b"a:0", b"a:1", b"a:2"]
    eventually(lambda: asynchronous.values("ApproximateBacklogSize")[-1:] == [0], "no backlog")
    assert asynchronous.values("HasBacklogWithoutCapacity")[-1] == 0


def test_a_request_that_waits_longer_than_it_may_is_a_failure(asynchronous: AsyncEndpoint) -> None:
    asynchronous.create()
    asynchronous.scale(0)
    asked = asynchronous.ask(b"1", RequestTTLSeconds=60)  # 0.6 s of this AWS
    assert b"longer than RequestTTLSeconds (60)" in asynchronous.outcome(asked)
    assert len(eventually(lambda: asynchronous.notifications("failed"), "a notification")) == 1


def test_a_model_that_takes_longer_than_the_request_allows_is_a_failure(local: Local) -> None:
    local.model("a", seconds=3)
    asynchronous = AsyncEndpoint(local)
    asynchronous.create()
    asked = asynchronous.ask(b"1", InvocationTimeoutSeconds=1)
    assert b"Your invocation timed out" in asynchronous.outcome(asked)


def test_no_more_requests_than_configured_are_with_an_instance_at_once(local: Local) -> None:
    local.model("a", seconds=0.3)
    asynchronous = AsyncEndpoint(local)
    asynchronous.create(concurrency=1)
    began = time.monotonic()
    for asked in [asynchronous.ask(f"{number}".encode()) for number in range(3)]:
        asynchronous.outcome(asked)
    assert time.monotonic() - began >= 0.9


def test_what_is_queued_survives_a_restart(local: Local, asynchronous: AsyncEndpoint, tmp_path: Path) -> None:
    asynchronous.create()
    asynchronous.scale(0)
    asked = [asynchronous.ask(f"{number}".encode()) for number in range(5)]
    local.aws.close()
    local.aws = open_local(tmp_path / "state")
    try:
        endpoints.resume(local.aws)
        runtime_async.resume(local.aws)
        asynchronous.scale(1)
        assert [asynchronous.outcome(each) for each in asked] == [f"a:{number}".encode() for number in range(5)]
        assert len(eventually(lambda: asynchronous.notifications("done"), "notifications")) == 5
    finally:
        local.aws.close()


def test_deleting_the_endpoint_forgets_what_waits(local: Local, asynchronous: AsyncEndpoint) -> None:
    asynchronous.create()
    asynchronous.scale(0)
    asynchronous.ask(b"1")
    local.do("DeleteEndpoint", EndpointName="e")
    eventually(lambda: local.aws.store.get(local.scope, "endpoint", "e") is None, "deleted")
    assert local.aws.store.list(local.scope, "async-request") == []


def test_what_is_worked_on_while_the_endpoint_is_deleted_is_still_announced(
    local: Local, asynchronous: AsyncEndpoint
) -> None:
    local.model("a", seconds=1)
    asynchronous.create()
    asked = asynchronous.ask(b"1")
    eventually(lambda: any(name.startswith("async-request-") for name in threads()), "it is worked on")
    local.do("DeleteEndpoint", EndpointName="e")
    assert asynchronous.outcome(asked) == b"a:1"
    assert len(eventually(lambda: asynchronous.notifications("done"), "a notification")) == 1


def test_an_endpoint_that_failed_leaves_no_requests_to_the_next_of_its_name(
    local: Local, asynchronous: AsyncEndpoint, tmp_path: Path
) -> None:
    asynchronous.create()
    asynchronous.scale(0)
    asynchronous.ask(b"1")
    local.aws.store.update(local.scope, "endpoint", "e", EndpointStatus="Failed")  # as where it does not come back
    local.aws.close()
    local.aws = open_local(tmp_path / "state")
    try:
        endpoints.resume(local.aws)
        runtime_async.resume(local.aws)
        local.do("DeleteEndpoint", EndpointName="e")
        assert local.aws.store.list(local.scope, "async-request") == []
    finally:
        local.aws.close()


def test_every_one_of_a_thousand_requests_ends_in_one_result_and_one_notification(asynchronous: AsyncEndpoint) -> None:
    """Mixed sizes, some of which the model refuses, some that have no input, and some that kill its process."""
    requests, crashes = 1000, 4
    asynchronous.create(instances=2)
    draw = random.Random(7)  # noqa: S311 - to mix, not to hide
    bodies: list[bytes | None] = [b"%d," % number + b"x" * int(10 ** draw.uniform(0, 6)) for number in range(requests)]
    for at in draw.sample(range(requests), requests // 5):
        bodies[at] = draw.choice([b"bad", None])
    for at in draw.sample(range(requests), crashes):
        bodies[at] = b"crash"
    asked: dict[str, tuple[bytes | None, Asked]] = {}
    for body in bodies:
        one = (
            asynchronous.ask(body) if body is not None else asynchronous.ask_for(f"s3://{asynchronous.bucket}/nothing")
        )
        asked[one.inference_id] = (body, one)

    def told() -> int:
        return len(asynchronous.notifications("done")) + len(asynchronous.notifications("failed"))

    eventually(lambda: told() >= requests, "all notifications", 120)
    for body, one in asked.values():
        output, failure = asynchronous.read(one.output), asynchronous.read(one.failure)
        if body in (b"bad", b"crash", None):
            assert (output is None, failure is not None) == (True, True)
        else:
            assert (output, failure) == (b"a:" + (body or b""), None)
    good = {identifier for identifier, (body, _) in asked.items() if body not in (b"bad", b"crash", None)}
    assert Counter(each["inferenceId"] for each in asynchronous.notifications("done")) == Counter(good)
    assert Counter(each["inferenceId"] for each in asynchronous.notifications("failed")) == Counter(asked.keys() - good)
