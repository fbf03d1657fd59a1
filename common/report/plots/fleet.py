"""How a fleet's customers are spread: their errors, the coverage of their intervals, who wins and loses, and some alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from common.evaluation.fleet import FleetEvaluation
from common.evaluation.metrics import Values
from common.report.plots.chart import Figure, LineChart, Range, Series, Style

MOST_DOTS = 2000
"""For more customers a density says more than their dots."""
_OURS = "this fleet"
_BINS = 40
_MASES = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Example:
    """A customer's last readings, and the forecast of its holdout by the model that had not seen it.

    Attributes:
        days, values: the readings, in days since 1970-01-01 UTC; those of the holdout are the last.
        start: the first day of the holdout.
        forecast_days: when the forecast is for: the readings of the holdout.
        mean, lower, upper: the forecast with its 80 % interval.
    """

    customer: str
    days: Values
    values: Values
    start: float
    forecast_days: Values
    mean: Values
    lower: Values
    upper: Values


def fleet_figures(evaluation: FleetEvaluation) -> list[Figure]:
    """The distributions and the maps; of the champion only where it was compared."""
    scores, champion = evaluation.scores, evaluation.figures.champion
    figures = [_errors(evaluation), _coverage(evaluation)]
    if champion is not None:
        figures.append(_map(evaluation, "champion", scores.champion, champion.losers, champion.winners))
    naive = evaluation.figures.naive
    if naive.customers:
        figures.append(_map(evaluation, "seasonal naive forecast", scores.naive, naive.losers, naive.winners))
    return figures


def example_figure(example: Example, unit: str, caption: str) -> Figure:
    """One customer: what was read, and what was forecast for the holdout."""
    spread = list(zip(example.lower.tolist(), example.upper.tolist(), strict=True))
    drawn = (*example.values, *example.lower, *example.upper)
    shown = np.concatenate([example.days, example.forecast_days])  # of a customer that was just added, no readings
    chart = LineChart(
        f"Customer {example.customer}",
        [
            Series("", example.forecast_days, example.mean, "model", "band", spread=spread),
            Series("", example.days, example.values, "reference", "dots"),
            Series("", (example.start, example.start), (min(drawn), max(drawn)), "reference"),
        ],
        "date (UTC)",
        unit,
        x_ticks=_dates(float(shown.min()), float(shown.max())),
        height=120,
    )
    return Figure(chart, caption)


def _dates(first: float, last: float) -> list[tuple[float, str]]:
    """The first of each month, or at least the ends."""
    days = [_EPOCH + timedelta(days=day) for day in range(int(first), int(last) + 1)]
    months = [((day - _EPOCH).days, f"{day:%b %Y}") for day in days if day.day == 1]
    if not months:
        return [(first, f"{days[0]:%Y-%m-%d}")]
    step = max(1, len(months) // 3)  # a history with gaps spans years
    return [(float(at), label) for at, label in months[::step]]


def _errors(evaluation: FleetEvaluation) -> Figure:
    """The distribution of MASE, and the champion's on the same customers, in bins of equal width on a logarithmic axis."""
    scores = evaluation.scores
    mine = scores.mase[np.isfinite(scores.mase) & (scores.mase > 0)]
    whose: dict[Style, tuple[str, Values]] = {"model": (_OURS, mine)}
    if evaluation.figures.champion is not None:
        its = _mase(evaluation, scores.champion)
        whose["champion"] = (f"champion, of {len(its):,} customers", its[its > 0])
    ends = _spread(np.log(np.concatenate([values for _, values in whose.values()])))
    edges = np.linspace(*ends, _BINS + 1)
    shares = {
        style: np.histogram(np.clip(np.log(values), *ends), edges)[0] / max(1, len(values))
        for style, (_, values) in whose.items()
    }
    series = [Series(label, edges, np.append(shares[style], 0), style, "area") for style, (label, _) in whose.items()]
    highest = float(max(share.max() for share in shares.values())) or 1.0
    chart = LineChart(
        "Errors of the customers", series, "MASE", "share of customers", ends, (0, highest), _mase_ticks()
    )
    better = f"{100 * float((mine < 1).mean()):.0f}" if len(mine) else "0"
    median = evaluation.figures.metrics["mase"]
    return Figure(
        chart,
        f"The median is {median:.3f}. {better} % of the customers are below 1, where the naive forecast of the history is.",
    )


