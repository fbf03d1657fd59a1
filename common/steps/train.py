"""Train, evaluate and register: from a gathered dataset to a package that waits for its click."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.deployment.live import observe
from common.errors import ArtifactError, GateError, TrainingError
from common.evaluation.document import Champion, Evaluation, assess
from common.evaluation.golden import GOLDEN_ROWS, write_golden
from common.evaluation.metrics import Values
from common.evaluation.report import Report
from common.model import ROOT, Model
from common.registry import PENDING, REJECTED, Package
from common.steps.context import Context
from common.storage import Layout
from common.training.artifact import digest, fetch_artifact, load_booster, predict
from common.training.job import run_training_job
from common.training.xgboost import XGBoost, image_uri, training_request

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef


def train_model(context: Context, model: Model, training: XGBoost) -> Package:
    """Train the model of this commit, score it, and register its package; once for each source and data version.

    Writes report, evaluation and the gate's JUnit results to `build/<model>/`, where CircleCI picks them up.

    Raises:
        CheckoutError: what would be trained is not committed.
        TrainingError: nothing was gathered, or the training job failed.
        GateError: the model is not good enough; its package is registered as rejected, with the reason.
    """
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    data_version = context.gathered(model, source)
    if not data_version:
        raise TrainingError(
            f"Source {source} of {model.name} has gathered no data yet.",
            f"Run `python -m {model.folder}.gather_data` first.",
        )
    package = context.registry(model).find(source, data_version)
    if package:
        context.say(
            f"{model.name}: source {source} with data {data_version} is version {package.version}, {package.status}"
        )
    else:
        package = _Candidate(context, model, training, source, data_version).register()
        context.say(f"{model.name}: registered version {package.version}, {package.status}: {package.arn}")
    _keep_outputs(context, model, package)
    if package.status == REJECTED:
        raise GateError(
            f"Version {package.version} of {model.name} is rejected: {package.reason}",
            f"build/{model.name}/report.html has the evaluation. Improve the model, or the gate in train_register.py.",
        )
    return package


@dataclass(frozen=True)
class _Candidate:
    """A model on its way into the registry."""

    context: Context
    model: Model
    training: XGBoost
    source: str
    data_version: str

    def register(self) -> Package:
        manifest, train, test = self._dataset()
        job = self._train()
        artifact_uri = job["ModelArtifacts"]["S3ModelArtifacts"]
        with tempfile.TemporaryDirectory() as folder:
            archive = fetch_artifact(self.context.aws, artifact_uri, Path(folder))
            predictions = predict(load_booster(archive), test[:, 1:])
            artifact_digest = digest(archive)
        champion = self._champion(manifest, test)
        evaluation = assess(self.model.problem, self.training.gate, train, test, predictions, champion)
        golden = write_golden(test[:GOLDEN_ROWS, 1:], predictions[:GOLDEN_ROWS])
        metadata = self._metadata(job["TrainingJobName"], evaluation) | {
            "artifact_digest": artifact_digest,
            "golden_digest": hashlib.sha256(golden).hexdigest(),
        }
        self._upload(evaluation, golden, metadata, manifest, test[:, 0], predictions)
        verdict = evaluation.verdict
        return self.context.registry(self.model).register(
            self._request(job["AlgorithmSpecification"]["TrainingImage"], artifact_uri),
            metadata,
            commit=metadata["commit"],
            status=PENDING if verdict.passed else REJECTED,
            reason="" if verdict.passed else f"gate: {verdict.reason}",
        )

    def _key(self, name: str) -> str:
        return Layout(self.model.name).package(self.source, self.data_version, name)

    def _data_key(self, name: str) -> str:
        return Layout(self.model.name).data(self.data_version, name)

    def _dataset(self) -> tuple[dict[str, Any], Values, Values]:
        """(manifest, train, test); the sets as rows × (label, features…)."""
        # The file is checked again, since anybody may have gathered or uploaded it, and a header would train nonsense.
        from common.data.dataset import check_training_csv, from_csv

        bucket = self.context.bucket
        manifest = bucket.read_json(self._data_key("manifest.json")) or {}
        sets: dict[str, Values] = {}
        for name in ("train", "validation", "test"):
            key = self._data_key(f"{name}/{name}.csv")
            content = bucket.read(key) or b""
            if hashlib.sha256(content).hexdigest() != manifest.get("sha256", {}).get(name):
                raise TrainingError(
                    f"{bucket.uri(key)} is not what was gathered as data version {self.data_version}.",
                    "Find out who wrote to the bucket, delete that data version's folder, and gather again with --refresh.",
                )
            check_training_csv(content, name)
            sets[name] = from_csv(content)
        return manifest, sets["train"], sets["test"]

    def _train(self) -> Any:
        name = f"{self.model.name}-{self.source[:12]}-{self.data_version[:8]}"
        return run_training_job(self.context.aws, name, self._training_request, self.context.say)

    def _training_request(self) -> CreateTrainingJobRequestTypeDef:
        settings, bucket = self.context.aws.settings, self.context.bucket
        return training_request(
            self.model,
            self.training,
            settings,
            image=image_uri(settings.region),
            channels={name: bucket.uri(self._data_key(f"{name}/")) for name in ("train", "validation")},
            output=bucket.uri(Layout(self.model.name).training()),
        )

    def _champion(self, manifest: dict[str, Any], test: Values) -> Champion:
        """The package that is deployed, scored on the candidate's test rows; or why it cannot be."""
        context = self.context
        live = observe(context.aws, self.model)
        package = context.registry(self.model).serving(live.package_arn)
        if package is None:
            return Champion(
                reason="what serves is no package of the registry" if live.exists else "nothing is deployed"
            )
        name = f"version {package.version}"
        key = Layout(self.model.name).data(package.data_version, "manifest.json")
        its_manifest = context.bucket.read_json(key)
        if its_manifest is None or its_manifest["features"] != manifest["features"]:
            return Champion(name, reason="it was trained on other features")
        try:
            with tempfile.TemporaryDirectory() as folder:
                archive = fetch_artifact(context.aws, package.artifact, Path(folder))
                return Champion(name, predictions=predict(load_booster(archive), test[:, 1:]))
        except ArtifactError as error:
            # A lost champion must not keep its successor from being trained; the report says that it was not compared.
            return Champion(name, reason=error.what)

    def _metadata(self, job: str, evaluation: Evaluation) -> dict[str, str]:
        """`CustomerMetadataProperties`: what traces the package back, and the metrics for listings."""
        run, checkout = self.context.run, self.context.checkout
        facts = {
            "source": self.source,
            "data_version": self.data_version,
            "commit": checkout.commit(),
            "branch": run.branch or checkout.branch(),
            "trained_by": run.user,
            "pipeline": run.pipeline,
            "build_number": run.number,
            "build_url": run.url,
            "training_job": job,
            "evaluation": self.context.bucket.uri(self._key("evaluation.json")),
            "gate": "passed" if evaluation.verdict.passed else f"refused: {evaluation.verdict.reason}",
        }
        metrics = {name: f"{value:.6g}" for name, value in evaluation.metrics["model"].items()}
        return {name: value for name, value in (facts | metrics).items() if value}

    def _upload(
        self, evaluation: Evaluation, golden: bytes, metadata: dict[str, str], manifest: dict[str, Any],
        truth: Values, predictions: Values,
    ) -> None:  # fmt: skip
        report = Report(self.model, evaluation, truth, predictions, manifest, lineage=metadata)
        files = {
            "report.html": report.html().encode(),
            "summary.md": report.summary().encode(),
            "junit/gate.xml": report.junit().encode(),
            "golden.csv": golden,
        }
        body = json.dumps(evaluation.document(), indent=2, sort_keys=True).encode()
        self.context.bucket.write_all(
            [(self._key(name), content) for name, content in files.items()], last=(self._key("evaluation.json"), body)
        )

    def _request(self, image: str, artifact: str) -> dict[str, Any]:
        statistics = {"ContentType": "application/json", "S3Uri": self.context.bucket.uri(self._key("evaluation.json"))}
        return {
            "InferenceSpecification": {
                "Containers": [{"Image": image, "ModelDataUrl": artifact}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv", "application/json"],
            },
            "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        }


def _keep_outputs(context: Context, model: Model, package: Package) -> None:
    """Copy what travels with the package to `build/<model>/`, also when it was trained by an earlier run."""
    layout, folder = Layout(model.name), ROOT / "build" / model.name
    for name in ("evaluation.json", "report.html", "summary.md", "junit/gate.xml"):
        content = context.bucket.read(layout.package(package.source, package.data_version, name))
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            if name == "summary.md":
                context.say(content.decode())
