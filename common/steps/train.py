"""Train, evaluate and register: from a gathered dataset to a package that waits for its click."""

from __future__ import annotations

from collections.abc import Mapping

from common.data.stored import Stored
from common.errors import DataError, GateError, TrainingError
from common.model import ROOT, Model
from common.registry import PENDING, REJECTED, Package
from common.steps.candidate import Candidate
from common.steps.context import Context
from common.storage import Layout
from common.training.xgboost import XGBoost

OUTPUTS = ("evaluation.json", "report.html", "summary.md", "junit/gate.xml")
"""What travels with a package for people and CI, and is kept in `build/<model>/`."""


def train_model(context: Context, model: Model, training: XGBoost, *, testing: bool = False) -> Package | None:
    """Train the model of this commit, score it, and register its package; once for each source and data version.

    Writes report, evaluation and the gate's JUnit results to `build/<model>/`, where CircleCI picks them up.

    Args:
        testing: try it out: a tuning runs one job only, and nothing is registered; answers None.

    Raises:
        UsageError: the gate's metric is none of the model's problem.
        CheckoutError: what would be trained is not committed.
        TrainingError: nothing was gathered, or the training job failed.
        DataError: what was gathered is missing from the bucket, or damaged.
        GateError: the model is not good enough; its package is registered as rejected, with the reason.
    """
    training.gate.require_metric_of(model.problem)
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    data_version = context.gathered(model, source)
    if not data_version:
        raise TrainingError(
            f"Source {source} of {model.name} has gathered no data yet.",
            f"Run `python -m {model.folder}.gather_data` first.",
        )
    data = Stored.open(context.bucket, model.name, data_version)
    if data is None:
        raise DataError(
            f"Data version {data_version}, which source {source} of {model.name} gathered, is missing from the bucket.",
            f"Run `python -m {model.folder}.gather_data --refresh` to gather again.",
        )
    candidate = Candidate(context, model, training, source, data, testing)
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
        package = _register(candidate)
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


def _register(candidate: Candidate) -> Package:
    """Upload everything that travels with the package, then register it."""
    *files, (_, evaluation) = candidate.files.items()
    candidate.context.bucket.write_all(
        [(candidate.key(name), content) for name, content in files], last=(candidate.key("evaluation.json"), evaluation)
    )
    verdict = candidate.evaluation.verdict
    return candidate.context.registry(candidate.model).register(
        candidate.package_request(),
        candidate.metadata,
        commit=candidate.metadata["commit"],
        status=PENDING if verdict.passed else REJECTED,
        reason="" if verdict.passed else f"gate: {verdict.reason}",
    )


def _keep(context: Context, model: Model, files: Mapping[str, bytes]) -> None:
    """Write what people and CI read to `build/<model>/`, and the summary to the log."""
    folder = ROOT / "build" / model.name
    for name in OUTPUTS:
        if name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(files[name])
    if "summary.md" in files:
        context.say(files["summary.md"].decode())
