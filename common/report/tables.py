"""The tables of the report, as text; the page and the Markdown summary show the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common.evaluation.document import Evaluation
from common.evaluation.metrics import Values
from common.evaluation.tuning_summary import TuningSummary
from common.report.data_change import ColumnChange, DataChange

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "f1": "F1",
}
"""What a reader calls each metric."""
_BASELINES = {"linear": "linear regression", "mean": "mean", "logistic": "logistic regression", "prior": "base rate"}
_DISAGREEMENTS = 8
_INPUTS = 12
_COLUMNS = 15
_CATEGORIES = 6
_NOISE = 1e-8
"""What is smaller comes from rounding."""


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> list[str]:
        """The lines of a Markdown table."""
        cells = [[re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in row] for row in (self.header, *self.rows)]
        cells.insert(1, ["---"] * len(self.header))
        return [f"| {' | '.join(row)} |" for row in cells]


def number(value: float, *, sign: bool = False) -> str:
    """A figure with three decimals, or two digits where these would show little of it, or none; a 0 has no sign."""
    size = abs(value)
    told = f"{value:+.2g}" if _NOISE < size < 0.01 else f"{value:+z,.{3 if size < 1000 else 0}f}"
    return told if sign and told != "+0.000" else told.lstrip("+")


def interval(low: float, high: float, *, sign: bool = False) -> str:
    """`0.219 to 0.268`"""
    return f"{number(low, sign=sign)} to {number(high, sign=sign)}"


def metrics_table(evaluation: Evaluation) -> Table:
    """Every metric of the model with its 95 % interval, beside the champion's, the gain over it, and the baselines'."""
    metrics, gains = evaluation.metrics, evaluation.comparisons
    rivals = ("champion", "gain (95 %)") if gains else ()
    baselines = [name for name in _BASELINES if name in metrics]
    rows = []
    for name, value in metrics["model"].items():
        spread = evaluation.intervals[name]
        row = [METRICS[name], number(value), interval(spread.low, spread.high)]
        if gains:
            gain = gains[name]
            told = f"{number(gain.difference, sign=True)} ({interval(gain.low, gain.high, sign=True)})"
            row += [number(metrics["champion"][name]), told]
        rows.append((*row, *(number(metrics[baseline][name]) for baseline in baselines)))
    header = (f"{evaluation.rows['test']:,} test rows", "this model", "95 % interval", *rivals)
    return Table((*header, *(_BASELINES[name] for name in baselines)), tuple(rows))


def disagreement_table(
    records: pd.DataFrame, label: str, predictions: Values, champion: Values, importance: Mapping[str, float]
) -> Table | None:
    """The raw records for which the two models differ most, greatest difference first; none where they never differ.

    Of the inputs it shows the most important ones.
    """
    gap = predictions - champion
    order = np.argsort(-np.abs(gap), kind="stable")[:_DISAGREEMENTS]
    order = order[gap[order] != 0]
    if not len(order):
        return None
    inputs = sorted(records.columns.drop(label), key=lambda name: -importance.get(name, 0.0))[:_INPUTS]
    rows = tuple(
        (
            number(gap[i], sign=True), number(predictions[i]), number(champion[i]),
            *(_raw(records.iloc[i][name]) for name in (label, *inputs)),
        )
        for i in order.tolist()
    )  # fmt: skip
    return Table(("difference", "this model", "champion", f"true {label}", *map(str, inputs)), rows)


def rows_table(change: DataChange) -> Table:
    """Rows of each set before and now."""
    rows = tuple((name, f"{was:,}", f"{now:,}", f"{now - was:+,}") for name, (was, now) in change.rows.items())
    return Table(("rows", "champion", "this model", "change"), rows)


def columns_table(change: DataChange) -> Table:
    """The columns that drifted most, with their missing values and categories."""
    rows = tuple(_column(column) for column in change.columns[:_COLUMNS])
    return Table(("column", "drift", "index", "missing", "new categories", "vanished categories"), rows)


def hyperparameter_table(tuning: TuningSummary) -> Table | None:
    """The best hyperparameters beside what each could be; none where no training job had an objective."""
    if tuning.best is None:
        return None
    found = tuning.best.hyperparameters
    rows = tuple((name, _rounded(found.get(name, "")), words) for name, words in tuning.ranges.items())
    return Table(("hyperparameter", "best", "range"), rows)


def _column(column: ColumnChange) -> tuple[str, ...]:
    was, now = (f"{share:.1%}".replace("%", " %") for share in column.missing)
    missing = "–" if column.missing == (0, 0) else f"{was} → {now}"
    new, vanished = (some(names) or "–" for names in (column.new, column.vanished))
    return column.name, column.size, number(column.drift), missing, new, vanished


def some(names: Iterable[str]) -> str:
    """The first few of the names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _CATEGORIES:,} more" if len(listed) > _CATEGORIES else ""
    return ", ".join(listed[:_CATEGORIES]) + more


def _raw(value: object) -> str:
    if isinstance(value, float):
        return "missing" if np.isnan(value) else f"{value:.10g}"
    return str(value) or "missing"


def _rounded(value: str) -> str:
    """SageMaker writes tuned numbers with up to 17 digits; the first few say enough."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value
