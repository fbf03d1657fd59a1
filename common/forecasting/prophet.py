"""Facebook's Prophet [Taylor and Letham, Forecasting at Scale, 2018] as a forecaster: for comparison, and for those who want it.

A fit takes some tenths of a second. The parameters are those that `prophet.serialize` writes, without the history and what
else a forecast does not need: some four kilobytes for each customer, half of it when they are compressed.
Prophet comes with the extra `energy-prophet`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .series import Forecast, Parameters, Series, Unfit

_LOUD = ("cmdstanpy", "prophet", "prophet.models", "prophet.plot")
_SEED = 0
_YEAR = 365


class ProphetMissing(ImportError):
    """Prophet is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "Prophet is not installed. Install the extra energy-prophet: pip install -r requirements-prophet.txt"
        )


@dataclass(frozen=True)
class ProphetForecaster:
    """Prophet with its defaults, except that the yearly season is on from one year of history on, and not from two.

    With less than a year it stays off: forced to, Prophet errs by as much as the level, as nothing tells season and trend apart.

    Attributes:
        holidays: by name, ISO dates; those to come are needed to forecast them.
        multiplicative: whether seasons and holidays are shares of the trend, and not added to it.
    """

    holidays: Mapping[str, Sequence[str]] = field(default_factory=dict)
    multiplicative: bool = False
    name: str = field(default="prophet", init=False)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the same forecaster from."""
        holidays = {holiday: list(dates) for holiday, dates in self.holidays.items()}
        return {"name": self.name, "holidays": holidays, "multiplicative": self.multiplicative}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ProphetForecaster:
        return cls(holidays=document["holidays"], multiplicative=document["multiplicative"])

    def fit(self, batch: Sequence[Series]) -> list[Parameters | Unfit]:
        """The parameters of each series, in order, or why it has none; one after the other, as Prophet does it."""
        prophet = _prophet()
        with _quiet():
            return [self._fit_one(prophet, series) for series in batch]

    def forecast(self, parameters: Sequence[Parameters], days: NDArray[np.float64], level: float = 0.8) -> Forecast:
        """Means and intervals, each (n, h), at `days` (n, h); the same ones each time, although Prophet draws them."""
        with _quiet(), _seeded():
            rows = [self._forecast_one(*each, level) for each in zip(parameters, days, strict=True)]
        return Forecast(*(np.array([row[i] for row in rows]) for i in range(3)))

    def _fit_one(self, prophet: Any, series: Series) -> Parameters | Unfit:
        import pandas

        model = prophet(
            yearly_seasonality=bool(series.days[-1] - series.days[0] >= _YEAR),
            weekly_seasonality=True,
            daily_seasonality=False,
            holidays=self._calendar(),
            seasonality_mode="multiplicative" if self.multiplicative else "additive",
        )
        try:
            model.fit(pandas.DataFrame({"ds": _times(series.days), "y": series.values}))
        except (ValueError, RuntimeError) as error:  # its own checks; and the optimiser's failures
            return Unfit(f"Prophet cannot fit it: {' '.join(str(error).split())[:200]}")
        return _to_parameters(model)

    def _forecast_one(self, parameters: Parameters, days: NDArray[np.float64], level: float) -> list[Any]:
        import pandas

        model = _from_parameters(parameters, self._calendar())
        model.interval_width = level
        times, back = np.unique(days, return_inverse=True)
        answer = model.predict(pandas.DataFrame({"ds": _times(times)}))
        return [answer[column].to_numpy()[back] for column in ("yhat", "yhat_lower", "yhat_upper")]

    def _calendar(self) -> Any:
        import pandas

        if not self.holidays:
            return None
        rows = [(holiday, date) for holiday, dates in self.holidays.items() for date in dates]
        calendar = pandas.DataFrame(rows, columns=["holiday", "ds"])
        calendar["ds"] = pandas.to_datetime(calendar["ds"])
        return calendar


def _prophet() -> Any:
    try:
        with _quiet():
            from prophet import Prophet
    except ImportError:
        raise ProphetMissing from None
    return Prophet


def _times(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """To the second: a double cannot hold more digits of the days since 1970 than those of some microseconds."""
    seconds = np.rint(np.asarray(days) * 86_400).astype(np.int64)
    return seconds.astype("datetime64[s]").astype("datetime64[ns]")


def _to_parameters(model: Any) -> Parameters:
    from prophet.serialize import model_to_dict

    # Of its history a fitted model is asked only for the usual step, of its columns only whether they are the same.
    model.history = model.history.tail(2)
    model.holidays = model.history_dates = model.train_component_cols = None
    model.params = {name: model.params[name] for name in ("k", "m", "delta", "sigma_obs", "beta")}
    return dict(model_to_dict(model))


def _from_parameters(parameters: Parameters, calendar: Any) -> Any:
    _prophet()
    from prophet.serialize import model_from_dict

    model = model_from_dict(parameters)
    model.holidays = calendar
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without CmdStan's report of each fit, and pandas' of how Prophet uses it.

    The loggers cannot be silenced by their levels: CmdStan sets its own at its first fit.
    """
    loggers = [logging.getLogger(name) for name in _LOUD]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


@contextmanager
def _seeded() -> Iterator[None]:
    """Prophet draws its intervals from NumPy's global generator."""
    before = np.random.get_state()
    np.random.seed(_SEED)
    try:
        yield
    finally:
        np.random.set_state(before)
