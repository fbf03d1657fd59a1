"""The report of one trained model: an HTML page, a Markdown summary for the job's log, and the gate's checks as JUnit XML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.evaluation.document import Evaluation
from common.evaluation.metrics import Values
from common.evaluation.tuning_summary import TuningSummary
from common.model import Model
from common.report import wording
from common.report.cost import Cost
from common.report.data_change import DataChange
from common.report.page import junit, opening, render
from common.report.plots.chart import Figure
from common.report.plots.classification import classification_figures
from common.report.plots.importance import importance_figure
from common.report.plots.regression import regression_figures
from common.report.plots.rivals import Predicted
from common.report.plots.tuning import tuning_figure
from common.report.tables import (
    Table,
    columns_table,
    disagreement_table,
    hyperparameter_table,
    metrics_table,
    rows_table,
    some,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Report:
    """What a person needs to decide whether the package may be deployed.

    Attributes:
        evaluation: metrics and verdict.
        truth, predictions: labels of the test rows and what the model predicts for them (0 and 1, and probabilities, in a
            classification).
        manifest: that of the data version (see `Prepared.manifest`).
        lineage: what the package was made from and by whom, in the order to show; https URLs become links.
        champion_predictions: the champion's for the same rows; None where it was not scored.
        records: the raw test rows in the same order, label included.
        importance: what each raw column contributes to the model, in any unit; shown as shares of their sum.
        data_change: since the champion was trained; None where that is not known.
        tuning: None where the model was trained by a single job.
        because: why the model was trained again although its source has not changed; empty where it was not.
    """

    model: Model
    evaluation: Evaluation
    truth: Values
    predictions: Values
    manifest: Mapping[str, Any]
    lineage: Mapping[str, str]
    champion_predictions: Values | None
    records: pd.DataFrame
    importance: Mapping[str, float]
    data_change: DataChange | None
    tuning: TuningSummary | None
    cost: Cost
    because: str = ""

    def html(self) -> str:
        """One self-contained page, which its own content policy forbids to fetch anything."""
        tuning, change = self.tuning, self.data_change
        return render(
            "report.html.jinja",
            model=self.model,
            evaluation=self.evaluation,
            verdict=self.evaluation.verdict,
            consequence=wording.consequence(self.evaluation),
            because=self.because,
            facts=wording.facts(self.evaluation, self.manifest, change, self.cost),
            metrics=metrics_table(self.evaluation),
            note=wording.metrics_note(self.evaluation, self.model.target),
            figures=self._figures(),
            disagreements=self._disagreements(),
            importance=importance_figure(self.importance),
            manifest=self.manifest,
            change=change,
            change_words="" if change is None else wording.data_change(change),
            rows=None if change is None else rows_table(change),
            columns=None if change is None else columns_table(change),
            some=some,
            tuning=tuning,
            tuning_words="" if tuning is None else wording.tuning(tuning),
            tuning_figure=None if tuning is None else tuning_figure(tuning),
            hyperparameters=None if tuning is None else hyperparameter_table(tuning),
            cost=wording.cost(self.cost),
            lineage=self.lineage,
        )

    def summary(self) -> str:
        """The same in Markdown, without plots and raw records."""
        lines = opening(self.model.name, self.evaluation.verdict, wording.consequence(self.evaluation))
        lines += ["", f"Trained again because {self.because}."] if self.because else []
        lines += ["", *metrics_table(self.evaluation).markdown(), ""]
        lines += [wording.metrics_note(self.evaluation, self.model.target), "", f"Data: {self._data_words()}"]
        if self.tuning is not None:
            lines += ["", f"Tuning: {wording.tuning(self.tuning)}"]
        lines += ["", f"Cost: {wording.cost(self.cost)}"]
        lineage = Table(("what", "value"), tuple(self.lineage.items()))
        return "\n".join([*lines, "", "## Lineage", "", *lineage.markdown(), ""])

    def junit(self) -> str:
        """The gate's checks as test cases, for CircleCI's `store_test_results`."""
        return junit(self.model.name, self.evaluation.verdict)

    @property
    def _predicted(self) -> Predicted:
        champion = self.champion_predictions
        return {"model": self.predictions} if champion is None else {"model": self.predictions, "champion": champion}

    def _figures(self) -> list[Figure]:
        if self.evaluation.problem == "regression":
            return regression_figures(self.model.target, self.truth, self._predicted)
        return classification_figures(self.evaluation, self.truth, self._predicted)

    def _disagreements(self) -> Table | None:
        rival = self.champion_predictions
        if rival is None:
            return None
        return disagreement_table(self.records, self.manifest["label"], self.predictions, rival, self.importance)

    def _data_words(self) -> str:
        rows = ", ".join(f"{count:,} {name}" for name, count in self.manifest["rows"].items())
        change = "" if self.data_change is None else f" {wording.data_change(self.data_change)}"
        return f"{self.manifest['version']} ({self.manifest['source']}), rows: {rows}.{change}"
