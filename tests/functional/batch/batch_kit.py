"""A model that serves, partitions of raw records, and what became of each record."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from common.batch import Batch
from common.batch.manifest import Manifest, scored
from common.batch.run import Scoring
from common.steps.batch import planned_tasks, score_batches, scoring_of, serving_package
from common.steps.context import Context
from common.storage import Layout
from tests.functional.deployment.deployment_kit import COLUMNS, MODEL, Project

BATCH = Batch("ml.m5.large", keys=("animal",))
LAYOUT = Layout(MODEL.name)


class Killed(BaseException):
    """The process of a step ends here, as if killed: nothing that the step does comes after it."""


@dataclass
class Batches:
    """The partitions of a model, and what was said of them."""

    project: Project
    said: list[str] = field(default_factory=list)

    @property
    def context(self) -> Context:
        return Context(self.project.aws, say=self.said.append)

    def put(self, partition: str, **files: bytes) -> None:
        """Put files into a partition of the input, `a_csv=…` as `a.csv`."""
        for name, body in files.items():
            self.context.bucket.write(f"{LAYOUT.batch_input()}{partition}/{name.replace('_', '.')}", body)

    def score(self, batch: Batch = BATCH, **options: Any) -> list[str]:
        """Run the step; what it said."""
        self.said.clear()
        score_batches(self.context, MODEL, batch, **options)
        return list(self.said)

    def scoring(self, batch: Batch, partition: str) -> Scoring:
        """What the step does for one partition, without what it asks before."""
        package = serving_package(self.context, MODEL)
        [task] = planned_tasks(self.context, MODEL, batch, package, partition)
        return scoring_of(self.context, MODEL, task, f"{MODEL.name}-model-{package.version}")

    def manifest(self, partition: str) -> Manifest:
        [manifest] = scored(self.context.bucket, MODEL, partition)
        return manifest

    def output(self, partition: str) -> dict[str, bytes]:
        """What lies in the output of a partition, by name."""
        prefix = LAYOUT.batch_output(partition)
        return {name: self.context.bucket.read(prefix + name) or b"" for name in self.context.bucket.listing(prefix)}

    def rows(self, partition: str) -> list[dict[str, Any]]:
        """Every row of a partition, of all packages that scored it."""
        parts = [body for name, body in sorted(self.output(partition).items()) if name.endswith(".parquet")]
        return [row for part in parts for row in pq.read_table(io.BytesIO(part)).to_pylist()]

    def rejected(self, partition: str) -> list[dict[str, Any]]:
        parts = [body for name, body in sorted(self.output(partition).items()) if name.endswith(".jsonl")]
        return [json.loads(line) for part in parts for line in part.splitlines()]

    def fates(self, partition: str) -> Counter[tuple[str, int]]:
        """How often each line of each file is in the output or among the rejected."""
        rows = [(row["input_file"], row["input_line"]) for row in self.rows(partition)]
        return Counter(rows + [(record["file"], record["line"]) for record in self.rejected(partition)])

    def jobs(self) -> list[str]:
        """The names of all jobs of the account."""
        sagemaker = self.project.account.client("sagemaker")
        names = []
        for operation, kind in (("list_processing_jobs", "Processing"), ("list_transform_jobs", "Transform")):
            for page in sagemaker.get_paginator(operation).paginate():
                names += [job[f"{kind}JobName"] for job in page[f"{kind}JobSummaries"]]
        return sorted(names)


def animals(count: int, seed: int = 0) -> bytes:
    """A CSV file of so many records that can be scored, its columns in an order of their own and one of no concern."""
    sizes = np.random.default_rng(seed).uniform(size=(count, len(COLUMNS)))
    lines = [f"{w!r},tag {number},{a!r},{b!r},?" for number, (a, b, w) in enumerate(sizes.tolist())]
    return "\n".join(["weight,animal,length,width,colour", *lines]).encode() + b"\n"


def lines_of(body: bytes) -> list[int]:
    """The numbers of the lines of a CSV file that are records."""
    return [number for number, line in enumerate(body.splitlines(), start=1) if number > 1 and line.strip()]


@contextmanager
def killed_at_call(batches: Batches, number: int) -> Iterator[Callable[[], int]]:
    """The step dies right before its call of AWS of that number. Yields how many it has made."""
    calls = 0
    aws = batches.project.aws
    clients = (aws.s3, aws.sagemaker, aws.logs)

    def count(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise Killed

    for client in clients:
        client.meta.events.register("before-call.*.*", count)
    try:
        yield lambda: calls
    finally:
        for client in clients:
            client.meta.events.unregister("before-call.*.*", count)
