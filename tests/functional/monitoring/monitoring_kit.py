"""A deployed package with its baseline, and days of captured calls and ground truth, as a monitor finds them in the bucket."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.aws import Aws
from common.batch.declare import declared_batch
from common.batch.manifest import Manifest
from common.data.dataset import to_csv, to_records, write_records
from common.data.schema import Columns, Number
from common.local.hosting.capture import CaptureSpec, Event, line
from common.registry import Package, now
from common.serving.archive import load_predictor
from common.serving.inference import Encoder, Predictor
from common.steps.batch import planned_tasks
from common.steps.context import Context
from common.steps.monitor import monitor_model
from common.storage import Bucket, Layout
from tests.functional.deployment.deployment_kit import COLUMNS, Project, prepared, trained
from tests.functional.deployment.experiment_kit import context

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = TODAY - timedelta(days=1)
_CAPTURE = CaptureSpec(True, 100, "s3://-/-", "", ("Input", "Output"), ("text/csv",), ("application/json",))
_SCHEMA = Columns((*map(Number, COLUMNS), Number("rings")), "rings")
_ROWS, _PER_CALL = 400, 4


@cache
def predictor() -> Predictor:
    """The model of package 1, as it serves."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "model.tar.gz"
        archive.write_bytes(trained(1)[0])
        return load_predictor(archive)


def animals(rows: int = _ROWS, seed: int = 0) -> pd.DataFrame:
    """Records like those that the model was trained on, with their label."""
    random = np.random.default_rng(seed)
    table = random.uniform(size=(rows, len(COLUMNS)))
    rings = 100 + table.sum(axis=1) + random.normal(0, 0.1, rows)
    return pd.DataFrame(table, columns=list(COLUMNS)).assign(rings=rings)


def window_of(day: datetime) -> str:
    """The id of the window of that day's calls."""
    return f"live-{day:%Y%m%dT00}-{day + timedelta(days=1):%Y%m%dT00}"


