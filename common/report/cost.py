"""What training cost, and what an hour of an instance costs: by the on-demand prices of `prices.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

PRICES = Path(__file__).parent / "prices.csv"
"""A row for each region, instance type and use (`Train`, `Host`, …, as in AWS's usage types), with the day and the source."""


@dataclass(frozen=True)
class Price:
    """The on-demand price of an instance, without storage, taxes and discounts."""

    usd_per_hour: float
    as_of: str
    source: str


@dataclass(frozen=True)
class Cost:
    """What was billed for training.

    Attributes:
        seconds: billable seconds of each instance, summed over all training jobs (SageMaker's `BillableTimeInSeconds`).
        training_seconds: what would have been billed without managed spot (SageMaker's `TrainingTimeInSeconds`).
        price: none where the table lists no price for the region and instance type.
    """

    instance_type: str
    instances: int
    seconds: float
    training_seconds: float
    price: Price | None

    @property
    def usd(self) -> float | None:
        """US dollars, or none where no price is listed."""
        return None if self.price is None else self.seconds * self.instances * self.price.usd_per_hour / 3600

    @property
    def saved(self) -> float:
        """The share that managed spot saved, from 0 to 1: SageMaker's 1 - billable / training time."""
        return 1 - self.seconds / self.training_seconds if self.training_seconds > self.seconds else 0.0


def training_cost(
    region: str, instance_type: str, *, instances: int, seconds: float, training_seconds: float | None = None
) -> Cost:
    """What so many billable seconds of each instance cost in the region; without `training_seconds` nothing was saved."""
    trained = seconds if training_seconds is None else training_seconds
    return Cost(instance_type, instances, seconds, trained, find_price(region, instance_type))


def find_price(region: str, instance_type: str, use: str = "Train") -> Price | None:
    """The listed price, or none. AWS prices training, hosting and processing apart."""
    with PRICES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["region"], row["instance_type"], row["use"]) == (region, instance_type, use):
                return Price(float(row["usd_per_hour"]), row["as_of"], row["source"])
    return None
