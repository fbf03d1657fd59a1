"""Bayesian regression of many series at once: hyperparameters by marginal likelihood, robust to outliers, shifts and gaps.

With the noise whitened, z ~ Xβ + σε and β ~ N(0, σ²S) give the posterior mean β = (X'X + S⁻¹)⁻¹X'z, and the marginal
likelihood with σ² at its best (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.1 and 5.4).
X is the same for all series on one grid of days, so that everything that depends on X alone is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .series import Values
from .structural_design import START, Frame, Setting, without_holidays

_HUBER = 4.0
"""Standard deviations beyond which a reading is taken for an outlier, and drawn in."""
_ABSURD = 6.0
"""Standard deviations beyond which a reading counts as missing."""
_TAILS_PRIOR = 50
LEVELS = np.array([0.8, 0.95])
"""Probabilities for which the tails of the noise are estimated."""
NORMAL_TAILS = np.array([NormalDist().inv_cdf((1 + level) / 2) for level in LEVELS.tolist()])


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
        settings: the likeliest ones, series by series.
        coefficients: (g, k, p)
        residual: of the last reading.
        scale: the standard deviation of a shock.
        tails: (g, k, 2) how many of them are not exceeded by 80 % and by 95 % of the shocks.
    """

    candidate: NDArray[np.intp]
    settings: list[Setting]
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
    better, values, surprise, spoilt = _likelier(frame, candidates, observed, count)
    if spoilt.any():
        some = (slice(None), spoilt.any(0))  # of groups with columns of their own, all are repaired and some are kept
        again = _repair(frame, values[some], observed[some], count[some])
        values[some] = np.where(spoilt[some][..., None], again.values, values[some])
        surprise[some] = np.where(spoilt[some][..., None], again.surprise, surprise[some])
    chosen, sums = _likeliest(frame, values, count, tried)
    options = [*tried, *map(without_holidays, tried)]
    coefficients, scale = _posterior(frame, sums, count, options, chosen)
    residual = values[..., -1] - (coefficients @ frame.columns[:, -1, :, None])[..., 0]
    return Fitted(better, [options[i] for i in chosen.ravel()], coefficients, residual, scale, _tails(surprise, count))


def _likelier(
    frame: Frame, candidates: Sequence[Candidate], observed: Values, count: Values
) -> tuple[NDArray[np.intp], Values, Values, NDArray[np.bool_]]:
    """(the index of the likelier of two candidates, and of it `values`, `surprise` and `spoilt` of `_Repaired`).

    Where nothing of the first is spoilt, the second is repaired only if it is likelier as it stands, too.
    """
    first, second = (_fill(candidate.values, observed, count) for candidate in candidates)
    one = _repair(frame, first, observed, count)
    likely = one.evidence + candidates[0].jacobian
    products, squares = frame.products(second, START.memory)
    explained, constants = frame.explained(products, (START,))
    unrepaired = constants[0] - count / 2 * np.log(_variance(squares - explained[0], count)) + candidates[1].jacobian
    some = (slice(None), (one.spoilt | (unrepaired > likely)).any(0))
    other = _repair(frame, second[some], observed[some], count[some])
    better = np.zeros(count.shape, dtype=np.intp)
    better[some] = other.evidence + candidates[1].jacobian[some] > likely[some]
    own = better == 1
    for whole, part in zip(one[:3], other[:3], strict=True):
        whole[own] = part[own[some]]
    return better, one.values, one.surprise, one.spoilt


Sums = dict[float, tuple[Values, Values]]
"""`Frame.products`, by the memory of the noise."""


def _likeliest(frame: Frame, values: Values, count: Values, tried: Sequence[Setting]) -> tuple[NDArray[np.intp], Sums]:
    """(the option of the greatest marginal likelihood (g, k), what it was computed from).

    The options are those that are tried, and after them the same without holidays; whether these count is decided last, with
    the likeliest of the other hyperparameters.
    """
    sums = frame.products_of_all(values, sorted({setting.memory for setting in tried}))
    evidence = np.empty((len(tried), *count.shape))
    for memory, (products, squares) in sums.items():
        same = [i for i, setting in enumerate(tried) if setting.memory == memory]
        explained, constants = frame.explained(products, tuple(tried[i] for i in same))
        evidence[same] = constants - count / 2 * np.log(_variance(squares - explained, count))
    likeliest = evidence.argmax(0)
    if not frame.holidays:
        return likeliest, sums
    chosen = likeliest.copy()
    for i in np.unique(likeliest):
        own = likeliest == i
        setting = without_holidays(tried[i])
        products, squares = (each[own] for each in sums[setting.memory])
        factor = frame.factor(setting, np.nonzero(own)[0])
        left = squares - (factor.solve(products[:, None]) ** 2).sum((-1, -2))
        without = factor.constant.ravel() - count[own] / 2 * np.log(_variance(left, count[own]))
        chosen[own] += len(tried) * (without > evidence[i][own])
    return chosen, sums


