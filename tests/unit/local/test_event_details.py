"""SageMaker's events have the members of AWS's documented samples, and come when a status changes, not otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.local.events.details import KINDS, envelope, events_of
from common.local.hosting.spec import FleetSpec
from common.local.store import Change, Store
from tests.unit.notifications import samples

NOW = 1774223469.05
TRAINING = {
    "TrainingJobName": "abalone-3f2a",
    "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:111122223333:training-job/abalone-3f2a",
    "TrainingJobStatus": "InProgress",
    "SecondaryStatus": "Starting",
    "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": NOW}],
    "HyperParameters": {"max_depth": "5"},
    "Environment": {"PASSWORD": "hunter2"},
    "CreationTime": NOW,
}
FLEET = FleetSpec("abalone-model-7", (), None, None, None).to_json()


def change(kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    return events_of(Change("111122223333/eu-west-1", kind, "it", before, after), {"model": "abalone"})


def test_a_new_job_and_each_new_status_is_an_event() -> None:
    ((kind, begun),) = change("training-job", None, TRAINING)
    assert kind == "SageMaker Training Job State Change"
    assert begun["CreationTime"] == 1774223469050
    assert begun["SecondaryStatusTransitions"] == [{"Status": "Starting", "StartTime": 1774223469050}]
    assert begun["Tags"] == {"model": "abalone"}
    assert "hunter2" not in json.dumps(begun)
    assert change("training-job", TRAINING, TRAINING | {"LastModifiedTime": NOW}) == []
    ((_, training),) = change("training-job", TRAINING, TRAINING | {"SecondaryStatus": "Training"})
    assert training["SecondaryStatus"] == "Training"
    assert change("training-job", TRAINING, None) == []


SAMPLES = {
    "training-job": samples.training(),
    "processing-job": samples.processing(),
    "transform-job": samples.transform(),
    "hyper-parameter-tuning-job": samples.tuning(),
    "model-package": samples.model_package(),
    "endpoint": samples.endpoint(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_has_the_members_of_awss_sample(kind: str) -> None:
    """A document with every member that the sample has gives an event with those members, of the same detail type."""
    sample, names = SAMPLES[kind], KINDS[kind]
    document: dict[str, Any] = {**sample["detail"], names.arn: sample["resources"][0], "Fleet": FLEET}
    ((detail_type, detail),) = change(kind, None, document)
    assert detail_type == sample["detail-type"]
    lacking = set(sample["detail"]) - set(detail) - {"UpdatedModelPackageFields"}
    assert lacking == set()
    event = envelope("111122223333", "eu-west-1", NOW, document[names.arn], (detail_type, detail), "an id")
    assert set(event) == set(sample)
    assert event["time"] == "2026-03-22T23:51:09Z"
    assert event["resources"] == sample["resources"]


@pytest.mark.parametrize(
    ("status", "told"),
    [("InService", "IN_SERVICE"), ("RollingBack", "ROLLING_BACK"), ("UpdateRollbackFailed", "UPDATE_ROLLBACK_FAILED")],
)
def test_an_endpoints_status_is_spelt_as_events_spell_it(status: str, told: str) -> None:
    before = {"EndpointName": "abalone", "EndpointArn": "arn", "EndpointStatus": "Updating", "Fleet": FLEET}
    ((kind, detail),) = change("endpoint", before, before | {"EndpointStatus": status})
    assert (kind, detail["EndpointStatus"]) == ("SageMaker Endpoint State Change", told)


def test_each_phase_of_a_deployment_is_an_event_of_its_own() -> None:
    pending = {"Fleet": FLEET, "StartTime": NOW}
    before = {"EndpointName": "abalone", "EndpointArn": "arn", "EndpointStatus": "Updating", "Fleet": FLEET}
    baking = before | {"Pending": pending | {"Phase": "Baking", "PhaseTime": NOW + 1}}
    ((kind, detail),) = change("endpoint", before, baking)
    assert kind == "SageMaker Endpoint Deployment State Change"
    assert detail["PendingDeploymentSummary"]["EndpointConfigName"] == "abalone-model-7"
    assert change("endpoint", baking, baking) == []


@pytest.fixture
def watched() -> Iterator[tuple[Store, list[Change]]]:
    store, told = Store(Path(":memory:")), list[Change]()
    store.watch({"job"}, told.append)
    yield store, told
    store.close()


def test_a_watched_store_tells_what_has_happened_in_its_order_and_nothing_that_was_undone(
    watched: tuple[Store, list[Change]],
) -> None:
    store, told = watched
    with store.transaction():
        store.put("s", "job", "a", {"x": 1})
        store.update("s", "job", "a", x=2)
        store.put("s", "other", "b", {})
        assert told == []
    assert [(each.before, each.after) for each in told] == [(None, {"x": 1}), ({"x": 1}, {"x": 2})]
    with pytest.raises(KeyError):
        _undone(store)
    store.delete("s", "job", "a")
    assert [(each.before, each.after) for each in told[2:]] == [({"x": 2}, None)]


def _undone(store: Store) -> None:
    with store.transaction():
        store.put("s", "job", "a", {"x": 3})
        store.update("s", "job", "nobody", x=4)
