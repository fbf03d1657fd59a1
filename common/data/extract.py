"""Readings of many customers: where they come from, between which dates, and how they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from common.errors import DataError

Reading = tuple[str, str, str]
"""(customer, timestamp, value), as the source spells them; what they mean is checked customer by customer, later."""


@dataclass(frozen=True)
class Wanted:
    """What a source of readings is asked for.

    Attributes:
        customer, timestamp, value: the source's names of the three columns.
        floor: the first day, from 00:00 UTC on.
        ceiling: the first day no longer wanted: its 00:00 UTC is not included.
        only: the id of the one customer that is wanted, or None for all.
    """

    customer: str
    timestamp: str
    value: str
    floor: date
    ceiling: date
    only: str | None = None


class ReadingsSource(Protocol):
    """Something that holds the readings of many customers."""

    @property
    def description(self) -> str:
        """Where the readings come from, for people and manifests; never holds a secret."""
        ...

    def readings(self, wanted: Wanted) -> Iterator[list[Reading]]:
        """The readings in chunks of bounded size, cut anywhere; the rows of one customer follow each other.

        Raises:
            SourceError: they cannot be read, or there are none.
        """
        ...


@dataclass(frozen=True)
class OnCi:
    """The machine that runs `gather_data.py` reads the source."""


@dataclass(frozen=True)
class InVpc:
    """A SageMaker Processing job inside a VPC reads the source, a warehouse that only the VPC reaches.

    The subnets need a way to S3, Secrets Manager and PyPI; see docs/warehouse.md. The warehouse has to be named as
    `secretsmanager://…`: what stands in a job's request can be read by whoever may describe it.

    Attributes:
        instance_type: of the one instance, e.g. `ml.m5.large`.
        subnets, security_groups: of the VPC, by their ids.
        volume_gb: disk for the extract, which is gzipped.
    """

    instance_type: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    volume_gb: int = 20
    max_run_seconds: int = 7200

    def __post_init__(self) -> None:
        if not self.subnets or not self.security_groups:
            raise DataError("InVpc(…) names no subnets or no security groups.", "Declare at least one of each.")


@dataclass(frozen=True)
class Readings:
    """The readings that a fleet of models is trained on, one model for each customer; declared as `DATA`.

    Attributes:
        source: a warehouse by `FromEnvironment(…, query=…)`, whose query names `:floor` and `:ceiling`; or a CSV file with
            a header; or a generator.
        customer, timestamp, value: the names of the source's columns; it may have others.
        floor: the first day that is asked for, from 00:00 UTC on.
        ceiling_days_ago: the last days that are not asked for, counted back from today, because their readings may still
            change: with 2, the last day asked for is the day before the day before yesterday.
        at_least, at_most: a customer with a value outside them is set aside.
        run_on: which machine reads a warehouse.

    A file is an extract already: it is taken whole, whatever the dates.
    """

    source: ReadingsSource
    customer: str
    timestamp: str
    value: str
    floor: date
    ceiling_days_ago: int
    at_least: float
    at_most: float
    run_on: OnCi | InVpc = OnCi()

    def __post_init__(self) -> None:
        if self.ceiling_days_ago < 0:
            raise DataError(
                f"ceiling_days_ago={self.ceiling_days_ago} asks for readings of the future.", "Declare 0 or more days."
            )
        if not self.at_least < self.at_most:
            raise DataError(
                f"No value is at least {self.at_least:g} and at most {self.at_most:g}.", "Exchange the bounds."
            )

    def wanted(self, only: str | None = None) -> Wanted:
        """What the source is asked for today, by UTC.

        Args:
            only: the one customer that is wanted.

        Raises:
            DataError: the floor is not before the ceiling.
        """
        ceiling = date(*time.gmtime()[:3]) - timedelta(days=self.ceiling_days_ago)
        if self.floor >= ceiling:
            raise DataError(
                f"There is no day from {self.floor} on that is before {ceiling}, {self.ceiling_days_ago} days ago.",
                "Declare an earlier floor.",
            )
        return Wanted(self.customer, self.timestamp, self.value, self.floor, ceiling, only)
