"""Bayesian regression of many series at once: hyperparameters by marginal likelihood, robust to outliers, shifts and gaps.

With the noise whitened, z ~ Xβ + σε and β ~ N(0, σ²S) give the posterior mean β = (X'X + S⁻¹)⁻¹X'z, and the marginal
likelihood with σ² at its best (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.1 and 5.4).
X is the same for all series on one grid of days, so that everything that depends on X alone is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .series import Values
from .structural_design import Factor, Frame, Setting

_HUBER = 3.5
"""Standard deviations beyond which a reading is taken for an outlier, and drawn in."""
_SHIFT = 5.0
"""Standard deviations beyond which a shift of the level is taken for one."""
_SHIFT_MARGIN = 7
"""Nearer to the ends of the series, a shift cannot be told from outliers."""
_START = Setting(memory=0.4, drift=0.015, yearly=3.0, holiday=4.0)


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
    """

    candidate: Values
    setting: Values
    coefficients: Values
    residual: Values
    scale: Values


def fit_frame(frame: Frame, candidates: Sequence[Candidate], observed: Values, tried: Sequence[Setting]) -> Fitted:
    """Fit series with the likeliest candidate and setting.

    Args:
        observed: (g, k, n) 1 where there is a reading, otherwise 0; values are anything finite there.
    """
    count = observed.sum(-1)
    repaired, evidence = [], []
    for candidate in candidates:
        values, unlikely = _repair(frame, _fill(candidate.values, observed), observed)
        repaired.append(values)
        evidence.append(_evidence(frame, values, count, [_START])[0] + candidate.jacobian - unlikely)
    better = np.argmax(evidence, axis=0)
    values = np.choose(better[..., None], repaired)
    values, _ = _repair(frame, values, observed)
    chosen = _evidence(frame, values, count, tried).argmax(0)
    return _posterior(frame, values, count, tried, chosen, better)


def _evidence(frame: Frame, values: Values, count: Values, tried: Sequence[Setting]) -> Values:
    """The logarithm of the marginal likelihood with each setting: (settings, g, k)."""
    evidence = np.empty((len(tried), *count.shape))
    for memory in sorted({setting.memory for setting in tried}):
        products, squares = frame.products(values, memory)
        for i, setting in enumerate(tried):
            if setting.memory == memory:
                factor = frame.factor(setting)
                left = squares - (factor.solve(products) ** 2).sum(-1)
                evidence[i] = factor.constant - count / 2 * np.log(_variance(left, count))
    return evidence


def _posterior(
    frame: Frame, values: Values, count: Values, tried: Sequence[Setting], chosen: Values, candidate: Values
) -> Fitted:
    """What the settings of each series make of it."""
    coefficients = np.empty((*chosen.shape, frame.columns.shape[-1]))
    scale = np.empty(chosen.shape)
    for i in np.unique(chosen):
        groups, series = np.nonzero(chosen == i)
        shared = len(frame.columns) == 1
        own = frame if shared else frame.of(groups)
        picked = values[:, series] if shared else values[groups]
        products, squares = own.products(picked, tried[i].memory)
        factor = own.factor(tried[i])
        explained = factor.solve(products)
        coefficients[groups, series] = factor.solve_transposed(explained).reshape(len(groups), -1)
        left = (squares - (explained**2).sum(-1)).ravel()
        scale[groups, series] = np.sqrt(_variance(left, count[groups, series]))
    last = (coefficients @ frame.columns[:, -1, :, None])[..., 0]
    return Fitted(candidate, chosen, coefficients, values[..., -1] - last, scale)


def _variance(left: Values, count: Values) -> Values:
    """With a prior worth one reading, so that it never vanishes."""
    return np.asarray((left.clip(0) + 1e-4) / (count + 1))


def _repair(frame: Frame, values: Values, observed: Values) -> tuple[Values, Values]:
    """Replace what was not observed by what the rest says of it, draw outliers in, and take the greatest shift out.

    What the rest says of one reading: with u = V⁻¹z, z minus u over the diagonal of V⁻¹; and of a shift: its estimate is the
    sum of u before it over its information (de Jong and Penzer, Diagnosing shocks in time series, 1998). Of V⁻¹, the
    diagonal is taken without the share of the coefficients, which is small.

    Returns:
        the values, and how much less likely the outliers make the series.
    """
    smooth = frame.smooth(values, _START)
    surprise = smooth / frame.diagonal(_START.memory)
    scale = _robust_scale(surprise, observed)[..., None]
    drawn = surprise.clip(-_HUBER * scale, _HUBER * scale) * observed
    beyond = (np.abs(surprise) * observed / scale - _HUBER).clip(0)
    return values - surprise + drawn, _HUBER * beyond.sum(-1)


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
