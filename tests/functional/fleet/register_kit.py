"""Somebody who registers fleets; the jobs' programs run in the test's own process, where they take a tenth of a second."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from common.aws import Aws
from common.data.extract import Reading, Readings, Wanted
from common.deployment.live import Live
from common.evaluation.fleet_gate import FleetGate
from common.evaluation.fleet_manifest import FleetManifest
from common.forecasting.artifacts import unpack_model
from common.forecasting.checks import Limits
from common.forecasting.fit import Champions, Shard, fit_series
from common.forecasting.handlers import answer
from common.forecasting.series import Forecaster
from common.forecasting.split import split_part
from common.forecasting.structural import Structural
from common.lineage import Checkout
from common.model import Model
from common.registry import Package, Registry
from common.settings import Run
from common.steps.context import Context
from common.steps.fleet_objects import keys_below
from common.steps.gather_series import gather_readings
from common.steps.train_fleet import train_fleet_model
from common.storage import Bucket, Layout, split_uri
from common.training.code import code_archive, digest_of, stored
from common.training.fleet import Fleet
from common.training.fleet_job import FleetJobs, Origin
from common.training.image import image_uri
from energy_model import MODEL

START = date(2024, 1, 1)
GATE = FleetGate(at_most_mase=1.5, coverage=(0.3, 1.0), may_drop_share=0.2)
LOOSE = Fleet(Structural(), "ml.m5.large", 1, GATE, tolerance=0.5)
"""Lets pass what a handful of customers score, and half of them be set aside."""


@dataclass(frozen=True)
class Made:
    """Readings of customers, made of a weekly rhythm and noise; some are poisoned.

    Attributes:
        poisoned: by customer, what its readings are instead.
        days: how long the history is.
    """

    customers: tuple[str, ...]
    poisoned: Mapping[str, list[Reading]] = field(default_factory=dict)
    days: int = 200

    @property
    def description(self) -> str:
        return f"{len(self.customers)} made-up customers of {self.days} days"

    def readings(self, _: Wanted | None) -> Iterator[list[Reading]]:
        for customer in self.customers:
            yield self.poisoned.get(customer) or self._rows(customer)

    def _rows(self, customer: str) -> list[Reading]:
        random = np.random.default_rng([ord(letter) for letter in customer])
        days = np.arange(self.days)
        values = 300 + 80 * np.sin(2 * np.pi * days / 7) + random.normal(0, 10, 1000)[: self.days]
        return [
            (customer, f"{START + timedelta(days=day)}T00:00:00", repr(round(value, 3)))
            for day, value in enumerate(values.tolist())
        ]


def one_reading(customer: str) -> dict[str, list[Reading]]:
    """A poisoned customer."""
    return {customer: [(customer, "2024-01-01T00:00:00", "1.0")]}


@dataclass(frozen=True)
class Named(Checkout):
    """A checkout whose source is given."""

    its: str = ""

    def source(self, model: Model, revision: str = "HEAD") -> str:
        return self.its

    def commit(self, revision: str = "HEAD") -> str:
        return "c" * 40

    def branch(self) -> str:
        return "more-customers"

    def require_clean(self, model: Model) -> None:
        """It always is."""


@dataclass
class Registrar:
    """Somebody who gathers, trains and registers, with what was said on the way.

    Attributes:
        serving: the package that is deployed.
        jobs: the source of every fit that was started.
        champions: the `champion` channel of each fleet's fit.
    """

    aws: Aws
    said: list[str] = field(default_factory=list)
    serving: Package | None = None
    jobs: list[str] = field(default_factory=list)
    champions: dict[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.aws)

    @property
    def registry(self) -> Registry:
        return Registry(self.aws, MODEL)

    def observe(self, _: Aws, __: Model) -> Live:
        return Live(status="InService", package_arn=self.serving.arn) if self.serving else Live()

    def context(self, source: str) -> Context:
        return Context(self.aws, Named(its=source), Run("ada"), self.said.append)

    def gather(self, source: str, made: Made) -> str:
        """Gather these readings for a source; answers the data version."""
        data = Readings(made, "customer", "timestamp", "value", START, 0, at_least=0, at_most=1000)
        return gather_readings(self.context(source), MODEL, data, refresh=True)

    def train(self, source: str, fleet: Fleet = LOOSE, *, testing: bool = False) -> Package:
        return cast("Package", train_fleet_model(self.context(source), MODEL, fleet, testing=testing))

    def release(self, source: str, made: Made, fleet: Fleet = LOOSE) -> Package:
        """Gather, train and register, and let the fleet serve."""
        self.gather(source, made)
        self.serving = self.train(source, fleet)
        return self.serving

    def state(self) -> dict[str, object]:
        """Everything that a step could have changed."""
        pages = self.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name)
        objects = {entry["Key"]: (entry["ETag"], entry["LastModified"]) for page in pages for entry in page["Contents"]}
        return {"objects": objects, "packages": list(self.registry.packages()), "jobs": list(self.jobs)}

    def read(self, package: Package, name: str) -> bytes:
        found = self.bucket.read(Layout("energy").package(package.source, package.data_version, name))
        assert found is not None, name
        return found

    def manifest(self, package: Package) -> FleetManifest:
        return FleetManifest.from_archive(self.read(package, "fleet.tar.gz"))

    def evaluation(self, package: Package) -> dict[str, Any]:
        return dict(json.loads(self.read(package, "evaluation.json")))

    def answer(self, _: bytes, models: Mapping[str, bytes], requests: Mapping[str, Any]) -> dict[str, Any]:
        """In place of `answered_offline`, which takes a process."""
        return {name: answer(Structural(), unpack_model(models[name]), **request) for name, request in requests.items()}

    def run_jobs(
        self,
        aws: Aws,
        model: Model,
        fleet: Fleet,
        *,
        source: str,
        data_version: str,
        limits: Limits,
        champion: str,
        say: Any,
    ) -> FleetJobs:
        """In place of `train_fleet_jobs`: the same programs and objects, without containers."""
        code = stored(self.bucket, Layout(model.name).code, code_archive(fleet.forecaster))
        origin = Origin(model, source, data_version, self.bucket, code)
        done = bool(keys_below(self.bucket, split_uri(origin.fleet)[1], ".json.gz"))
        if not done:
            self.jobs.append(source)
            with tempfile.TemporaryDirectory() as folder:
                self._split(origin, limits, Path(folder))
                self._fit(origin, fleet, champion, Path(folder))
            self.champions[origin.fleet] = champion
        return self._described(origin, fleet)

    def _split(self, origin: Origin, limits: Limits, folder: Path) -> None:
        for name in ("raw", "customers", "index"):
            (folder / name).mkdir()
        self._download(origin.raw, folder / "raw")
        for raw in (folder / "raw").iterdir():
            split_part(raw, customers=folder / "customers", index=folder / "index", limits=limits)
        self._upload(folder / "customers", origin.customers)
        self._upload(folder / "index", origin.index)

    def _fit(self, origin: Origin, fleet: Fleet, champion: str, folder: Path) -> None:
        checkpoints, champions = folder / "checkpoints", folder / "champion"
        for name in ("models", "parts"):
            (checkpoints / name).mkdir(parents=True)
        champions.mkdir()
        if champion:
            self._download(champion, champions)
        known = Champions.open(champions)
        shard = Shard(sorted((folder / "customers").iterdir()), checkpoints, known.digest)
        for part in shard.parts:
            shard.fit(part, partial(_fit, fleet.forecaster, fleet.holdout_days, known))
        self._upload(checkpoints, origin.fleet)

    def _described(self, origin: Origin, fleet: Fleet) -> FleetJobs:
        now, champion = datetime.now(UTC), self.champions[origin.fleet]
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
        split = {
            "ProcessingJobName": origin.split_job, "ProcessingResources": {"ClusterConfig": cluster},
            "ProcessingStartTime": now - timedelta(seconds=30), "ProcessingEndTime": now,
        }  # fmt: skip
        channels = {"customers": origin.customers} | ({"champion": champion} if champion else {})
        fit = {
            "TrainingJobName": origin.job, "ResourceConfig": cluster, "BillableTimeInSeconds": 60, "TrainingTimeInSeconds": 90,
            "AlgorithmSpecification": {"TrainingImage": image_uri(self.aws.settings.region, "sklearn")},
            "InputDataConfig": [
                {"ChannelName": name, "DataSource": {"S3DataSource": {"S3Uri": uri}}} for name, uri in channels.items()
            ],
        }  # fmt: skip
        return FleetJobs(cast("Any", split), cast("Any", fit), origin.code, digest_of(origin.code))

    def _download(self, uri: str, folder: Path) -> None:
        for key in keys_below(self.bucket, split_uri(uri)[1], ""):
            (folder / Path(key).name).write_bytes(self.bucket.read(key) or b"")

    def _upload(self, folder: Path, uri: str) -> None:
        for path in filter(Path.is_file, folder.rglob("*")):
            self.bucket.write(f"{split_uri(uri)[1]}{path.relative_to(folder).as_posix()}", path.read_bytes())


def _fit(forecaster: Forecaster, holdout_days: int, champions: Champions, series: Any) -> Any:
    return fit_series(forecaster, series, holdout_days, champions.of([one.customer for one in series]))