def _coverage(evaluation: FleetEvaluation) -> Figure:
    """The distribution of the coverage of the 80 % interval."""
    covered = evaluation.scores.coverage80
    covered = covered[np.isfinite(covered)]
    edges = np.arange(-1.5, 29, 2) / 28  # between the possible values of four weeks of daily readings
    share = np.histogram(covered, edges)[0] / max(1, len(covered))
    highest = float(share.max()) or 1.0
    chart = LineChart(
        "Coverage of the 80 % interval",
        [
            Series(_OURS, edges, np.append(share, 0), "model", "area"),
            Series("80 %", (0.8, 0.8), (0, highest), "reference"),
        ],
        "share of the holdout's readings that are covered", "share of customers",
        (float(edges[0]), float(edges[-1])), (0, highest),
    )  # fmt: skip
    few = float((covered < 0.5).mean()) if len(covered) else 0.0
    return Figure(
        chart,
        f"Neighbouring days err together, so a customer's coverage scatters widely; {100 * few:.0f} % are below half.",
    )


def _map(evaluation: FleetEvaluation, rival: str, errors: Values, losers: int, winners: int) -> Figure:
    """Every customer by the two errors: above the upper line it loses to the rival, below the lower one it wins."""
    its = _mase_of_all(evaluation, errors)
    mine = evaluation.scores.mase
    known = np.isfinite(its) & np.isfinite(mine) & (its > 0) & (mine > 0)
    x, y = np.log(its[known]), np.log(mine[known])
    ends, margin = _spread(np.concatenate([x, y])), float(np.log1p(evaluation.gate.margin))
    low, high = ends
    lines = [
        Series("", (low, high - margin), (low + margin, high), "reference"),
        Series("equal", ends, ends, "reference"),
        Series("", (low + margin, high), (low, high - margin), "reference"),
    ]
    if len(x) > MOST_DOTS:
        clouds = [Series("customers", x, y, "model", "density")]
    else:
        lost, won = y > x + margin, x > y + margin
        groups: dict[Style, tuple[str, npt.NDArray[np.bool_]]] = {
            "model": ("about equal", ~(lost | won)),
            "bad": ("loses", lost),
            "good": ("wins", won),
        }
        clouds = [
            Series(label, x[these], y[these], style, "dots") for style, (label, these) in groups.items() if these.any()
        ]
    ticks = _mase_ticks()
    chart = LineChart(
        f"Each customer against its {rival}" if rival == "champion" else f"Each customer against the {rival}",
        [*clouds, *lines], f"MASE of the {rival}", "MASE of this fleet", ends, ends, ticks, ticks, height=300,
    )  # fmt: skip
    return Figure(
        chart, f"{losers:,} customers lie above the band between the lines and lose; {winners:,} lie below it and win."
    )


def _mase(evaluation: FleetEvaluation, errors: Values) -> Values:
    values = _mase_of_all(evaluation, errors)
    return np.asarray(values[np.isfinite(values)])


def _mase_of_all(evaluation: FleetEvaluation, errors: Values) -> Values:
    """A rival's errors in the unit of each customer's MASE; NaN where there is none."""
    scores = evaluation.scores
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(errors * (scores.mase / scores.mae))


def _spread(values: Values) -> Range:
    """All but the most extreme one in a hundred, with room beside them: what lies outside is drawn at the edge."""
    if not len(values):
        return -1.0, 1.0
    low, high = np.quantile(values, [0.005, 0.995])
    return float(low) - 0.1, float(high) + 0.1


def _mase_ticks() -> list[tuple[float, str]]:
    return [(float(np.log(value)), f"{value:g}") for value in _MASES]
