"""The columns of the structural model, its noise, and the hyperparameters it is tried with.

A series is z = Xβ + e, where the columns of X are a level, a slope, a random walk of the level, and the seasons (Harvey,
Forecasting, Structural Time Series Models and the Kalman Filter, 1989, chapter 2, in the form of a regression with a Gaussian
prior), and e is an Ornstein–Uhlenbeck process: on a daily grid an AR(1) process. Times count from the last reading, so that
series of one length have the same columns, whenever they end: seasons by sine and cosine under a prior that is the same for
both are a model that does not know when its year begins.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_RECENT = 168
"""Days before the last reading, before which the knots are 56 days apart, and no longer 28."""
_SLOPE = 10.0
"""The prior standard deviation of the slope in a year: wide, since it stands for the yearly season in a short history."""
_WEEKLY = 1.0


class Setting(NamedTuple):
    """Hyperparameters; standard deviations are in those of the noise's daily shocks.

    Attributes:
        memory: the correlation of the noise with that of a day before.
        drift: the standard deviation of the random walk of the level after a day.
        yearly: that of the first yearly wave; the k-th has a k²-th of it.
        holiday: that of the effect of a holiday.
    """

    memory: float
    drift: float
    yearly: float
    holiday: float


START = Setting(memory=0.4, drift=0.02, yearly=4.0, holiday=4.0)
"""What is taken for true until the likeliest is known."""
SETTINGS = tuple(
    Setting(*each, START.holiday)
    for each in product((0.0, 0.2, 0.4, 0.6, 0.8, 0.92), (0.003, 0.02, 0.08, 0.3), (1.0, 4.0))
)
"""All that are tried."""
IRREGULAR_SETTINGS = tuple(
    each for each in SETTINGS if each.memory in (0.0, START.memory) and each.yearly == START.yearly
)
"""Those of irregular times, where a setting takes a factorisation for each series."""
_NO_HOLIDAYS = 0.1


def without_holidays(setting: Setting) -> Setting:
    """The setting of a series that takes little notice of them."""
    return setting._replace(holiday=_NO_HOLIDAYS)


def knots(span: float) -> Values:
    """How long before the last reading the random walk of the level has its knots: dense at the end, where it matters."""
    steps = [7.0, 7.0, 14.0]
    while sum(steps) < span:
        steps.append(28.0 if sum(steps) < _RECENT else 91.0)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _waves(turns: Values, count: int) -> Values:
    waves = np.empty((*turns.shape, 2 * count))
    first = wave = np.exp(2j * np.pi * turns)
    for k in range(count):  # by powers: a fraction of the time of so many sines
        waves[..., k], waves[..., count + k] = wave.real, wave.imag
        wave = wave * first
    return waves


def columns(times: Values, walk: Values, fraction: Values | float = 0.0, holidays: int = 0) -> Values:
    """X at times (…, n) before the last reading (so ≤ 0, or after it): (…, n, p), with that many columns of 0 for holidays.

    Args:
        walk: the knots.
        fraction: the time of day of the last reading, which tells where in the times a date begins.
    """
    steps = len(walk) - 1
    found = np.empty((*times.shape, 2 + steps + SEASONS + holidays))
    found[..., 0], found[..., 1] = 1, times / YEAR
    # Along the times, of which there are many more than knots, and turned when done: a fifth of the time.
    since = (-times[..., None, :] - walk[:-1, None]) / np.diff(walk)[:, None]
    found[..., 2 : 2 + steps] = since.clip(0, 1).swapaxes(-1, -2)
    found[..., 2 + steps : 2 + steps + SEASONS] = seasons_from(times, fraction)
    found[..., 2 + steps + SEASONS :] = 0
    return found


def seasons_from(times: Values, fraction: Values | float) -> Values:
    """`seasons` at times since the last reading."""
    found = np.empty((*times.shape, SEASONS))
    found[..., : 2 * YEARLY_WAVES] = _waves(times / YEAR, YEARLY_WAVES)
    found[..., 2 * YEARLY_WAVES :] = _WEEKDAYS[np.floor(times + fraction).astype(int) % 7]
    return found


_WEEKDAYS = _waves(np.arange(7) / WEEK, WEEKLY_WAVES)


def prior(setting: Setting, walk: Values, holidays: int) -> Values:
    """The variance of each coefficient, in those of the noise's shocks: (p,)."""
    wave = np.arange(1, YEARLY_WAVES + 1)
    return np.concatenate(
        [
            [_FLAT, _SLOPE**2],
            setting.drift**2 * np.diff(walk),
            np.tile((setting.yearly / wave**2) ** 2, 2),
            np.full(2 * WEEKLY_WAVES, _WEEKLY**2),
            np.full(holidays, setting.holiday**2),
        ]
    )


