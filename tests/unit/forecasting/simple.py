"""A forecaster that is simple enough to know its answers: the mean of the readings, and all of them within ± spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.forecasting.series import Forecast, Parameters, Series, Unfit, Values


@dataclass(frozen=True)
class Mean:
    """Refuses fewer than three readings; says not-a-number of a customer whose name begins with `odd`."""

    name: str = "mean"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name}

    def fit(self, batch: Sequence[Series]) -> list[Parameters | Unfit]:
        return [self._fit(series) for series in batch]

    def forecast(self, parameters: Sequence[Parameters], days: Values, level: float = 0.8) -> Forecast:
        mean = np.array([each["mean"] for each in parameters])[:, None] + 0 * days
        return Forecast(mean, mean - 10 * level, mean + 10 * level)

    def _fit(self, series: Series) -> Parameters | Unfit:
        if len(series.days) < 3:
            return Unfit("too short for a mean")
        return {"mean": float("nan") if series.customer.startswith("odd") else float(series.values.mean())}
