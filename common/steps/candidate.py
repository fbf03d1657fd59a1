"""A trained model on its way into the registry: what was trained, how good it is, and everything that will travel with it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.data.stored import Stored
from common.errors import ArtifactError, DataError
from common.evaluation.document import Champion, Evaluation, assess
from common.evaluation.gate import Verdict
from common.evaluation.golden import GOLDEN_ROWS, Golden
from common.evaluation.metrics import Values, choose_threshold
from common.evaluation.tuning_summary import TuningSummary
from common.model import Model
from common.monitoring.baseline import constraints, statistics
from common.monitoring.checks import Column
from common.monitoring.looked import BASELINE_CONSTRAINTS, BASELINE_PREDICTIONS, BASELINE_STATISTICS
from common.registry import Package
from common.report.cost import Cost, training_cost
from common.report.data_change import DataChange, compare_data
from common.report.importance import importance
from common.report.report import Report
from common.serving.archive import ENVIRONMENT, digest, fetch_artifact, load_predictor, load_trained, pack
from common.serving.inference import Predictor, RequestError
from common.steps.context import Context
from common.steps.live import champion
from common.steps.registering import image_facts, run_facts
from common.storage import Layout
from common.training.image import image_uri, resolved
from common.training.job import run_training_job
from common.training.tuning_job import run_tuning_job
from common.training.xgboost import XGBoost, training_request

if TYPE_CHECKING:
    import pandas as pd
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Trained:
    """The training job, the best one where several were tried, as SageMaker describes it; and what was tried."""

    job: Any
    tuning: TuningSummary | None = None

    @property
    def seconds(self) -> tuple[float, float]:
        """What all training jobs together took, per instance: (billed, trained)."""
        if self.tuning:
            return sum(t.seconds for t in self.tuning.trials), sum(t.training_seconds for t in self.tuning.trials)
        return self.job["BillableTimeInSeconds"], self.job["TrainingTimeInSeconds"]


@dataclass(frozen=True)
class Candidate:
    """A model of this commit, made from a data version. Each of its parts is made once, when it is first asked for.

    Attributes:
        testing: a tuning runs one job only.
        because: why it is trained again although its source has not changed; empty where it was a person who had it trained.
    """

    context: Context
    model: Model
    training: XGBoost
    source: str
    data: Stored
    testing: bool
    because: str = ""

    @property
    def data_version(self) -> str:
        return self.data.version

    @property
    def verdict(self) -> Verdict:
        return self.evaluation.verdict

    @cached_property
    def rows(self) -> dict[str, Values]:
        """The rows of each set: rows × (label, features…)."""
        return {name: self.data.rows(name) for name in ("train", "validation", "test")}

    @cached_property
    def trained(self) -> Trained:
        """The completed training or tuning job.

        Raises:
            DataError: a set is not what was gathered; nothing was started.
            TrainingError: the job failed.
        """
        _ = self.rows  # before anything is started: a damaged set would train nonsense
        context = self.context
        if self.training.tuning:
            tuned = run_tuning_job(
                context.aws,
                self.model,
                self.training,
                source=self.source,
                data_version=self.data.version,
                request=self._training_request,
                say=context.say,
                testing=self.testing,
            )
            return Trained(tuned.job, tuned.summary)
        name = f"{self.model.name}-{self.source[:12]}-{self.data.version[:8]}"
        job = run_training_job(context.aws, name, self._training_request, context.say)
        return Trained(job)

    @cached_property
    def predictor(self) -> Predictor:
        """The trained model as it will serve."""
        classes = tuple(self.data.manifest["classes"])
        with tempfile.TemporaryDirectory() as folder:
            archive = fetch_artifact(
                self.context.aws, self.trained.job["ModelArtifacts"]["S3ModelArtifacts"], Path(folder)
            )
            trained = load_trained(archive, self.data.encoder, classes)
        if not classes:
            return trained
        validation = self.rows["validation"]
        threshold = self.training.threshold
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
    def train_frame(self) -> pd.DataFrame:
        """The training rows as they came, the label among them."""
        return self.data.records("train")

    @cached_property
    def test_frame(self) -> pd.DataFrame:
        """The test rows as they came, the label among them."""
        return self.data.records("test")

    @cached_property
    def test_records(self) -> list[dict[str, Any]]:
        from common.data.dataset import to_records

        return to_records(self.test_frame)

    @cached_property
    def evaluation(self) -> Evaluation:
        return assess(
            self.model.problem,
            self.training.gate,
            self.rows["train"],
            self.rows["test"],
            self.predictions,
            self.champion,
            self.predictor.threshold,
            self.fresh if self.because else None,
        )

    @cached_property
    def fresh(self) -> NDArray[np.bool_]:
        """Which test rows were not among those that the champion was evaluated on; all where these are not known."""
        package, known = self.champion_package, set()
        try:
            known = self._test_rows_of(package) if package else set()
        except DataError as error:
            self.context.say(
                f"  warning: all test rows count as fresh, since the champion's are not known: {error.what}"
            )
        return np.array([row not in known for row in _as_text(self.test_frame)])

    def _test_rows_of(self, package: Package) -> set[tuple[str, ...]]:
        """What a package was evaluated on.

        Raises:
            DataError: it is gone from the bucket, or damaged.
        """
        data = Stored.open(self.context.bucket, self.model.name, package.data_version)
        if data is None:
            raise DataError(f"Data version {package.data_version} is gone from the bucket.")
        return set(_as_text(data.records("test")))

    @cached_property
    def champion_package(self) -> Package | None:
        """The package that is deployed."""
        return champion(self.context, self.model)

    @cached_property
    def champion(self) -> Champion:
        """The package that is deployed, scored on the candidate's test records; or why it cannot be."""
        package = self.champion_package
        if package is None:
            return Champion(reason="no package of the registry is deployed")
        name = f"version {package.version}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                archive = fetch_artifact(self.context.aws, package.artifact, Path(folder))
                if digest(archive) != package.metadata.get("artifact_digest"):
                    return Champion(name, reason=f"{package.artifact} is not the artifact that was registered")
                its = load_predictor(archive)
            classes = tuple(self.data.manifest["classes"])
            if its.labels != classes:
                return Champion(name, reason=f"it predicts {_kind(its.labels)}, and this model {_kind(classes)}")
            return Champion(name, its.scores(self.test_records), threshold=its.threshold)
        except (ArtifactError, RequestError) as error:
            # A lost champion must not keep its successor from being trained; the report says that it was not compared.
            return Champion(
                name, reason=error.what if isinstance(error, ArtifactError) else f"it cannot answer: {error}"
            )

    @cached_property
    def data_change(self) -> DataChange | None:
        """What is different in the data since the champion was trained; None where that is not known."""
        if self.champion_package is None:
            return None
        try:
            before = Stored.open(self.context.bucket, self.model.name, self.champion_package.data_version)
            if before is None:
                version = self.champion_package.data_version
                self.context.say(f"  warning: the champion's data are not compared: {version} is gone from the bucket")
                return None
            records = before.records("train"), self.train_frame
        except DataError as error:
            self.context.say(f"  warning: the champion's data are not compared: {error.what}")
            return None
        return compare_data(*records, before.manifest, self.data.manifest)

    @cached_property
    def cost(self) -> Cost:
        training, region = self.training, self.context.aws.settings.region
        billed, trained = self.trained.seconds
        return training_cost(region, training.instance_type, instances=1, seconds=billed, training_seconds=trained)

    @property
    def _trained_in(self) -> str:
        return str(self.trained.job["AlgorithmSpecification"]["TrainingImage"])

    @cached_property
    def image(self) -> str:
        """What will serve the model: the image that it was trained in, by digest."""
        return resolved(self.context.aws, self._trained_in)

    @cached_property
    def lineage(self) -> dict[str, str]:
        """What the model was made from, by whom and where."""
        tuning = self.trained.tuning
        facts = {
            **run_facts(self.context, self.source, self.data.version),
            "training_job": self.trained.job["TrainingJobName"],
            "tuning_job": tuning.job if tuning else "",
            "warm_start": " ".join(parent.name for parent in tuning.parents) if tuning else "",
            "retrained_because": self.because,
        }
        if not self.testing:  # which uploads nothing
            facts |= image_facts(self._trained_in, self.image, self.champion_package)
            facts |= {"evaluation": self._uri("evaluation.json"), "report": self._uri("report.html")}
        return {name: value for name, value in facts.items() if value}

    @cached_property
    def metadata(self) -> dict[str, str]:
        """`CustomerMetadataProperties`: what traces the package back, and the metrics for listings."""
        verdict = self.evaluation.verdict
        metrics = {name: f"{value:.6g}" for name, value in self.evaluation.metrics["model"].items()}
        return {
            **self.lineage,
            "gate": "passed" if verdict.passed else f"refused: {verdict.reason}",
            "artifact_digest": hashlib.sha256(self.archive).hexdigest(),
            "golden_digest": hashlib.sha256(self.golden).hexdigest(),
            **metrics,
        }

    @cached_property
    def golden(self) -> bytes:
        records = self.test_records[:GOLDEN_ROWS]
        return Golden(records, self.predictor.answers(records)).to_json()

    @cached_property
    def baseline(self) -> dict[str, bytes]:
        """What production is compared with: the training records, and how the model answered for the test records."""
        from common.data.dataset import to_csv

        columns = Column.described(self.data.manifest["columns"], self.data.manifest["label"])
        return {
            BASELINE_STATISTICS: json.dumps(statistics(self.train_frame, columns), indent=1).encode(),
            BASELINE_CONSTRAINTS: json.dumps(constraints(self.train_frame, columns), indent=1).encode(),
            BASELINE_PREDICTIONS: to_csv(np.column_stack([self.predictions, self.rows["test"][:, 0]])),
        }

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Everything that travels with the package, by its name; `evaluation.json` is the last."""
        test = self.rows["test"]
        report = Report(
            self.model,
            self.evaluation,
            truth=test[:, 0],
            predictions=self.predictions,
            manifest=self.data.manifest,
            lineage=self.lineage,
            champion_predictions=self.champion.predictions,
            records=self.test_frame,
            importance=importance(self.predictor, test[:, 1:]),
            data_change=self.data_change,
            tuning=self.trained.tuning,
            cost=self.cost,
            because=self.because,
        )
        return {
            "model.tar.gz": self.archive,
            "golden.json": self.golden,
            **self.baseline,
            "report.html": report.html().encode(),
            "summary.md": report.summary().encode(),
            "junit/gate.xml": report.junit().encode(),
            "evaluation.json": json.dumps(self.evaluation.document(), indent=2, sort_keys=True).encode(),
        }

    def key(self, name: str) -> str:
        """Where a file lies that travels with the package."""
        return Layout(self.model.name).package(self.source, self.data.version, name)

    def _uri(self, name: str) -> str:
        return self.context.bucket.uri(self.key(name))

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

    def package_request(self) -> dict[str, Any]:
        """What `CreateModelPackage` needs beyond group, status and metadata."""

        def document(name: str) -> dict[str, str]:
            return {"ContentType": "application/json", "S3Uri": self._uri(name)}

        container = {
            "Image": self.image,
            "ModelDataUrl": self._uri("model.tar.gz"),
            "Environment": ENVIRONMENT,
        }
        return {
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": ["application/json", "text/csv"],
                "SupportedResponseMIMETypes": ["application/json", "text/csv"],
            },
            "ModelMetrics": {"ModelQuality": {"Statistics": document("evaluation.json")}},
            "DriftCheckBaselines": {
                "ModelDataQuality": {
                    "Statistics": document(BASELINE_STATISTICS),
                    "Constraints": document(BASELINE_CONSTRAINTS),
                }
            },
        }


def _as_text(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """Each row, by the order of the columns' names."""
    return list(map(tuple, frame[sorted(frame.columns)].astype(str).to_numpy()))


def _kind(labels: tuple[str, ...]) -> str:
    return f"a label ({' or '.join(labels)})" if labels else "a number"
