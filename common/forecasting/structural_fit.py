"""Bayesian regression of many series at once: hyperparameters by marginal likelihood, robust to outliers and missing days.

With the noise whitened, z ~ Xβ + σε and β ~ N(0, σ²S) give the posterior mean β = (X'X + S⁻¹)⁻¹X'z, and the marginal
likelihood with σ² at its best (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.1 and 5.4).
X is the same for all series on one grid of days, so that everything that depends on X alone is computed once.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from .series import Values
from .structural_design import HORIZONS, Noise, Setting, columns, prior

_ROUNDS = 2
_HUBER = 3.5
"""Standard deviations beyond which a reading is taken for an outlier, and drawn in."""
_START = Setting(memory=0.4, drift=0.05, yearly=3.0, holiday=4.0)


class Factor(NamedTuple):
    """Of the posterior precision of the coefficients: the inverse of its Cholesky factor, (g, p, p), and what is added to the
    logarithm of the likelihood, (g, 1)."""

    inverse: Values
    constant: Values


class Frame:
    """What series with the same times share. A group g is of series with the same times, and has its own columns.

    Attributes:
        columns: (g, n, p)
        count: (g, 1) times that are no padding.
    """

    def __init__(
        self, times: Values, walk: Values, holidays: Values, fraction: Values, padding: Optional[Values] = None
    ):
        """
        Args:
            times: (g, n) since the last reading.
            holidays: (g, n, h) columns of 0 and 1, in the future of `HORIZONS` taken for 0.
            fraction: (g, 1) the time of day of the last reading.
            padding: (g, n) which times are none.
        """
        self.walk, self.holidays = walk, holidays.shape[-1]
        self.columns = np.concatenate([columns(times, walk, fraction), holidays], axis=-1)
        ahead = columns(np.broadcast_to(HORIZONS, (len(times), len(HORIZONS))), walk, fraction)
        self._ahead = np.concatenate([ahead, np.zeros((*ahead.shape[:2], self.holidays))], axis=-1)
        self._padding = np.zeros(times.shape, dtype=bool) if padding is None else padding
        self._gaps = np.diff(times, axis=-1, prepend=-np.inf)
        self._gaps[:, 1:][self._padding[:, :-1]] = np.inf
        self.last = times.shape[-1] - 1
        self._noises: dict[float, tuple[Noise, Values, Values]] = {}
        self._factors: dict[Setting, Factor] = {}

    def noise(self, memory: float) -> tuple[Noise, Values, Values]:
        """(the noise, the whitened columns (g, n, p), their products (g, p, p))."""
        if memory not in self._noises:
            noise = Noise.between(self._gaps[:, None], memory, self._padding[:, None])
            white = _whiten_columns(noise, self.columns)
            self._noises[memory] = noise, white, white.swapaxes(1, 2) @ white
        return self._noises[memory]

    def factor(self, setting: Setting) -> Factor:
        if setting not in self._factors:
            noise, _, gram = self.noise(setting.memory)
            variance = prior(setting, self.walk, self.holidays)
            lower = np.linalg.cholesky(gram + np.diag(1 / variance))
            log_determinant = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(-1) + np.log(variance).sum()
            self._factors[setting] = Factor(
                np.linalg.inv(lower), (noise.log_determinant - log_determinant[:, None]) / 2
            )
        return self._factors[setting]

    def spread(self, setting: Setting) -> Values:
        """The variance of forecasts at `HORIZONS` over that of a shock: (g, horizons)."""
        fade = setting.memory**HORIZONS
        towards = self._ahead - fade[:, None] * self.columns[:, self.last :, :]
        uncertain = ((towards @ self.factor(setting).inverse.swapaxes(1, 2)) ** 2).sum(-1)
        return np.asarray(uncertain + (1 - fade**2) / (1 - setting.memory**2) + setting.drift**2 * HORIZONS)


class Fitted(NamedTuple):
    """(g, k) series of g groups.

    Attributes:
        evidence: the logarithm of the marginal likelihood.
        chosen: the index of the setting.
        coefficients: (g, k, p)
        residual: of the last reading.
        scale: the standard deviation of a shock.
        values: (g, k, n), missing days filled and outliers drawn in.
    """

    evidence: Values
    chosen: Values
    coefficients: Values
    residual: Values
    scale: Values
    values: Values


def fit_frame(frame: Frame, values: Values, observed: Values, tried: list[Setting]) -> Fitted:
    """Fit series of mean about 0 and scale about 1.

    Args:
        values: (g, k, n), anything finite where nothing was observed.
        observed: (g, k, n) 1 where there is a reading, otherwise 0.
    """
    count = observed.sum(-1)
    values = _fill(values, observed)
    excess = np.zeros_like(count)
    for _ in range(_ROUNDS):
        values, excess = _repair(frame, values, observed, count)
    evidence = np.full((len(tried), *count.shape), -np.inf)
    memory, products, squares = -1.0, values, count
    for i, setting in enumerate(tried):
        noise, white, _ = frame.noise(setting.memory)
        if setting.memory != memory:
            memory = setting.memory
            whitened = noise.whiten(values)
            products, squares = whitened @ white, np.einsum("gkn,gkn->gk", whitened, whitened)
        inverse, constant = frame.factor(setting)
        explained = products @ inverse.swapaxes(1, 2)
        left = squares - np.einsum("gkp,gkp->gk", explained, explained)
        evidence[i] = constant - count / 2 * np.log(_variance(left, count))
    chosen = evidence.argmax(0)
    best = np.take_along_axis(evidence, chosen[None], 0)[0] - excess
    return _at(frame, values, count, tried, chosen, best)


def _at(frame: Frame, values: Values, count: Values, tried: list[Setting], chosen: Values, evidence: Values) -> Fitted:
    """The posterior at the setting of each series."""
    coefficients = np.empty((*chosen.shape, frame.columns.shape[-1]))
    scale = np.empty(chosen.shape)
    for i in np.unique(chosen):
        groups, series = np.nonzero(chosen == i)
        noise, white, _ = frame.noise(tried[i].memory)
        inverse, _ = frame.factor(tried[i])
        if len(white) == 1:
            whitened = Noise(noise.decay[0], noise.weight[0]).whiten(values[0, series])
            explained = (whitened @ white[0]) @ inverse[0].T
            coefficients[0, series] = explained @ inverse[0]
        else:
            own = Noise(noise.decay[groups, 0], noise.weight[groups, 0])
            whitened = own.whiten(values[groups, 0])
            explained = np.einsum("gn,gnp,gqp->gq", whitened, white[groups], inverse[groups], optimize=True)
            coefficients[groups, 0] = np.einsum("gq,gqp->gp", explained, inverse[groups])
        left = (whitened**2).sum(-1) - (explained**2).sum(-1)
        scale[groups, series] = np.sqrt(_variance(left, count[groups, series]))
    last = (coefficients @ frame.columns[:, frame.last, :, None])[..., 0]
    return Fitted(evidence, chosen, coefficients, values[..., frame.last] - last, scale, values)


def _variance(left: Values, count: Values) -> Values:
    """With a prior worth one reading of a tenth of the scale of the series squared, so that it never vanishes."""
    return np.asarray((left.clip(0) + 1e-4) / (count + 1))


def _repair(frame: Frame, values: Values, observed: Values, count: Values) -> tuple[Values, Values]:
    """Replace what was not observed by what the rest says of it, and draw outliers in to `_HUBER` standard deviations.

    What the rest says of one reading: with u = V⁻¹z, z minus u over the diagonal of V⁻¹ (de Jong and Penzer, Diagnosing
    shocks in time series, 1998). Of V⁻¹, the diagonal is taken without the share of the coefficients, which is small.

    Returns:
        the values, and how much less likely the outliers make the series.
    """
    noise, white, _ = frame.noise(_START.memory)
    inverse, _ = frame.factor(_START)
    whitened = noise.whiten(values)
    explained = (whitened @ white) @ inverse.swapaxes(1, 2)
    left = whitened - (explained @ inverse) @ white.swapaxes(1, 2)
    surprise = noise.unwhiten(left) / np.where(noise.diagonal > 0, noise.diagonal, 1.0)
    scale = _robust_scale(surprise, observed)[..., None]
    drawn = surprise.clip(-_HUBER * scale, _HUBER * scale) * observed
    beyond = np.abs(surprise * observed - drawn) / scale * observed
    return values - surprise + drawn, _HUBER * beyond.sum(-1)


def _robust_scale(surprise: Values, observed: Values) -> Values:
    """The mean absolute value where something was observed, of what is below three times of it, as a standard deviation."""
    size = np.abs(surprise) * observed
    mean = size.sum(-1) / observed.sum(-1)
    kept = size * (size < 4 * mean[..., None])
    return np.asarray(kept.sum(-1) / observed.sum(-1) * np.sqrt(np.pi / 2) + 1e-9)


def _fill(values: Values, observed: Values) -> Values:
    """Missing days from their neighbours, along straight lines."""
    if observed.all():
        return values
    filled = values.copy()
    for group, series in zip(*np.nonzero(~observed.astype(bool).all(-1))):
        present = np.nonzero(observed[group, series])[0]
        missing = np.nonzero(observed[group, series] == 0)[0]
        filled[group, series, missing] = np.interp(missing, present, values[group, series, present])
    return filled


def _whiten_columns(noise: Noise, matrix: Values) -> Values:
    """Each column of (g, n, p)."""
    white = matrix.copy()
    white[:, 1:] -= noise.decay[:, 0, 1:, None] * matrix[:, :-1]
    white *= noise.weight[:, 0, :, None]
    return white
