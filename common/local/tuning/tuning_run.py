"""One tuning job, from its first training job to its last."""

import logging
import queue
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from common.local.context import LocalAws
from common.local.jobs.state import JobState
from common.local.jobs.training_run import Follower
from common.local.store import Document
from common.local.tuning.early_stopping import MedianRule
from common.local.tuning.jobs import not_improving, objective_value, sign_of
from common.local.tuning.ranges import read_ranges
from common.local.tuning.request import max_resource, planned_jobs, training_request
from common.local.tuning.search import Search
from common.local.tuning.state import TuningState
from common.local.tuning.warm_start import priors

_POLL_SECONDS = 0.05
"""How often a running tuning job looks whether it was stopped; a training job's end is seen at once."""
_ATTEMPTS = 5
"""Training jobs without an objective after which AWS gives up when there was none with one."""

log = logging.getLogger(__name__)

Launch = Callable[[Document, dict[str, str], Follower], None]
"""Starts a training job: its request, the hyperparameters of it that were tuned, and who hears of it."""


@dataclass
class Attempt:
    """A training job that runs."""

    trial: int
    job: str
    curve: list[float] = field(default_factory=list)
    """The objective after each epoch."""
    stopped: bool = False
    """Whether it was stopped early, as worse than others."""


@dataclass(frozen=True)
class Ending:
    """How a tuning job ends."""

    status: str
    failure: str | None = None


class TuningRun:
    """Runs the tuning job that the store describes, in a thread of its own; its training jobs run in theirs."""

    def __init__(self, aws: LocalAws, account: str, region: str, name: str, launch: Launch) -> None:
        self._aws = aws
        self._scope = f"{account}/{region}"
        self._state = TuningState(aws.store, self._scope, name)
        self._tuning = self._state.read()
        self._launch = launch
        self._config: Document = self._tuning["HyperParameterTuningJobConfig"]
        self._objective = self._config["HyperParameterTuningJobObjective"]
        self._ranges = read_ranges(self._config)
        limits = self._config["ResourceLimits"]
        self._jobs = planned_jobs(self._config, self._ranges)
        self._parallel: int = limits["MaxParallelTrainingJobs"]
        self._deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", float("inf"))
        self._launched = 0
        self._running: dict[str, Attempt] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._values: list[float] = []
        self._failures: list[str] = []
        """Statuses of the jobs that ended without an objective."""
        self._median = MedianRule(sign_of(self._objective) == 1)

    def run(self) -> None:
        """Take the tuning job to its end. When the server closes, it is left as it is: `resume` marks it `Failed`."""
        try:
            ending = self._tune(self._search())
        except Exception:
            log.exception("tuning job %s", self._state.name)
            self._stop_running()
            ending = Ending("Failed", "InternalServerError: We encountered an internal error. Please try again.")
        if not self._aws.closing.is_set():
            self._state.finish(ending.status, ending.failure)

    def _search(self) -> Search:
        search = Search(self._config, self._ranges, max_resource(self._tuning))
        for hyperparameters, value in priors(self._aws.store, self._scope, self._tuning):
            search.add_prior(hyperparameters, value)
        return search

    def _tune(self, search: Search) -> Ending:
        over = False
        while not self._aws.closing.is_set():
            over = over or self._is_over()
            if over:
                self._stop_running()
            else:
                self._fill(search)
            if not self._running:
                break
            self._await(search)
        return self._result()

    def _fill(self, search: Search) -> None:
        """Start as many training jobs as may run now."""
        while self._launched < self._jobs and len(self._running) < self._parallel:
            trial, tuned = search.ask()
            self._launched += 1
            job = f"{self._state.name}-{self._launched:03}-{secrets.token_hex(4)}"
            attempt = Attempt(trial, job)

            def hear(metrics: dict[str, list[float]], attempt: Attempt = attempt) -> None:
                self._hear(search, attempt, metrics.get(self._objective["MetricName"], ()))

            def ended(job: str = job) -> None:
                self._ended.put(job)

            self._launch(training_request(self._tuning, job, tuned), tuned, Follower(hear, ended))
            self._running[job] = attempt

    def _hear(self, search: Search, attempt: Attempt, values: Sequence[float]) -> None:
        """Take new objectives of a job into its curve, and stop it when it is worse than others. In the job's thread."""
        for value in values:
            attempt.curve.append(value)
            if not attempt.stopped and self._is_worse(search, attempt):
                attempt.stopped = True
                JobState(self._aws.store, self._scope, attempt.job).stop()

    def _is_worse(self, search: Search, attempt: Attempt) -> bool:
        if self._config["TrainingJobEarlyStoppingType"] == "Auto":
            return self._median.stops(attempt.curve)
        return search.stops(attempt.trial, attempt.curve)

    def _await(self, search: Search) -> None:
        """Wait a moment for a training job to end, and learn from it."""
        try:
            name = self._ended.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return
        attempt = self._running.pop(name)
        job = JobState(self._aws.store, self._scope, name).read()
        value = objective_value(job, self._objective["MetricName"])
        completed = job["TrainingJobStatus"] == "Completed"
        search.tell(attempt.trial, value, stopped_after=None if completed else len(attempt.curve))
        if value is None:
            self._failures.append(job["TrainingJobStatus"])
            return
        self._values.append(value)
        if completed:
            self._median.completed(attempt.curve)

    def _is_over(self) -> bool:
        """Whether no more training jobs are started, and those that run are stopped."""
        if len(self._failures) >= _ATTEMPTS and not self._values:
            return True
        criteria = self._config.get("TuningJobCompletionCriteria", {})
        sign = sign_of(self._objective)
        patience = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving", float("inf")
        )
        target = criteria.get("TargetObjectiveMetricValue")
        return (
            self._state.is_stopping()
            or time.monotonic() > self._deadline
            or not_improving(self._values, self._objective) >= patience
            or (target is not None and any(sign * value <= sign * target for value in self._values))
        )

    def _result(self) -> Ending:
        """What the ended training jobs make of the tuning job."""
        if self._values:
            return Ending("Completed")
        tried = len(self._failures)
        if "Completed" in self._failures:
            return Ending(
                "Failed",
                f"No objective metrics found after running {tried} training jobs. Please ensure that the custom algorithm is "
                "emitting the objective metric as defined by the regular expression provided.",
            )
        return Ending(
            "Failed",
            f"No training job succeeded after {tried} attempts. Please take a look at the training job failures to get more "
            "details.",
        )

    def _stop_running(self) -> None:
        for name in self._running:
            JobState(self._aws.store, self._scope, name).stop()
