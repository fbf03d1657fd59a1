"""`models monitor` from captured calls to findings that count, against the local AWS."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

import abalone_model.deploy
from common.batch import Batch
from common.errors import MonitoringError, RegistryError
from common.monitoring.declare import Monitor, Rule
from common.monitoring.results import history
from common.steps.windows import NothingToMonitor
from tests.functional.deployment.deployment_kit import Project
from tests.functional.monitoring.monitoring_kit import YESTERDAY, Monitored, animals, window_of
from tests.functional.notifications.conftest import Ears
from tests.pages import Page

BEFORE = YESTERDAY - timedelta(days=1)


@pytest.fixture
def monitored(project: Project) -> Monitored:
    return Monitored(project)


def test_windows_are_looked_at_once_and_add_up_and_one_that_fails_counts_for_nothing(
    monitored: Monitored, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abalone_model.deploy, "BATCH", Batch("ml.m5.large", format="csv"))
    monitored.topic = ears.topic
    monitored.put_baseline(monitored.deploy())

    # By night: yesterday's calls, whose truth is malformed, and the newest batch, whose widths are in another unit.
    odd, quiet = animals(seed=4), animals(seed=3)
    odd["width"] *= 1000
    monitored.score("dt=0", quiet, at=YESTERDAY.isoformat())
    monitored.score("dt=1", odd)
    ids = monitored.call(YESTERDAY, quiet)
    monitored.write_truth(YESTERDAY, b"nonsense\n")
    with pytest.raises(MonitoringError, match=f"1 of 2 windows .* not be looked at: {window_of(YESTERDAY)}"):
        monitored.look()
    said = "\n".join(monitored.project.said)
    assert re.search(r"abalone/truth/.*/truth\.jsonl, line 1, is no ground truth", said)
    assert "abalone, batch-dt=1: the records are not what the model was made for" in said
    assert [each.id for each in history(monitored.bucket, "abalone", 1)] == ["batch-dt=1"]
    found = monitored.findings("batch-dt=1")
    assert (found["broken"], found["window"]["rows"], found["window"]["partition"]) == (True, 400, "dt=1")
    assert {test["feature"] for test in found["tests"]} == {"length", "width", "weight", "(prediction)"}
    assert len(ears.inbox.receive()) == 1

    # The truth is mended, and nothing has changed.
    monitored.put_truth(YESTERDAY, ids, quiet["rings"])
    said = monitored.look()
    assert "nothing has changed" in said
    assert "No reason to retrain" in said
    found = monitored.findings(window_of(YESTERDAY))
    assert (found["drifted"], found["degraded"], found["broken"]) == (False, False, False)
    assert found["quality"]["outcomes"] == 400
    assert (found["window"]["rows"], found["window"]["version"], found["window"]["kind"]) == (400, 1, "live")
    assert set(monitored.results(window_of(YESTERDAY))) == {
        "findings.json", "statistics.json", "constraint_violations.json", "report.html",
    }  # fmt: skip
    assert (monitored.metric("Rows"), monitored.metric("DriftedColumns")) == ([400], [0])
    before, jobs = monitored.results(window_of(YESTERDAY)), monitored.jobs()
    said = monitored.look()
    assert "was looked at before, and has not changed" in said
    assert "no batch to look at" in said
    assert (monitored.results(window_of(YESTERDAY)), monitored.jobs()) == (before, jobs)

    # Another day has drifted, and by what is declared now one such window is enough.
    longer = animals(seed=5)
    longer["length"] += 0.4
    monitored.put_truth(BEFORE, monitored.call(BEFORE, longer), longer["rings"] + 40)
    monkeypatch.setattr(abalone_model.deploy, "MONITOR", Monitor(rule=Rule(windows=1, of=2)))
    said = monitored.look(BEFORE)
    assert "the data have drifted" in said
    assert "A reason to retrain" in said
    found = monitored.findings(window_of(BEFORE))
    assert (found["drifted"], found["degraded"]) == (True, True)
    violations = json.loads(monitored.results(window_of(BEFORE))["constraint_violations.json"])["violations"]
    assert ("length", "baseline_drift_check") in {(v["feature_name"], v["constraint_check_type"]) for v in violations}
    page = Page(monitored.results(window_of(BEFORE))["report.html"].decode())
    assert "the data have drifted" in page.text
    [told] = map(json.loads, ears.inbox.receive())
    assert told["Subject"].startswith(f"abalone: drift found: version 1, {window_of(BEFORE)}: the data have drifted")
    assert "- length: " in told["Message"]
    assert "- The root mean squared error of 400 predictions" in told["Message"]
    assert f"/monitoring/1/{window_of(BEFORE)}/report.html" in told["Message"]
    monitored.look(BEFORE)
    assert ears.inbox.is_quiet()
    days = [each.id for each in history(monitored.bucket, "abalone", 1) if each.kind == "live"]
    assert days == [window_of(BEFORE), window_of(YESTERDAY)]


def test_what_cannot_be_looked_at_is_said_and_leaves_nothing(
    monitored: Monitored, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = monitored.look()
    assert "no calls to look at: No package of abalone serves" in said
    assert "no batch to look at" in said
    with pytest.raises(NothingToMonitor, match="No package of abalone serves"):
        monitored.look(YESTERDAY)
    package = monitored.deploy()
    monitored.call(YESTERDAY, animals(8))
    with pytest.raises(RegistryError, match="Version 1 of abalone has no baseline to compare with"):
        monitored.look()
    monitored.put_baseline(package)
    with pytest.raises(NothingToMonitor, match=r"None of the calls from .* were captured"):
        monitored.look(BEFORE)
    with pytest.raises(NothingToMonitor, match="serves since 2020-01-01"):
        monitored.look(YESTERDAY.replace(year=2019, day=1))
    with pytest.raises(NothingToMonitor, match="The batch dt=1 of abalone was not scored"):
        monitored.look(batch="dt=1")
    monitored.score("dt=1", animals(8))
    monitored.bucket.write(f"{monitored.layout.batch_input()}dt=1/more.csv", b"length\n")
    with pytest.raises(NothingToMonitor, match="its files have changed since"):
        monitored.look(batch="dt=1")
    for change in ({"variants": ()}, {"rollback": "abalone-model-0"}):
        with monkeypatch.context() as patched:
            live = replace(monitored.project.live(), **change)
            patched.setattr("common.steps.windows.live_of", lambda *_, live=live: live)
            with pytest.raises(NothingToMonitor, match="is not deployed yet, or its deploy was interrupted"):
                monitored.look(YESTERDAY)
    assert monitored.jobs() == []
    half = monitored.layout.monitoring(1, "live-half/")
    monitored.bucket.write(f"{half}statistics.json", b"{}")
    assert history(monitored.bucket, "abalone", 1) == []
    monitored.bucket.write(f"{half}findings.json", b'{"version": 1')
    with pytest.raises(MonitoringError, match=r"live-half/findings\.json is damaged"):
        history(monitored.bucket, "abalone", 1)
    monitored.score("dt=2", animals(8))
    monitored.project.package(2)
    monitored.project.aws.sagemaker.delete_model_package(ModelPackageName=package.arn)
    with pytest.raises(NothingToMonitor, match="Version 1 of abalone, which scored dt=2, is gone from the registry"):
        monitored.look(batch="dt=2")
