"""Callers of an endpoint on which an experiment runs, the truth that comes in later, and the commands as a person runs them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from common.deployment.declare import VARIANT
from common.experiments.assignment import assigned_variant, new_inference_id
from common.experiments.captured import captured_answers
from common.lineage import Checkout
from common.model import Model
from common.registry import Package
from common.settings import Run
from common.steps.context import Context
from common.storage import Bucket, Layout
from tests.functional.deployment.deployment_kit import COLUMNS, ROWS, Project, eventually, trained


class OnMain(Checkout):
    """A checkout of what main holds."""

    def require_main(self, model: Model) -> None:
        """Nothing to refuse."""


def context(project: Project) -> Context:
    """What a command works with."""
    return Context(project.aws, OnMain(), Run("tester"), project.said.append)


def like(project: Project, number: int, other: int, *, approved: bool = True) -> Package:
    """A package of its own whose model answers as that of another number."""
    artifact, golden = trained(other)
    return project.package(number, artifact=artifact, golden=golden, approved=approved)


@dataclass(frozen=True)
class Asked:
    """A request that was answered: the id that the truth names, and what was predicted by which variant."""

    inference_id: str
    prediction: float
    variant: str


def ask_all(project: Project, requests: int, weights: Mapping[str, float] | None = None, seed: int = 0) -> list[Asked]:
    """Ask once for each of many customers; where there are weights, the variant that is theirs."""
    runtime = project.account.client("sagemaker-runtime")
    rows = ROWS[np.random.default_rng(seed).integers(0, len(ROWS), requests)]
    asked = []
    for number, row in enumerate(rows.tolist()):
        key = f"customer-{seed}-{number}"
        given = {"InferenceId": new_inference_id(key)}
        target = {"TargetVariant": assigned_variant(key, weights)} if weights else {}
        record = json.dumps(dict(zip(COLUMNS, row, strict=True)))
        answer = runtime.invoke_endpoint(
            EndpointName=project.model.name, ContentType="application/json", Body=record, **given, **target
        )
        [prediction] = json.loads(answer["Body"].read())["predictions"]
        variant = answer["InvokedProductionVariant"]
        asked.append(Asked(given["InferenceId"], float(prediction["prediction"]), variant))
    return asked


def put_truth(project: Project, asked: list[Asked], value: float, spread: float = 1.0) -> None:
    """Ground truth within `spread` of that value, as a customer's process would write it."""
    noise = np.random.default_rng(1).uniform(-spread, spread, len(asked))
    lines = [
        json.dumps(
            {
                "groundTruthData": {"data": f"{value + error:.6f}", "encoding": "CSV"},
                "eventMetadata": {"eventId": each.inference_id},
                "eventVersion": "0",
            }
        )
        for each, error in zip(asked, noise.tolist(), strict=True)
    ]
    folder = f"{Layout(project.model.name).truth()}/{datetime.now(UTC):%Y/%m/%d/%H}"
    Bucket(project.aws).write(f"{folder}/{time.time_ns()}.jsonl", "\n".join(lines).encode())


def wait_for_captured(project: Project, since: datetime, **variants: int) -> None:
    """Wait until so many calls of each variant are in the bucket."""

    def all_there() -> bool:
        bucket = Bucket(project.aws)
        found = {name: len(captured_answers(bucket, project.model, name, since)) for name in variants}
        return all(found[name] >= count for name, count in variants.items())

    eventually(all_there, f"captured calls {variants}")


__all__ = ["VARIANT", "Asked", "ask_all", "context", "like", "put_truth", "wait_for_captured"]
