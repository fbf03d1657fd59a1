"""Tuning a model on the local AWS: starting, joining, following, and what later tuning jobs learn from earlier ones."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from common.aws import Aws
from common.errors import TrainingError
from common.evaluation.gate import Gate
from common.model import Model
from common.settings import Settings
from common.training import Continuous, Integer, Spot, Tuning, XGBoost
from common.training.job import LOG_GROUP, JobLog, run_training_job
from common.training.parents import read_candidates
from common.training.tuning import Range
from common.training.tuning_job import TunedModel, run_tuning_job
from common.training.xgboost import training_request
from tests.accounts import Account
from tests.functional.local.training_support import XGBOOST, binary_csv, put

MODEL = Model("churn", "Who leaves.", target="leaves", problem="binary_classification")
STATIC: Mapping[str, str | int | float] = {"objective": "binary:logistic", "num_round": 3}
RANGES: Mapping[str, Range] = {"eta": Continuous(0.05, 0.5, scale="Logarithmic"), "max_depth": Integer(2, 5)}
TUNING = Tuning(RANGES, jobs=2, parallel=2)
GATE = Gate("log_loss", at_most=0.5)


@dataclass
class Tuner:
    """A person who tunes churn, with what was said on the way."""

    aws: Aws
    said: list[str] = field(default_factory=list)

    def tune(
        self, source: str, *, data: str = "data-1", testing: bool = False,
        say: Callable[[str], None] | None = None, channels: Sequence[str] = ("train", "validation"), **declared: Any,
    ) -> TunedModel:  # fmt: skip
        training = declaration(**declared)
        return run_tuning_job(
            self.aws, MODEL, training, source=source, data_version=data,
            request=lambda: self.request(training, data, channels), say=say or self.said.append, testing=testing,
        )  # fmt: skip

    def request(self, training: XGBoost, data: str, channels: Sequence[str] = ("train", "validation")) -> Any:
        bucket = f"s3://{self.aws.settings.bucket}"
        return training_request(
            MODEL,
            training,
            self.aws.settings,
            image=XGBOOST,
            channels={name: f"{bucket}/{data}/{name}/" for name in channels},
            output=f"{bucket}/churn/training",
        )


def declaration(**declared: Any) -> XGBoost:
    members: dict[str, Any] = {
        "instance_type": "ml.m5.large",
        "hyperparameters": STATIC,
        "gate": GATE,
        "tuning": TUNING,
    } | declared
    return XGBoost(**members)


@pytest.fixture
def tuner(aws: Account, monkeypatch: pytest.MonkeyPatch) -> Tuner:
    for name, value in aws.env.items():
        monkeypatch.setenv(name, value)
    for data in ("data-1", "data-2"):
        for seed, channel in enumerate(("train", "validation")):
            put(aws, f"{data}/{channel}/rows.csv", binary_csv(seed=seed))
    return Tuner(Aws(Settings.from_environment()))


def tuning_jobs(aws: Account) -> list[tuple[str, str]]:
    """(name, status) of every tuning job in the account, oldest first."""
    answer = aws.client("sagemaker").list_hyper_parameter_tuning_jobs(SortBy="CreationTime", SortOrder="Ascending")
    return [
        (job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"])
        for job in answer["HyperParameterTuningJobSummaries"]
    ]


def test_the_best_training_job_is_answered_with_everything_that_was_tried_and_again_by_the_next_run(
    tuner: Tuner, aws: Account
) -> None:
    tuned = tuner.tune("source-1")
    summary = tuned.summary
    [(name, status)] = tuning_jobs(aws)
    assert (summary.job, status) == (name, "Completed")
    assert (summary.metric, summary.maximize, summary.strategy) == ("validation:logloss", False, "Bayesian")
    assert summary.ranges == {"eta": "0.05 to 0.5, logarithmic", "max_depth": "2 to 5, whole"}
    assert [trial.status for trial in summary.trials] == ["Completed", "Completed"]
    assert all(trial.hyperparameters.keys() == {"eta", "max_depth"} for trial in summary.trials)
    assert summary.best
    assert tuned.job["TrainingJobName"] == summary.best.name
    assert tuned.job["HyperParameters"]["max_depth"] == summary.best.hyperparameters["max_depth"]
    sagemaker = aws.client("sagemaker")
    best = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)["BestTrainingJob"]
    assert best["TrainingJobName"] == summary.best.name
    jobs = [sagemaker.describe_training_job(TrainingJobName=trial.name) for trial in summary.trials]
    assert [trial.seconds for trial in summary.trials] == [job["BillableTimeInSeconds"] for job in jobs]

    again = tuner.tune("source-1")
    assert again.summary == summary
    assert again.job["TrainingJobName"] == summary.best.name
    assert tuning_jobs(aws) == [(name, "Completed")]
    assert f"Tuning job {name}: found, Completed" in tuner.said


@pytest.mark.long
def test_every_training_job_is_told_once_in_a_line_of_its_own(tuner: Tuner) -> None:
    summary = tuner.tune("source-1", tuning=Tuning(RANGES, jobs=3, parallel=2, early_stopping=False)).summary
    assert tuner.said[:2] == [f"Tuning job {summary.job}: started", "  learns from no earlier tuning job"]
    lines = sorted(tuner.said[2:])
    assert len(lines) == 3
    for number, (line, trial) in enumerate(zip(lines, summary.trials, strict=True), start=1):
        assert line.startswith(f"  job {number} of 3: ")
        assert f"validation:logloss {trial.objective:.5g}" in line
        assert f"eta {float(trial.hyperparameters['eta']):.4g}, max_depth {trial.hyperparameters['max_depth']}" in line
    assert summary.best
    assert f"best so far {summary.best.objective:.5g} (job " in tuner.said[-1]


def test_a_run_that_was_interrupted_goes_on_at_aws_and_is_joined_by_the_next(tuner: Tuner, aws: Account) -> None:
    def interrupted(line: str) -> None:
        if line.startswith("  job 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuner.tune("source-1", say=interrupted)
    assert len(tuner.tune("source-1").summary.trials) == 2
    assert [status for _, status in tuning_jobs(aws)] == ["Completed"]


def test_two_runs_at_once_end_in_one_tuning_job(tuner: Tuner, aws: Account) -> None:
    assert tuner.aws.sagemaker, "built before the threads begin: boto3 cannot build a client in two at once"
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(tuner.tune, ["source-1", "source-1"])
    assert first.summary == second.summary
    assert len(tuning_jobs(aws)) == 1


def test_later_tunings_learn_from_the_model_s_earlier_ones_by_whether_data_and_image_are_the_same(
    tuner: Tuner,
) -> None:
    first = tuner.tune("source-1").summary
    assert (first.parents, first.warm_start) == ((), None)

    second = tuner.tune("source-2").summary
    assert first.best
    assert [(parent.name, parent.best) for parent in second.parents] == [(first.job, first.best.objective)]
    assert second.warm_start == "IdenticalDataAndAlgorithm"
    assert f"  learns from {first.job}" in tuner.said

    other_data = tuner.tune("source-2", data="data-2").summary
    assert [parent.name for parent in other_data.parents] == [second.job, first.job], "the newest first"
    assert other_data.warm_start == "TransferLearning"


def test_a_test_run_has_one_job_a_name_of_its_own_and_no_children(tuner: Tuner, aws: Account) -> None:
    test = tuner.tune("source-1", testing=True).summary
    assert len(test.trials) == 1
    real = tuner.tune("source-1").summary
    assert real.job != test.job
    assert real.parents == ()
    assert [(skipped.name, skipped.reason) for skipped in real.skipped] == [(test.job, "it was a test run")]
    assert f"  not from {test.job}: it was a test run" in tuner.said


@pytest.mark.long
def test_what_is_tuned_now_may_have_been_fixed_before_but_other_hyperparameters_are_skipped_with_the_reason(
    tuner: Tuner,
) -> None:
    only_eta = Tuning({"eta": Continuous(0.05, 0.5)}, jobs=2, parallel=2)
    other = tuner.tune("source-1", tuning=only_eta).summary
    fixed = tuner.tune("source-2", tuning=only_eta, hyperparameters={**STATIC, "max_depth": 3}).summary
    now = tuner.tune("source-3").summary
    assert [parent.name for parent in now.parents] == [fixed.job]
    assert [(skipped.name, skipped.reason) for skipped in now.skipped] == [
        (other.job, "other hyperparameters: max_depth")
    ]


def test_the_model_s_tag_decides_whose_a_tuning_job_is_and_not_its_name(tuner: Tuner, aws: Account) -> None:
    job = tuner.tune("source-1").summary.job
    arn = aws.client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)
    assert [candidate.name for candidate in read_candidates(tuner.aws, "churn")] == [job]
    assert list(read_candidates(tuner.aws, "chur")) == []
    aws.client("sagemaker").add_tags(
        ResourceArn=arn["HyperParameterTuningJobArn"], Tags=[{"Key": "model", "Value": "fraud"}]
    )
    assert list(read_candidates(tuner.aws, "churn")) == []


def test_when_all_training_jobs_fail_the_reason_of_one_is_told_and_the_next_run_starts_anew(
    tuner: Tuner, aws: Account
) -> None:
    wrong = {**STATIC, "depth": 3}
    with pytest.raises(TrainingError) as caught:
        tuner.tune("source-1", hyperparameters=wrong)
    assert "is Failed" in caught.value.what
    assert "Extraneous hyperparameter found: depth" in caught.value.what
    assert caught.value.told  # by AWS's event
    assert "/aws/sagemaker/TrainingJobs" in caught.value.remedy
    assert any("Failed: " in line and "Extraneous hyperparameter found: depth" in line for line in tuner.said)
    name = tuner.tune("source-1").summary.job
    assert [entry for entry in tuning_jobs(aws) if entry[1] == "Completed"] == [(name, "Completed")]
    assert name.endswith("-2")


def test_when_no_training_job_has_the_metric_it_is_named(tuner: Tuner) -> None:
    with pytest.raises(TrainingError, match="is Failed: ") as caught:
        tuner.tune("source-1", channels=["train"])
    assert "training jobs completed with a value of validation:logloss" in caught.value.what
    assert "mend train_register.py" in caught.value.remedy


def test_what_takes_long_is_said_to_go_on(tuner: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.training.tuning_job.HEARTBEAT_SECONDS", 0)
    tuner.tune("source-1", testing=True)
    assert any(
        re.fullmatch(r"  still InProgress: 0 of 1 jobs ended, [01] running; no result so far", line)
        for line in tuner.said
    )


@pytest.mark.long
def test_a_tuning_job_that_somebody_stops_ends_the_step_and_the_next_run_starts_anew(
    tuner: Tuner, aws: Account
) -> None:
    started = threading.Event()

    def say(line: str) -> None:
        if line.startswith("Tuning job"):
            started.set()

    long = {**STATIC, "num_round": 100_000}
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(tuner.tune, "source-1", hyperparameters=long, say=say)
        assert started.wait(20)
        [(name, _)] = tuning_jobs(aws)
        aws.client("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        with pytest.raises(TrainingError, match=f"Tuning job {name} is Stopped") as caught:
            step.result(30)
    assert "run the step again" in caught.value.remedy
    assert tuner.tune("source-1").summary.job == f"{name}-2"


@pytest.mark.long
def test_a_tuning_job_none_of_whose_training_jobs_completed_has_no_model_and_no_children(tuner: Tuner) -> None:
    def stop_both(line: str) -> None:
        if line.startswith("Tuning job"):
            for number in range(2):
                stop_once_it_has_a_result(tuner.aws, line.split()[2].removesuffix(":"), number)

    long = {**STATIC, "num_round": 100_000}
    with pytest.raises(TrainingError, match="None of its 2 training jobs completed with a value of") as caught:
        tuner.tune("source-1", hyperparameters=long, tuning=Tuning(RANGES, 2, 2, early_stopping=False), say=stop_both)
    assert "2 were stopped before their end" in caught.value.what
    [without_model] = read_candidates(tuner.aws, "churn")
    later = tuner.tune("source-2").summary
    assert later.parents == ()
    assert [(skipped.name, skipped.reason) for skipped in later.skipped] == [
        (without_model.name, "none of its training jobs has a result, and learning takes two")
    ]
    assert tuner.tune("source-1").summary.job == f"{without_model.name}-2"


def stop_once_it_has_a_result(aws: Aws, tuning_job: str, number: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        jobs = aws.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=tuning_job, SortBy="Name", SortOrder="Ascending"
        )["TrainingJobSummaries"]
        if len(jobs) > number:
            name = jobs[number]["TrainingJobName"]
            if any("validation-logloss" in line for line in JobLog(aws, name, LOG_GROUP).new_lines()):
                aws.sagemaker.stop_training_job(TrainingJobName=name)
                return
        time.sleep(0.05)
    raise AssertionError(f"training job {number} of {tuning_job} has no result")


def test_a_request_that_sagemaker_refuses_names_what_is_wrong(tuner: Tuner, aws: Account) -> None:
    with pytest.raises(TrainingError, match=r"SageMaker refused .*ml\.none\.large") as caught:
        tuner.tune("source-1", instance_type="ml.none.large")
    assert "what the model folder declares" in caught.value.remedy
    assert tuning_jobs(aws) == []


@pytest.mark.long
def test_spot_jobs_have_checkpoints_that_no_other_job_resumes(tuner: Tuner, aws: Account) -> None:
    spot = Spot(max_wait_seconds=7200)
    summary = tuner.tune("source-1", spot=spot).summary
    single = declaration(tuning=None, spot=spot)
    for name in ("one", "two"):
        run_training_job(tuner.aws, name, lambda: tuner.request(single, "data-1"), tuner.said.append)
    names = [*(trial.name for trial in summary.trials), "one", "two"]
    jobs = [aws.client("sagemaker").describe_training_job(TrainingJobName=name) for name in names]
    assert all(job["EnableManagedSpotTraining"] for job in jobs)
    assert {job["StoppingCondition"]["MaxWaitTimeInSeconds"] for job in jobs} == {7200}
    checkpoints = f"s3://{aws.bucket}/churn/training/checkpoints"
    assert {job["CheckpointConfig"]["S3Uri"] for job in jobs} == {
        f"{checkpoints}/one",
        f"{checkpoints}/two",
        *(f"{checkpoints}/{summary.job}/{trial.name}" for trial in summary.trials),
    }
