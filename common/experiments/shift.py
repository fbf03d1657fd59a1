"""Whether two models' predictions are distributed differently, on the same requests, however often one looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from common.evaluation.metrics import Values
from common.experiments.sequential import ALPHA


@dataclass(frozen=True)
class Shift:
    """The distance between the distributions of two models' predictions.

    Attributes:
        distance: that of Kolmogorov and Smirnov: the greatest difference between the shares of predictions below a value.
        at: that value.
        bound: the distance that chance explains at this time and at all others together.
        units: how many pairs were compared.
    """

    distance: float
    at: float
    bound: float
    units: int

    @property
    def is_certain(self) -> bool:
        return self.distance > self.bound


def shift(champion: Values, challenger: Values) -> Shift:
    """Compare predictions of two models for the same requests, one of each independent unit; at least one.

    Each empirical distribution function stays within a bound around its true one at all times with a probability of
    1 - α/2: Howard and Ramdas, Sequential estimation of quantiles with applications to A/B testing and best-arm
    identification, Bernoulli 28(3), 2022, corollary 2. If both do, equal distributions are never further apart than twice
    the bound, whatever the dependence between the two models' predictions. The usual test would take them for independent,
    and for looked at once.
    """
    units = len(champion)
    values = np.sort(np.concatenate([champion, challenger]))
    below = [np.searchsorted(np.sort(each), values, side="right") / units for each in (champion, challenger)]
    gaps = np.abs(below[1] - below[0])
    furthest = int(gaps.argmax())
    return Shift(float(gaps[furthest]), float(values[furthest]), 2 * _bound(units, ALPHA / 2), units)


def _bound(units: int, alpha: float) -> float:
    """0.85 √((ln ln(e t) + 0.8 ln(1612 / α)) / t), after t units."""
    return 0.85 * math.sqrt((math.log(1 + math.log(units)) + 0.8 * math.log(1612 / alpha)) / units)
