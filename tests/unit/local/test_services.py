from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto.backends import get_backend

from common.local.services import Services

ACCOUNT, REGION = "343434343434", "eu-west-1"


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def services(changes: list[str]) -> Services:
    return Services(changed=changes.append)


@pytest.fixture
def bucket() -> str:
    s3 = get_backend("s3")[ACCOUNT]["aws"]
    if "bucket" not in s3.buckets:
        s3.create_bucket("bucket", REGION)
    return "bucket"


def test_objects_are_written_listed_and_read(services: Services, bucket: str, tmp_path: Path) -> None:
    services.write_object(ACCOUNT, bucket, "a/2", b"two")
    services.write_object(ACCOUNT, bucket, "a/1", b"1")
    services.write_object(ACCOUNT, bucket, "b", b"")
    assert services.list_objects(ACCOUNT, bucket, "a/") == [("a/1", 1), ("a/2", 3)]
    assert services.read_object(ACCOUNT, bucket, "a/2") == b"two"
    assert services.object_size(ACCOUNT, bucket, "a/2") == 3
    services.download(ACCOUNT, bucket, "a/2", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"two"


def test_a_large_object_goes_from_file_to_file_in_parts(services: Services, bucket: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "from").write_bytes(content)
    services.upload(ACCOUNT, bucket, "large", tmp_path / "from")
    parts = list(services.parts(ACCOUNT, bucket, "large"))
    assert (b"".join(parts), len(parts)) == (content, 3)
    services.download(ACCOUNT, bucket, "large", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == content
    (tmp_path / "empty").touch()
    services.upload(ACCOUNT, bucket, "large", tmp_path / "empty")
    assert list(services.parts(ACCOUNT, bucket, "large")) == []


def test_an_object_that_is_replaced_while_it_is_read_is_gone(services: Services, bucket: str) -> None:
    services.write_object(ACCOUNT, bucket, "k", b"1" * (3 << 20))
    parts = services.parts(ACCOUNT, bucket, "k")
    next(parts)
    services.write_object(ACCOUNT, bucket, "k", b"2" * (3 << 20))
    with pytest.raises(KeyError):
        next(parts)


def test_every_write_is_reported(services: Services, bucket: str, changes: list[str]) -> None:
    services.write_object(ACCOUNT, bucket, "k", b"")
    assert changes == ["s3"]


@pytest.mark.parametrize(("name", "key"), [("no-such-bucket", "k"), ("bucket", "no/such/key")])
def test_what_is_missing_raises_key_error(services: Services, bucket: str, tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(KeyError):
        services.read_object(ACCOUNT, name, key)
    with pytest.raises(KeyError):
        services.download(ACCOUNT, name, key, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_missing_bucket_raises_key_error_in_lists_and_writes(services: Services) -> None:
    with pytest.raises(KeyError):
        services.list_objects(ACCOUNT, "no-such-bucket", "")
    with pytest.raises(KeyError):
        services.write_object(ACCOUNT, "no-such-bucket", "k", b"")


def test_log_lines_go_to_a_stream_that_is_made_for_them(services: Services) -> None:
    for lines in (["a", "b"], ["c"]):
        services.put_log_events(ACCOUNT, REGION, "/aws/sagemaker/TrainingJobs", "job/algo-1", lines)
    stream = get_backend("logs")[ACCOUNT][REGION].groups["/aws/sagemaker/TrainingJobs"].streams["job/algo-1"]
    assert [event.message for event in stream.events] == ["a", "b", "c"]


def test_metric_values_are_those_of_exactly_these_dimensions(services: Services) -> None:
    services.put_metric(ACCOUNT, REGION, "AWS/SageMaker", "Errors", {"E": "x", "V": "1"}, [1.0, 2.0])
    services.put_metric(ACCOUNT, REGION, "AWS/SageMaker", "Errors", {"E": "x"}, [3.0])
    services.put_metric(ACCOUNT, REGION, "AWS/SageMaker", "Errors", {"E": "x", "V": "1"}, [])
    now = datetime.now(UTC).timestamp()

    def values(dimensions: dict[str, str], since: float, until: float) -> list[float]:
        found = services.metric_values(ACCOUNT, REGION, "AWS/SageMaker", "Errors", dimensions, since, until)
        return [value for _, value in found]

    assert values({"V": "1", "E": "x"}, now - 60, now + 1) == [1.0, 2.0]
    assert values({"E": "x"}, now - 60, now + 1) == [3.0]
    assert values({"E": "x"}, now + 1, now + 60) == []


def test_statistic_set_keeps_its_minimum_maximum_sum_and_count(services: Services) -> None:
    stats = {"SampleCount": 4, "Sum": 20, "Minimum": 1, "Maximum": 9}
    get_backend("cloudwatch")[ACCOUNT][REGION].put_metric_data(
        "N", [{"MetricName": "set", "StatisticValues": stats, "Dimensions": []}]
    )
    found = services.metric_values(ACCOUNT, REGION, "N", "set", {}, 0, 2e10)
    values = [value for _, value in found]
    assert (len(values), sum(values), min(values), max(values)) == (4, 20, 1, 9)


def test_alarms_are_read_and_moved(services: Services) -> None:
    get_backend("cloudwatch")[ACCOUNT][REGION].put_metric_alarm(
        name="errors", namespace="N", metric_name="Errors", comparison_operator="GreaterThanThreshold",
        evaluation_periods=2, period=60, threshold=1.0, statistic="Sum", description="",
        dimensions=[{"Name": "E", "Value": "x"}], alarm_actions=[],
    )  # fmt: skip
    [alarm] = services.alarms(ACCOUNT, REGION, ["errors", "missing"])
    assert (alarm.metric, alarm.dimensions, alarm.statistic, alarm.threshold) == ("Errors", {"E": "x"}, "Sum", 1.0)
    assert (alarm.evaluation_periods, alarm.datapoints_to_alarm, alarm.missing_data) == (2, 2, "missing")
    services.set_alarm_state(ACCOUNT, REGION, "errors", "ALARM", "too many")
    assert services.alarms(ACCOUNT, REGION, ["errors"])[0].state == "ALARM"
    with pytest.raises(KeyError):
        services.set_alarm_state(ACCOUNT, REGION, "missing", "OK", "")


def test_metric_values_do_not_grow_for_ever(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.local.services.MAX_METRIC_VALUES", 10)
    for value in range(25):
        services.put_metric(ACCOUNT, REGION, "AWS/SageMaker", "Load", {"E": "x"}, [float(value)])
    kept = [value for _, value in services.metric_values(ACCOUNT, REGION, "AWS/SageMaker", "Load", {"E": "x"}, 0, 2e10)]
    assert len(kept) <= 10
    assert kept[-1] == 24.0
