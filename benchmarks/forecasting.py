"""The energy model's forecaster beside Prophet: how many series a second it fits, and its accuracy on two families of them.

Run it with `python -m benchmarks.forecasting`; Prophet has to be installed (`make setup-bench`). The forecaster was tuned on
series of other seeds (from 100) than are shown here. Both fit on one core and are told the same holidays.
"""

import os
import statistics
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import scipy.linalg  # noqa: F401  loaded now, so that the limit of threads holds for its BLAS, too
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.families import Sample, customers, others
from common.forecasting.prophet import ProphetForecaster
from common.forecasting.scores import forecast_at, naive
from common.forecasting.series import Forecaster, Parameters, Series, Unfit, Values
from common.forecasting.structural import Structural
from energy_model.consumers import days_since_1970, draw, kinds
from energy_model.holidays import HOLIDAYS

TURNS = 9
FITTED = {"a shared daily grid": 1024, "random timestamps": 256}
"""So many series the structural model fits in each turn, `_TIMES` over, so that both have the processor for equally long."""
_TIMES = 12
FITTED_BY_PROPHET = 12
HORIZONS = (7, 28)
LEVELS = (0.8, 0.95)
SEEDS = range(4)
PER_KIND = {"customers": 14, "others": 16}
"""Samples of each kind for each seed."""
STRUCTURAL, PROPHET = Structural(HOLIDAYS), ProphetForecaster(HOLIDAYS)
_DRAWS = 4000
_BATCH = 20


@dataclass(frozen=True)
class Scores:
    """What a forecaster reached on n samples.

    Attributes:
        errors: (n, 2) mean absolute error at each of `HORIZONS`, as a share of the mean of the history.
        covered: (n, 2) share of the readings within the interval of each of `LEVELS`.
    """

    errors: Values
    covered: Values


def series_of(kind: str, number: int) -> list[Series]:
    """So many of the generator's customers of one kind."""
    ids = islice((i for i in count() if kinds([i], 0) == [kind]), number)
    return [
        Series(str(readings.customer.id), days_since_1970(readings.timestamps), readings.consumption)
        for readings in draw(ids, 0)
    ]


def print_rates() -> None:
    """Fits a second of both on the same series, in turn; Prophet fits a sample of them, another one in each turn."""
    print(f"fits a second on one core, medians of {TURNS} paired turns")
    for (name, number), kind in zip(FITTED.items(), ("plain", "irregular"), strict=True):
        series = series_of(kind, number)
        sampled = [series[turn * FITTED_BY_PROPHET :][:FITTED_BY_PROPHET] for turn in range(TURNS + 1)]
        with threadpool_limits(1):
            turns = [(rate(STRUCTURAL, series, _TIMES), rate(PROPHET, sample)) for sample in sampled][1:]
        ours, theirs = (statistics.median(rates) for rates in zip(*turns, strict=True))
        times = statistics.median(mine / prophets for mine, prophets in turns)
        print(f"  {name:<20} structural {ours:>8,.0f}   Prophet {theirs:>6.1f}   {times:,.0f} ×")


def rate(forecaster: Forecaster, series: Sequence[Series], times: int = 1) -> float:
    """Fits in a second of the processor, that of the processes which Prophet starts among them."""
    started = _processor_seconds()
    for _ in range(times):
        fitted = forecaster.fit(series)
    seconds = _processor_seconds() - started
    assert not any(isinstance(each, Unfit) for each in fitted)
    return times * len(series) / seconds


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def samples() -> list[Sample]:
    found = [sample for seed in SEEDS for sample in customers(PER_KIND["customers"], seed)]
    return found + [sample for seed in SEEDS for sample in others(PER_KIND["others"], seed)]


def score(forecaster: Forecaster, chosen: Sequence[Sample]) -> Scores:
    """Fit the histories in one batch, forecast what came after."""
    fitted = forecaster.fit([sample.series for sample in chosen])
    parameters: list[Parameters] = []
    for sample, each in zip(chosen, fitted, strict=True):
        if isinstance(each, Unfit):
            raise TypeError(f"{forecaster.name} does not fit {sample.series.customer} ({sample.kind}): {each.reason}")
        parameters.append(each)
    times = [sample.days for sample in chosen]
    by_level = [forecast_at(forecaster, parameters, times, level) for level in LEVELS]
    covered = [
        [((f.lower <= sample.actual) & (sample.actual <= f.upper)).mean() for f in forecasts]
        for sample, *forecasts in zip(chosen, *by_level, strict=True)
    ]
    return Scores(errors(chosen, [forecast.mean for forecast in by_level[0]]), np.array(covered))


