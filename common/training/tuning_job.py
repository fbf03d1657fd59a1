"""Running a SageMaker tuning job: start it or find it, follow its training jobs, and end with the best of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from common.aws import Aws, is_missing
from common.denials import remedy_of
from common.errors import TrainingError
from common.evaluation.tuning_summary import Parent, TuningSummary
from common.model import Model
from common.training.job import HEARTBEAT_SECONDS, LOG_GROUP, Say, pauses, start_or_join
from common.training.parents import Parents, choose_parents, read_candidates
from common.training.tuning import Objective, Tuning, objective_of
from common.training.tuning_request import search_of, trial_run, tuning_job_name, tuning_request
from common.training.tuning_trials import Trials
from common.training.xgboost import XGBoost

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        CreateTrainingJobRequestTypeDef,
        DescribeHyperParameterTuningJobResponseTypeDef,
        DescribeTrainingJobResponseTypeDef,
    )


@dataclass(frozen=True)
class TunedModel:
    """The best training job of a tuning job, as SageMaker describes it, and what was tried to find it."""

    job: DescribeTrainingJobResponseTypeDef
    summary: TuningSummary


def run_tuning_job(
    aws: Aws,
    model: Model,
    training: XGBoost,
    *,
    source: str,
    data_version: str,
    request: Callable[[], CreateTrainingJobRequestTypeDef],
    say: Say,
    testing: bool = False,
) -> TunedModel:
    """Tune, or join the tuning that is already under way or done, and answer its best training job.

    The name follows from source and data version, so that two runs of the same end in one tuning job; after one that failed
    or was stopped, the next is called `…-2`. It is warm-started from the earlier tuning jobs that `choose_parents` takes.
    The best training job is this tuning job's own: a parent's, even where it was better, is of another source.

    Args:
        request: makes the request for a single training job; called only where a tuning job has to be started.
        testing: try out that tuning works: one training job, which no later tuning job learns from.

    Raises:
        TrainingError: the tuning job failed or was stopped, none of its training jobs has a result, or SageMaker refused
            the request.
    """
    if training.tuning is None:
        raise ValueError("the model declares no tuning")
    tuning = trial_run(training.tuning) if testing else training.tuning
    wanted = _Wanted(aws, model, tuning, objective_of(training.gate.metric), data_version, request, testing)
    job, started = start_or_join(
        tuning_job_name(model.name, source, data_version, testing=testing),
        kind="tuning",
        describe=wanted.describe,
        create=wanted.create,
        status=_outcome,
    )
    name = job["HyperParameterTuningJobName"]
    say(f"Tuning job {name}: {'started' if started else 'found, ' + job['HyperParameterTuningJobStatus']}")
    _tell_parents(job, wanted.parents, say)
    trials = Trials(aws, name, wanted.objective, tuning.jobs)
    job = _follow(wanted, trials, say)
    best = _best_training_job(job, trials)
    return TunedModel(aws.sagemaker.describe_training_job(TrainingJobName=best), _summary(wanted, job, trials))


@dataclass
class _Wanted:
    """The tuning that is asked for; `parents` are known once it was started here."""

    aws: Aws
    model: Model
    tuning: Tuning
    objective: Objective
    data_version: str
    request: Callable[[], CreateTrainingJobRequestTypeDef]
    testing: bool
    parents: Parents = field(default_factory=Parents)

    def create(self, name: str) -> None:
        single = self.request()
        search = search_of(self.model.name, self.tuning, self.objective, single, self.data_version)
        if self.tuning.learns:
            self.parents = choose_parents(read_candidates(self.aws, self.model.name), search)
        tags = search.tags(testing=self.testing)
        self.aws.sagemaker.create_hyper_parameter_tuning_job(
            **tuning_request(name, self.tuning, self.objective, single, self.parents, tags)
        )

    def describe(self, name: str) -> DescribeHyperParameterTuningJobResponseTypeDef:
        return self.aws.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def _follow(wanted: _Wanted, trials: Trials, say: Say) -> DescribeHyperParameterTuningJobResponseTypeDef:
    """Print a line for each training job as it ends, until the tuning job has ended."""
    counters: object = None
    spoken = time.monotonic()
    for pause in pauses():
        job = wanted.describe(trials.tuning_job)
        status = job["HyperParameterTuningJobStatus"]
        seen = (status, job["TrainingJobStatusCounters"], job["ObjectiveStatusCounters"])
        lines = trials.new_lines() if seen != counters else []
        counters = seen
        if not lines and time.monotonic() - spoken > HEARTBEAT_SECONDS:
            running = job["TrainingJobStatusCounters"].get("InProgress", 0)
            ended = len(trials.ended())
            lines = [f"  still {status}: {ended} of {trials.planned} jobs ended, {running} running; {trials.best()}"]
        for line in lines:
            say(line)
            spoken = time.monotonic()
        if status in ("Completed", "Failed", "Stopped"):
            return job
        time.sleep(pause)
    raise AssertionError("unreachable")


def _outcome(job: DescribeHyperParameterTuningJobResponseTypeDef) -> str:
    """Its status; `Failed`, too, where it is `Completed` and nothing came of it: its training jobs were all stopped."""
    status = job["HyperParameterTuningJobStatus"]
    return "Failed" if status == "Completed" and "BestTrainingJob" not in job else status


def _best_training_job(job: DescribeHyperParameterTuningJobResponseTypeDef, trials: Trials) -> str:
    name, status = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"]
    if _outcome(job) == "Completed":
        return job["BestTrainingJob"]["TrainingJobName"]
    ends = f"{name} is {status}: {job.get('FailureReason') or 'SageMaker gives no reason'}"
    if status == "Stopped":
        raise TrainingError(
            f"Tuning job {ends}", "Somebody stopped it, or it ran for too long; run the step again to tune anew."
        )
    if trials.failures:
        failed, reason = trials.failures[0]
        raise TrainingError(
            f"Tuning job {ends}\n  {len(trials.failures)} of {len(trials.ended())} training jobs failed; {failed}: {reason}",
            remedy_of(
                reason,
                f"Its log is in CloudWatch, {LOG_GROUP}, streams {failed}/…; mend the cause and run the step again.",
            ),
            told=status == "Failed",
        )
    stopped = sum(trial.status == "Stopped" for trial in trials.ended())
    raise TrainingError(
        f"Tuning job {ends}\n  None of its {len(trials.ended())} training jobs completed with a value of "
        f"{trials.objective.metric}; {stopped} were stopped before their end.",
        f"Their logs are in CloudWatch, {LOG_GROUP}, streams {name}-…; mend train_register.py and run the step again.",
        told=status == "Failed",
    )


def _summary(wanted: _Wanted, job: DescribeHyperParameterTuningJobResponseTypeDef, trials: Trials) -> TuningSummary:
    parents = tuple(parent for name in _parent_names(job) if (parent := _parent(wanted, name)))
    return TuningSummary(
        job=job["HyperParameterTuningJobName"],
        strategy=wanted.tuning.strategy,
        metric=wanted.objective.metric,
        maximize=wanted.objective.maximize,
        ranges={name: str(allowed) for name, allowed in wanted.tuning.ranges.items()},
        trials=trials.ended(),
        parents=parents,
        skipped=wanted.parents.skipped,
        warm_start=job["WarmStartConfig"]["WarmStartType"] if parents else None,
    )


def _parent_names(job: DescribeHyperParameterTuningJobResponseTypeDef) -> list[str]:
    parents = job.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [parent["HyperParameterTuningJobName"] for parent in parents]


def _parent(wanted: _Wanted, name: str) -> Parent | None:
    """The parent with its best value; none where it was deleted since."""
    try:
        job = wanted.describe(name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return Parent(name, job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def _tell_parents(job: DescribeHyperParameterTuningJobResponseTypeDef, parents: Parents, say: Say) -> None:
    names = _parent_names(job)
    say(f"  learns from {', '.join(names)}" if names else "  learns from no earlier tuning job")
    for skipped in parents.skipped:
        say(f"  not from {skipped.name}: {skipped.reason}")
