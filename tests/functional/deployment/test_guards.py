"""The alarms around a rollout: put, looked at before traffic shifts, learned from what serves, and removed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.deployment import guard
from common.deployment.alarms import Alarm, Learned
from common.deployment.guard import describe_guards
from common.deployment.rollout import AllAtOnce, Rolling
from common.errors import DeploymentError
from tests.functional.deployment.deployment_kit import (
    ENDPOINT,
    ERRORS,
    Load,
    Project,
    constant_load,
    eventually,
    on_call,
    trained,
)

REFUSALS = replace(ENDPOINT, alarms=(Alarm("Invocation4XXErrors", "Average", above=0.5, period_seconds=3600),))
"""The alarm that fires when more than half of the requests of 3.6 real seconds are refused."""


@pytest.fixture
def load(project: Project) -> Iterator[Load]:
    """Constant load on the endpoint, which serves package 1."""
    project.deploy(project.package(1))
    with constant_load(project) as load:
        eventually(lambda: len(load.answers) > 5, "the load runs")
        yield load


def alarms(project: Project) -> dict[str, Any]:
    found = project.account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {alarm["AlarmName"]: alarm for alarm in found}


def unlike_callers(project: Project, number: int) -> Any:
    """A package that refuses what callers send: it wants a column that they do not have."""
    artifact, golden = trained(number, columns=("length", "width", "height"))
    return project.package(number, artifact=artifact, golden=golden)


@pytest.mark.long
def test_batches_replace_the_instances_under_load(project: Project, load: Load) -> None:
    four = replace(ENDPOINT, instance_count=4, rollout=Rolling(25, 0))
    assert project.deploy(project.package(2), four)
    assert project.deploy(project.package(3), replace(four, rollout=Rolling(50, 60)))
    assert project.answers() == 3
    assert not load.errors
    assert set(load.answers) == {1, 2, 3}


def test_a_package_that_refuses_its_callers_is_rolled_back_from_the_middle_of_its_batches(
    project: Project, load: Load
) -> None:
    four = replace(REFUSALS, instance_count=4, rollout=Rolling(25, 1200, rollback_percent=50))
    four = replace(
        four, alarms=(Alarm("Invocation4XXErrors", "Average", above=0.3, period_seconds=1200),)
    )  # the second batch of four
    project.deploy(project.package(2), replace(four, rollout=Rolling(50, 0)))
    with pytest.raises(
        DeploymentError, match=r"alarm abalone-Invocation4XXErrors-Average|abalone-model-2-\w+ serves"
    ) as error:
        project.deploy(unlike_callers(project, 3), four)
    assert "abalone-Invocation4XXErrors-Average" in str(error.value)
    assert project.live().model_name == "abalone-model-2"
    assert load.errors
    failed = len(load.errors)
    answered = len(load.answers)
    eventually(lambda: len(load.answers) > answered + 20, "more requests")
    assert len(load.errors) <= failed + 2  # those under way when the last of it went
    assert set(load.answers) == {1, 2}


def test_a_deploy_is_refused_while_an_alarm_fires_and_goes_on_despite_it_when_told_to(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_PATIENCE_SECONDS", 0.5)
    watched = replace(REFUSALS, alarms=(*REFUSALS.alarms, replace(ERRORS, period_seconds=3600)))
    project.deploy(unlike_callers(project, 1), watched)
    two = project.package(2)
    with constant_load(project) as load:
        eventually(lambda: alarms(project)["abalone-Invocation4XXErrors-Average"]["StateValue"] == "ALARM", "it fires")
        serving = project.live()
        with pytest.raises(
            DeploymentError, match=r"abalone-Invocation4XXErrors-Average \(Invocation4XXErrors over"
        ) as error:
            project.deploy(two, watched)
        assert "--despite-alarms" in error.value.remedy
        assert project.live() == serving
        assert load.errors
        assert project.deploy(two, watched, despite_alarms=True)
        assert project.answers() == 2
    assert any("abalone-Invocation4XXErrors-Average is left out" in said for said in project.said)
    last = project.account.client("sagemaker").describe_endpoint(EndpointName="abalone")["LastDeploymentConfig"]
    assert last["AutoRollbackConfiguration"]["Alarms"] == [{"AlarmName": "abalone-Invocation5XXErrors-Sum"}]


@pytest.mark.long
def test_an_alarm_that_the_last_rollout_set_off_is_waited_for(project: Project, load: Load) -> None:
    two = project.package(2)
    project.deploy(two)
    project.account.client("cloudwatch").set_alarm_state(
        AlarmName="abalone-Invocation5XXErrors-Sum", StateValue="ALARM", StateReason="a drill"
    )
    assert project.deploy(project.package(3))
    assert any("waiting 120 s at most" in said for said in project.said)


def serve_by_hand(project: Project) -> str:
    """The configuration of an endpoint that nobody has asked anything yet, with package 1."""
    sagemaker, package = project.account.client("sagemaker"), project.package(1)
    container = {"ModelPackageName": package.arn}
    sagemaker.create_model(ModelName="old", PrimaryContainer=container, ExecutionRoleArn=project.account.role)
    request = ENDPOINT.request("old", "")
    sagemaker.create_endpoint_config(EndpointConfigName="old", **request)
    sagemaker.create_endpoint(EndpointName="abalone", EndpointConfigName="old")
    return project.settled().configuration


def test_what_a_quiet_endpoint_leaves_unguarded_is_said_and_refused_where_that_is_declared(project: Project) -> None:
    slow = Alarm("ModelLatency", "p99", above=1e7)
    endpoint = replace(ENDPOINT, alarms=(slow,), rollout=AllAtOnce(60))
    assert serve_by_hand(project) == "old"
    two = project.package(2)
    with pytest.raises(DeploymentError, match="abalone-ModelLatency-p99 must guard the rollout"):
        project.deploy(two, replace(endpoint, alarms=(replace(slow, require_data=True),)))
    assert (project.live().status, project.live().configuration) == ("InService", "old")
    warning = "alarm abalone-ModelLatency-p99 cannot guard this rollout: no ModelLatency of what serves"
    assert any(f"warning: {warning}" in said for said in describe_guards(project.aws, project.wanted(two, endpoint)))
    assert project.deploy(two, endpoint)
    assert any(f"warning: {warning}" in said for said in project.said)
    project.said.clear()
    assert project.deploy(project.package(3), endpoint)  # the golden predictions of package 2 were asked for
    assert not any("warning" in said for said in project.said)


@pytest.mark.long
def test_requests_that_stay_away_are_an_alarm_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_PATIENCE_SECONDS", 5)
    endpoint = replace(
        ENDPOINT, alarms=(Alarm("Invocations", "Sum", below=1, period_seconds=3600),), rollout=AllAtOnce(600)
    )
    project.deploy(project.package(1), endpoint)
    with constant_load(project):
        assert project.deploy(project.package(2), endpoint)
    name = "abalone-Invocations-Sum"
    eventually(lambda: alarms(project)[name]["StateValue"] == "ALARM", "nobody asks any more")
    monkeypatch.setattr(guard, "_PATIENCE_SECONDS", 0.5)
    with pytest.raises(
        DeploymentError, match=rf"in ALARM already.*{name} \(Invocations over the last 1 period\(s\): \[missing\]"
    ):
        project.deploy(project.package(3), endpoint)
    assert project.live().model_name == "abalone-model-2"


def put_latencies(project: Project, values: list[float], now: datetime) -> None:
    """A day's p99 of the model's latency, minute by minute, back from now."""
    dimensions = [{"Name": "EndpointName", "Value": "abalone"}, {"Name": "VariantName", "Value": "AllTraffic"}]
    data = [
        {
            "MetricName": "ModelLatency",
            "Dimensions": dimensions,
            "Timestamp": now - timedelta(minutes=minute),
            "Value": value,
        }
        for minute, value in enumerate(values, start=1)
    ]
    project.account.client("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)


def test_a_threshold_is_learned_from_what_serves_or_falls_back_with_a_word(project: Project) -> None:
    learned = Alarm("ModelLatency", "p99", above=Learned(times=2, fallback=9e6, hours=30), period_seconds=120)
    endpoint = replace(ENDPOINT, alarms=(learned,))
    name = "abalone-ModelLatency-p99"
    project.deploy(project.package(1), endpoint)
    assert alarms(project)[name]["Threshold"] == 9e6
    project.deploy(project.package(2), endpoint)
    assert any("above 9e+06 for 120 s (the declared fallback: " in said for said in project.said)
    now = datetime.now(UTC)
    # 1,500 minutes are more data points than one GetMetricStatistics answers; one of them in twenty is unusually slow.
    put_latencies(project, [5e6 if minute % 20 == 3 else 3e6 for minute in range(1500)], now)
    planned = describe_guards(project.aws, project.wanted(project.package(3), endpoint))
    assert any("learned: 2 times" in said for said in planned)
    project.deploy(project.package(4), endpoint)
    assert 6e6 <= alarms(project)[name]["Threshold"] <= 1e7
    assert any("learned: 2 times" in said for said in project.said)


def test_alarms_that_are_declared_no_more_go_and_those_of_others_stay(project: Project) -> None:
    cloudwatch = project.account.client("cloudwatch")
    both = replace(ENDPOINT, alarms=(ERRORS, Alarm("ModelLatency", "p99", above=1e7)))
    project.deploy(project.package(1), both)
    mine = guard.wanted_definition("abalone", Alarm("OverheadLatency", "Maximum", above=1), 1)
    cloudwatch.put_metric_alarm(AlarmName="abalone-OverheadLatency-Maximum", **mine)  # by its name it could be ours
    tags = [{"Key": "model", "Value": "abalone"}]
    cloudwatch.put_metric_alarm(AlarmName="abalone-of-somebody", Tags=tags, **mine)
    everything = {*alarms(project)}

    def still_there() -> None:
        assert {*alarms(project)} == everything

    with on_call(project.aws.sagemaker, "UpdateEndpoint", still_there):
        project.deploy(project.package(2))
    assert {*alarms(project)} == everything - {"abalone-ModelLatency-p99"}
    assert any("deleted alarm abalone-ModelLatency-p99" in said for said in project.said)
    theirs = replace(ENDPOINT, alarms=(Alarm("OverheadLatency", "Maximum", above=1e9),))
    with pytest.raises(
        DeploymentError, match="The alarm abalone-OverheadLatency-Maximum exists, and no deploy of abalone"
    ):
        project.deploy(project.package(3), theirs)
    assert project.answers() == 2
    assert alarms(project)["abalone-OverheadLatency-Maximum"]["Threshold"] == 1