@dataclass
class Monitored:
    """The model of a project, watched.

    Attributes:
        topic: ARN of the one that people are told by.
    """

    project: Project
    topic: str = ""

    @cached_property
    def context(self) -> Context:
        here = context(self.project)
        return replace(here, aws=Aws(replace(here.aws.settings, notify_topic=self.topic)))

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.project.aws)

    @property
    def layout(self) -> Layout:
        return Layout(self.project.model.name)

    def deploy(self) -> Package:
        """An endpoint of package 1, deployed in 2020; that it answers is not waited for, since nobody asks it."""
        package = self.project.package(1)
        prepared(self.project, package)
        self.project.aws.sagemaker.create_endpoint(
            EndpointName=self.project.model.name, EndpointConfigName=self.project.wanted(package).configuration
        )
        return package

    def put_baseline(self, package: Package) -> None:
        """What `common.steps.candidate` registers with a package, and the data version that it was trained on."""
        manifest = {"columns": _SCHEMA.describe(), "label": "rings", "classes": [], "version": package.data_version}
        encoder = Encoder(tuple(map(Number, COLUMNS)), {}, {})
        test = animals(seed=2)
        pairs = np.column_stack([predictor().scores(to_records(test[list(COLUMNS)])), test["rings"]])
        data = {
            "manifest.json": json.dumps(manifest).encode(),
            "encoder.json": json.dumps(encoder.state()).encode(),
            "records/train.csv": write_records(animals(800, seed=1)),
        }
        files = {self.layout.data(package.data_version, name): content for name, content in data.items()}
        for name in ("statistics.json", "constraints.json"):
            files[self.layout.package(package.source, package.data_version, f"baseline/{name}")] = b'{"features": []}'
        files[self.layout.package(package.source, package.data_version, "baseline/predictions.csv")] = to_csv(pairs)
        for key, content in files.items():
            self.bucket.write(key, content)

    def call(self, day: datetime, records: pd.DataFrame) -> list[str]:
        """Captured calls of that day, `_PER_CALL` records in each; the inference ids of the calls."""
        lines, ids = [], []
        given = to_records(records[list(COLUMNS)])
        for start in range(0, len(given), _PER_CALL):
            asked = given[start : start + _PER_CALL]
            ids.append(f"{day:%m%d}-{start}")
            moment = (day + timedelta(hours=7, seconds=start)).timestamp()
            answer = json.dumps({"predictions": predictor().answers(asked)}).encode()
            kind = "application/json"
            event = Event(json.dumps(asked).encode(), kind, answer, kind, ids[-1], moment)
            lines.append(json.dumps(line(event, _CAPTURE)))
        key = f"{self.layout.capture()}/{self.project.model.name}/AllTraffic/{day:%Y/%m/%d}/07/calls.jsonl"
        self.bucket.write(key, "\n".join(lines).encode())
        return ids

    def put_truth(self, day: datetime, ids: Sequence[str], rings: pd.Series[float]) -> None:
        """Ground truth of those calls, which became known on that day."""
        lines = [
            {
                "groundTruthData": {"data": ",".join(map(str, rings[start : start + _PER_CALL])), "encoding": "CSV"},
                "eventMetadata": {"eventId": event},
                "eventVersion": "0",
            }
            for event, start in zip(ids, range(0, len(rings), _PER_CALL), strict=True)
        ]
        self.write_truth(day, "\n".join(map(json.dumps, lines)).encode())

    def write_truth(self, day: datetime, content: bytes) -> None:
        self.bucket.write(f"{self.layout.truth()}/{day:%Y/%m/%d}/20/truth.jsonl", content)

    def score(self, partition: str, records: pd.DataFrame, at: str = "") -> None:
        """A partition of raw records, and what `models batch` leaves when it has scored them, by default just now."""
        inputs = records[list(COLUMNS)]
        key = f"{self.layout.batch_input()}{partition}/animals.csv"
        self.bucket.write(key, inputs.to_csv(index=False).encode())
        model, package = self.project.model, self.project.registry.version(1)
        tasks = planned_tasks(self.context, model, declared_batch(model), package)
        [task] = [task for task in tasks if task.partition.name == partition]
        predictions = predictor().scores(to_records(inputs))
        part = inputs.assign(prediction=predictions).to_csv(index=False).encode()
        output = self.layout.batch_output(partition, package.version)
        self.bucket.write(f"{output}part-00000.csv", part)
        manifest = Manifest(
            partition, package.version, package.arn, task.partition.inputs, task.batch.of_output(), task.digest,
            records=len(records), rejected=0, reasons={}, files=(), jobs={}, scored_at=at or now(),
            parts=({"name": "part-00000.csv", "rows": len(records)},),
        )  # fmt: skip
        self.bucket.write_json(f"{output}_manifest.json", manifest.to_json())

    def look(self, day: datetime | None = None, batch: str = "") -> str:
        """Run `models monitor`, for that day or batch, or as by schedule; what it said."""
        self.project.said.clear()
        window = {"since": day.isoformat(), "until": (day + timedelta(days=1)).isoformat()} if day else {}
        monitor_model(self.context, self.project.model, batch=batch, **window)
        return "\n".join(self.project.said)

    def results(self, window: str) -> dict[str, bytes]:
        """What lies in the bucket about a window, by name."""
        prefix = self.layout.monitoring(1, f"{window}/")
        return {name: self.bucket.read(prefix + name) or b"" for name in self.bucket.listing(prefix)}

    def findings(self, window: str) -> dict[str, Any]:
        return dict(json.loads(self.results(window)["findings.json"]))

    def jobs(self) -> list[tuple[str, str]]:
        """(name, status) of every processing job."""
        answer = self.project.aws.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
        return [(job["ProcessingJobName"], job["ProcessingJobStatus"]) for job in answer]

    def metric(self, name: str) -> list[float]:
        """What CloudWatch has of a metric for the end of yesterday."""
        answer = self.project.aws.cloudwatch.get_metric_statistics(
            Namespace="Models/Monitoring",
            MetricName=name,
            Dimensions=[{"Name": "Model", "Value": self.project.model.name}],
            StartTime=TODAY,
            EndTime=TODAY + timedelta(minutes=1),
            Period=60,
            Statistics=["Average"],
        )
        return [point["Average"] for point in answer["Datapoints"]]
