"""Effects with intervals that stay valid however often one looks, and whenever one stops: confidence sequences.

An interval of 95 % that is looked at again and again leaves the truth out sooner or later. A confidence sequence contains
it at all times at once with a probability of 95 %. Ours is the normal mixture of Robbins (1970) with the estimated variance,
an *asymptotic* confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and
asymptotic confidence sequences, Annals of Statistics 52(6), 2024, theorem 2.2; their section 3 carries it to the difference
between the arms of a randomised experiment, of any weights.

What is counted are independent *units*: a caller's key, or a request where no key is known. Whatever one unit brings
together is one observation, since the same customer's outcomes resemble each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.evaluation.metrics import Values

ALPHA = 0.05
"""How likely at most it is that the truth is ever outside of an interval."""
FEWEST_UNITS = 100
"""Units of each arm below which nothing is said."""
_UNSTEADY = 0.03
"""The squared relative error of an estimated variance, (kurtosis - 1) / units, above which nothing is said.

The sequence takes the estimated variance for the true one. Where outcomes are rare, a hundred units may hold one of them
only, and without this rule up to a third of the experiments without any effect would sound an alarm (`make bench`).
"""
_TIGHTEST_AT = 5000
"""Units at which the intervals are narrowest, relative to all times; chosen before any data."""

_MOST_UNITS = 1e12

Units = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mean:
    """The mean of a quantity, and what is known of its error.

    Attributes:
        units: how many independent units it is the mean of.
        variance: what one unit contributes to the squared error: `units` times the squared standard error.
        kurtosis: of the units' contributions; infinite where all are alike.
    """

    units: int
    value: float
    variance: float
    kurtosis: float

    @classmethod
    def of(cls, values: Values, units: Units) -> Mean:
        """The mean of the values, of which there is at least one.

        The variance of a ratio of sums over units (Deng, Knoblich and Lu, Applying the Delta Method in Metric Analytics,
        2018), which is the usual one where every value has a unit of its own.

        Args:
            units: for each value the unit that it belongs to, as any whole number.
        """
        _, unit = np.unique(units, return_inverse=True)
        sums, counts = np.bincount(unit, values), np.bincount(unit)
        mean = float(values.mean())
        parts = (sums - mean * counts) / counts.mean()
        count = len(counts)
        spread = float((parts**2).mean())
        kurtosis = float((parts**4).mean()) / spread**2 if spread > 0 else math.inf
        return cls(count, mean, spread * count / max(count - 1, 1), kurtosis)

    @property
    def is_steady(self) -> bool:
        """Whether the variance is known well enough for an interval."""
        return self.units >= FEWEST_UNITS and self.kurtosis - 1 <= _UNSTEADY * self.units


@dataclass(frozen=True)
class Effect:
    """An estimate and the interval that contains the truth at all times; without bounds while too little is known.

    Attributes:
        units: how many units were counted.
        deviation: the standard deviation of one unit's contribution.
        alpha: how likely at most it is that the truth is ever outside of the interval.
    """

    value: float
    low: float
    high: float
    units: int
    deviation: float
    alpha: float

    @property
    def is_known(self) -> bool:
        """Whether there is an interval at all."""
        return math.isfinite(self.low)

    @property
    def sign(self) -> int:
        """1 or -1 where the truth is above or below 0, 0 where that is open."""
        return (self.low > 0) - (self.high < 0)

    def needed(self) -> int:
        """About how many units it takes until an effect of this size is told from none; 0 beyond any traffic."""
        low, high = 1.0, _MOST_UNITS
        if self.deviation * margin(high, self.alpha) >= abs(self.value):
            return 0
        while high > 1.01 * low:
            middle = math.sqrt(low * high)
            certain = self.deviation * margin(middle, self.alpha) < abs(self.value)
            low, high = (low, middle) if certain else (middle, high)
        return math.ceil(high)


def margin(units: float, alpha: float = ALPHA) -> float:
    """Half the width of the interval of a mean with variance 1.

    With ρ² = (-2 ln α + ln(1 - 2 ln α)) / t*, it is √(2 (tρ² + 1) / (t²ρ²) · ln(√(tρ² + 1) / α)) after t units.
    """
    log = -2 * math.log(alpha)
    rho = (log + math.log(log + 1)) / _TIGHTEST_AT
    grown = units * rho + 1
    return math.sqrt(2 * grown / (units**2 * rho) * math.log(math.sqrt(grown) / alpha))


def effect(mean: Mean, alpha: float = ALPHA) -> Effect:
    """How far a mean is from 0, e.g. that of the differences between two models on the same requests."""
    return _effect(mean.value, mean.variance, mean.units, mean.is_steady, alpha)


def difference(first: Mean, second: Mean, alpha: float = ALPHA) -> Effect:
    """By how much the mean of the second of two independent arms is greater."""
    units = first.units + second.units
    variance = units * (first.variance / first.units + second.variance / second.units)
    return _effect(second.value - first.value, variance, units, first.is_steady and second.is_steady, alpha)


def _effect(value: float, variance: float, units: int, steady: bool, alpha: float) -> Effect:
    deviation = math.sqrt(variance)
    half = deviation * margin(units, alpha) if steady else math.inf
    return Effect(value, value - half, value + half, units, deviation, alpha)


def is_mismatch(units: int, of: int, share: float) -> bool:
    """Whether an arm got another share of the units than it was meant to get, which no chance explains at any time.

    Such an experiment says nothing, whatever its outcomes are: the arms differ in more than the model. Errs in one of a
    thousand experiments.
    """
    return of >= FEWEST_UNITS and abs(units / of - share) > math.sqrt(share * (1 - share)) * margin(of, alpha=0.001)
