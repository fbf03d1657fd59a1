"""Warm-started beside cold tuning: how many training jobs a second tuning needs to be as good as the first one's best.

Each seed has customers of its own. A first tuning job searches from nothing; a second one over the same data, as after a
change of anything but the data, is then run twice: with the first as its parent, and cold. Two searches of equal length are
equally likely to win, so that a cold one needs about all its jobs. Run it with `python -m benchmarks.tuning`.
"""

import statistics
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from benchmarks.kit import IMAGE, local_aws
from common.aws import Aws
from common.evaluation.gate import Gate
from common.evaluation.tuning_summary import TuningSummary
from common.model import Model
from common.settings import Settings
from common.training import Continuous, Integer, Tuning, XGBoost
from common.training.tuning_job import run_tuning_job
from common.training.xgboost import training_request

_SEEDS = 9
_JOBS = 10
_TRAINING = XGBoost(
    instance_type="ml.m5.large",
    hyperparameters={"objective": "binary:logistic", "num_round": 40},
    tuning=Tuning(
        {
            "eta": Continuous(0.005, 0.5, scale="Logarithmic"),
            "max_depth": Integer(1, 10),
            "min_child_weight": Continuous(0.5, 50, scale="Logarithmic"),
            "lambda": Continuous(0.01, 100, scale="Logarithmic"),
        },
        jobs=_JOBS,
        parallel=1,  # one learns from all before it, and the figures are the same in every run
        early_stopping=False,
    ),
    gate=Gate("log_loss", at_most=0.5),
)


def main() -> None:
    with local_aws(), ThreadPoolExecutor(2) as pool:
        aws = Aws(Settings.from_environment())
        _ = aws.s3, aws.sagemaker  # built here, since boto3 cannot build clients in two threads at once
        warm, cold = zip(*pool.map(partial(_needed, aws), range(_SEEDS)), strict=True)
    for name, jobs in (("warm-started", warm), ("cold", cold)):
        reached = sum(number <= _JOBS for number in jobs)
        print(
            f"  {name:<13}{statistics.median(jobs):5.1f} jobs to the first tuning's best (median; it ran {_JOBS}); "
            f"reached by {reached} of {_SEEDS} seeds"
        )


def _needed(aws: Aws, seed: int) -> tuple[int, int]:
    """Jobs until the second tuning is as good as the first: warm-started, and cold."""
    _upload(aws, seed)
    first = _tune(aws, f"warm{seed}", seed, "first").best
    if first is None or first.objective is None:
        raise RuntimeError("the first tuning job has no result")
    warm, cold = (_tune(aws, model, seed, "second") for model in (f"warm{seed}", f"cold{seed}"))
    return _jobs_until(first.objective, warm), _jobs_until(first.objective, cold)


def _tune(aws: Aws, model: str, seed: int, source: str) -> TuningSummary:
    """A tuning of the model on the seed's customers; only those of the same model learn from each other."""
    bucket, declared = f"s3://{aws.settings.bucket}", Model(model, "", "leaves", "binary_classification")
    request = training_request(
        declared,
        _TRAINING,
        aws.settings,
        image=IMAGE,
        channels={name: f"{bucket}/{seed}/{name}/" for name in ("train", "validation")},
        output=f"{bucket}/{model}/training",
    )
    return run_tuning_job(
        aws, declared, _TRAINING, source=source, data_version=str(seed), request=lambda: request, say=lambda _: None
    ).summary


def _jobs_until(target: float, tuning: TuningSummary) -> int:
    """The number of the first job that is as good as the target; one more than there are where none is."""
    return next((number for number, best in tuning.running_best() if best <= target), _JOBS + 1)


def _upload(aws: Aws, seed: int) -> None:
    random = np.random.default_rng(seed)
    for name, count in (("train", 2000), ("validation", 600)):
        features = random.normal(size=(count, 8))
        a, b, c, d, e, f, *_ = features.T
        logit = -2.4 + 1.2 * a + 0.8 * b * (c > 0) + 0.9 * (d > 1) - 0.6 * e * f
        leaves = random.random(count) < 1 / (1 + np.exp(-logit))
        lines = (",".join(f"{value:.4f}" for value in row) for row in np.column_stack([leaves, features]))
        aws.s3.put_object(Bucket=aws.settings.bucket, Key=f"{seed}/{name}/rows.csv", Body="\n".join(lines).encode())


if __name__ == "__main__":
    main()
