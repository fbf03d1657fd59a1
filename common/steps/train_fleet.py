"""Train, evaluate and register a fleet: from gathered readings to a package that waits for its click."""

from __future__ import annotations

from common.model import Model
from common.registry import Package
from common.steps.context import Context
from common.steps.fleet_candidate import FleetCandidate
from common.steps.registering import gathered_version, keep_trial, register_once
from common.training.fleet import Fleet


def train_fleet_model(context: Context, model: Model, fleet: Fleet, *, testing: bool = False) -> Package | None:
    """Train a model for each customer, score them, and register the fleet; once for each source and data version.

    A customer that is set aside keeps the model that serves it now. Writes report, evaluation and the gate's JUnit results to
    `build/<model>/`, where CircleCI picks them up.

    Args:
        testing: try it out: nothing is registered; answers None.

    Raises:
        CheckoutError: what would be trained is not committed.
        TrainingError: nothing was gathered, a job failed, or no customer could be scored.
        DataError: what was gathered is missing from the bucket, or damaged.
        ArtifactError: what the jobs left is missing from the bucket, or damaged.
        GateError: the fleet is not good enough, or too many customers are set aside; its package is registered as rejected,
            with the reason.
    """
    context.checkout.require_clean(model)
    source = context.checkout.source(model)
    candidate = FleetCandidate(context, model, fleet, source, gathered_version(context, model, source), testing)
    if testing:
        keep_trial(candidate)
        return None
    return register_once(candidate)
