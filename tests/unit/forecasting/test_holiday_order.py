"""Holidays are known by their names: the order in which a declaration, or the JSON of it, has them means nothing."""

from __future__ import annotations

import json

import numpy as np

from common.forecasting import Series, Unfit, forecaster_from
from common.forecasting.structural import Structural

HOLIDAYS = {
    "Midsummer": ("2023-06-24", "2024-06-24", "2025-06-24"),
    "Advent": ("2023-12-03", "2024-12-01", "2025-11-30", "2026-11-29"),
}


def test_a_model_that_was_fitted_as_declared_forecasts_the_same_by_the_json_that_travels() -> None:
    declared = Structural(holidays=HOLIDAYS)
    travelled = forecaster_from(json.loads(json.dumps(declared.to_json(), sort_keys=True)))
    days = np.arange(19_500.0, 20_400.0)  # 2023-05-23 to 2025-11-07
    midsummer = [(np.datetime64(date) - np.datetime64("1970-01-01")).astype(int) for date in HOLIDAYS["Midsummer"]]
    values = 100 + 5 * np.sin(days) - 60 * np.isin(days, midsummer)
    [parameters] = declared.fit([Series("8", days, values)])
    assert not isinstance(parameters, Unfit)
    ahead = np.arange(20_400.0, 20_440.0)[None]  # the first of Advent among them
    assert np.array_equal(declared.forecast([parameters], ahead), travelled.forecast([parameters], ahead))
