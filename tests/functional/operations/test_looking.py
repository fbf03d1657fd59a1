"""What whoever is on call sees: logs, a rollout as it goes, and what runs and costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from common.deployment.modes import ServerlessEndpoint
from common.deployment.rollout import Canary
from common.errors import DeploymentError
from common.model import Model
from common.operations.cost import HOURS_OF_A_MONTH, Running, show_cost, what_runs
from common.operations.logs import LOG_GROUP, show_logs
from common.operations.watch import View, line, look, table, watch
from tests.functional.deployment.deployment_kit import ENDPOINT, MODEL, Project, asking, eventually
from tests.functional.operations.operations_kit import OnCall


class Clock:
    """The time, and sleep that does something instead."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep
        self.time = time.time


CANARY = replace(ENDPOINT, instance_count=2, rollout=Canary(50, bake_seconds=3600))
"""It bakes for 3.6 s of the tests' time."""


def print_lines(project: Project, lines: Sequence[tuple[str, str, int]]) -> None:
    """Put (stream, message, seconds ago) into the endpoint's log, as SageMaker does."""
    logs, group = project.account.client("logs"), LOG_GROUP.format("abalone")
    for stream in {stream for stream, _, _ in lines}:
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
    for stream, message, ago in lines:
        event = {"timestamp": int((time.time() - ago) * 1000), "message": message}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


def test_the_log_has_the_containers_lines_by_time_with_variant_and_instance(project: Project) -> None:
    person = OnCall(project)
    with pytest.raises(DeploymentError, match="There is no log /aws/sagemaker/Endpoints/abalone"):
        show_logs(person.context, "abalone", 10, follow=False)
    print_lines(
        project, [("AllTraffic/i-1", "third", 1), ("AllTraffic/i-2", "first", 90), ("AllTraffic/i-1", "too old", 660)]
    )
    print_lines(project, [("Shadow/i-3", "second", 30)])
    show_logs(person.context, "abalone", 10, follow=False)
    assert [line[20:] for line in person.said] == [
        "AllTraffic/i-2  first",
        "Shadow/i-3  second",
        "AllTraffic/i-1  third",
    ]
    del person.said[:]
    show_logs(person.context, "abalone", 0, follow=False)
    assert person.said == ["abalone has printed nothing in the last 0 minutes"]


def test_following_a_log_prints_each_line_once_and_goes_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    person, turns = OnCall(project), list[int]()
    print_lines(project, [("AllTraffic/i-1", "before", 5)])

    def next_turn(_: float) -> None:
        turns.append(1)
        if len(turns) == 4:
            raise KeyboardInterrupt
        print_lines(project, [(f"AllTraffic/i-{len(turns)}", f"turn {len(turns)}", 0)])

    monkeypatch.setattr("common.operations.logs.time", Clock(next_turn))
    with pytest.raises(KeyboardInterrupt):
        show_logs(person.context, "abalone", 10, follow=True)
    assert [line.rpartition("  ")[2] for line in person.said] == ["before", "turn 1", "turn 2", "turn 3"]


def test_watching_a_rollout_says_each_change_once_and_ends_with_it(project: Project) -> None:
    person = OnCall(project)
    project.deploy(project.package(1), CANARY)
    asking(project.account, "abalone")()
    two, other = project.package(2), project.another_process()
    rollout = threading.Thread(target=lambda: project.deploy(two, CANARY, aws=other))
    rollout.start()
    eventually(lambda: project.live().status == "Updating", "the rollout begins")
    watch(person.context, MODEL)
    rollout.join()
    *lines, last = person.said
    assert "  Updating  by arn:aws:" in lines[0]
    assert any(f"abalone-model-2-{CANARY.digest()}/AllTraffic ×" in each and "Baking" in each for each in lines)
    assert len(lines) == len({each[8:] for each in lines})
    assert last.startswith("abalone is InService, changed by arn:aws:")
    assert "abalone-Invocation5XXErrors-Sum" in last
    eventually(
        lambda: look(project.aws, MODEL).figures["AllTraffic"].get("requests", 0) >= 1, "the requests are counted"
    )
    view = look(project.aws, MODEL)
    assert view.figures["AllTraffic"]["p50"] > 0
    assert "requests, 0 errors, p50 " in line(view)
    assert view.settled


def test_there_is_nothing_to_watch_without_an_endpoint(project: Project) -> None:
    with pytest.raises(DeploymentError, match="There is no endpoint abalone to watch"):
        watch(OnCall(project).context, MODEL)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_table_each_time_and_a_log_a_line_for_each_change(
    project: Project, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    views = [View(status, "", (), {}, {}) for status in ("Updating", "Updating", "InService")]
    monkeypatch.setattr("common.operations.watch.look", lambda *_: views.pop(0))
    monkeypatch.setattr("common.operations.watch.time", Clock(lambda _: None))
    monkeypatch.setattr("common.operations.watch.sys.stdout.isatty", lambda: terminal)
    person = OnCall(project)
    watch(person.context, MODEL)
    told = [said for said in person.said if "\x1b[H" in said]
    assert len(told) == (3 if terminal else 0)
    assert len(person.said) == (4 if terminal else 3)


def test_a_view_names_what_fires_and_why_it_failed() -> None:
    view = View("Failed", "", (), {"a": "OK", "b": "ALARM"}, {"AllTraffic": {}}, "no capacity")
    assert line(view).endswith("Failed  alarm b")
    assert "no capacity" in table("abalone", view)


def test_the_cost_is_that_of_every_instance_of_this_projects_endpoints(project: Project) -> None:
    person = OnCall(project)
    show_cost(person.context, [])
    assert person.said == ["Nothing runs that costs money by the hour."]
    project.deploy(project.package(1), replace(ENDPOINT, instance_count=2))
    serverless = Project(project.account, Model("abalone2", "Another", "rings", "regression"))
    serverless.deploy(serverless.package(2), ServerlessEndpoint(memory_mb=2048, max_concurrency=5))
    del person.said[:]
    show_cost(person.context, [])
    rows, total = person.said[0].splitlines()[2:], person.said[1]
    assert "2 × ml.t2.medium" in rows[0]
    assert "no Host price of ml.t2.medium in eu-west-1 is listed" in rows[0]
    assert "serverless: paid by request" in rows[1]
    assert "1 of 2 have no listed price" in total
    assert [each.model for each in what_runs(project.aws, ["abalone"])] == ["abalone"]
    serverless.remove_endpoint()


def test_prices_are_multiplied_by_instances_and_zero_instances_cost_nothing() -> None:
    two = Running("abalone", "endpoint", "Host", "ml.m5.large", 2)
    assert two.by_hour("us-east-1") == pytest.approx(0.23)
    assert two.by_hour("eu-west-1") is None
    assert replace(two, count=0).by_hour("eu-west-1") == 0
    assert replace(two, instance_type="", count=0).by_hour("us-east-1") == 0
    assert HOURS_OF_A_MONTH == 365 * 24 / 12