def errors(chosen: Sequence[Sample], forecasts: Iterable[Values]) -> Values:
    rows = []
    for sample, forecast in zip(chosen, forecasts, strict=True):
        absolute = np.abs(sample.actual - forecast) / np.abs(sample.series.values).mean()
        ahead = sample.days - sample.origin
        rows.append([absolute[ahead < days].mean() if (ahead < days).any() else np.nan for days in HORIZONS])
    return np.array(rows)


def in_two_processes(forecaster: Forecaster, chosen: Sequence[Sample]) -> Scores:
    batches = [chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(score, [forecaster] * len(batches), batches))
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("errors", "covered")))


class Ratio(NamedTuple):
    """Of two mean errors, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def ratio(ours: Values, theirs: Values) -> Ratio:
    """Of the mean errors on the same samples: paired bootstrap over the samples, by percentiles."""
    known = ~np.isnan(ours)
    ours, theirs = ours[known], theirs[known]
    drawn = np.random.default_rng(0).integers(len(ours), size=(_DRAWS, len(ours)))
    low, high = np.quantile(ours[drawn].sum(axis=1) / theirs[drawn].sum(axis=1), (0.025, 0.975))
    return Ratio(float(ours.sum() / theirs.sum()), float(low), float(high))


def print_accuracy(chosen: Sequence[Sample], ours: Scores, prophet: Scores) -> None:
    """Ratios of mean errors by family and kind, coverage of the intervals, and last where Prophet is better."""
    against = {
        "Prophet": prophet.errors,
        "naive": errors(chosen, (naive(sample.series, sample.days) for sample in chosen)),
        "oracle": errors(chosen, (sample.oracle for sample in chosen)),
    }
    print(
        f"mean absolute error of {len(chosen)} forecasts over that of Prophet (with the paired 95 % interval), of the seasonal"
    )
    print(
        "naive forecast, and of who knows everything but the noise to come; and how much the intervals cover (Prophet's)"
    )
    print(
        f"  {'':<28}" + "".join(f"  {f'{days} days':<20} naive oracle" for days in HORIZONS) + "   80 %           95 %"
    )
    lost = []
    for name, mask in groups(chosen).items():
        cells = [
            [ratio(ours.errors[mask, i], rival[mask, i]) for rival in against.values()] for i in range(len(HORIZONS))
        ]
        covered = [
            f"{ours.covered[mask, i].mean():.1%} ({prophet.covered[mask, i].mean():.1%})" for i in range(len(LEVELS))
        ]
        print(f"  {name:<28}{''.join(map(_cell, cells))}   {'  '.join(covered)}")
        lost += [f"{name}, {days} days: {c[0]}" for days, c in zip(HORIZONS, cells, strict=True) if c[0].low > 1]
    print("  Prophet is better beyond doubt at: " + ("; ".join(lost) or "nothing"))


def groups(chosen: Sequence[Sample]) -> dict[str, NDArray[np.bool_]]:
    """Which samples are of each family, and of each of its kinds."""
    families, kinds_ = (np.array([getattr(sample, name) for sample in chosen]) for name in ("family", "kind"))
    found = {}
    for family in dict.fromkeys(families.tolist()):
        found[f"{family}: all"] = families == family
        for kind in sorted(set(kinds_[families == family].tolist())):
            found[f"{family}: {kind}"] = (families == family) & (kinds_ == kind)
    return found


def _cell(ratios: Sequence[Ratio]) -> str:
    return f"  {ratios[0]!s:<20}" + "".join(f" {other.value:6.3f}" for other in ratios[1:])


def main() -> None:
    started = time.monotonic()
    print_rates()
    chosen = samples()
    print_accuracy(chosen, score(STRUCTURAL, chosen), in_two_processes(PROPHET, chosen))
    print(f"  ({time.monotonic() - started:.1f} s)")


if __name__ == "__main__":
    main()
