"""Alarms of the local CloudWatch have the state that their metrics say."""

import pytest

from common.local.hosting.host import Hosting
from common.local.hosting.telemetry import Invocation, Origin
from tests.functional.local.hosting_kit import REGION, Local, eventually


def record(local: Local, status: int) -> None:
    origin = Origin(local.account, REGION, "e")
    local.aws.part(Hosting).telemetry.record(origin, "v1", Invocation(status, 1000.0, 100.0))


def test_states_follow_the_metric_in_the_background(local: Local) -> None:
    local.put_alarm("errors", treat_missing_data="missing")
    record(local, 200)
    eventually(lambda: local.alarm_state("errors") == "OK", "good calls")
    record(local, 500)
    record(local, 500)
    eventually(lambda: local.alarm_state("errors") == "ALARM", "bad calls")
    eventually(lambda: local.alarm_state("errors") == "INSUFFICIENT_DATA", "no calls any more")


@pytest.mark.parametrize(
    ("treatment", "expected"), [("missing", "INSUFFICIENT_DATA"), ("breaching", "ALARM"), ("notBreaching", "OK")]
)
def test_a_new_alarm_without_data_is_in_the_state_that_it_says(local: Local, treatment: str, expected: str) -> None:
    watch = local.aws.part(Hosting).alarms
    local.put_alarm("errors", treat_missing_data=treatment)
    watch.refresh_all()
    assert local.alarm_state("errors") == expected


def test_an_alarm_set_by_hand_holds_until_there_is_data_that_says_otherwise(local: Local) -> None:
    watch = local.aws.part(Hosting).alarms
    local.put_alarm("errors")
    local.aws.services.set_alarm_state(local.account, REGION, "errors", "ALARM", "a drill")
    for _ in range(3):
        assert watch.in_alarm(local.account, REGION, ["errors"]) == ["errors"]
    record(local, 200)
    assert watch.in_alarm(local.account, REGION, ["errors"]) == ["errors"]  # for one period, so that it is seen at all

    def fine() -> bool:
        record(local, 200)
        return watch.in_alarm(local.account, REGION, ["errors"]) == []

    eventually(fine, "the next evaluation")


def test_an_evaluation_sees_calls_that_were_not_yet_written(local: Local) -> None:
    watch = local.aws.part(Hosting).alarms
    local.put_alarm("errors")
    record(local, 500)
    assert watch.in_alarm(local.account, REGION, ["errors"]) == ["errors"]


def test_an_alarm_that_does_not_exist_guards_nothing_and_counts_as_firing(local: Local) -> None:
    assert local.aws.part(Hosting).alarms.in_alarm(local.account, REGION, ["gone"]) == ["gone"]


def test_a_kind_that_cannot_be_evaluated_keeps_the_state_given_by_hand(local: Local) -> None:
    watch = local.aws.part(Hosting).alarms
    local.put_alarm("odd", comparison_operator="GreaterThanUpperThreshold")
    local.aws.services.set_alarm_state(local.account, REGION, "odd", "ALARM", "by hand")
    record(local, 200)
    watch.refresh_all()
    assert local.alarm_state("odd") == "ALARM"
