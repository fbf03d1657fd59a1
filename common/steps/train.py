"""Train, evaluate and register: from a gathered dataset to a package that waits for its click."""

from __future__ import annotations

from common.data.stored import Stored
from common.errors import DataError
from common.model import Model
from common.registry import Package
from common.steps.candidate import Candidate
from common.steps.context import Context
from common.steps.registering import gathered_version, keep_trial, register_once
from common.steps.retraining import register_retrained
from common.training.xgboost import XGBoost


def train_model(
    context: Context, model: Model, training: XGBoost, *, testing: bool = False, because: str = ""
) -> Package | None:
    """Train the model of this commit, score it, and register its package; once for each source and data version.

    Writes report, evaluation and the gate's JUnit results to `build/<model>/`, where CircleCI picks them up.

    Args:
        testing: try it out: a tuning runs one job only, and nothing is registered; answers None.
        because: why a source that serves is trained again, on data that were gathered anew: its package has to be better
            than the one that serves, on the data that are new.

    Raises:
        UsageError: the gate's metric is none of the model's problem.
        CheckoutError: what would be trained is not committed.
        TrainingError: nothing was gathered, or the training job failed.
        DataError: what was gathered is missing from the bucket, or damaged.
        GateError: the model is not good enough; its package is registered as rejected, with the reason. Or there is
            nothing to gain by training again.
    """
    training.gate.require_metric_of(model.problem)
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    data_version = gathered_version(context, model, source)
    data = Stored.open(context.bucket, model.name, data_version)
    if data is None:
        raise DataError(
            f"Data version {data_version}, which source {source} of {model.name} gathered, is missing from the bucket.",
            f"Run `python -m {model.folder}.gather_data --refresh` to gather again.",
        )
    candidate = Candidate(context, model, training, source, data, testing, because)
    if testing:
        keep_trial(candidate)
        return None
    return register_retrained(candidate) if because else register_once(candidate)
