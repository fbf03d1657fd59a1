"""Abalones over time: a model that is trained on a file which grows, and what comes in later is not what it knows."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd

from common.data.sources import Bundled
from tests.accounts import Account
from tests.clones import Clone


class Farm:
    """A clone whose model of abalones is trained on a file of animals, and served by one instance.

    Attributes:
        usual: animals as there have always been.
        fresh_usual: further ones.
        later: large ones, older than they look: what was trained on the usual ones is wrong about them.
    """

    def __init__(self, aws: Account, folder: Path, *, windows: int = 1, of: int = 1) -> None:
        """`windows` of the last `of` windows that have drifted are a reason to retrain."""
        self.aws, self.file = aws, folder / "animals.csv"
        self.clone = Clone.create(folder)
        self.variables = {"ABALONE_SOURCE": str(self.file)}
        animals = pd.read_csv(io.BytesIO(Bundled("abalone").read())).sample(frac=1, random_state=1)
        self.usual, self.fresh_usual = animals[:1200], animals[1200:1500]
        large = animals[1800:].query("length > 0.56")
        self.later = large.assign(rings=(large["rings"] + 6).clip(upper=40))

        self.collect(self.usual)
        for pattern, replacement in (
            (r"rollout=Canary\(.*\)", "rollout=AllAtOnce()"),
            ("instance_count=2", "instance_count=1"),
            ("declare import Monitor", "declare import Monitor, Rule"),
            (r"Monitor\(\)", f"Monitor(rule=Rule(windows={windows}, of={of}))"),
        ):
            self.clone.edit("abalone_model/deploy.py", pattern, replacement)
        self.clone.commit("Serve from one instance")
        self.clone.push("main")

    def collect(self, *frames: pd.DataFrame) -> None:
        """Let the source have these animals, and their age."""
        pd.concat(frames).to_csv(self.file, index=False)

    def release(self) -> None:
        """Train on the usual animals, approve and deploy."""
        self.clone.release(self.aws, **self.variables)

    def retrain(self, because: str) -> subprocess.CompletedProcess[str]:
        """Train again on what the source has now."""
        return self.clone.models(self.aws, "train", "abalone", "--refresh", "--because", because, **self.variables)

    def bring(self, partition: str, animals: pd.DataFrame) -> None:
        """Bring animals whose age is not known yet."""
        body = animals.drop(columns="rings").to_csv(index=False).encode()
        key = f"abalone/batch/input/{partition}/animals.csv"
        self.aws.client("s3").put_object(Bucket=self.aws.bucket, Key=key, Body=body)

    def rmse(self, animals: pd.DataFrame) -> float:
        """How far the endpoint is off."""
        body = animals.drop(columns="rings").to_csv(index=False, header=False)
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="abalone", ContentType="text/csv", Accept="text/csv", Body=body
        )
        ages = np.loadtxt(io.BytesIO(answer["Body"].read()), delimiter=",", ndmin=1)
        return float(np.sqrt(np.mean((ages - animals["rings"].to_numpy()) ** 2)))
