"""What a tuning job tells of its training jobs."""

from typing import Any

import pytest

from common.local.tuning.jobs import best_job, counters, details, launched_by, not_improving, summary
from tests.unit.local.tuning_kit import METRIC, tuning_document

OBJECTIVE = {"Type": "Minimize", "MetricName": METRIC}


def job(status: str = "Completed", value: float | None = None, number: int = 1, **members: Any) -> dict[str, Any]:
    logged = [] if value is None else [{"MetricName": METRIC, "Value": value, "Timestamp": 1.0}]
    return {
        "TrainingJobName": f"t-{number:03}",
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/t-{number:03}",
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"x": "1.5"},
        "CreationTime": float(number),
        "FinalMetricDataList": [{"MetricName": "train:rmse", "Value": 0.0}, *logged],
        **({"TrainingEndTime": 100.0 + number} if status not in ("InProgress", "Stopping") else {}),
        **members,
    }


def test_counters_count_every_status_and_every_objective() -> None:
    jobs = [
        job("Completed", 1.0),
        job("Completed"),
        job("InProgress"),
        job("Stopping", 2.0),
        job("Stopped", 3.0),
        job("Stopped"),
        job("Failed", 4.0, FailureReason="AlgorithmError: no"),
        job("Failed", FailureReason="InternalServerError: no"),
    ]
    assert counters(jobs, METRIC) == {
        "TrainingJobStatusCounters": {
            "Completed": 2,
            "InProgress": 2,
            "RetryableError": 1,
            "NonRetryableError": 1,
            "Stopped": 2,
        },
        "ObjectiveStatusCounters": {"Succeeded": 2, "Pending": 2, "Failed": 4},
    }


def test_the_best_job_is_the_best_of_those_that_completed_and_the_earlier_of_equals() -> None:
    jobs = [
        job("Stopped", 0.1, 1),
        job("Failed", 0.0, 2, FailureReason="AlgorithmError"),
        job("Completed", 5.0, 3),
        job("Completed", 1.0, 4),
        job("Completed", 1.0, 5),
        job("Completed", None, 6),
    ]
    assert best_job(jobs, OBJECTIVE) == jobs[3]
    assert best_job(jobs, OBJECTIVE | {"Type": "Maximize"}) == jobs[2]
    assert best_job(jobs[:2], OBJECTIVE) is None


@pytest.mark.parametrize(
    ("values", "direction", "expected"),
    [
        ([], "Minimize", 0),
        ([3.0], "Minimize", 0),
        ([100.0, 99.5, 99.2, 99.01], "Minimize", 3),
        ([100.0, 99.5, 98.9], "Minimize", 0),
        ([0.8, 0.9, 0.85, 0.905], "Maximize", 2),
        ([-1.0, -1.5, -1.2], "Minimize", 1),
    ],
)
def test_jobs_improve_when_they_are_better_by_more_than_one_percent(
    values: list[float], direction: str, expected: int
) -> None:
    assert not_improving(values, OBJECTIVE | {"Type": direction}) == expected


def test_a_summary_tells_what_was_tuned_and_how_it_ended() -> None:
    tuning = tuning_document(definition={"DefinitionName": "mine"})
    told = summary(job("Completed", 2.5), tuning)
    assert told["TrainingJobDefinitionName"] == "mine"
    assert told["TunedHyperParameters"] == {"x": "1.5"}
    assert told["ObjectiveStatus"] == "Succeeded"
    assert told["FinalHyperParameterTuningJobObjectiveMetric"] == {"MetricName": METRIC, "Value": 2.5}
    running = summary(job("InProgress"), tuning)
    assert (running["ObjectiveStatus"], running["FinalHyperParameterTuningJobObjectiveMetric"]) == ("Pending", None)


def test_details_name_the_best_job_and_those_that_did_not_improve() -> None:
    told = details(tuning_document(), [job("Completed", 3.0, 1), job("Completed", 1.0, 2), job("Completed", 2.0, 3)])
    assert told["BestTrainingJob"]["TrainingJobName"] == "t-002"
    assert told["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 1}


def test_training_jobs_of_a_deleted_tuning_job_are_not_those_of_a_new_one_with_its_name() -> None:
    tuning = tuning_document(CreationTime=10.0)
    arn = tuning["HyperParameterTuningJobArn"]
    assert launched_by(tuning, job(number=11, TuningJobArn=arn))
    assert not launched_by(tuning, job(number=9, TuningJobArn=arn))
    assert not launched_by(tuning, job(number=11, TuningJobArn=None))
    assert not launched_by(tuning, job(number=11))
