"""Whether a column's values look like the same quantities in another unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

_FACTORS = (
    (2.20462, "kilograms", "pounds"),
    (2.54, "inches", "centimetres"),
    (3.28084, "metres", "feet"),
    (3.78541, "gallons", "litres"),
    (4.184, "calories", "joules"),
    (7, "weeks", "days"),
    (10, "centimetres", "millimetres"),
    (12, "years", "months"),
    (24, "days", "hours"),
    (25.4, "inches", "millimetres"),
    (28.3495, "ounces", "grams"),
    (30.48, "feet", "centimetres"),
    (60, "minutes", "seconds"),
    (100, "shares", "percent"),
    (453.592, "pounds", "grams"),
    (1000, "kilograms", "grams"),
    (3600, "hours", "seconds"),
    (1_000_000, "millions", "ones"),
)
"""How many of the second make one of the first. Smaller factors are left out: a quantity can grow by a half without a mistake."""
_FEWEST = 100
_ALIKE = 0.05
_SAME_SIGN = 0.99
_MOST = 5000


def changed_unit(before: Floats, now: Floats) -> str:
    """What the change of unit would be, e.g. `kilograms to grams`; empty where none explains the values.

    The values before are converted, and the test that found the difference no longer finds one.
    """
    if min(len(before), len(now)) < _FEWEST:
        return ""
    before, now = (side[:: len(side) // _MOST + 1] for side in (before, now))
    fitting = []
    for name, converted in _conversions(before):
        result = stats.ks_2samp(converted, now, method="asymp")
        if result.pvalue > _ALIKE:
            fitting.append((float(result.statistic), name))
    return min(fitting)[1] if fitting else ""


def _conversions(values: Floats) -> list[tuple[str, Floats]]:
    found = [
        ("degrees Celsius to Fahrenheit", values * 1.8 + 32),
        ("degrees Fahrenheit to Celsius", (values - 32) / 1.8),
        ("degrees Celsius to Kelvin", values + 273.15),
        ("Kelvin to degrees Celsius", values - 273.15),
    ]
    if max((values >= 0).mean(), (values <= 0).mean()) < _SAME_SIGN:
        return found  # around 0, another unit looks like another spread
    for factor, large, small in _FACTORS:
        found += [(f"{large} to {small}", values * factor), (f"{small} to {large}", values / factor)]
    return found
