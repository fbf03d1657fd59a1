"""The training jobs of a tuning job, told one by one as they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.aws import Aws
from common.evaluation.tuning_summary import Trial
from common.training.tuning import Objective

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import HyperParameterTrainingJobSummaryTypeDef

_ENDED = ("Completed", "Failed", "Stopped")


@dataclass
class Trials:
    """The training jobs of a tuning job that have ended so far, read on from where the last reading stopped.

    Attributes:
        planned: how many training jobs the tuning job may run.
        failures: (training job, reason) of those that failed.
    """

    aws: Aws
    tuning_job: str
    objective: Objective
    planned: int
    failures: list[tuple[str, str]] = field(default_factory=list)
    _ended: dict[int, Trial] = field(default_factory=dict)

    def ended(self) -> tuple[Trial, ...]:
        """In the order in which they were started."""
        return tuple(self._ended[number] for number in sorted(self._ended))

    def new_lines(self) -> list[str]:
        """A line for each training job that has ended since the last call."""
        lines = []
        for number, job in enumerate(self._jobs(), start=1):
            if number not in self._ended and _is_over(job):
                self._ended[number] = self._trial(job)
                lines.append(self._line(number, job.get("FailureReason", "")))
        return lines

    def best(self) -> str:
        """The best value so far, in words."""
        scored = [(trial.result, number) for number, trial in self._ended.items() if trial.result is not None]
        if not scored:
            return "no result so far"
        value, number = (max if self.objective.maximize else min)(scored, key=lambda pair: pair[0])
        return f"best so far {value:.5g} (job {number})"

    def _line(self, number: int, reason: str) -> str:
        trial = self._ended[number]
        result = "no result" if trial.objective is None else f"{self.objective.metric} {trial.objective:.5g}"
        if trial.status == "Failed":
            result = f"Failed: {reason}"
        elif trial.status == "Stopped":
            result = f"stopped before its end, {result}"
        return f"  job {number} of {self.planned}: {result}; {self.best()}; {_in_words(trial.hyperparameters)}"

    def _jobs(self) -> list[HyperParameterTrainingJobSummaryTypeDef]:
        """All of the tuning job's, the oldest first."""
        pages = self.aws.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
            HyperParameterTuningJobName=self.tuning_job, SortBy="CreationTime", SortOrder="Ascending"
        )
        jobs = [job for page in pages for job in page["TrainingJobSummaries"]]
        return sorted(jobs, key=lambda job: (job["CreationTime"], job["TrainingJobName"]))  # some start together

    def _trial(self, job: HyperParameterTrainingJobSummaryTypeDef) -> Trial:
        name = job["TrainingJobName"]
        if job["TrainingJobStatus"] == "Failed":
            self.failures.append((name, job.get("FailureReason", "SageMaker gives no reason")))
        described = self.aws.sagemaker.describe_training_job(TrainingJobName=name)
        final = job.get("FinalHyperParameterTuningJobObjectiveMetric")
        return Trial(
            name=name,
            objective=final["Value"] if final else None,
            status=job["TrainingJobStatus"],
            hyperparameters=job["TunedHyperParameters"],
            seconds=described.get("BillableTimeInSeconds", 0),  # none where it never got an instance
            training_seconds=described.get("TrainingTimeInSeconds", 0),
        )


def _is_over(job: HyperParameterTrainingJobSummaryTypeDef) -> bool:
    """Whether nothing about it will change: its metric may come a little later than its end."""
    return job["TrainingJobStatus"] in _ENDED and job.get("ObjectiveStatus") != "Pending"


def _in_words(hyperparameters: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {_rounded(value)}" for name, value in sorted(hyperparameters.items()))


def _rounded(value: str) -> str:
    """SageMaker writes numbers with all their digits, which nobody reads."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value
