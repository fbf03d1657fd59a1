"""How predicted values lie beside the true ones, and what is left over."""

from __future__ import annotations

import numpy as np

from common.evaluation.metrics import Values
from common.report.plots.chart import Figure, LineChart, Range, Series, Style
from common.report.plots.rivals import WHOSE, Predicted

_BINS = 41  # an odd number, so that the middle one holds the errors near 0


def regression_figures(unit: str, truth: Values, predicted: Predicted) -> list[Figure]:
    """Predicted against true values, and the residuals, with the champion's where there is one.

    Args:
        unit: what is predicted, e.g. `rings`; the label of the axes.
    """
    ends = _ends(np.concatenate([truth, *predicted.values()]))
    return [
        *(_predicted_against_true(unit, truth, values, style, ends) for style, values in predicted.items()),
        _residuals(unit, truth, predicted["model"]),
        _residual_distribution(unit, truth, predicted),
    ]


def _predicted_against_true(unit: str, truth: Values, values: Values, style: Style, ends: Range) -> Figure:
    cloud = Series("", truth, values, style, "density")
    equal = Series("equal", ends, ends, "reference")
    title = f"Predicted against true: {WHOSE[style]}"
    chart = LineChart(title, [cloud, equal], f"true {unit}", f"predicted {unit}", ends, ends, height=300)
    return Figure(chart, "The stronger the colour, the more rows. On the line, the prediction is right.")


def _residuals(unit: str, truth: Values, predictions: Values) -> Figure:
    residuals = predictions - truth
    ends, most = _ends(predictions), float(np.abs(residuals).max()) or 1
    cloud = Series("", predictions, residuals, "model", "density")
    none = Series("no error", ends, (0, 0), "reference")
    title = "Residuals by prediction: this model"
    chart = LineChart(title, [cloud, none], f"predicted {unit}", "predicted - true", ends, (-most, most))
    return Figure(chart, "A cloud that bends or widens shows where the model errs, and in which direction.")


def _residual_distribution(unit: str, truth: Values, predicted: Predicted) -> Figure:
    residuals = {style: values - truth for style, values in predicted.items()}
    most = float(max(np.abs(values).max() for values in residuals.values())) or 1
    edges = np.linspace(-most, most, _BINS + 1)
    shares = {style: np.histogram(values, edges)[0] / len(values) for style, values in residuals.items()}
    series = [Series(WHOSE[style], edges, np.append(share, 0), style, "area") for style, share in shares.items()]
    highest = float(max(share.max() for share in shares.values()))
    chart = LineChart("Residuals", series, f"predicted - true {unit}", "share of rows", y_range=(0, highest))
    return Figure(chart, "The narrower around 0, the better.")


def _ends(values: Values) -> Range:
    return float(values.min()), float(values.max())
