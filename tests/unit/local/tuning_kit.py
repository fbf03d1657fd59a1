"""Tuning jobs whose training jobs are played by a function: no process, no clock, no disk."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from common.local.context import LocalAws
from common.local.jobs.state import KIND as TRAINING_KIND
from common.local.jobs.state import Ending, JobState
from common.local.jobs.training_run import Follower
from common.local.services import Services
from common.local.store import Document, Store
from common.local.tuning.state import KIND
from common.local.tuning.tuning_run import TuningRun

ACCOUNT, REGION = "123456789012", "eu-west-1"
SCOPE = f"{ACCOUNT}/{REGION}"
METRIC = "validation:rmse"
XGBOOST = "1.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
X: dict[str, Any] = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "10"}]}

Play = Callable[[int, float], list[float] | str | None]
"""From a training job's number and its x to the objectives that it logs, its FailureReason, or None: it logs nothing."""


def local_aws() -> LocalAws:
    services = cast(Services, None)  # only real training jobs need them
    return LocalAws(Path("nowhere"), Store(Path(":memory:")), services, "http://127.0.0.1:0")


def tuning_document(name: str = "t", **changes: Any) -> Document:
    """A tuning job of the built-in XGBoost over x, with members of its configuration or definition replaced."""
    config = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": X,
        "TrainingJobEarlyStoppingType": "Off",
        "RandomSeed": 1,
    } | changes.pop("config", {})
    definition = {
        "StaticHyperParameters": {"num_round": "3", "_tuning_objective_metric": METRIC},
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "InputDataConfig": [{"ChannelName": "train"}],
    } | changes.pop("definition", {})
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{KIND}/{name}",
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": time.time(),
        "LastModifiedTime": time.time(),
        **changes,
    }


class Tuned:
    """A tuning job that has been run to its end, and its training jobs."""

    def __init__(self, play: Play, aws: LocalAws | None = None, **changes: Any) -> None:
        self.aws = aws or local_aws()
        self._play = play
        self.document = tuning_document(**changes)
        self.requests: list[Document] = []
        self.at_once = 0
        self._running = 0
        self._lock = threading.Lock()
        self.name: str = self.document["HyperParameterTuningJobName"]
        self.aws.store.put(SCOPE, KIND, self.name, self.document)

    def run(self) -> "Tuned":
        TuningRun(self.aws, ACCOUNT, REGION, self.name, self._launch).run()
        return self

    @property
    def end(self) -> Document:
        found = self.aws.store.get(SCOPE, KIND, self.name)
        assert found is not None
        return found

    @property
    def status(self) -> str:
        status: str = self.end["HyperParameterTuningJobStatus"]
        return status

    @property
    def jobs(self) -> list[Document]:
        return [
            job for job in self.aws.store.list(SCOPE, TRAINING_KIND) if job["TrainingJobName"].startswith(self.name)
        ]

    @property
    def statuses(self) -> list[str]:
        return [job["TrainingJobStatus"] for job in self.jobs]

    def _launch(self, request: Document, tuned: dict[str, str], follower: Follower) -> None:
        with self._lock:
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            self.requests.append(request)
            number = len(self.requests)
        name = request["TrainingJobName"]
        document = {
            **request,
            "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{TRAINING_KIND}/{name}",
            "TuningJobArn": self.document["HyperParameterTuningJobArn"],
            "TunedHyperParameters": tuned,
            "TrainingJobStatus": "InProgress",
            "SecondaryStatusTransitions": [],
            "CreationTime": time.time(),
        }
        self.aws.store.put(SCOPE, TRAINING_KIND, name, document)
        arguments = (JobState(self.aws.store, SCOPE, name), number, float(tuned["x"]), follower)
        threading.Thread(target=self._train, args=arguments).start()

    def _train(self, state: JobState, number: int, x: float, follower: Follower) -> None:
        try:
            self._play_to_its_end(state, number, x, follower)
        finally:
            follower.ended()

    def _play_to_its_end(self, state: JobState, number: int, x: float, follower: Follower) -> None:
        played = self._play(number, x)
        logged = []
        for value in played if isinstance(played, list) else ():
            logged.append(value)
            follower.metrics({"train:rmse": [0.0], METRIC: [value]})
            if state.read()["TrainingJobStatus"] == "Stopping":
                break
        ending = Ending("Failed", played) if isinstance(played, str) else Ending("Completed")
        final = [{"MetricName": METRIC, "Value": value} for value in logged[-1:]]
        with self._lock:
            self._running -= 1
        state.finish(ending, FinalMetricDataList=final)
