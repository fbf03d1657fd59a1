"""Bayesian regression of many series at once: hyperparameters by marginal likelihood, robust to outliers, shifts and gaps.

With the noise whitened, z ~ Xβ + σε and β ~ N(0, σ²S) give the posterior mean β = (X'X + S⁻¹)⁻¹X'z, and the marginal
likelihood with σ² at its best (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.1 and 5.4).
X is the same for all series on one grid of days, so that everything that depends on X alone is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from .series import Values
from .structural_design import Factor, Frame, Setting

_HUBER = 4.0
"""Standard deviations beyond which a reading is taken for an outlier, and drawn in."""
_TAILS_PRIOR = 50
LEVELS = np.array([0.8, 0.95])
"""Probabilities for which the tails of the noise are estimated."""
NORMAL_TAILS = ndtri((1 + LEVELS) / 2)
_START = Setting(memory=0.4, drift=0.02, yearly=4.0, holiday=4.0)


class Candidate(NamedTuple):
    """Series as they could be modelled: (g, k, n) values of mean about 0 and scale about 1.

    Attributes:
        jacobian: (g, k) what the transformation adds to the logarithm of the likelihood; −∞ where there is none.
    """

    values: Values
    jacobian: Values


class Fitted(NamedTuple):
    """(g, k) series.

    Attributes:
        candidate: the index of the likelier one.
        setting: the index of the likeliest one.
        coefficients: (g, k, p)
        residual: of the last reading.
        scale: the standard deviation of a shock.
        tails: (g, k, 2) how many of them are not exceeded by 80 % and by 95 % of the shocks.
    """

    candidate: Values
    setting: Values
    coefficients: Values
    residual: Values
    scale: Values
    tails: Values


def fit_frame(frame: Frame, candidates: Sequence[Candidate], observed: Values, tried: Sequence[Setting]) -> Fitted:
    """Fit series with the likeliest candidate and setting.

    Args:
        observed: (g, k, n) 1 where there is a reading, otherwise 0; values are anything finite there.
    """
    count = observed.sum(-1)
    repaired, surprises, evidence = [], [], []
    for candidate in candidates:
        values, surprise = _repair(frame, _fill(candidate.values, observed), observed)
        beyond = _HUBER * (np.abs(surprise) - _HUBER).clip(0).sum(-1)
        likely, _ = _evidence(frame, values, count, [_START])
        repaired.append(values)
        surprises.append(surprise)
        evidence.append(likely[0] + candidate.jacobian - beyond)
    better = np.argmax(evidence, axis=0)
    values, surprise = (np.where(better[..., None], *reversed(each)) for each in (repaired, surprises))
    again = (np.abs(surprise) > _HUBER).any(-1) | (count < observed.shape[-1])
    _repair_again(frame, values, surprise, observed, again.any(0) if len(again) == 1 else again)
    evidence, sums = _evidence(frame, values, count, tried)
    chosen = evidence.argmax(0)
    coefficients, scale = _posterior(frame, sums, count, tried, chosen)
    residual = values[..., -1] - (coefficients @ frame.columns[:, -1, :, None])[..., 0]
    return Fitted(better, chosen, coefficients, residual, scale, _tails(surprise, observed))


def _repair_again(frame: Frame, values: Values, surprise: Values, observed: Values, again: Values) -> None:
    """Once more, where there was something to repair; in place. Of groups with columns of their own, all or none."""
    if len(values) == 1:
        some = np.nonzero(again)[0]
        if len(some):
            values[:, some], surprise[:, some] = _repair(frame, values[:, some], observed[:, some])
    else:
        values[:], surprise[:] = _repair(frame, values, observed)


def _evidence(
    frame: Frame, values: Values, count: Values, tried: Sequence[Setting]
) -> tuple[Values, dict[float, tuple[Values, Values]]]:
    """(the logarithm of the marginal likelihood with each setting (settings, g, k), `Frame.products` by memory)."""
    sums = frame.products_of_all(values, sorted({setting.memory for setting in tried}))
    evidence = np.empty((len(tried), *count.shape))
    for memory, (products, squares) in sums.items():
        same = [i for i, setting in enumerate(tried) if setting.memory == memory]
        explained, constants = frame.explained(products, tuple(tried[i] for i in same))
        evidence[same] = constants - count / 2 * np.log(_variance(squares - explained, count))
    return evidence, sums


def _posterior(
    frame: Frame, sums: dict[float, tuple[Values, Values]], count: Values, tried: Sequence[Setting], chosen: Values
) -> tuple[Values, Values]:
    """With the setting of each series: (the mean of the coefficients (g, k, p), the standard deviation of a shock (g, k))."""
    coefficients = np.empty((*chosen.shape, frame.columns.shape[-1]))
    scale = np.empty(chosen.shape)
    for i in np.unique(chosen):
        own = chosen == i
        products, squares = sums[tried[i].memory]
        factor = frame.factor(tried[i]).of(np.nonzero(own)[0])
        explained = factor.solve(products[own][:, None])
        coefficients[own] = factor.solve_transposed(explained)[:, 0]
        scale[own] = np.sqrt(_variance(squares[own] - (explained**2).sum((-1, -2)), count[own]))
    return coefficients, scale


def _variance(left: Values, count: Values) -> Values:
    """With a prior worth one reading, so that it never vanishes."""
    return np.asarray((left.clip(0) + 1e-4) / (count + 1))


def _repair(frame: Frame, values: Values, observed: Values) -> tuple[Values, Values]:
    """Replace what was not observed by what the rest says of it, draw outliers in, and take the greatest shift out.

    What the rest says of one reading: with u = V⁻¹z, z minus u over the diagonal of V⁻¹; and of a shift: its estimate is the
    sum of u before it over its information (de Jong and Penzer, Diagnosing shocks in time series, 1998). Of V⁻¹, the
    diagonal is taken without the share of the coefficients, which is small.

    Returns:
        the values, and by how many standard deviations the readings had been beyond what the rest says; 0 at gaps.
    """
    smooth = frame.smooth(values, _START)
    surprise = smooth / frame.diagonal(_START.memory)
    scale = _robust_scale(surprise, observed)[..., None]
    standard = surprise * (observed / scale)
    return values - surprise + scale * standard.clip(-_HUBER, _HUBER), standard


def _tails(surprise: Values, observed: Values) -> Values:
    """Quantiles of |surprise| over the standard deviation when outliers are drawn in, which that of the shocks is, too.

    Those of a normal distribution count as much as `_TAILS_PRIOR` readings.
    """
    n = surprise.shape[-1]
    size, count = np.sort(np.abs(surprise), axis=-1), observed.sum(-1, keepdims=True)
    # What was not observed stands in front, with size 0.
    places = n - 1 - np.rint((count - 1) * (1 - LEVELS)).astype(int)
    deviation = np.sqrt((size.clip(0, _HUBER) ** 2).sum(-1, keepdims=True) / count)
    share = count / (count + _TAILS_PRIOR)
    return np.asarray(share * np.take_along_axis(size, places, -1) / deviation + (1 - share) * NORMAL_TAILS)


def _robust_scale(surprise: Values, observed: Values) -> Values:
    """The mean absolute value where something was observed, of what is below four times of it, as a standard deviation."""
    size = np.abs(surprise) * observed
    mean = size.sum(-1) / observed.sum(-1)
    kept = size * (size < 4 * mean[..., None])
    return np.asarray(kept.sum(-1) / observed.sum(-1) * np.sqrt(np.pi / 2) + 1e-9)


def _fill(values: Values, observed: Values) -> Values:
    """Missing days from their neighbours, along straight lines."""
    gaps = np.nonzero(~observed.astype(bool).all(-1))
    if not len(gaps[0]):
        return values
    filled = values.copy()
    for group, series in zip(*gaps):
        present = np.nonzero(observed[group, series])[0]
        missing = np.nonzero(observed[group, series] == 0)[0]
        filled[group, series, missing] = np.interp(missing, present, values[group, series, present])
    return filled