class _Noise:
    """An Ornstein–Uhlenbeck process whose shocks have variance 1 after a day.

    On a daily grid it is an AR(1) process. The inverse of its covariance is tridiagonal.
    """

    def __init__(self, gaps: Values, padding: NDArray[np.bool_], memory: float):
        """
        Args:
            gaps: (g, n) days since the reading before, infinite where there is none.
            padding: (g, n) which readings are none.
        """
        self.memory = memory
        self.decay = memory**gaps if memory else np.zeros_like(gaps)
        self.weight = np.where(padding, 0.0, np.sqrt((1 - memory**2) / (1 - self.decay**2)))
        self.log_determinant = np.log(np.where(padding, 1.0, self.weight) ** 2).sum(-1)
        """(g,) of the inverse of the covariance."""
        self.neighbours = self.weight[:, 1:] ** 2 * self.decay[:, 1:]
        """(g, n − 1) minus what is beside the diagonal of the inverse of the covariance."""
        self.diagonal = self.weight**2
        """(g, n) of the inverse of the covariance."""
        self.diagonal[:, :-1] += self.neighbours * self.decay[:, 1:]

    def whiten(self, values: Values) -> Values:
        """(g, k, n) → the same, independent with variance 1; 0 at padding."""
        white = values * self.weight[:, None]
        if self.memory:
            white[..., 1:] -= (self.weight[:, None, 1:] * self.decay[:, None, 1:]) * values[..., :-1]
        return white

    def precision(self, values: Values) -> Values:
        """The inverse of the covariance, which is tridiagonal, times values (g, k, n)."""
        outer, diagonal = self.neighbours[:, None], self.diagonal[:, None]
        product = np.asarray(diagonal * values)
        if not self.memory:
            return product
        product[..., 1:] -= outer * values[..., :-1]
        product[..., :-1] -= outer * values[..., 1:]
        return product


class Factor(NamedTuple):
    """L, the Cholesky factor of the posterior precision of the coefficients, in a group of columns each.

    Attributes:
        lower: (g, p, p)
        inverse: of L, where there is one group, whose many series it pays for.
        constant: (g, 1) what is added to the logarithm of the likelihood.
    """

    lower: Values
    inverse: Values | None
    constant: Values

    def of(self, groups: NDArray[np.intp]) -> Factor:
        """That of some groups alone."""
        return self if self.inverse is not None else Factor(self.lower[groups], None, self.constant[groups])

    def solve(self, vectors: Values) -> Values:
        """L⁻¹v: (g, k, p) → the same."""
        if self.inverse is not None:
            return np.asarray(vectors @ self.inverse.T)
        return self._substitute(vectors, trans=1)

    def solve_transposed(self, vectors: Values) -> Values:
        """L'⁻¹v: (g, k, p) → the same."""
        if self.inverse is not None:
            return np.asarray(vectors @ self.inverse)
        return self._substitute(vectors, trans=0)

    def _substitute(self, vectors: Values, trans: int) -> Values:
        # Imported here, for fits: a forecast needs no SciPy, and an endpoint has a process for each loaded model.
        from scipy.linalg.lapack import dtrtrs

        return np.stack(
            [dtrtrs(lower.T, vector.T, trans=trans)[0].T for lower, vector in zip(self.lower, vectors, strict=True)]
        )


