"""The default forecaster: a structural time-series model of each customer, fitted for thousands of customers at once.

A reading, or its logarithm where that is more likely, is the sum of a level that drifts, a slope, a yearly and a weekly
season, the effects of holidays, and noise that remembers the day before. `structural_design` says how these are modelled,
`structural_fit` how they are estimated. Readings on one grid of days are fitted together with all that share its length;
those at irregular times have sums of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from .series import Forecast, Parameters, Series, Unfit, Values
from .structural_design import (
    HORIZONS,
    IRREGULAR_SETTINGS,
    SEASONS,
    SETTINGS,
    YEAR,
    Frame,
    Setting,
    knots,
    seasons_from,
)
from .structural_fit import NORMAL_TAILS, Candidate, fit_frame

LEAST_READINGS = 14
_BLOCK = 128
"""Series that are fitted together."""
_IRREGULAR_BLOCK = 16
_KEPT_BYTES = 31 << 20
"""Arrays of a block are smaller."""
_MOST_MISSING = 0.35
"""With more days missing, a grid is treated as irregular."""
_LONGEST = 2200.0
"""Days of history; what is older says little of tomorrow."""
_MOST_READINGS = 20_000
_LARGEST, _SMALLEST = 1e100, 1e-9
"""Of a reading; and of the range of readings, as a share of the largest one."""
_DIGITS = 6
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Structural:
    """The structural model.

    Attributes:
        holidays: by name, ISO dates; those to come are needed to forecast them.
    """

    holidays: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name: str = field(default="structural", init=False)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the same forecaster from."""
        return {"name": self.name, "holidays": {name: list(dates) for name, dates in self.holidays.items()}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Structural:
        return cls(holidays=document["holidays"])

    def fit(self, batch: Sequence[Series]) -> list[Parameters | Unfit]:
        """The parameters of each series, in order, or why it has none."""
        _keep_memory()
        found: list[Parameters | Unfit] = [Unfit("")] * len(batch)
        grids: dict[tuple[int, int], list[int]] = {}
        irregular: list[int] = []
        recent = [_recent(series) for series in batch]
        for i, series in enumerate(recent):
            unfit = _unfit(series)
            length = 0 if unfit else _grid_length(series.days)
            if unfit:
                found[i] = unfit
            elif length:
                grids.setdefault((length, int(series.days[-1] // 1) if self.holidays else 0), []).append(i)
            else:
                irregular.append(i)
        dates = self._dates()
        for (length, last), members in grids.items():
            frame = _grid_frame(length, last, dates)
            for block in _blocks(members, _BLOCK):
                _put(found, block, _fit_grid([recent[i] for i in block], frame, length))
        irregular.sort(key=lambda i: len(recent[i].days))
        for block in _blocks(irregular, _IRREGULAR_BLOCK):
            _put(found, block, _fit_irregular([recent[i] for i in block], dates))
        return found

    def forecast(self, parameters: Sequence[Parameters], days: Values, level: float = 0.8) -> Forecast:
        """Medians and intervals, each (n, h), at `days` (n, h)."""

        def column(name: str) -> Values:
            return np.array([each[name] for each in parameters], dtype=float)

        last = column("last")[:, None]
        ahead = days - last
        season = seasons_from(ahead, last % 1)
        centre = column("level")[:, None] + column("slope")[:, None] * ahead / YEAR
        centre += (season @ column("seasons")[..., None])[..., 0]
        dates = np.floor(days)
        for effect, holiday in zip(column("holidays").T if self.holidays else (), self._dates(), strict=True):
            centre += effect[:, None] * np.isin(dates, holiday)
        centre += column("residual")[:, None] * column("memory")[:, None] ** ahead.clip(0)
        half = _spread(column("spread"), ahead) * _tail(column("tails"), level)
        bounds = [centre, centre - half, centre + half]
        logarithmic, positive = column("logarithmic")[:, None] == 1, column("positive")[:, None] == 1
        bounds = [
            np.where(logarithmic, np.exp(np.where(logarithmic, bound, 0).clip(-700, 700)), bound) for bound in bounds
        ]
        return Forecast(*(np.where(positive, bound.clip(0), bound) for bound in bounds))

    def _dates(self) -> tuple[tuple[int, ...], ...]:
        """The days of each holiday, in the order of the names: the JSON that travels may have another than the declaration."""
        return tuple(
            tuple(date.fromisoformat(each).toordinal() - _EPOCH for each in dates)
            for _, dates in sorted(self.holidays.items())
        )


def _keep_memory() -> None:
    """Have the C library of Linux reuse the memory of large arrays, for the rest of the process.

    It hands that back to the system, and clears each page anew for the next array, until it has seen one as large freed
    (mallopt(3), M_MMAP_THRESHOLD), which would be a quarter of the time of a fit.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


def _recent(series: Series) -> Series:
    """The newest of its readings, if there are more than a model can use."""
    days = series.days
    first = int(np.searchsorted(days, days[-1] - _LONGEST)) if len(days) and days[-1] - days[0] > _LONGEST else 0
    first = max(first, len(days) - _MOST_READINGS)
    return Series(series.customer, days[first:], series.values[first:]) if first else series


def _unfit(series: Series) -> Unfit | None:
    """Why the series can have no model, if so."""
    if len(series.days) < LEAST_READINGS:
        return Unfit(f"{len(series.days)} readings; a model needs {LEAST_READINGS}")
    least, most, span = float(series.values.min()), float(series.values.max()), float(series.days[-1] - series.days[0])
    if not -_LARGEST <= least <= most <= _LARGEST:
        return Unfit(f"a reading is not a finite number, or beyond {_LARGEST:g}")
    if not LEAST_READINGS - 1 <= span <= _LARGEST:
        return Unfit(f"the readings are of {span:.1f} days; a model needs {LEAST_READINGS - 1}")
    if most - least <= _SMALLEST * max(abs(least), abs(most)):
        return Unfit(f"all readings are {least:g}: a constant needs no model")
    return None


def _grid_length(days: Values) -> int:
    """The days of the grid on which these are fitted; 0 where they are on none, or on one of which too many are missing.

    Of a long series the oldest days are left out, up to a fiftieth, so that few different lengths share their sums.
    """
    since = days[-1] - days
    if np.any(since != np.rint(since)):
        return 0
    length = int(since[0]) + 1
    step = max(1, length // 50)
    length -= length % step
    return length if np.count_nonzero(since < length) >= (1 - _MOST_MISSING) * length else 0


@lru_cache(maxsize=64)
def _grid_frame(length: int, last: int, dates: tuple[tuple[int, ...], ...]) -> Frame:
    times = np.arange(1.0 - length, 1)[None]
    return Frame(
        times, knots(length), _holidays(times + last, dates), np.zeros((1, 1)), np.zeros(times.shape, dtype=bool)
    )


def _holidays(days: Values, dates: tuple[tuple[int, ...], ...]) -> Values:
    """Columns of 0 and 1: (…, holidays)."""
    on = np.floor(days)
    return np.stack([np.isin(on, each).astype(float) for each in dates], axis=-1) if dates else np.zeros((*on.shape, 0))


def _fit_grid(block: list[Series], frame: Frame, length: int) -> list[Parameters]:
    values, observed = np.zeros((1, len(block), length)), np.zeros((1, len(block), length))
    block = [_newest(series, length) for series in block]
    for k, series in enumerate(block):
        place = slice(None) if len(series.days) == length else (series.days - series.days[-1]).astype(int) + length - 1
        values[0, k, place] = series.values
        observed[0, k, place] = 1
    return _fit(block, frame, values, observed, SETTINGS)


def _newest(series: Series, days: int) -> Series:
    if series.days[0] > series.days[-1] - days:
        return series
    first = int(np.searchsorted(series.days, series.days[-1] - days, side="right"))
    return Series(series.customer, series.days[first:], series.values[first:])


def _fit_irregular(block: list[Series], dates: tuple[tuple[int, ...], ...]) -> list[Parameters]:
    most = max(len(series.days) for series in block)
    span = max(float(np.ptp(series.days)) for series in block)
    times, values, observed = (np.zeros((len(block), most)) for _ in range(3))
    last = np.array([[series.days[-1]] for series in block])
    for g, series in enumerate(block):
        times[g] = series.days[0] - series.days[-1]
        times[g, most - len(series.days) :] = series.days - series.days[-1]
        values[g, most - len(series.days) :] = series.values
        observed[g, most - len(series.days) :] = 1
    padding = observed == 0
    frame = Frame(times, knots(span), _holidays(times + last, dates), last % 1, padding)
    return _fit(block, frame, values[:, None], observed[:, None], IRREGULAR_SETTINGS)


def _fit(
    block: list[Series], frame: Frame, values: Values, observed: Values, tried: Sequence[Setting]
) -> list[Parameters]:
    """Parameters of the readings as they are, or of their logarithms, whichever is more likely."""
    seen = True if observed.all() else observed > 0  # a mask takes its time
    least = values.min(-1, where=seen, initial=np.inf)
    positive = True if seen is True and least.min() > 0 else seen & (least > 0)[..., None]
    logarithms = np.log(values, where=positive, out=np.zeros_like(values))
    jacobians = np.zeros_like(least), np.where(least > 0, -logarithms.sum(-1), -np.inf)
    candidates, centres, scales = zip(
        *map(_standardised, (values, logarithms), jacobians, (observed, observed)), strict=True
    )
    fitted = fit_frame(frame, candidates, observed, tried)
    centre, scale = (np.choose(fitted.candidate, each).ravel() for each in (centres, scales))
    spreads = {setting: np.sqrt(frame.spread(setting)) for setting in set(fitted.settings)}
    shared = len(frame.columns) == 1
    spread = np.stack([spreads[setting][0 if shared else g] for g, setting in enumerate(fitted.settings)])
    coefficients = fitted.coefficients.reshape(len(block), -1) * scale[:, None]
    end = coefficients.shape[1] - frame.holidays
    parts = {
        "level": (coefficients[:, 0] + centre)[:, None],
        "slope": coefficients[:, 1:2],
        "seasons": coefficients[:, end - SEASONS : end],
        "holidays": coefficients[:, end:],
        "residual": (fitted.residual.ravel() * scale)[:, None],
        "spread": spread * (fitted.scale.ravel() * scale)[:, None],
        "tails": fitted.tails.reshape(-1, 2),
    }
    ends = np.cumsum([each.shape[1] for each in parts.values()]).tolist()
    places = {
        name: slice(first, last) if each.shape[1] != 1 or name == "holidays" else first
        for (name, each), first, last in zip(parts.items(), [0, *ends], ends, strict=False)
    }
    rounded = _rounded(np.concatenate(list(parts.values()), axis=1))  # at once: many small arrays take longer
    return [
        {
            "last": float(series.days[-1]),
            "memory": setting.memory,
            "logarithmic": int(logarithmic),
            "positive": int(least_value >= 0),
            **{name: row[place] for name, place in places.items()},
        }
        for series, setting, logarithmic, least_value, row in zip(
            block, fitted.settings, fitted.candidate.ravel(), least.ravel(), rounded, strict=True
        )
    ]


def _standardised(values: Values, jacobian: Values, observed: Values) -> tuple[Candidate, Values, Values]:
    """(the candidate, the centres that were subtracted, the scales that were divided by); values are 0 at gaps."""
    count = observed.sum(-1)
    centre = values.sum(-1) / count
    centred = values - centre[..., None]
    if (count < values.shape[-1]).any():
        centred *= observed
    scale = np.sqrt(np.einsum("gkn,gkn->gk", centred, centred) / count)
    scale = np.where(scale > 0, scale, 1.0)
    return Candidate(centred / scale[..., None], jacobian - count * np.log(scale)), centre, scale


def _rounded(values: Values) -> Any:
    """To `_DIGITS` significant digits, as JSON has them."""
    exponent = _DIGITS - 1 - np.floor(np.log10(np.abs(values), out=np.zeros_like(values), where=values != 0))
    up, down = 10.0 ** exponent.clip(0), 10.0 ** (-exponent).clip(0)
    return (np.round(values * up / down) / up * down).tolist()


def _spread(spreads: Values, ahead: Values) -> Values:
    """The standard deviation at each horizon, along straight lines over the logarithm of the horizon."""
    at, over = np.log(ahead.clip(HORIZONS[0], HORIZONS[-1])), np.log(HORIZONS)
    right = np.searchsorted(over, at).clip(1, len(over) - 1)
    share = (at - over[right - 1]) / (over[right] - over[right - 1])
    rows = np.arange(len(spreads))[:, None]
    return np.asarray(spreads[rows, right - 1] * (1 - share) + spreads[rows, right] * share)


def _tail(tails: Values, level: float) -> Values:
    """The standard deviations on either side of the centre between which a reading lies with this probability: (n, 1)."""
    wanted, (narrow, wide) = NormalDist().inv_cdf((1 + level) / 2), NORMAL_TAILS
    share = (wanted - narrow) / (wide - narrow)
    if share < 0:
        return np.asarray(tails[:, :1] * wanted / narrow)
    return np.asarray(tails[:, :1] + (tails[:, 1:] - tails[:, :1]) * share)


def _blocks(members: list[int], size: int) -> Iterator[list[int]]:
    return (members[i : i + size] for i in range(0, len(members), size))


def _put(found: list[Parameters | Unfit], block: Iterable[int], parameters: list[Parameters]) -> None:
    for i, each in zip(block, parameters, strict=True):
        found[i] = each
