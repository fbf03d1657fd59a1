"""How a tuning job goes from its first training job to its last."""

import re
import threading
import time
from typing import Any

import pytest

from common.local.tuning.state import TuningState
from common.local.tuning.tuning_run import TuningRun
from tests.unit.local.tuning_kit import ACCOUNT, METRIC, REGION, SCOPE, Play, Tuned, local_aws


def limits(jobs: int = 10, parallel: int = 1, **members: float) -> dict[str, Any]:
    return {"ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel, **members}}


def stopped(tuned: Tuned, jobs: int = 1) -> list[float]:
    """What a training job logs that runs until so many have been told to stop."""
    deadline = time.monotonic() + 10
    while sum(status in ("Stopping", "Stopped") for status in tuned.statuses) < jobs:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return [5.0]


def distance(_number: int, x: float) -> list[float]:
    return [10.0, abs(x - 3)]


def test_all_training_jobs_are_run_one_after_another() -> None:
    tuned = Tuned(distance, config=limits(6)).run()
    assert tuned.status == "Completed"
    assert "FailureReason" not in tuned.end
    assert tuned.end["HyperParameterTuningEndTime"] == tuned.end["LastModifiedTime"]
    assert tuned.statuses == ["Completed"] * 6
    assert tuned.at_once == 1


def test_no_more_training_jobs_run_at_once_than_allowed() -> None:
    meeting = threading.Barrier(3, timeout=10)

    def meet(_number: int, x: float) -> list[float]:
        meeting.wait()  # broken, and the job with it, unless three run at once
        return [x]

    tuned = Tuned(meet, config=limits(6, parallel=3)).run()
    assert tuned.statuses == ["Completed"] * 6
    assert tuned.at_once == 3


def test_training_jobs_are_named_after_the_tuning_job_and_their_number() -> None:
    names = [job["TrainingJobName"] for job in Tuned(distance, name="tuner", config=limits(3)).run().jobs]
    for number, name in enumerate(names, 1):
        assert re.fullmatch(rf"tuner-00{number}-[0-9a-f]{{8}}", name)


def test_a_training_job_gets_static_and_tuned_hyperparameters() -> None:
    [request] = Tuned(distance, config=limits(1)).run().requests
    x = request["HyperParameters"].pop("x")
    assert 0 <= float(x) <= 10
    assert request["HyperParameters"] == {"num_round": "3", "_tuning_objective_metric": METRIC}


def test_every_training_job_has_checkpoints_of_its_own() -> None:
    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://b/checkpoints/", "LocalPath": "/opt/ml/mine"}}
    for request in Tuned(distance, config=limits(2), definition=checkpoints).run().requests:
        assert request["CheckpointConfig"] == {
            "S3Uri": f"s3://b/checkpoints/{request['TrainingJobName']}",
            "LocalPath": "/opt/ml/mine",
        }


def test_a_failed_training_job_does_not_end_the_tuning() -> None:
    def fail_second(number: int, x: float) -> list[float] | str:
        return "AlgorithmError: bad luck" if number == 2 else distance(number, x)

    tuned = Tuned(fail_second, config=limits(4)).run()
    assert tuned.status == "Completed"
    assert tuned.statuses == ["Completed", "Failed", "Completed", "Completed"]


@pytest.mark.parametrize(("jobs", "tried"), [(3, 3), (10, 5)])
def test_a_tuning_job_fails_when_all_its_first_five_training_jobs_do(jobs: int, tried: int) -> None:
    tuned = Tuned(lambda *_: "AlgorithmError: always", config=limits(jobs)).run()
    assert tuned.status == "Failed"
    assert tuned.end["FailureReason"].startswith(f"No training job succeeded after {tried} attempts.")
    assert tuned.statuses == ["Failed"] * tried


def test_a_tuning_job_fails_when_no_training_job_logs_the_objective() -> None:
    tuned = Tuned(lambda *_: None).run()
    assert tuned.status == "Failed"
    assert tuned.end["FailureReason"].startswith("No objective metrics found after running 5 training jobs.")
    assert tuned.statuses == ["Completed"] * 5


def test_five_failures_after_a_success_do_not_end_the_tuning() -> None:
    tuned = Tuned(lambda number, x: [x] if number == 1 else "AlgorithmError: later", config=limits(8)).run()
    assert tuned.status == "Completed"
    assert len(tuned.jobs) == 8


def test_early_stopping_ends_jobs_that_are_worse_than_the_median() -> None:
    def play(number: int, _x: float) -> list[float]:
        return [9.0, 9.0, 9.0, 9.0] if number == 4 else [4.0, 3.0, 2.0, 1.0]

    tuned = Tuned(play, config=limits(5) | {"TrainingJobEarlyStoppingType": "Auto"}).run()
    assert tuned.statuses == ["Completed", "Completed", "Completed", "Stopped", "Completed"]


def test_without_early_stopping_bad_jobs_run_to_their_end() -> None:
    tuned = Tuned(lambda number, _x: [float(number)] * 4, config=limits(6)).run()
    assert tuned.statuses == ["Completed"] * 6


def test_hyperband_stops_training_jobs() -> None:
    hyperband = {"Strategy": "Hyperband", "StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}}
    tuned = Tuned(lambda number, _x: [float(number)] * 9, config=limits(12) | hyperband).run()
    assert tuned.statuses[0] == "Completed"
    assert "Stopped" in tuned.statuses
    assert tuned.status == "Completed"


def test_hyperband_infers_its_longest_job_from_a_static_hyperparameter() -> None:
    definition = {"StaticHyperParameters": {"epochs": "4"}}
    tuned = Tuned(lambda *_: [1.0] * 9, config=limits(1) | {"Strategy": "Hyperband"}, definition=definition).run()
    assert tuned.statuses == ["Stopped"]


@pytest.mark.parametrize(("objective", "sign"), [("Minimize", 1), ("Maximize", -1)])
def test_a_tuning_job_ends_when_its_target_is_reached(objective: str, sign: int) -> None:
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": sign * 3.0}}
    config = {"HyperParameterTuningJobObjective": {"Type": objective, "MetricName": METRIC}}
    tuned = Tuned(lambda number, _x: [sign * (6.0 - number)], config=limits() | criteria | config).run()
    assert tuned.status == "Completed"
    assert len(tuned.jobs) == 3


def test_a_tuning_job_ends_when_its_objective_no_longer_improves() -> None:
    patience = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    play: Play = lambda number, _x: [max(100.0 - 10 * number, 80.0) - 0.1 * number]  # noqa: E731
    tuned = Tuned(play, config=limits() | {"TuningJobCompletionCriteria": patience}).run()
    assert tuned.status == "Completed"
    # the second is 11 % better than the first; the others are better by less than 1 %
    assert len(tuned.jobs) == 5


def test_a_tuning_job_ends_when_its_time_is_up() -> None:
    def play(number: int, _x: float) -> list[float]:
        return [1.0] if number == 1 else stopped(tuned)

    tuned = Tuned(play, config=limits(MaxRuntimeInSeconds=0.3))
    assert tuned.run().status == "Completed"
    assert tuned.statuses == ["Completed", "Stopped"]


def test_a_tuning_job_fails_when_its_time_is_up_before_any_objective() -> None:
    tuned = Tuned(distance, config=limits(MaxRuntimeInSeconds=0)).run()
    assert (tuned.status, tuned.jobs) == ("Failed", [])


def test_a_stopped_tuning_job_starts_no_more_training_jobs_and_stops_those_that_run() -> None:
    def play(number: int, _x: float) -> list[float]:
        if number == 3:
            TuningState(tuned.aws.store, SCOPE, "t").stop()
        return [1.0] if number == 1 else stopped(tuned, jobs=2)

    tuned = Tuned(play, config=limits(parallel=2))
    assert tuned.run().status == "Stopped"
    assert tuned.statuses == ["Completed", "Stopped", "Stopped"]


def test_a_defect_ends_the_tuning_job_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("defect")

    tuned = Tuned(distance)
    TuningRun(tuned.aws, ACCOUNT, REGION, tuned.name, refuse).run()
    assert tuned.status == "Failed"
    assert tuned.end["FailureReason"].startswith("InternalServerError")
    assert "defect" in caplog.text


def test_a_closing_server_leaves_the_tuning_job_to_its_next_start() -> None:
    aws = local_aws()

    def close(_number: int, _x: float) -> list[float]:
        aws.closing.set()
        return [1.0]

    tuned = Tuned(close, aws).run()
    assert tuned.status == "InProgress"
    assert len(tuned.requests) == 1


def test_parents_lead_the_first_training_jobs() -> None:
    aws = local_aws()
    parent = Tuned(distance, aws, name="parent", config=limits(25)).run()
    best = min(abs(float(job["TunedHyperParameters"]["x"]) - 3) for job in parent.jobs)
    warm = {
        "WarmStartType": "TransferLearning",
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
    }
    child = Tuned(distance, aws, name="child", config=limits(3), WarmStartConfig=warm).run()
    assert best < 0.2
    assert all(abs(float(job["TunedHyperParameters"]["x"]) - 3) < 1.5 for job in child.jobs)
