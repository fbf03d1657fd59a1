"""How a model is monitored, as its `deploy.py` declares it: `MONITOR = Monitor(...)`."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import UsageError
from common.model import Model
from common.monitoring.checks import Checks
from common.monitoring.rules import Rule
from common.training.processing import Cluster

__all__ = ["Checks", "Monitor", "NotMonitored", "Rule", "declared_monitor"]


class NotMonitored(UsageError):
    """The model declares no `MONITOR`, or is a fleet."""


@dataclass(frozen=True)
class Monitor:
    """What is looked at, what counts as a difference, and when windows add up to a reason to retrain.

    Attributes:
        checks: how certain and how large a difference has to be.
        rule: how many of the last windows have to differ.
        retrain_after_days: the model is retrained by the calendar, too, once its data are that old; None: never.
        truth_within_days: how long after a prediction its truth may become known; what comes later is left out.
        cluster: the instance of the processing job that compares.
    """

    checks: Checks = Checks()  # noqa: RUF009 - frozen
    rule: Rule = Rule()  # noqa: RUF009 - frozen
    retrain_after_days: int | None = None
    truth_within_days: int = 30
    cluster: Cluster = Cluster("ml.m5.large")  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if self.retrain_after_days is not None and self.retrain_after_days < 1:
            raise UsageError(
                f"Retraining after {self.retrain_after_days} days would never end.",
                "Declare retrain_after_days of 1 or more, or leave it out.",
            )
        if self.truth_within_days < 0:
            raise UsageError(
                f"Truth cannot come within {self.truth_within_days} days.", "Declare truth_within_days of 0 or more."
            )
        if self.cluster.instance_count != 1:
            raise UsageError(
                f"{self.cluster.instance_count} instances cannot share one comparison.",
                "Declare a larger instance type.",
            )


def declared_monitor(model: Model) -> Monitor:
    """What the model's `deploy.py` declares as `MONITOR`.

    Raises:
        NotMonitored: nothing, or the model is a fleet.
    """
    if model.is_fleet:
        raise NotMonitored(
            f"{model.name} is a fleet: what is monitored is a model of rows.",
            "Its customers' forecasts are scored whenever the fleet is trained; see docs/fleet.md.",
        )
    try:
        found: Monitor = model.declaration("deploy", "MONITOR")
    except AttributeError as error:
        raise NotMonitored(
            f"{model.name} is not monitored.",
            f"Declare MONITOR = Monitor() in {model.folder}/deploy.py; see docs/monitoring.md.",
        ) from error
    return found
