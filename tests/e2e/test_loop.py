"""It stays good by itself: schedules score, look, train and ask, through the real YAML, until what came in is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.local.pipeline.plan import schedule
from common.local.pipeline.run import PipelineResult
from tests.accounts import Account
from tests.clones import packages, serving
from tests.e2e.pipeline_repo import statuses
from tests.e2e.project import Project, assert_red
from tests.farm import Farm
from tests.functional.local.events_kit import queue

NIGHT = {"batch-abalone": "success", "monitor-abalone": "success", "check": "skipped", "audit": "skipped"}
MORNING = {"due": "success", "dashboard": "skipped", "check": "skipped", "audit": "skipped"}
BEHIND = {"approve-abalone": "blocked", "deploy-abalone": "blocked"}
ASKED = {**MORNING, "retrain-abalone": "success", "request-deployment": "on_hold", **BEHIND}
NOBODY_ASKED = {**MORNING, "retrain-abalone": "failed", "request-deployment": "blocked", **BEHIND}
DRIFT = "abalone: drift found"


class Season(Project):
    """A farm whose schedules run, and a queue that hears what people are told."""

    def __init__(self, aws: Account, folder: Path, *, windows: int, of: int) -> None:
        self.farm = Farm(aws, folder, windows=windows, of=of)
        super().__init__(aws, folder, self.farm.variables, self.farm.clone)
        self._inbox = queue(aws, "inbox", open_to_events=False)
        aws.client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self._inbox.arn)

    def night(self) -> PipelineResult:
        return self._scheduled("nightly", ("check", "audit"))

    def morning(self, *, click: bool = False) -> PipelineResult:
        return self._scheduled("retrain", ("check", "audit", "dashboard"), click=click)

    def _scheduled(self, name: str, skip: tuple[str, ...], *, click: bool = False) -> PipelineResult:
        found = schedule(self.clone.path, name)
        return self.play(found.branch, parameters=found.parameters, click=click, skip=skip)

    def told(self) -> list[str]:
        """The messages that people got since they were last read."""
        return [event["Message"] for event in self._inbox.events(count=100, seconds=0.3)]

    def told_of(self) -> list[str]:
        """The same, of each what it is about: `abalone: drift found`."""
        return [": ".join(message.split(": ")[:2]) for message in self.told()]

    @contextmanager
    def without_its_baseline(self) -> Iterator[None]:
        """While inside, every look at what came in fails."""
        about = packages(self.aws)[0]["CustomerMetadataProperties"]
        place = {
            "Bucket": self.aws.bucket,
            "Key": f"abalone/packages/{about['source']}-{about['data_version']}/baseline/statistics.json",
        }
        s3 = self.aws.client("s3")
        kept = s3.get_object(**place)["Body"].read()
        s3.delete_object(**place)
        yield
        s3.put_object(**place, Body=kept)


def test_what_drifted_is_learnt_by_morning_and_deployed_after_one_click(aws: Account, tmp_path: Path) -> None:
    season = Season(aws, tmp_path, windows=1, of=1)
    farm = season.farm
    farm.release()
    unseen = farm.later[-200:]
    farm.bring("dt=2026-11-20", farm.later[:400])
    night = season.night()
    assert statuses(night) == NIGHT
    assert "A reason to retrain: data had drifted in 1 of the last 1 windows" in night.job("monitor-abalone").log
    (drift,) = season.told()
    assert drift.startswith("abalone: drift found: version 1, batch-dt=2026-11-20: ")
    assert "report.html\njob: https://circleci.invalid/local/" in drift

    before, usual = farm.rmse(unseen), farm.rmse(farm.usual)
    farm.collect(farm.usual[:300], farm.later[:-200])  # what the source still has
    morning = season.morning(click=True)
    assert set(statuses(morning).values()) == {"success", "skipped"}, morning.jobs
    retrained = packages(aws)[-1]
    assert serving(aws) == retrained["ModelPackageArn"]
    assert "drifted" in retrained["CustomerMetadataProperties"]["retrained_because"]
    assert season.predictions_are_those_of(serving(aws))
    assert farm.rmse(unseen) < 0.5 * before
    assert farm.rmse(unseen) < 1.5 * usual  # as good as it was on the usual ones
    waiting, deployed = season.told()
    assert waiting.startswith("abalone: approval waiting: version 2\n")
    assert "because data had drifted in 1 of the last 1 windows" in waiting
    assert "\nClick request-deployment here: https://app.circleci.com/pipelines/workflows/" in waiting
    assert deployed.startswith("abalone: deployed: version 2\n")


@pytest.mark.long
def test_what_was_never_deployed_is_neither_scored_nor_looked_at_nor_trained_again(
    aws: Account, tmp_path: Path
) -> None:
    season = Season(aws, tmp_path, windows=1, of=1)
    season.farm.bring("dt=2026-11-20", season.farm.later[:400])
    night, morning = season.night(), season.morning()
    assert statuses(night) == NIGHT
    assert "nothing is scored, for it was never deployed" in night.job("batch-abalone").log
    assert "No package of abalone serves" in night.job("monitor-abalone").log
    assert statuses(morning) == MORNING
    assert "nothing of it serves" in morning.job("due").log
    assert season.told() == []


@pytest.mark.long
def test_every_morning_that_ends_early_asks_nobody(aws: Account, tmp_path: Path) -> None:
    season = Season(aws, tmp_path, windows=2, of=3)
    farm = season.farm
    farm.release()
    first = serving(aws)

    farm.bring("dt=2026-11-15", farm.fresh_usual)  # no drift
    assert statuses(season.night()) == NIGHT
    assert statuses(season.morning()) == MORNING
    assert season.told() == []

    farm.bring("dt=2026-11-16", farm.later[:300])  # drift in one window only
    assert statuses(season.night()) == NIGHT
    quiet = season.morning()
    assert statuses(quiet) == MORNING
    assert "1 of the last 2 windows" in quiet.job("due").log
    assert season.told_of() == [DRIFT]

    farm.bring("dt=2026-11-17", farm.later[:300].rename(columns={"length": "size"}))  # the batch fails: data are broken
    broken = season.night()
    assert statuses(broken) == {**NIGHT, "batch-abalone": "failed"}
    assert "Somebody has to mend where the records come from" in broken.job("monitor-abalone").log
    assert statuses(season.morning()) == MORNING
    assert season.told_of() == ["batch-abalone: job failed", DRIFT]

    farm.bring("dt=2026-11-18", farm.later[300:600])  # the monitor fails: nothing was found, whatever came in
    with season.without_its_baseline():
        assert_red(season.night(), "monitor-abalone", "has no baseline to compare with")
        assert statuses(season.morning()) == MORNING
    assert season.told_of() == ["monitor-abalone: job failed"]
    assert season.night().ok  # what was not looked at then is looked at now
    assert season.told_of() == [DRIFT]

    refused = season.morning(click=True)  # nothing new to train on
    assert_red(refused, "retrain-abalone", "nothing new to train abalone on")
    assert statuses(refused) == NOBODY_ASKED
    assert len(packages(aws)) == 1
    assert "since it was trained again at" in season.morning().job("due").log

    farm.collect(farm.usual, farm.fresh_usual)  # fresh data, but not of what has drifted: no better
    farm.bring("dt=2026-11-19", farm.later[600:900])
    farm.bring("dt=2026-11-20", farm.later[750:1050])
    assert season.night().ok
    refused = season.morning(click=True)
    assert_red(refused, "retrain-abalone", "is rejected", "not shown to be any better")
    assert statuses(refused) == NOBODY_ASKED
    assert packages(aws)[-1]["ModelApprovalStatus"] == "Rejected"
    assert serving(aws) == first
    assert "abalone: approval waiting" not in season.told_of()

    farm.collect(farm.usual, farm.fresh_usual, farm.later)  # a package waits for a click
    farm.bring("dt=2026-11-21", farm.later[100:400])
    farm.bring("dt=2026-11-22", farm.later[450:750])
    assert season.night().ok
    assert statuses(season.morning()) == ASKED
    again = season.morning()
    assert statuses(again) == MORNING
    assert "waits for its click" in again.job("due").log
    assert serving(aws) == first
    assert season.told_of() == [DRIFT, DRIFT, "abalone: approval waiting"]
