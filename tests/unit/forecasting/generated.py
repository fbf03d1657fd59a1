"""Generated customers as clean series."""

from __future__ import annotations

import numpy as np

from common.forecasting.series import Series
from energy_model.consumers import Generated, days_since_1970, draw


def series_of(number: int, generated: Generated) -> Series:
    """The readings of one customer, each once."""
    [readings] = draw([number], generated.seed)
    days, first = np.unique(days_since_1970(readings.timestamps), return_index=True)
    return Series(str(number), days, np.asarray(readings.consumption[first]))
