"""The columns of the structural model, its noise, and the hyperparameters it is tried with.

A series is z = Xβ + e, where the columns of X are a level, a slope, a random walk of the level, and the seasons (Harvey,
Forecasting, Structural Time Series Models and the Kalman Filter, 1989, chapter 2, in the form of a regression with a Gaussian
prior), and e is an Ornstein–Uhlenbeck process: on a daily grid an AR(1) process. Times count from the last reading, so that
series of one length have the same columns, whenever they end: seasons by sine and cosine under a prior that is the same for
both are a model that does not know when its year begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .series import Values

YEAR, WEEK = 365.25, 7.0
YEARLY_WAVES, WEEKLY_WAVES = 6, 3
SEASONS = 2 * (YEARLY_WAVES + WEEKLY_WAVES)
HORIZONS = np.array([1.0, 2, 4, 7, 14, 28, 60, 120, 240, 400])
"""Days after the last reading at which the spread of a forecast is kept; between them it is interpolated."""
_FLAT = 1e4
"""The prior variance of the level, in those of the noise: as good as none."""
_SLOPE = 3.0
_WEEKLY = 1.0
_HOLIDAY = 4.0


class Setting(NamedTuple):
    """Hyperparameters; standard deviations are in those of the noise's daily shocks.

    Attributes:
        memory: the correlation of the noise with that of a day before.
        drift: the standard deviation of the random walk of the level after a day.
        yearly: that of the first yearly wave; the k-th has a k-th of it.
        holiday: that of the effect of a holiday.
    """

    memory: float
    drift: float
    yearly: float
    holiday: float


def settings(holidays: bool) -> list[Setting]:
    """All that are tried."""
    return [
        Setting(*each)
        for each in product(
            (0.0, 0.2, 0.4, 0.6, 0.8, 0.92), (0.003, 0.015, 0.05, 0.15), (0.3, 3.0), (0.1, 4.0) if holidays else (0.0,)
        )
    ]


def knots(span: float) -> Values:
    """How long before the last reading the random walk of the level has its knots: dense at the end, where it matters."""
    steps = [7.0, 7.0, 14.0]
    while sum(steps) < span:
        steps.append(28.0)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _waves(turns: Values, count: int) -> Values:
    angle = 2 * np.pi * turns[..., None] * np.arange(1, count + 1)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=-1)


def columns(times: Values, walk: Values, fraction: Values | float = 0.0) -> Values:
    """X at times (…, n) before the last reading (so ≤ 0, or after it): (…, n, p), without holidays.

    Args:
        walk: the knots.
        fraction: the time of day of the last reading, which tells where in the times a date begins.
    """
    since = (-times[..., None] - walk[:-1]) / np.diff(walk)
    parts = [np.ones_like(times)[..., None], times[..., None] / YEAR, since.clip(0, 1), seasons_from(times, fraction)]
    return np.concatenate(parts, axis=-1)


def seasons_from(times: Values, fraction: Values | float) -> Values:
    """`seasons` at times since the last reading."""
    yearly = _waves(times / YEAR, YEARLY_WAVES)
    weekly = _waves(np.floor(times + fraction) / WEEK, WEEKLY_WAVES)
    return np.concatenate([yearly, weekly], axis=-1)


def prior(setting: Setting, walk: Values, holidays: int) -> Values:
    """The variance of each coefficient, in those of the noise's shocks: (p,)."""
    wave = np.arange(1, YEARLY_WAVES + 1)
    return np.concatenate(
        [
            [_FLAT, _SLOPE**2],
            setting.drift**2 * np.diff(walk),
            np.tile((setting.yearly / wave) ** 2, 2),
            np.full(2 * WEEKLY_WAVES, _WEEKLY**2),
            np.full(holidays, setting.holiday**2),
        ]
    )


@dataclass(frozen=True)
class Noise:
    """An Ornstein–Uhlenbeck process whose shocks have variance 1 after a day, at times with these gaps.

    What it whitens is independent with variance 1; padding has an infinite gap and weight 0.
    """

    decay: Values
    weight: Values

    @classmethod
    def between(cls, gaps: Values, memory: float, padding: NDArray[np.bool_]) -> Noise:
        decay = memory ** np.where(padding, np.inf, gaps) if memory else np.zeros_like(gaps)
        weight = np.sqrt((1 - memory**2) / (1 - decay**2))
        return cls(decay, np.where(padding, 0.0, weight))

    def whiten(self, values: Values) -> Values:
        """Along the last axis."""
        whitened = values.copy()
        whitened[..., 1:] -= self.decay[..., 1:] * values[..., :-1]
        return np.asarray(whitened * self.weight)

    def unwhiten(self, whitened: Values) -> Values:
        """The transpose of `whiten`, so that both make the product with the inverse of the covariance."""
        weighted = whitened * self.weight
        product = weighted.copy()
        product[..., :-1] -= self.decay[..., 1:] * weighted[..., 1:]
        return product

    @property
    def diagonal(self) -> Values:
        """Of the inverse of the covariance."""
        squared = self.weight**2
        diagonal = squared.copy()
        diagonal[..., :-1] += self.decay[..., 1:] ** 2 * squared[..., 1:]
        return diagonal

    @property
    def log_determinant(self) -> Values:
        """Of the inverse of the covariance, at the times that are no padding."""
        return np.asarray(2 * np.log(np.where(self.weight > 0, self.weight, 1.0)).sum(axis=-1))
