"""A fleet of forecasting models, one for each customer, as a model folder declares it."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import UsageError
from common.evaluation.fleet_gate import FleetGate
from common.forecasting import Forecaster
from common.training.processing import Cluster
from common.training.tuning import Spot

LONGEST_HOLDOUT_DAYS = 366


@dataclass(frozen=True)
class Fleet:
    """How the models of a fleet are trained, and what they must achieve.

    The job is the same on 1, 10 or 100 instances: each takes its share of the parts that the readings are cut into.

    Attributes:
        forecaster: fits and forecasts, e.g. `Structural()`.
        instance_type, instance_count: of the training job, e.g. 10 × `ml.m5.xlarge`.
        gate: what the fleet must achieve to ask for approval.
        holdout_days: of each customer, the last days that are forecast to score the model before it is fitted on all.
        tolerance: the share of the customers that may be set aside; with more, the step fails.
        spot: trains on spare capacity; an interrupted job goes on where it was.
        split: the instances of the processing job that checks the readings and splits them by customer.
        max_run_seconds: SageMaker stops a training job that trains for longer.
        volume_gb: disk of each training instance.

    Raises:
        UsageError: parts of the declaration cannot be, or contradict each other.
    """

    forecaster: Forecaster
    instance_type: str
    instance_count: int
    gate: FleetGate
    holdout_days: int = 28
    tolerance: float = 0.02
    spot: Spot | None = None
    split: Cluster = Cluster("ml.m5.xlarge")  # noqa: RUF009 - frozen
    max_run_seconds: int = 3600
    volume_gb: int = 30

    def __post_init__(self) -> None:
        if self.instance_count < 1:
            raise UsageError(f"A fleet cannot train on {self.instance_count} instances.", "Declare 1 or more.")
        if not 1 <= self.holdout_days <= LONGEST_HOLDOUT_DAYS:
            raise UsageError(
                f"A holdout of {self.holdout_days} days is none.", f"Declare 1 to {LONGEST_HOLDOUT_DAYS} days."
            )
        if not 0 <= self.tolerance < 1:
            raise UsageError(
                f"{self.tolerance} is no share of customers that may be set aside.",
                "Declare at least 0 and less than 1, e.g. tolerance=0.02.",
            )
        if self.spot and self.spot.max_wait_seconds < self.max_run_seconds:
            raise UsageError(
                f"A spot job that may wait and train for {self.spot.max_wait_seconds} s cannot train for "
                f"{self.max_run_seconds} s.",
                "Declare Spot(max_wait_seconds=…) of at least max_run_seconds.",
            )
