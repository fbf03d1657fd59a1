"""Effects, shares and traffic in words and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from common.experiments.sequential import ALPHA, Effect
from common.experiments.traffic import Traffic
from common.report.plots.chart import Figure, LineChart, Series
from common.report.tables import Table, interval, number

STAYS_VALID = (
    f"The intervals contain the truth at all times at once with a probability of {1 - ALPHA:.0%}".replace("%", " %")
    + ": look as often as you like, and stop when you like."
)


def share(value: float) -> str:
    """`97.3 %`"""
    return f"{100 * value:.1f} %"


def effect_words(effect: Effect, *, sign: bool = True) -> str:
    """`+0.031 (+0.012 to +0.050)`"""
    around = interval(effect.low, effect.high, sign=sign) if effect.is_known else "no interval yet"
    return f"{number(effect.value, sign=sign)} ({around})"


def still_needed(effect: Effect) -> str:
    """About how much more it takes until the effect, if it is as large as it looks, is certain."""
    if not effect.is_known:
        return (
            f"{effect.units:,} callers say too little for an interval; the rarer large errors are, the more it takes."
        )
    needed = effect.needed()
    if not needed:
        return "An effect as small as that will hardly ever be told from none."
    if needed <= effect.units:
        return ""
    return f"An effect of that size would be certain with about {needed:,} callers; so far there are {effect.units:,}."


def traffic_table(variants: Mapping[str, Traffic]) -> Table:
    """Calls, errors and latency of each variant, by what a reader calls it."""
    rows = tuple(
        (
            name, f"{each.calls:,}", f"{each.server_errors:,}", f"{each.client_errors:,}",
            _milliseconds(each.mean_ms), _milliseconds(each.p99_ms),
        )
        for name, each in variants.items()
    )  # fmt: skip
    return Table(("variant", "calls", "5XX", "4XX", "mean latency", "p99 latency"), rows)


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"


def course_figure(title: str, loss: str, course: Sequence[Effect]) -> Figure | None:
    """The effect and its interval as they were known along the way; None where there never was an interval."""
    known = [effect for effect in course if effect.is_known]
    if len(known) < 2:
        return None
    units = [math.log10(effect.units) for effect in known]
    band = Series(
        "difference, and where it lies",
        units,
        [effect.value for effect in known],
        "model",
        "band",
        [(effect.low, effect.high) for effect in known],
    )
    none = Series("none", (units[0], units[-1]), (0, 0), "reference")
    ticks = [(math.log10(value), f"{value:,}") for power in range(1, 9) for value in (10**power, 3 * 10**power)]
    chart = LineChart(title, [band, none], "callers", f"difference in {loss}", x_ticks=ticks)
    return Figure(chart, "Once the band has left the line, the difference is certain, whatever comes after.")
