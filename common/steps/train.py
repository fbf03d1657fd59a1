"""Train, evaluate and register: from a gathered dataset to a package that waits for its click."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.data.stored import Stored
from common.deployment.live import observe
from common.errors import ArtifactError, GateError, TrainingError
from common.evaluation.document import Champion, Evaluation, assess
from common.evaluation.golden import GOLDEN_ROWS, Golden
from common.evaluation.metrics import Values, choose_threshold
from common.evaluation.report import Report
from common.model import ROOT, Model
from common.registry import PENDING, REJECTED, Package
from common.serving.archive import ENVIRONMENT, fetch_artifact, load_predictor, load_trained, pack
from common.serving.inference import Predictor, RequestError
from common.steps.context import Context
from common.storage import Layout
from common.training.job import run_training_job
from common.training.xgboost import XGBoost, image_uri, training_request

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef

OUTPUTS = ("evaluation.json", "report.html", "summary.md", "junit/gate.xml")
"""What travels with a package for people and CI, and is kept in `build/<model>/`."""


def train_model(context: Context, model: Model, training: XGBoost, *, testing: bool = False) -> Package | None:
    """Train the model of this commit, score it, and register its package; once for each source and data version.

    Writes report, evaluation and the gate's JUnit results to `build/<model>/`, where CircleCI picks them up.

    Args:
        testing: try it out: a tuning runs one job only, and nothing is registered; answers None.

    Raises:
        CheckoutError: what would be trained is not committed.
        TrainingError: nothing was gathered, or the training job failed.
        GateError: the model is not good enough; its package is registered as rejected, with the reason.
    """
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    data_version = context.gathered(model, source)
    data = Stored.open(context.bucket, model.name, data_version) if data_version else None
    if data is None:
        raise TrainingError(
            f"Source {source} of {model.name} has gathered no data yet.",
            f"Run `python -m {model.folder}.gather_data` first.",
        )
    candidate = _Candidate(context, model, training, source, data, testing)
    if testing:
        _keep(context, model, candidate.files)
        context.say(
            f"{model.name}: tried out, and nothing registered; build/{model.name}/report.html has the evaluation"
        )
        return None
    package = context.registry(model).find(source, data_version)
    if package:
        context.say(
            f"{model.name}: source {source} with data {data_version} is version {package.version}, {package.status}"
        )
    else:
        package = candidate.register()
        context.say(f"{model.name}: registered version {package.version}, {package.status}: {package.arn}")
    layout = Layout(model.name)
    kept = {name: context.bucket.read(layout.package(source, data_version, name)) for name in OUTPUTS}
    _keep(context, model, {name: content for name, content in kept.items() if content is not None})
    if package.status == REJECTED:
        raise GateError(
            f"Version {package.version} of {model.name} is rejected: {package.reason}",
            f"build/{model.name}/report.html has the evaluation. Improve the model, or the gate in train_register.py.",
        )
    return package


@dataclass(frozen=True)
class _Candidate:
    """A model on its way into the registry. Each of its parts is made once, when it is first asked for."""

    context: Context
    model: Model
    training: XGBoost
    source: str
    data: Stored
    testing: bool

    def register(self) -> Package:
        """Upload everything that travels with the package, then register it."""
        *files, (_, evaluation) = self.files.items()
        bucket = self.context.bucket
        bucket.write_all(
            [(self._key(name), content) for name, content in files], last=(self._key("evaluation.json"), evaluation)
        )
        verdict = self.evaluation.verdict
        return self.context.registry(self.model).register(
            self._request(),
            self.metadata,
            commit=self.metadata["commit"],
            status=PENDING if verdict.passed else REJECTED,
            reason="" if verdict.passed else f"gate: {verdict.reason}",
        )

    @cached_property
    def job(self) -> Any:
        """The completed training job."""
        # The sets are read before anything is started: a damaged one would train nonsense.
        for name in ("train", "validation", "test"):
            self.data.rows(name)
        name = f"{self.model.name}-{self.source[:12]}-{self.data.version[:8]}"
        return run_training_job(self.context.aws, name, self._training_request, self.context.say)

    @cached_property
    def predictor(self) -> Predictor:
        """The trained model as it will serve."""
        classes = tuple(self.data.manifest["classes"])
        with tempfile.TemporaryDirectory() as folder:
            archive = fetch_artifact(self.context.aws, self.job["ModelArtifacts"]["S3ModelArtifacts"], Path(folder))
            trained = load_trained(archive, self.data.encoder, classes)
        if not classes:
            return trained
        validation = self.data.rows("validation")
        threshold = getattr(self.training, "threshold", 0.5)
        if threshold == "f1":
            threshold = choose_threshold(validation[:, 0], trained.score_rows(validation[:, 1:]))
        return replace(trained, threshold=threshold)

    @cached_property
    def archive(self) -> bytes:
        """What the endpoint will serve."""
        return pack(self.predictor)

    @cached_property
    def predictions(self) -> Values:
        """The model's scores of the test records, by the way that a caller's records take."""
        return self.predictor.scores(self.test_records)

    @cached_property
    def test_records(self) -> list[dict[str, Any]]:
        from common.data.dataset import to_records

        return to_records(self.data.records("test"))

    @cached_property
    def evaluation(self) -> Evaluation:
        return assess(
            self.model.problem,
            self.training.gate,
            self.data.rows("train"),
            self.data.rows("test"),
            self.predictions,
            self.champion,
            self.predictor.threshold,
        )

    @cached_property
    def champion(self) -> Champion:
        """The package that is deployed, scored on the candidate's test records; or why it cannot be."""
        context = self.context
        live = observe(context.aws, self.model)
        package = context.registry(self.model).serving(live.package_arn)
        if package is None:
            return Champion(
                reason="what serves is no package of the registry" if live.exists else "nothing is deployed"
            )
        name = f"version {package.version}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                its = load_predictor(fetch_artifact(context.aws, package.artifact, Path(folder)))
            return Champion(name, its.scores(self.test_records), threshold=its.threshold)
        except (ArtifactError, RequestError) as error:
            # A lost champion must not keep its successor from being trained; the report says that it was not compared.
            return Champion(
                name, reason=error.what if isinstance(error, ArtifactError) else f"it cannot answer: {error}"
            )

    @cached_property
    def metadata(self) -> dict[str, str]:
        """`CustomerMetadataProperties`: what traces the package back, and the metrics for listings."""
        run, checkout, verdict = self.context.run, self.context.checkout, self.evaluation.verdict
        facts = {
            "source": self.source,
            "data_version": self.data.version,
            "commit": checkout.commit(),
            "branch": run.branch or checkout.branch(),
            "trained_by": run.user,
            "pipeline": run.pipeline,
            "build_number": run.number,
            "build_url": run.url,
            "training_job": self.job["TrainingJobName"],
            "evaluation": self._uri("evaluation.json"),
            "report": self._uri("report.html"),
            "gate": "passed" if verdict.passed else f"refused: {verdict.reason}",
            "artifact_digest": hashlib.sha256(self.archive).hexdigest(),
            "golden_digest": hashlib.sha256(self.golden).hexdigest(),
        }
        metrics = {name: f"{value:.6g}" for name, value in self.evaluation.metrics["model"].items()}
        return {name: value for name, value in (facts | metrics).items() if value}

    @cached_property
    def golden(self) -> bytes:
        records = self.test_records[:GOLDEN_ROWS]
        return Golden(records, self.predictor.answers(records)).to_json()

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Everything that travels with the package, by its name; `evaluation.json` is the last."""
        truth = self.data.rows("test")[:, 0]
        report = Report(self.model, self.evaluation, truth, self.predictions, self.data.manifest, self.metadata)
        return {
            "model.tar.gz": self.archive,
            "golden.json": self.golden,
            "report.html": report.html().encode(),
            "summary.md": report.summary().encode(),
            "junit/gate.xml": report.junit().encode(),
            "evaluation.json": json.dumps(self.evaluation.document(), indent=2, sort_keys=True).encode(),
        }

    def _key(self, name: str) -> str:
        return Layout(self.model.name).package(self.source, self.data.version, name)

    def _uri(self, name: str) -> str:
        return self.context.bucket.uri(self._key(name))

    def _training_request(self) -> CreateTrainingJobRequestTypeDef:
        settings = self.context.aws.settings
        return training_request(
            self.model,
            self.training,
            settings,
            image=image_uri(settings.region),
            channels={name: self.data.uri(f"{name}/") for name in ("train", "validation")},
            output=self.context.bucket.uri(Layout(self.model.name).training()),
        )

    def _request(self) -> dict[str, Any]:
        statistics = {"ContentType": "application/json", "S3Uri": self._uri("evaluation.json")}
        container = {
            "Image": self.job["AlgorithmSpecification"]["TrainingImage"],
            "ModelDataUrl": self._uri("model.tar.gz"),
            "Environment": ENVIRONMENT,
        }
        return {
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": ["application/json", "text/csv"],
                "SupportedResponseMIMETypes": ["application/json", "text/csv"],
            },
            "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        }


def _keep(context: Context, model: Model, files: Mapping[str, bytes]) -> None:
    """Write what people and CI read to `build/<model>/`, and the summary to the log."""
    folder = ROOT / "build" / model.name
    for name in OUTPUTS:
        if name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(files[name])
    if "summary.md" in files:
        context.say(files["summary.md"].decode())
