import numpy as np
import pytest

from common.evaluation.metrics import Values
from common.report.plots.chart import LineChart, Series
from common.report.plots.classification import classification_figures
from common.report.plots.regression import regression_figures
from common.report.plots.tuning import tuning_figure
from common.report.report import Report
from tests.reports import TUNING, churn_report

REPORT = churn_report()


def charts(report: Report = REPORT) -> dict[str, LineChart]:
    figures = classification_figures(report.evaluation, report.truth, report._predicted)
    return {figure.chart.title: figure.chart for figure in figures if isinstance(figure.chart, LineChart)}


def series(chart: LineChart, label: str) -> Series:
    return next(one for one in chart.series if one.label == label)


def area(curve: Series) -> float:
    return float(np.trapezoid(curve.ys, curve.xs))


def test_the_area_below_the_roc_curve_is_the_evaluations() -> None:
    for whose, predictor in (("this model", "model"), ("champion", "champion")):
        expected = REPORT.evaluation.metrics[predictor]["roc_auc"]
        assert area(series(charts()["ROC"], whose)) == pytest.approx(expected, abs=1e-3)


def test_precision_and_recall_end_at_the_share_of_positive_rows() -> None:
    curve = series(charts()["Precision and recall"], "this model")
    assert curve.xs[0] == 1
    assert curve.ys[0] == pytest.approx(REPORT.truth.mean())
    assert curve.xs[-1] > 0


def test_calibration_counts_every_row_once_and_bounds_its_shares() -> None:
    curve = series(charts()["Calibration"], "this model")
    assert sum(int(note.replace(",", "")) for note in curve.notes) == len(REPORT.truth)
    for share, (low, high) in zip(curve.ys, curve.spread, strict=True):
        assert 0 <= low <= share + 1e-9
        assert share - 1e-9 <= high <= 1 + 1e-9


def test_calibrated_probabilities_lie_on_the_diagonal() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(0, 1, 50_000)
    truth = (random.random(50_000) < probabilities).astype(float)
    figures = classification_figures(REPORT.evaluation, truth, {"model": probabilities})
    chart = figures[2].chart
    assert isinstance(chart, LineChart)
    curve = series(chart, "this model")
    assert np.asarray(curve.ys) == pytest.approx(np.asarray(curve.xs), abs=0.03)


def test_scores_by_class_add_up_and_show_the_threshold() -> None:
    chart = charts()["Probabilities of this model"]
    for curve in chart.series[:2]:
        assert sum(curve.ys) == pytest.approx(1)
    assert series(chart, "threshold 0.37").xs == [0.37, 0.37]


def test_the_champion_is_drawn_beside_only_where_there_is_one() -> None:
    assert "Probabilities of champion" in charts()
    alone = charts(churn_report(champion=False))
    assert "Probabilities of champion" not in alone
    assert all(one.label != "champion" for chart in alone.values() for one in chart.series)


def regression(truth: Values, predictions: Values) -> dict[str, LineChart]:
    figures = regression_figures("rings", truth, {"model": predictions})
    return {figure.chart.title: figure.chart for figure in figures if isinstance(figure.chart, LineChart)}


def test_residuals_are_what_is_predicted_too_much() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    shown = regression(truth, truth + 0.5)
    assert list(shown["Residuals by prediction: this model"].series[0].ys) == pytest.approx([0.5] * 3)
    assert sum(shown["Residuals"].series[0].ys) == pytest.approx(1)


def test_exact_predictions_of_one_value_make_charts_all_the_same() -> None:
    truth = np.full(5, 7.0)
    for chart in regression(truth, truth).values():
        assert "nan" not in chart.svg()


def test_the_tuning_trajectory_has_every_objective_the_best_so_far_and_each_parents_best() -> None:
    chart = tuning_figure(TUNING).chart
    assert isinstance(chart, LineChart)
    assert list(series(chart, "training job").xs) == [1, 2, 4, 5, 6, 7, 8]
    assert list(series(chart, "best so far").ys) == [0.31, 0.29, 0.262, 0.262, 0.2551, 0.2551, 0.2551]
    assert series(chart, "parent churn-aaaaaaaaaaaa-01234567").ys == [0.2643, 0.2643]
