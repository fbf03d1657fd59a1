"""The processing job that compares a window with the training set: what it is given, its request, and its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from common.errors import MonitoringError
from common.model import ROOT, Model
from common.monitoring.checks import Metric
from common.monitoring.declare import Monitor
from common.monitoring.looked import FOLDERS, RESULTS
from common.registry import Package
from common.settings import Settings
from common.storage import Bucket, Layout
from common.training.code import pack, stored
from common.training.image import image_uri
from common.training.job import Say
from common.training.processing import Input, Output, Script, processing_request, run_processing_job

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateProcessingJobRequestTypeDef

_INPUT, _RESULTS = "/opt/ml/processing/input", "/opt/ml/processing/output/results"
_MESSAGE = "/opt/ml/output/message"
_PROGRAM = "monitor.py"
_OTHERS = (
    "common/__init__.py",
    "common/errors.py",
    "common/evaluation/__init__.py",
    "common/evaluation/golden.py",
    "common/experiments/__init__.py",
    "common/experiments/assignment.py",
    "common/experiments/outcomes.py",
    "common/serving/__init__.py",
    "common/serving/inference.py",
)
"""What the job's program imports beside `common/monitoring/`."""
_STAYS = ("declare.py", "files.py", "job.py", "metrics.py", "report.py", "results.py")
"""Of `common/monitoring/`, what it does not."""

METRICS: Mapping[str, Metric] = {
    "rmse": "rmse",
    "r2": "rmse",
    "mae": "mae",
    "log_loss": "log_loss",
    "brier": "brier",
    "f1": "brier",
    "roc_auc": "roc_auc",
    "pr_auc": "roc_auc",
}
"""What quality is monitored by, for each metric that a gate decides by: its own, or the one that rewards the same."""


@dataclass(frozen=True)
class Files:
    """Objects with their ETags, by what their keys have after a prefix (an S3 URI): what an input of the job holds."""

    prefix: str
    etags: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.etags)

    def to_json(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "etags": dict(sorted(self.etags.items()))}


NONE = Files("", {})


@dataclass(frozen=True)
class Look:
    """A look at a window: everything that it depends on, of which equal ones end in one job.

    Attributes:
        window: `common.monitoring.window.describe`, and `ends`, see `Looked`.
        since, until: of the window's calls, as `inferenceTime` is written; empty for a batch.
        serves_since: calls from before it were answered by another package, and do not count.
        keys: columns that come with the records, and that no prediction is made from.
        manifest: of the data version that the package was trained on.
        calls, truth: captured files, and files of ground truth.
        batch, answers: the input of a batch, and its rows with predictions.
    """

    model: Model
    package: Package
    monitor: Monitor
    metric: Metric
    manifest: Mapping[str, Any]
    window: Mapping[str, Any]
    since: str = ""
    until: str = ""
    serves_since: str = ""
    keys: tuple[str, ...] = ()
    calls: Files = NONE
    truth: Files = NONE
    batch: Files = NONE
    answers: Files = NONE

    @cached_property
    def inputs(self) -> str:
        """The digest of everything that the look depends on, the code among it."""
        files = {name: given.to_json() for name, given in self._files.items()}
        depends = {**self._plan, "files": files, "code": _digest(code_files()), "data": self.package.data_version}
        return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def plan(self) -> dict[str, Any]:
        """What the job's program is told."""
        plan = self._plan
        return {**plan, "window": {**plan["window"], "inputs": self.inputs}}

    @property
    def _plan(self) -> dict[str, Any]:
        return {
            "window": {**self.window, "version": self.package.version},
            "columns": self.manifest["columns"],
            "label": self.manifest["label"],
            "classes": self.manifest["classes"],
            "metric": self.metric,
            "checks": self.monitor.checks.to_json(),
            "since": self.since,
            "until": self.until,
            "serves_since": self.serves_since,
            "keys": list(self.keys),
            "truth_files": {name: f"{self.truth.prefix}{name}" for name in self.truth.etags},
        }

    @property
    def _files(self) -> dict[str, Files]:
        return {name: given for name in ("calls", "truth", "batch", "answers") if (given := getattr(self, name))}

    @property
    def name(self) -> str:
        """Of the job."""
        return f"{self.model.name}-monitor-{self.inputs}"

    def run(self, bucket: Bucket, say: Say) -> dict[str, bytes]:
        """Run the job, or join the one that looks at the same; the content of each of `RESULTS`.

        Raises:
            TrainingError: the job failed or was stopped, with its reason, or its request was refused.
            MonitoringError: somebody deletes what it writes.
        """

        def request() -> CreateProcessingJobRequestTypeDef:
            self._put(bucket)
            return self.request(bucket, stored(bucket, Layout(self.model.name).monitoring_code, pack(code_files())))

        def left() -> bool:
            return set(RESULTS) <= set(bucket.listing(self._key("results/")))

        job = run_processing_job(bucket.aws, self.name, request, say, left=left)
        results = {name: content for name in RESULTS if (content := bucket.read(self._key(f"results/{name}")))}
        if len(results) < len(RESULTS):
            raise MonitoringError(
                f"Processing job {job['ProcessingJobName']} has completed, and what it wrote below "
                f"{bucket.uri(self._key('results/'))} was deleted at once.",
                "Find out who deletes there, and run the same again.",
            )
        return results

    def _key(self, name: str) -> str:
        return Layout(self.model.name).monitoring_job(self.inputs, name)

    def _put(self, bucket: Bucket) -> None:
        """Write what the job is given."""
        bucket.write_json(self._key("plan.json"), self.plan)
        for name, given in self._files.items():
            content = [{"prefix": given.prefix}, *sorted(given.etags)]
            bucket.write(self._key(f"{name}.manifest"), json.dumps(content).encode())

    def request(self, bucket: Bucket, code: str) -> CreateProcessingJobRequestTypeDef:
        """The request of the processing job, with the URI of its code; `run_processing_job` gives it its name."""
        settings: Settings = bucket.aws.settings
        layout, package = Layout(self.model.name), self.package

        def of_job(name: str) -> str:
            return bucket.uri(self._key(name))

        def of_data(name: str) -> str:
            return bucket.uri(layout.data(package.data_version, name))

        given = {
            "plan": of_job("plan.json"),
            "reference": of_data("records/train.csv"),
            "encoder": of_data("encoder.json"),
            "baseline": bucket.uri(layout.package(package.source, package.data_version, "baseline/")),
        }
        folders = {name: f"{_INPUT}/{name}" for name in FOLDERS} | {"results": _RESULTS, "message": _MESSAGE}
        manifests = [Input(name, of_job(f"{name}.manifest"), folders[name], manifest=True) for name in self._files]
        return processing_request(
            self.model,
            settings,
            image=image_uri(settings.region, "sklearn"),
            script=Script(code, _PROGRAM, [f"--{name}={path}" for name, path in folders.items()]),
            inputs=[*(Input(name, uri, folders[name]) for name, uri in given.items()), *manifests],
            outputs=[Output("results", _RESULTS, of_job("results"))],
            cluster=self.monitor.cluster,
        )


def code_files() -> dict[str, bytes]:
    """The code that travels into the job: its program, and of this repository what that imports, under the same names."""
    paths = [ROOT / name for name in _OTHERS]
    paths += [path for path in (ROOT / "common" / "monitoring").glob("*.py") if path.name not in _STAYS]
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    return files | {_PROGRAM: b"from common.monitoring.program import main\n\nmain()\n"}


def _digest(files: Mapping[str, bytes]) -> str:
    described = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
