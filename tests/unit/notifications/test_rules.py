"""The rules of infra/events match AWS's documented events of their kind, no others, and tell the right link and no secret."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from common.errors import NotificationError
from common.local.events.inputs import check_input, told
from common.notifications.rules import STATEMENT, LiveRule, LiveTopic, Rule, declared_rules, wiring
from tests.unit.notifications import samples

RULES = {rule.name: rule for rule in declared_rules()}
TOPIC = "arn:aws:sns:eu-west-1:111122223333:alerts"
CONSOLE = "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#"
FAILED = {
    "models-training-failed": (samples.training(), f"{CONSOLE}/jobs/abalone-3f2a"),
    "models-processing-failed": (samples.processing(), f"{CONSOLE}/processing-jobs/churn-monitor-20260321"),
    "models-transform-failed": (samples.transform(), f"{CONSOLE}/transform-jobs/churn-batch-20260321"),
    "models-tuning-failed": (samples.tuning(), f"{CONSOLE}/hyper-tuning-jobs/churn-3f2a-20260321"),
    "models-endpoint-failed": (samples.endpoint(), f"{CONSOLE}/endpoints/abalone"),
}


def matching(event: Mapping[str, Any]) -> list[str]:
    patterns = {name: EventPattern.load(json.dumps(rule.pattern)) for name, rule in RULES.items()}
    return [name for name, pattern in patterns.items() if pattern.matches_event(event)]  # type: ignore[arg-type]


def test_there_is_a_sample_for_each_rule() -> None:
    assert set(RULES) == set(FAILED)


@pytest.mark.parametrize("name", FAILED)
def test_a_rule_matches_its_own_kind_alone(name: str) -> None:
    event, _ = FAILED[name]
    assert matching(event) == [name]
    assert matching(event | {"source": "somebody.else"}) == []


@pytest.mark.parametrize("name", FAILED)
def test_a_message_has_the_link_that_helps_and_no_secret(name: str) -> None:
    event, link = FAILED[name]
    target = RULES[name].target(TOPIC)
    check_input(target)
    message = told(target, event, f"arn:aws:events:eu-west-1:111122223333:rule/{name}")
    links = re.findall(r"https://\S+", message)
    assert links[0] == link
    assert all(event["resources"][0].rpartition("/")[2] in each and "<" not in each for each in links)
    assert "hunter2" not in message
    assert all(line.startswith('"') and line.endswith('"') for line in message.splitlines())


@pytest.mark.parametrize("name", FAILED)
def test_a_message_asks_for_nothing_that_an_event_may_lack(name: str) -> None:
    """EventBridge says little of a variable whose path leads nowhere: the message must not depend on it."""
    event, _ = FAILED[name]
    always = {"name": "", "status": "", "account": "$.account", "region": "$.region", "time": "$.time"}
    paths = RULES[name].transformer["InputPathsMap"]
    assert set(paths) == set(always)
    for path in (paths["name"], paths["status"]):
        assert path.removeprefix("$.detail.") in event["detail"]


@pytest.mark.parametrize(
    "event",
    [
        *(samples.training(status, secondary) for status, secondary in
          [("InProgress", "Training"), ("Completed", "Completed"), ("Stopped", "Stopped"), ("Stopping", "Stopping")]),
        samples.training(_tuning_objective_metric="validation:rmse"),
        *(make(status) for make in (samples.processing, samples.transform, samples.tuning)
          for status in ("InProgress", "Completed", "Stopped", "Stopping")),
        *(samples.endpoint(status) for status in ("CREATING", "UPDATING", "IN_SERVICE", "DELETING")),
        samples.deployment(),
        samples.deployment("FAILED"),
        samples.model_package(),
    ],
    ids=lambda event: f"{event['detail-type']} {next(iter(event['detail'].values()))}",
)  # fmt: skip
def test_nothing_else_is_told(event: dict[str, Any]) -> None:
    assert matching(event) == []


@pytest.mark.parametrize("secondary", ["MaxRuntimeExceeded", "MaxWaitTimeExceeded"])
def test_a_training_job_that_ran_out_of_time_is_told(secondary: str) -> None:
    assert matching(samples.training("Stopped", secondary)) == ["models-training-failed"]


@pytest.mark.parametrize("status", ["FAILED", "UPDATE_ROLLBACK_FAILED"])
def test_an_endpoint_that_failed_is_told(status: str) -> None:
    assert matching(samples.endpoint(status)) == ["models-endpoint-failed"]


RULE = Rule("models-a", "tells of a", {"source": ["a"]}, {"InputPathsMap": {}, "InputTemplate": '"a"'})
PUT = LiveRule("tells of a", {"source": ["a"]}, enabled=True, targets=[RULE.target(TOPIC)])


def wired() -> tuple[LiveTopic, dict[str, LiveRule]]:
    policy = wiring([RULE], TOPIC, None, {}).policy
    assert policy is not None
    return LiveTopic(policy), {"models-a": PUT}


def test_everything_is_made_where_nothing_is() -> None:
    plan = wiring([RULE], TOPIC, None, {})
    assert plan.make_topic
    assert [*plan.put, *plan.aim, *plan.remove] == [RULE, RULE]
    assert len(plan.described()) == 4


def test_nothing_is_done_twice() -> None:
    assert wiring([RULE], TOPIC, *wired()).described() == []


def test_only_these_rules_may_publish() -> None:
    topic, _ = wired()
    (statement,) = topic.policy["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": ["arn:aws:events:eu-west-1:111122223333:rule/models-a"]}
    }


def test_what_others_wrote_into_the_policy_stays() -> None:
    theirs = {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sns:Subscribe",
        "Resource": TOPIC,
    }
    stale = {"Sid": STATEMENT, "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    policy = wiring([RULE], TOPIC, LiveTopic({"Statement": [theirs, stale]}), {}).policy
    assert policy is not None
    assert [each["Sid"] for each in policy["Statement"]] == ["Theirs", STATEMENT]
    assert policy["Statement"][1]["Principal"] == {"Service": "events.amazonaws.com"}


@pytest.mark.parametrize(
    ("change", "put", "aim"),
    [
        ({"pattern": {"source": ["b"]}}, 1, 0),
        ({"enabled": False}, 1, 0),
        ({"targets": []}, 0, 1),
        ({"targets": [RULE.target(f"{TOPIC}-2")]}, 0, 1),
    ],
)
def test_what_somebody_changed_is_put_again(change: dict[str, Any], put: int, aim: int) -> None:
    topic, live = wired()
    changed = replace(live["models-a"], **change)
    plan = wiring([RULE], TOPIC, topic, {"models-a": changed})
    assert (len(plan.put), len(plan.aim)) == (put, aim)


def test_a_rule_of_ours_that_no_file_declares_goes_and_others_stay() -> None:
    topic, live = wired()
    others = {"models-old": PUT, "models-theirs": LiveRule("", {}, enabled=True, owned=False)}
    assert wiring([RULE], TOPIC, topic, live | others).remove == ["models-old"]


def test_somebody_elses_rule_of_the_same_name_is_left_alone() -> None:
    with pytest.raises(NotificationError, match="models-a exist, and this project did not make them"):
        wiring([RULE], TOPIC, None, {"models-a": LiveRule("", {}, enabled=True, owned=False)})


def test_a_topic_that_would_lose_every_event_is_refused() -> None:
    with pytest.raises(NotificationError, match="every message would be lost"):
        wiring([RULE], TOPIC, LiveTopic({}, "alias/aws/sns"), {})


def test_a_file_that_is_no_rule_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"pattern": {}}')
    with pytest.raises(NotificationError, match=r"broken\.json is no rule: KeyError"):
        declared_rules(tmp_path)
