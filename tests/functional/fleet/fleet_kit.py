"""What the tests of fleets share: raw parts, the programs of the code archive as processes, and a fleet's files in S3."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from common.aws import Aws
from common.data import parts
from common.data.extract import ReadingsSource, Wanted
from common.evaluation.fleet_gate import FleetGate
from common.forecasting.artifacts import read_results
from common.forecasting.checks import Limits
from common.forecasting.readings import read_part
from common.forecasting.series import Series
from common.forecasting.structural import Structural
from common.storage import Bucket, Layout
from common.training.code import code_archive, stored
from common.training.fleet import Fleet
from common.training.fleet_job import FleetJobs, Origin, train_fleet_jobs
from energy_model import MODEL
from energy_model.holidays import HOLIDAYS

FORECASTER = Structural(holidays=HOLIDAYS)
WANTED = Wanted("customer_id", "timestamp", "consumption", date(2023, 7, 1), date(2026, 1, 1))
LIMITS = Limits(at_least=0, at_most=1000, ceiling=(WANTED.ceiling - date(1970, 1, 1)).days)


def write_raw(folder: Path, source: ReadingsSource, part_rows: int) -> Path:
    """The raw parts of a source, each of about so many rows."""
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(parts, "PART_ROWS", part_rows)
        parts.write_parts(source, WANTED, folder, lambda line: None)
    return folder


@dataclass(frozen=True)
class Host:
    """A folder in which the programs of the code archive run, as they do on an instance."""

    base: Path

    def __post_init__(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(code_archive(FORECASTER))) as archive:
            archive.extractall(self.base / "code", filter="data")

    def split(self, raw: Path) -> subprocess.CompletedProcess[str]:
        folders = [f"--input={raw}", f"--customers={self.base}/customers", f"--index={self.base}/index"]
        bounds = [f"--at-least={LIMITS.at_least}", f"--at-most={LIMITS.at_most}", f"--ceiling={WANTED.ceiling}"]
        return self._run("split.py", *folders, *bounds)

    def fit(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run("fit.py", "--holdout_days", "28", **environment)

    def start_fit(self) -> subprocess.Popen[str]:
        command, environment = self._command("fit.py", "--holdout_days", "28")
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def series(self) -> dict[str, Series]:
        """The clean readings of every customer."""
        files = sorted((self.base / "customers").iterdir())
        return {series.customer: series for file in files for series in read_part(file.read_bytes())}

    def indices(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted((self.base / "index").iterdir())]

    def set_aside(self) -> dict[str, str]:
        """Why customers were set aside, by either program."""
        found = [*self.indices(), *self.results()]
        return {customer: reason for part in found for customer, reason in part["set_aside"].items()}

    def results(self) -> list[dict[str, Any]]:
        return [read_results(file.read_bytes()) for file in sorted((self.base / "checkpoints/parts").glob("*"))]

    def models(self) -> dict[str, bytes]:
        """The archive of each customer."""
        folder = self.base / "checkpoints/models"
        return {file.name.removesuffix(".tar.gz"): file.read_bytes() for file in folder.iterdir()}

    def _run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command, own = self._command(program, *arguments)
        return subprocess.run(command, env=own | environment, capture_output=True, text=True, check=False)

    def _command(self, program: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        environment = {"SM_MODEL_DIR": f"{self.base}/model", "SM_CHANNEL_CUSTOMERS": f"{self.base}/customers"}
        return [sys.executable, str(self.base / "code" / program), *arguments], os.environ | environment


@dataclass
class Trainer:
    """Somebody who trains fleets on the local AWS, with what was said on the way."""

    aws: Aws
    said: list[str] = field(default_factory=list)

    def upload(self, raw: Path, data_version: str) -> None:
        for file in raw.iterdir():
            if file.name != parts.MANIFEST:
                self.bucket.write(f"energy/data/{data_version}/raw/{file.name}", file.read_bytes())

    def train(self, source: str, data_version: str, *, instances: int = 2, champion: str = "") -> FleetJobs:
        fleet = Fleet(FORECASTER, "ml.m5.large", instances, FleetGate(at_most_mase=1.0))
        return train_fleet_jobs(
            self.aws,
            MODEL,
            fleet,
            source=source,
            data_version=data_version,
            limits=LIMITS,
            champion=champion,
            say=self.said.append,
        )

    def origin(self, source: str, data_version: str) -> Origin:
        code = stored(self.bucket, Layout(MODEL.name).code, code_archive(FORECASTER))
        return Origin(MODEL, source, data_version, self.bucket, code)

    def files(self, source: str, data_version: str) -> dict[str, bytes]:
        """Every object of a fleet, by its key below the fleet's prefix."""
        prefix = f"energy/fleets/{source}-{data_version}/"
        pages = self.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {key.removeprefix(prefix): self.bucket.read(key) or b"" for key in keys}

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.aws)
