"""Series to compare forecasters on, each with what nobody could have forecast better: two families, each of many kinds.

`customers` are the project's own generator. `others` are of a family that the default forecaster was not made for: their
level drifts as a random walk, noise has heavy tails, seasons are no sums of a few waves, they multiply, and their
amplitude changes. Each sample ends at an origin; the days after it are the test.
"""

from collections.abc import Iterator
from itertools import count, islice
from typing import NamedTuple

import numpy as np

from common.forecasting.series import Series, Values
from energy_model.consumers import KINDS, LAST, Readings, days_since_1970, draw, kinds
from energy_model.holidays import HOLIDAYS

HORIZON = 28
ORIGINS = (0, 80, 160, 240)
"""How many days before the last possible origin a history may end."""
OTHER_KINDS = (
    "multiplicative",  # seasons and noise are shares of a level that drifts
    "drifting level",  # a random walk
    "heavy tails",  # noise of Student's t with 3 degrees of freedom
    "holidays",  # with the day before and the day after, and a pause between Christmas and New Year
    "changing amplitude",  # the seasons grow or shrink to a multiple
    "odd season",  # heating: nothing above a threshold of temperature; weekends are one step
    "all at once",
)
_OTHER_DAYS = 1000
_DATES = np.unique(np.concatenate([days_since_1970(np.array(dates, "datetime64[D]")) for dates in HOLIDAYS.values()]))


class Sample(NamedTuple):
    """A history, and the days after it.

    Attributes:
        origin: the first day that is to be forecast.
        days: (h,) of the readings within `HORIZON` days after the origin.
        actual: (h,) those readings.
        oracle: (h,) what could have been expected of them at the origin by who knows everything but the noise to come.
    """

    family: str
    kind: str
    series: Series
    origin: float
    days: Values
    actual: Values
    oracle: Values


def customers(per_kind: int, seed: int) -> list[Sample]:
    """So many of each kind of the generator's customers, with origins in turn; those with little history have the last."""
    ids = range(round(per_kind * 4 / min(KINDS.values())))
    wanted = dict.fromkeys(KINDS, per_kind)
    samples = []
    for number, kind in zip(ids, kinds(ids, seed), strict=True):
        if not wanted[kind]:
            continue
        back = 0 if kind == "short" else ORIGINS[wanted[kind] % len(ORIGINS)]
        sample = _cut(next(draw([number], seed)), float(LAST.astype(np.int64)) + 1 - HORIZON - back)
        if len(sample.series.days) >= 14 and len(sample.days) >= 7:
            samples.append(sample)
            wanted[kind] -= 1
    return samples


def others(per_kind: int, seed: int) -> list[Sample]:
    """So many of each kind of the other family, with origins in turn."""
    return [sample for kind in OTHER_KINDS for sample in islice(_others(kind, seed), per_kind)]


def _cut(readings: Readings, origin: float) -> Sample:
    times, index = np.unique(readings.timestamps, return_index=True)
    days, values, mean = days_since_1970(times), readings.consumption[index], readings.mean[index]
    past, future = days < origin, (days >= origin) & (days < origin + HORIZON)
    customer = readings.customer
    ahead = days[future] - (days[past][-1] if past.any() else origin)
    known = (values - mean)[past][-1:].sum() * customer.memory**ahead if customer.memory else 0
    series = Series(f"{customer.id}-{origin:.0f}", days[past], values[past])
    return Sample("customers", customer.kind, series, origin, days[future], values[future], mean[future] + known)


def _others(kind: str, seed: int) -> Iterator[Sample]:
    for number in count():
        random = np.random.default_rng((seed, OTHER_KINDS.index(kind), number))
        origin = _OTHER_DAYS - HORIZON - ORIGINS[number % len(ORIGINS)]
        days = np.arange(_OTHER_DAYS, dtype=np.float64) + (LAST.astype(np.int64) + 1 - _OTHER_DAYS)
        values, oracle = _other(kind, days, origin, random)
        history, future = slice(random.integers(origin - 700), origin), slice(origin, origin + HORIZON)
        series = Series(f"{kind}-{number}", days[history], values[history])
        yield Sample("others", kind, series, days[origin], days[future], values[future], oracle[future])


def _other(kind: str, days: Values, origin: int, random: np.random.Generator) -> tuple[Values, Values]:
    """Values on all days, and what can be expected of them when all is known up to the origin."""
    every = kind == "all at once"
    level = np.exp(random.uniform(np.log(20), np.log(20_000)))
    season = _odd_season(days, random) if kind == "odd season" or every else _waves(days, random)
    if kind == "changing amplitude" or every:
        season = season * np.geomspace(1, random.choice((1 / 3, 3)), len(days))
    if kind == "holidays" or every:
        season = season + _holidays(days, random)
    drift = random.uniform(0.008, 0.02) if kind in ("drifting level", "multiplicative") or every else 0
    walk = np.cumsum(drift * random.standard_normal(len(days)))
    scale = random.uniform(0.03, 0.08)
    tails = kind == "heavy tails" or every
    noise = scale * (random.standard_t(3, len(days)) if tails else random.standard_normal(len(days)))
    known = np.where(np.arange(len(days)) < origin, walk, walk[origin - 1])  # a walk is expected to stay where it is
    if kind == "multiplicative" or every:
        return level * np.exp(walk + season + noise), level * np.exp(known + season)
    return level * np.maximum(0, 1 + walk + season + noise), level * (1 + known + season)


def _waves(days: Values, random: np.random.Generator) -> Values:
    angle = 2 * np.pi * (days / 365.25 + random.random())
    week = random.uniform(0.02, 0.12) * random.normal(size=7)
    return np.asarray(random.uniform(0.1, 0.3) * np.cos(angle) + (week - week.mean())[days.astype(np.int64) % 7])


def _odd_season(days: Values, random: np.random.Generator) -> Values:
    """Heating rises with the cold below a threshold; weekends differ from all working days by the same step."""
    cold = np.cos(2 * np.pi * (days - random.normal(20, 10)) / 365.25)
    heating = random.uniform(0.3, 0.6) * np.maximum(0, cold - random.uniform(-0.2, 0.4))
    weekend = (days.astype(np.int64) + 3) % 7 >= 5
    return np.asarray(heating - random.uniform(0.05, 0.25) * weekend)


def _holidays(days: Values, random: np.random.Generator) -> Values:
    effect = -random.uniform(0.1, 0.4)
    shares = (np.isin(days, _DATES + shift) * share for shift, share in ((-1, 0.3), (0, 1.0), (1, 0.3)))
    date = days.astype("datetime64[D]")
    in_year = (date - date.astype("datetime64[Y]")).astype(np.int64)
    pause = in_year >= 358
    return np.asarray(effect * np.maximum.reduce([*shares, 0.7 * pause]))
