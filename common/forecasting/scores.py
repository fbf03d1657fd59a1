"""How good forecasts are: errors on readings that the model has not seen, beside those of simpler forecasts and rivals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .readings import iso_date
from .series import Forecast, Forecaster, Parameters, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

WEEK = 7.0
_SAME_TIME = 0.5
"""Readings count as of one time of the week when they are at most so many days apart."""
_DIGITS = 6
_NARROW, _WIDE = 0.8, 0.95


class Holdout(NamedTuple):
    """A series without its end, and that end, which forecasts are scored on.

    Attributes:
        days, values: of the held-out readings.
    """

    before: Series
    days: Numbers
    values: Numbers


def hold_out(series: Series, holdout_days: int) -> Holdout:
    """Hold out the readings of the last so many days; where the series is no longer than that, nothing comes before."""
    cut = int(np.searchsorted(series.days, series.days[-1] - holdout_days, side="right"))
    before = Series(series.customer, series.days[:cut], series.values[:cut])
    return Holdout(before, series.days[cut:], series.values[cut:])


def score(
    forecaster: Forecaster, parameters: Sequence[Parameters], holdouts: Sequence[Holdout]
) -> list[dict[str, Any] | None]:
    """The scores of each holdout by the parameters that were fitted on what came before; None where the forecast is not finite.

    `mase` is the error over the mean error of the seasonal naive forecast within the readings before (Hyndman and Koehler,
    Another look at measures of forecast accuracy, 2006); None where that is 0, or where no two of them are a week apart.
    `naive_mae` is the error of the seasonal naive forecast on the holdout. `bias` is the mean of forecast − reading.
    """
    times = [holdout.days for holdout in holdouts]
    narrow, wide = (forecast_at(forecaster, parameters, times, level) for level in (_NARROW, _WIDE))
    return [_scores(*each) for each in zip(holdouts, narrow, wide, strict=True)]


def score_champion(
    forecaster: Forecaster, parameters: Sequence[Parameters], holdouts: Sequence[Holdout]
) -> list[float | None]:
    """The mean absolute error of a champion's parameters on each holdout; None where its forecast is not finite."""
    forecasts = forecast_at(forecaster, parameters, [holdout.days for holdout in holdouts], _NARROW)
    errors = [
        float(np.abs(found.mean - holdout.values).mean()) for found, holdout in zip(forecasts, holdouts, strict=True)
    ]
    return [_rounded(error) if math.isfinite(error) else None for error in errors]


def unseen(champion: Mapping[str, Any], start: float) -> tuple[str, Parameters] | None:
    """(kind, parameters) of the newest of a champion's parameter sets that has not seen readings from `start` on.

    `final` was fitted on all its readings, `before` on those before its own holdout.
    """
    if champion["until"] < start:
        return "final", champion["parameters"]
    if champion["before"] is not None and champion["before_until"] < start:
        return "before", champion["before"]
    return None


def forecast_at(
    forecaster: Forecaster, parameters: Sequence[Parameters], times: Sequence[Numbers], level: float
) -> list[Forecast]:
    """Forecasts of series with times of their own, in one call."""
    if not parameters:
        return []
    grid = np.empty((len(times), max(map(len, times))))
    for row, days in zip(grid, times, strict=True):
        row[: len(days)], row[len(days) :] = days, days[-1]
    found = forecaster.forecast(parameters, grid, level)
    return [Forecast(*(bound[i, : len(days)] for bound in found)) for i, days in enumerate(times)]


def naive(series: Series, days: Numbers) -> Numbers:
    """The seasonal naive forecast: the reading of the same time of the week, in the last week of the series."""
    weeks = np.ceil((days - series.days[-1]) / WEEK)
    return np.asarray(series.values[_nearest(series.days, days - weeks * WEEK)])


def naive_scale(series: Series) -> float:
    """The mean absolute error of the seasonal naive forecast one week ahead within the series; NaN where it has none."""
    wanted = series.days - WEEK
    nearest = _nearest(series.days, wanted)
    comparable = np.abs(series.days[nearest] - wanted) <= _SAME_TIME
    if not comparable.any():
        return math.nan
    return float(np.abs(series.values - series.values[nearest])[comparable].mean())


def _scores(holdout: Holdout, narrow: Forecast, wide: Forecast) -> dict[str, Any] | None:
    values = holdout.values
    if not (np.isfinite(narrow).all() and np.isfinite(wide).all()):
        return None
    errors = narrow.mean - values
    mae, scale = float(np.abs(errors).mean()), naive_scale(holdout.before)
    return {
        "start": iso_date(float(holdout.days[0])),
        "end": iso_date(float(holdout.days[-1])),
        "n": len(values),
        "mae": _rounded(mae),
        "mase": _rounded(mae / scale) if scale > 0 else None,
        "naive_mae": _rounded(float(np.abs(naive(holdout.before, holdout.days) - values).mean())),
        "coverage80": _rounded(float(((narrow.lower <= values) & (values <= narrow.upper)).mean())),
        "coverage95": _rounded(float(((wide.lower <= values) & (values <= wide.upper)).mean())),
        "bias": _rounded(float(errors.mean())),
    }


def _nearest(days: Numbers, wanted: Numbers) -> NDArray[np.intp]:
    """Which of the (increasing) days is nearest to each of the wanted ones."""
    after = np.searchsorted(days, wanted).clip(1, max(1, len(days) - 1))
    if len(days) == 1:
        return np.zeros(len(wanted), dtype=np.intp)
    return np.asarray(np.where(wanted - days[after - 1] <= days[after] - wanted, after - 1, after))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
