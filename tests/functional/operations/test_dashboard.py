"""What the dashboard collects of an account."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.aws import Aws
from common.batch.manifest import MANIFEST, Manifest
from common.dashboard import collect as collecting
from common.dashboard.collect import collect
from common.dashboard.facts import ModelFacts
from common.dashboard.write import write_dashboard
from common.deployment.hold import put_hold
from common.errors import UsageError
from common.monitoring.looked import Looked
from common.settings import Run
from common.storage import Bucket, Layout
from tests.dashboards import findings
from tests.functional.deployment.deployment_kit import Project
from tests.functional.operations.operations_kit import OnCall
from tests.pages import Page

RUN = Run("ada", url="https://circleci.com/gh/acme/models/7", actor="grace")


def looked(day: int, version: int, shift: float = 0.03) -> Looked:
    """What `models monitor` keeps of a day of November."""
    since, until = (f"2026-11-{each:02}T00:00:00+00:00" for each in (day, day + 1))
    window, name = {"since": since, "until": until}, f"live-202611{day:02}T00-202611{day + 1:02}T00"
    return Looked(name, "live", until, 900, version, "0f", window, findings(shift))


def keep(aws: Aws, found: Looked, text: str = "") -> None:
    key = f"abalone/monitoring/{found.version}/{found.id}/findings.json"
    Bucket(aws).write(key, (text or json.dumps(found.to_json())).encode())


def score(aws: Aws, day: int, rejected: int = 0) -> None:
    """Keep the manifest of a scored partition, as `models batch` does."""
    manifest = Manifest(
        f"dt=2026-11-{day:02}", 1, "arn", "0f", {}, "0e", 9000, rejected, {"no number": rejected} if rejected else {},
        ({"name": "a.csv", "size": 1},), ({"name": "part-00000.parquet", "rows": 9000},), {}, f"2026-11-{day:02}T02:10:00+00:00",
    )  # fmt: skip
    key = f"{Layout('abalone').batch_output(manifest.partition, 1)}{MANIFEST}"
    Bucket(aws).write_json(key, manifest.to_json())


def fire(project: Project, name: str, tags: dict[str, str]) -> None:
    """Create an alarm that nothing evaluates, and let it fire."""
    cloudwatch = project.aws.cloudwatch
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="tests", MetricName="none", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=f"{name} was too much")


@dataclass
class Counted:
    """The calls that were made of AWS, by operation."""

    calls: list[str]

    def begin(self, *clients: Any) -> None:
        for client in clients:
            client.meta.events.register("before-call", self._count)

    def _count(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)


def of(person: OnCall) -> ModelFacts:
    [model] = collect(person.context, [person.project.model]).models
    return model


def test_an_account_without_anything_is_a_page(project: Project) -> None:
    model = of(OnCall(project))
    assert (model.packages, model.windows, model.batches, model.alarms, model.running) == ((), (), (), (), ())
    assert model.problem == "no approved package of main's source"
    assert model.live is not None
    assert not model.live.exists


def test_a_model_with_a_history_is_collected_whole_with_few_calls(project: Project, tmp_path: Path) -> None:
    """One story, since a deploy takes a second."""
    one = project.package(1)
    project.deploy(one)
    waiting, refused = project.package(2, approved=False), project.package(3, approved=False)
    project.registry.reject(refused, RUN, "the unit was <wrong>")
    for day in (18, 20, 19):
        keep(project.aws, looked(day, 1, 0.4))
    keep(project.aws, looked(21, 1), "{")
    keep(project.aws, looked(22, 1), json.dumps({**looked(22, 1).to_json(), "quality": {"metrics": []}}))
    score(project.aws, 19)
    score(project.aws, 20, rejected=7)
    Bucket(project.aws).write_json("abalone/batch/output/dt=2026-11-21/version=1/_manifest.json", {"partition": "x"})
    Bucket(project.aws).write("abalone/batch/output/dt=2026-11-22/version=1/_manifest.json", b"[")
    Bucket(project.aws).write("abalone/monitoring/jobs/0f/findings.json", b"the job's own")
    fire(project, "abalone-too-much", {"model": "abalone"})
    fire(project, "fraud-too-much", {"model": "fraud"})
    fire(project, "somebody-elses", {"team": "search"})
    put_hold(project.aws, "abalone", reason="we measure", by="ada")
    person = OnCall(project, main=one)
    counted = Counted([])
    counted.begin(project.aws.s3, project.aws.sagemaker, project.aws.cloudwatch, project.aws.autoscaling)

    facts = collect(person.context, [project.model])

    [model] = facts.models
    assert [package.version for package in model.packages] == [3, 2, 1]
    assert model.serving is not None
    assert (model.serving.version, [each.version for each in model.waiting]) == (1, [2])
    assert model.held.startswith("held since")
    assert model.metric == "rmse"
    assert [window.name for window in model.windows] == ["2026-11-20", "2026-11-19", "2026-11-18"]
    assert model.windows[0].end == datetime(2026, 11, 21, tzinfo=UTC)
    assert model.due is not None
    assert model.due.words.startswith("held since")  # as `models due` says it
    assert [(each.partition, each.rows, each.rejected, each.reason) for each in model.batches] == [
        ("dt=2026-11-20", 9000, 7, "no number"),
        ("dt=2026-11-19", 9000, 0, ""),
    ]
    damaged = ("monitoring/1/live-20261121", "monitoring/1/live-20261122", "dt=2026-11-21", "dt=2026-11-22")
    assert len(model.unreadable) == len(damaged)
    assert all(any(each in why and "is damaged" in why for why in model.unreadable) for each in damaged)
    assert [(alarm.name, alarm.reason) for alarm in model.alarms] == [
        ("abalone-too-much", "abalone-too-much was too much")
    ]
    assert [alarm.name for alarm in facts.other_alarms] == ["fraud-too-much"]
    assert [each.instance_type for each in model.running] == ["ml.t2.medium"]
    assert len(counted.calls) <= 45, sorted(counted.calls)
    assert not [call for call in counted.calls if not call.startswith(("Describe", "List", "Get", "Head"))]

    page = tmp_path / "new folder" / "models.html"
    write_dashboard(person.context, [project.model], page)
    told = " ".join(Page(page.read_text()).text.split())
    assert told.startswith("✗ 1 of 1 models wants somebody's attention: abalone")
    assert "the unit was &lt;wrong&gt;" in page.read_text()
    assert person.said == [f"1 of 1 models wants somebody's attention: abalone.\n{page} has the whole."]
    assert waiting.version == 2


def test_of_a_long_history_the_newest_is_read_and_the_rest_counted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_MOST_PACKAGES", 2)
    monkeypatch.setattr(collecting, "_MOST_WINDOWS", 1)
    monkeypatch.setattr(collecting, "_MOST_BATCHES", 1)
    for number in (1, 2, 3):
        project.package(number)
    for day in (18, 20):
        keep(project.aws, looked(day, 1))
        score(project.aws, day)
    model = of(OnCall(project))
    assert ([package.version for package in model.packages], model.older) == ([3, 2], 1)
    assert ([window.name for window in model.windows], model.earlier_windows) == (["2026-11-20"], 1)
    assert ([batch.partition for batch in model.batches], model.earlier_batches) == (["dt=2026-11-20"], 1)


def test_a_package_that_is_deleted_meanwhile_is_left_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.package(1)
    gone = project.package(2)
    listed = list(project.registry.summaries())
    project.aws.sagemaker.delete_model_package(ModelPackageName=gone.arn)
    monkeypatch.setattr("common.dashboard.collect._status", lambda *_: "asked by another test")
    monkeypatch.setattr("common.registry.Registry.summaries", lambda _: iter(listed))
    assert [package.version for package in of(OnCall(project)).packages] == [1]


def test_a_model_that_nobody_can_tell_the_state_of_is_told_as_such(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise UsageError("The manifest of the shared endpoint is missing.")

    monkeypatch.setattr("common.dashboard.collect.model_status", broken)
    model = of(OnCall(project))
    assert (model.live, model.serving, model.problem) == (None, None, "The manifest of the shared endpoint is missing.")


def test_a_refusal_of_aws_ends_it_without_a_page(project: Project, tmp_path: Path) -> None:
    elsewhere = Aws(replace(project.aws.settings, bucket="nobodys-bucket"))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        write_dashboard(OnCall(project, aws=elsewhere).context, [project.model], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_file_that_cannot_be_written_is_told(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/page.html cannot be written"):
        write_dashboard(OnCall(project).context, [], tmp_path / "file" / "page.html")