def _posterior(
    frame: Frame, sums: Sums, count: Values, options: Sequence[Setting], chosen: NDArray[np.intp]
) -> tuple[Values, Values]:
    """With the option of each series: (the mean of the coefficients (g, k, p), the standard deviation of a shock (g, k))."""
    coefficients = np.empty((*chosen.shape, frame.columns.shape[-1]))
    scale = np.empty(chosen.shape)
    for i in np.unique(chosen):
        own = chosen == i
        products, squares = (each[own] for each in sums[options[i].memory])
        factor = frame.factor(options[i], np.nonzero(own)[0])
        explained = factor.solve(products[:, None])
        coefficients[own] = factor.solve_transposed(explained)[:, 0]
        scale[own] = np.sqrt(_variance(squares - (explained**2).sum((-1, -2)), count[own]))
    return coefficients, scale


def _variance(left: Values, count: Values) -> Values:
    """With a prior worth one reading, so that it never vanishes."""
    return np.asarray((left.clip(0) + 1e-4) / (count + 1))


class _Repaired(NamedTuple):
    """(g, k) series whose outliers and gaps were replaced.

    Attributes:
        values: (g, k, n)
        surprise: (g, k, n) by how many standard deviations a reading was off what the rest says; 0 at gaps.
        spoilt: (g, k) whether there were any.
        evidence: the logarithm of the marginal likelihood with `START`, in which outliers are Laplacian [Huber, 1964].
    """

    values: Values
    surprise: Values
    spoilt: NDArray[np.bool_]
    evidence: Values


def _repair(frame: Frame, values: Values, observed: Values, count: Values) -> _Repaired:
    """Replace what was not observed by what the rest says of it, and draw outliers in; in place.

    What the rest says of one reading: with u = V⁻¹z, it is z minus u over the diagonal of V⁻¹ (de Jong and Penzer,
    Diagnosing shocks in time series, 1998). Of V⁻¹, the diagonal is taken without the share of the coefficients, which is
    small. With z replaced by that, z'V⁻¹z is less by u² over the diagonal.
    """
    # In double precision: the parameters that are stored must not show in which order sums were made.
    smooth, diagonal = frame.smooth(values, START), frame.diagonal(START.memory)
    surprise = smooth / diagonal
    complete = bool((count == values.shape[-1]).all())
    seen = surprise if complete else surprise * observed
    size = np.abs(seen)
    scale = _robust_scale(size, count)[..., None]
    left = np.einsum("gkn,gkn->gk", values, smooth)
    unlikely = np.zeros_like(left)
    beyond = size > _HUBER * scale
    if not complete:
        beyond |= observed == 0
    at = np.nonzero(beyond)
    off, unit = surprise[at], scale[at[0], at[1], 0]
    standard = off / unit * observed[at]
    kept = unit * np.where(np.abs(standard) < _ABSURD, standard.clip(-_HUBER, _HUBER), 0.0)
    values[at] += kept - off
    np.add.at(left, at[:2], diagonal[at[0], 0, at[2]] * (kept**2 - off**2))
    np.add.at(unlikely, at[:2], _HUBER * (np.abs(standard) - _HUBER).clip(0))
    evidence = frame.factor(START).constant - count / 2 * np.log(_variance(left, count)) - unlikely
    return _Repaired(values, seen / scale, np.asarray(beyond.any(-1)), evidence)


def _tails(surprise: Values, count: Values) -> Values:
    """Quantiles of |surprise| over the standard deviation when outliers are drawn in, which that of the shocks is, too.

    Those of a normal distribution count as much as `_TAILS_PRIOR` readings.
    """
    n = surprise.shape[-1]
    count = count[..., None]
    # In order, what was not observed stands in front, with size 0.
    places = n - 1 - np.rint((count - 1) * (1 - LEVELS)).astype(int)
    size = np.abs(surprise)
    deviation = np.sqrt((size.clip(0, _HUBER) ** 2).sum(-1, keepdims=True) / count)
    size.partition(np.unique(places), axis=-1)
    share = count / (count + _TAILS_PRIOR)
    return np.asarray(share * np.take_along_axis(size, places, -1) / deviation + (1 - share) * NORMAL_TAILS)


def _robust_scale(size: Values, count: Values) -> Values:
    """The standard deviation of normal noise of which the absolute values have this mean, those far above it drawn in."""
    mean = size.sum(-1) / count
    drawn = np.minimum(size, 4 * mean[..., None])
    return np.asarray(drawn.sum(-1) / count * np.sqrt(np.pi / 2) + 1e-9)


def _fill(values: Values, observed: Values, count: Values) -> Values:
    """Missing days from their neighbours, along straight lines."""
    gaps = np.nonzero(count < values.shape[-1])
    if not len(gaps[0]):
        return values
    filled = values.copy()
    for group, series in zip(*gaps, strict=True):
        present = np.nonzero(observed[group, series])[0]
        missing = np.nonzero(observed[group, series] == 0)[0]
        filled[group, series, missing] = np.interp(missing, present, values[group, series, present])
    return filled
