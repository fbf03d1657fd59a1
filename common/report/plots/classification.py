"""How well probabilities tell positive rows from negative ones, and whether they can be taken at their word."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.evaluation.document import Evaluation
from common.evaluation.metrics import Values
from common.report.plots.chart import Figure, LineChart, Range, Series, Style
from common.report.plots.rivals import WHOSE, Predicted

_UNIT: Range = (0, 1)
_BINS = 10
_SCORE_BINS = 25
_Z = 1.96  # of a 95 % interval


def classification_figures(evaluation: Evaluation, truth: Values, predicted: Predicted) -> list[Figure]:
    """ROC, precision and recall, calibration, and scores by class, with the champion's where there is one.

    Args:
        evaluation: gives the areas and the threshold that the captions name.
        truth: labels 0 and 1, both of them present.
        predicted: probabilities of the positive class for the same rows.
    """
    return [
        _roc(evaluation, truth, predicted),
        _precision_recall(evaluation, truth, predicted),
        _calibration(truth, predicted),
        *(_scores(truth, values, style, evaluation.threshold) for style, values in predicted.items()),
    ]


def _areas(evaluation: Evaluation, metric: str) -> str:
    areas = {name: values[metric] for name, values in evaluation.metrics.items()}
    rival = f", the champion's {areas['champion']:.3f}" if "champion" in areas else ""
    return f"The area is {areas['model']:.3f}{rival}"


def _roc(evaluation: Evaluation, truth: Values, predicted: Predicted) -> Figure:
    from sklearn.metrics import roc_curve  # takes most of a second

    curves = [Series("guessing", [0, 1], [0, 1], "reference")]
    for style, values in predicted.items():
        false, found, _ = roc_curve(truth, values)
        curves.insert(-1, Series(WHOSE[style], false, found, style))
    chart = LineChart("ROC", curves, "false positives, share", "true positives, share", _UNIT, _UNIT, height=300)
    return Figure(chart, f"{_areas(evaluation, 'roc_auc')}; guessing has 0.5. Better is up and to the left.")


def _precision_recall(evaluation: Evaluation, truth: Values, predicted: Predicted) -> Figure:
    from sklearn.metrics import precision_recall_curve

    base = float(truth.mean())
    curves = [Series("guessing", [0, 1], [base, base], "reference")]
    for style, values in predicted.items():
        precision, found, _ = precision_recall_curve(truth, values)
        # The last point is no threshold's: scikit-learn lets every curve end in precision 1.
        curves.insert(-1, Series(WHOSE[style], found[:-1], precision[:-1], style))
    chart = LineChart("Precision and recall", curves, "recall", "precision", _UNIT, _UNIT, height=300)
    return Figure(chart, f"{_areas(evaluation, 'pr_auc')}; guessing has {base:.3f}. Better is up and to the right.")


def _calibration(truth: Values, predicted: Predicted) -> Figure:
    curves = [Series("calibrated", [0, 1], [0, 1], "reference")]
    for style, values in predicted.items():
        curves.insert(-1, _calibrated(truth, values, style))
    chart = LineChart("Calibration", curves, "mean probability", "share of positive rows", _UNIT, _UNIT, height=300)
    caption = (
        "Rows by probability, in tenths; the number beside a point counts this model's rows, its bar is the 95 % interval of "
        "the share. On the diagonal, 30 % means 30 of 100."
    )
    return Figure(chart, caption)


def _calibrated(truth: Values, values: Values, style: Style) -> Series:
    bins = np.minimum((values * _BINS).astype(int), _BINS - 1)
    counts, positive, total = (np.bincount(bins, weights, _BINS) for weights in (None, truth, values))
    used = counts > 0
    n, share = counts[used].astype(float), positive[used] / counts[used]
    # The champion's bars and counts would hide the model's.
    spread = list(zip(*_wilson(share, n), strict=True)) if style == "model" else ()
    notes = [f"{count:,.0f}" for count in n] if style == "model" else ()
    return Series(WHOSE[style], total[used] / n, share, style, spread=spread, notes=notes)


def _wilson(share: Values, n: Values) -> tuple[Values, Values]:
    """The 95 % interval of a share that was observed in n rows (Wilson, 1927); it stays within 0 and 1."""
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return centre - half, centre + half


def _scores(truth: Values, values: Values, style: Style, threshold: float | None) -> Figure:
    edges = np.linspace(0, 1, _SCORE_BINS + 1)
    curves, highest = [], 0.0
    classes: tuple[tuple[str, Style, Any], ...] = (
        ("negative", "reference", truth == 0),
        ("positive", style, truth == 1),
    )
    for label, shade, rows in classes:
        shares = np.histogram(values[rows], edges)[0] / max(rows.sum(), 1)
        highest = max(highest, float(shares.max()))
        curves.append(Series(f"{rows.sum():,} {label}", edges, np.append(shares, 0), shade, "area"))
    if threshold is not None and style == "model":
        curves.append(Series(f"threshold {threshold:.3g}", [threshold] * 2, [0, highest], "reference"))
    chart = LineChart(
        f"Probabilities of {WHOSE[style]}", curves, "probability", "share of the class", _UNIT, (0, highest), height=300
    )
    return Figure(chart, "The less the two overlap, the better the classes are told apart.")
