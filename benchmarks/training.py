"""The local training job beside a bare `xgboost.train` on the same data.

The job is timed as a user sees it, from CreateTrainingJob to Completed: a process is started, reads its channels from S3,
validates, trains, and uploads its artifact. The bare call is timed in this process, and as a process of its own.
"""

import io
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import numpy as np
import xgboost

from abalone_model import MODEL
from abalone_model.gather_data import DATA
from abalone_model.train_register import TRAINING
from benchmarks.kit import IMAGE, local_aws, paired, table
from common.settings import Settings
from common.training.xgboost import training_request

_RUNS = 5
_BARE = """
import sys, numpy, xgboost
rows = numpy.loadtxt(sys.argv[1], delimiter=",")
parameters = dict(pair.split("=") for pair in sys.argv[2:])
rounds = int(parameters.pop("num_round"))
xgboost.train(parameters, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), rounds).save_model(sys.argv[1] + ".ubj")
"""


def main() -> None:
    files = DATA.prepare(DATA.read()).files
    with local_aws(), tempfile.TemporaryDirectory() as folder:
        bucket = os.environ["SAGEMAKER_BUCKET"]
        for name in ("train", "validation"):
            boto3.client("s3").put_object(Bucket=bucket, Key=f"{name}/{name}.csv", Body=files[f"{name}/{name}.csv"])
        path = Path(folder) / "train.csv"
        path.write_bytes(files["train/train.csv"])
        request = training_request(
            MODEL,
            TRAINING,
            Settings.from_environment(),
            image=IMAGE,
            channels={name: f"s3://{bucket}/{name}/" for name in ("train", "validation")},
            output=f"s3://{bucket}/output",
        )
        parameters = [f"{name}={value}" for name, value in TRAINING.hyperparameters.items()]
        numbers = itertools.count(1)
        seconds = paired(
            _RUNS,
            **{
                "training job": lambda: _job({**request, "TrainingJobName": f"bench-{next(numbers)}"}),
                "bare, process of its own": lambda: subprocess.run(
                    [sys.executable, "-c", _BARE, str(path), *parameters], check=True
                ),
                "bare, in this process": lambda: _bare(files["train/train.csv"]),
            },
        )
        table(seconds, "bare, process of its own")


def _bare(content: bytes) -> None:
    rows = np.loadtxt(io.BytesIO(content), delimiter=",")
    parameters = {name: value for name, value in TRAINING.hyperparameters.items() if name != "num_round"}
    xgboost.train(parameters, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), int(TRAINING.hyperparameters["num_round"]))


def _job(request: dict[str, object]) -> None:
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_training_job(**request)  # type: ignore[arg-type]
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=str(request["TrainingJobName"]))
        if job["TrainingJobStatus"] == "Completed":
            return
        if job["TrainingJobStatus"] != "InProgress":
            raise RuntimeError(job.get("FailureReason"))
        time.sleep(0.02)


if __name__ == "__main__":
    main()
