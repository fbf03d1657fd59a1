"""Which columns a model draws on."""

from collections.abc import Mapping

from common.report.plots.chart import Bar, BarChart, Figure

_BARS = 15


def importance_figure(importance: Mapping[str, float]) -> Figure:
    """Each column's share of the sum, the greatest first; those after the fifteenth are one bar together.

    Args:
        importance: by column, not negative.
    """
    total = sum(importance.values()) or 1.0
    ordered = sorted(importance.items(), key=lambda item: -item[1])
    shares = [(name, value / total) for name, value in ordered[:_BARS]]
    bars = [Bar(name, share, f"{100 * share:.1f} %") for name, share in shares]
    if rest := ordered[_BARS:]:
        share = sum(value for _, value in rest) / total
        bars.append(Bar(f"{len(rest)} others", share, f"{100 * share:.1f} %", "reference"))
    return Figure(
        BarChart("Importance of the columns", bars),
        "Shares of the mean absolute contribution to the predictions for the test rows (SHAP).",
    )