class Frame:
    """What series at the same times share. Of g groups, each has times and columns of its own.

    Attributes:
        columns: (g, n, p)
    """

    def __init__(
        self, times: Values, walk: Values, holidays: Values, fraction: Values, padding: NDArray[np.bool_]
    ) -> None:
        """
        Args:
            times: (g, n) since the last reading, padded in front.
            walk: the knots.
            holidays: (g, n, h) columns of 0 and 1.
            fraction: (g, 1) the time of day of the last reading.
            padding: (g, n) which times are none.
        """
        self.holidays = holidays.shape[-1]
        self.columns = columns(times, walk, fraction, self.holidays)
        self.columns[..., self.columns.shape[-1] - self.holidays :] = holidays
        self.columns[padding] = 0
        self._walk, self._padding, self._fraction = walk, padding, fraction
        self._gaps = np.diff(times, axis=-1, prepend=-np.inf)
        self._gaps[:, 1:][padding[:, :-1]] = np.inf
        self._even = len(times) == 1 and not padding.any() and bool((self._gaps[:, 1:] == 1).all())
        if self._even:
            self._beside = np.zeros_like(self.columns)
            self._beside[:, 1:] += self.columns[:, :-1]
            self._beside[:, :-1] += self.columns[:, 1:]
        self._noises: dict[float, _Noise] = {}
        self._sums: dict[float, tuple[Values, Values]] = {}
        self._factors: dict[Setting, Factor] = {}
        self._spreads: dict[Setting, Values] = {}
        self._projections: dict[Setting, Values] = {}
        self._stacked: dict[tuple[Setting, ...], tuple[Values | None, Values]] = {}

    def noise(self, memory: float) -> _Noise:
        if memory not in self._noises:
            self._noises[memory] = _Noise(self._gaps, self._padding, memory)
        return self._noises[memory]

    def products(self, values: Values, memory: float) -> tuple[Values, Values]:
        """(with the columns (g, k, p), with themselves (g, k)) of the whitened values (g, k, n)."""
        whitened = self.noise(memory).whiten(values)
        return whitened @ self._white(memory)[0], np.einsum("gkn,gkn->gk", whitened, whitened)

    def products_of_all(self, values: Values, memories: Sequence[float]) -> dict[float, tuple[Values, Values]]:
        """`products` with each memory. On an even grid, the inverse of the covariance is a polynomial in the memory ρ: 1 + ρ²
        on the diagonal, but for both ends, which have 1, and −ρ beside it."""
        if not self._even or len(memories) == 1:
            return {memory: self.products(values, memory) for memory in memories}
        plain, beside = values @ self.columns, values @ self._beside
        ends = values[..., [0, -1]] @ self.columns[:, [0, -1]]
        square = np.einsum("gkn,gkn->gk", values, values)
        lagged = np.einsum("gkn,gkn->gk", values[..., 1:], values[..., :-1])
        outer = values[..., 0] ** 2 + values[..., -1] ** 2
        return {
            memory: (
                (1 + memory**2) * plain - memory * beside - memory**2 * ends,
                (1 + memory**2) * square - 2 * memory * lagged - memory**2 * outer,
            )
            for memory in memories
        }

    def factor(self, setting: Setting, groups: NDArray[np.intp] | None = None) -> Factor:
        """That of all groups, which is kept, or of some."""
        if setting not in self._factors:
            shared = len(self.columns) == 1
            factor = self._factorise(setting, slice(None) if groups is None or shared else groups)
            if groups is not None and not shared:
                return factor
            self._factors[setting] = factor
        factor = self._factors[setting]
        return factor if groups is None else factor.of(groups)

    def _factorise(self, setting: Setting, groups: NDArray[np.intp] | slice) -> Factor:
        gram = self._white(setting.memory)[1][groups]
        variance = prior(setting, self._walk, self.holidays)
        lower = np.asarray(np.linalg.cholesky(gram + np.diag(1 / variance)), dtype=np.float64)
        log_determinant = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(-1) + np.log(variance).sum()
        constant = (self.noise(setting.memory).log_determinant[groups] - log_determinant)[:, None] / 2
        return Factor(lower, np.linalg.inv(lower[0]) if len(self.columns) == 1 else None, constant)

    def explained(self, products: Values, tried: tuple[Setting, ...]) -> tuple[Values, Values]:
        """(the squares that the coefficients explain (settings, g, k), `Factor.constant` (settings, g, 1)).

        Args:
            products: with the columns (g, k, p).
            tried: settings of one memory. Those of one group are computed in one product.
        """
        if tried not in self._stacked:
            factors = [self.factor(setting) for setting in tried]
            inverses = [factor.inverse.T for factor in factors if factor.inverse is not None]
            constants = np.stack([factor.constant for factor in factors])
            self._stacked[tried] = np.concatenate(inverses, axis=1) if inverses else None, constants
        inverse, constants = self._stacked[tried]
        if inverse is None:
            solved = np.stack([self.factor(setting).solve(products) for setting in tried])
            return np.einsum("sgkp,sgkp->sgk", solved, solved), constants
        all_solved = (products[0] @ inverse).reshape(products.shape[1], len(tried), -1)
        return np.einsum("ksp,ksp->sk", all_solved, all_solved)[:, None], constants

    def smooth(self, values: Values, setting: Setting) -> Values:
        """The inverse of the covariance of the series, with that of the coefficients in it, times values (g, k, n)."""
        noise, factor = self.noise(setting.memory), self.factor(setting)
        if factor.inverse is None:
            products, _ = self.products(values, setting.memory)
            fitted = factor.solve_transposed(factor.solve(products)) @ self.columns.swapaxes(1, 2)
            return noise.precision(values - fitted)
        if setting not in self._projections:
            weighted = noise.precision(self.columns.swapaxes(1, 2))
            self._projections[setting] = np.ascontiguousarray(weighted[0].T @ factor.inverse.T)
        projection = self._projections[setting]
        smooth = noise.precision(values)
        smooth -= (values @ projection) @ projection.T
        return smooth

    def diagonal(self, memory: float) -> Values:
        """(g, 1, n) of the inverse of the covariance of the noise; 1 at padding."""
        diagonal = self.noise(memory).diagonal[:, None]
        return np.where(diagonal > 0, diagonal, 1.0)

    def spread(self, setting: Setting) -> Values:
        """The variance of forecasts at `HORIZONS` over that of a shock: (g, horizons)."""
        if setting in self._spreads:
            return self._spreads[setting]
        times = np.broadcast_to(HORIZONS, (len(self.columns), len(HORIZONS)))
        ahead = columns(times, self._walk, self._fraction, self.holidays)
        fade = setting.memory**HORIZONS
        uncertain = self.factor(setting).solve(ahead - fade[:, None] * self.columns[:, -1:])
        noise = (1 - fade**2) / (1 - setting.memory**2)
        self._spreads[setting] = (uncertain**2).sum(-1) + noise + setting.drift**2 * HORIZONS
        return self._spreads[setting]

    def _white(self, memory: float) -> tuple[Values, Values]:
        """(the whitened columns (g, n, p), their products with each other (g, p, p))."""
        if memory not in self._sums:
            noise = self.noise(memory)
            white = self.columns.copy() if memory else self.columns
            for own, columns, decay, weight in zip(white, self.columns, noise.decay, noise.weight, strict=True):
                if memory:
                    own[1:] -= decay[1:, None] * columns[:-1]
                    own *= weight[:, None]
            # One by one, NumPy sees that the product is symmetric, and computes half of it.
            self._sums[memory] = white, np.stack([each.T @ each for each in white])
        return self._sums[memory]
