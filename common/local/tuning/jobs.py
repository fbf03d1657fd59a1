"""What a tuning job tells of its training jobs: all of it follows from their documents, and nothing is kept beside them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.local.jobs.state import KIND as TRAINING_KIND
from common.local.store import Document, Store

RUNNING = ("InProgress", "Stopping")
_IMPROVEMENT = 0.01
"""By how much of the best objective so far a job has to be better to count as an improvement."""


def training_jobs(store: Store, scope: str, tuning: Document) -> list[Document]:
    """The training jobs that a tuning job has launched, oldest first."""
    return [job for job in store.list(scope, TRAINING_KIND) if launched_by(tuning, job)]


def launched_by(tuning: Document, job: Document) -> bool:
    """Jobs of a deleted tuning job stay, and are not those of a new one with its name."""
    arn: str = tuning["HyperParameterTuningJobArn"]
    return bool(job.get("TuningJobArn") == arn and job["CreationTime"] >= tuning["CreationTime"])


def objective_value(job: Document, metric: str) -> float | None:
    """The last objective of a job that has ended; None while it runs, when it failed, and when it logged none."""
    if job["TrainingJobStatus"] in (*RUNNING, "Failed"):
        return None
    found = (item["Value"] for item in job.get("FinalMetricDataList", ()) if item["MetricName"] == metric)
    return next(found, None)


def objective_status(job: Document, metric: str) -> str:
    """`Pending`, `Succeeded` or `Failed`."""
    if job["TrainingJobStatus"] in RUNNING:
        return "Pending"
    return "Failed" if objective_value(job, metric) is None else "Succeeded"


def summary(job: Document, tuning: Document) -> Document:
    """The `HyperParameterTrainingJobSummary` of a training job."""
    metric = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    value = objective_value(job, metric)
    return {
        **{member: job.get(member) for member in _SUMMARISED},
        "TrainingJobDefinitionName": tuning["TrainingJobDefinition"].get("DefinitionName"),
        "ObjectiveStatus": objective_status(job, metric),
        "FinalHyperParameterTuningJobObjectiveMetric": None
        if value is None
        else {"MetricName": metric, "Value": value},
    }


_SUMMARISED = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "TunedHyperParameters",
    "FailureReason",
)


def counters(jobs: Iterable[Document], metric: str) -> Document:
    """`TrainingJobStatusCounters` and `ObjectiveStatusCounters`."""
    statuses = dict.fromkeys(("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0)
    objectives = dict.fromkeys(("Succeeded", "Pending", "Failed"), 0)
    for job in jobs:
        statuses[_counted_as(job)] += 1
        objectives[objective_status(job, metric)] += 1
    return {"TrainingJobStatusCounters": statuses, "ObjectiveStatusCounters": objectives}


def best_job(jobs: Iterable[Document], objective: Mapping[str, str]) -> Document | None:
    """The completed job with the best objective, the earlier of two equal ones."""
    sign = sign_of(objective)
    found = [
        (sign * value, job["CreationTime"], job)
        for job in jobs
        if job["TrainingJobStatus"] == "Completed"
        and (value := objective_value(job, objective["MetricName"])) is not None
    ]
    return min(found, key=lambda item: item[:2])[2] if found else None


def not_improving(values: Sequence[float], objective: Mapping[str, str]) -> int:
    """How many of the newest objectives have not been better by 1 % than the best before them."""
    best, since, sign = float("inf"), 0, sign_of(objective)
    for value in values:
        if sign * value < best - _IMPROVEMENT * abs(best) or best == float("inf"):
            best, since = sign * value, 0
        else:
            since += 1
    return since


def sign_of(objective: Mapping[str, str]) -> int:
    """What turns the objective into one that is to be small."""
    return 1 if objective["Type"] == "Minimize" else -1


def ended_values(jobs: Iterable[Document], metric: str) -> list[float]:
    """The objectives of the jobs that have ended with one, in the order in which they ended."""
    ended = sorted((job for job in jobs if "TrainingEndTime" in job), key=lambda job: float(job["TrainingEndTime"]))
    return [value for job in ended if (value := objective_value(job, metric)) is not None]


def _counted_as(job: Document) -> str:
    status: str = job["TrainingJobStatus"]
    if status in RUNNING:
        return "InProgress"
    if status == "Failed":
        return "RetryableError" if job["FailureReason"].startswith("InternalServerError") else "NonRetryableError"
    return status


def details(tuning: Document, jobs: Sequence[Document]) -> dict[str, Any]:
    """The members of `DescribeHyperParameterTuningJob` that follow from the training jobs."""
    objective = tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    best = best_job(jobs, objective)
    values = ended_values(jobs, objective["MetricName"])
    return {
        **counters(jobs, objective["MetricName"]),
        "BestTrainingJob": summary(best, tuning) if best else None,
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": not_improving(values, objective)},
    }
