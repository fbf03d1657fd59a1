"""The report of a fleet: an HTML page, a Markdown summary for the job's log, and the gate's checks as JUnit XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.evaluation.fleet import FleetEvaluation
from common.model import Model
from common.report import fleet_tables as tables
from common.report import fleet_wording as wording
from common.report.cost import Cost
from common.report.page import junit, opening, render
from common.report.plots.chart import Figure
from common.report.plots.fleet import Example, example_figure, fleet_figures
from common.report.tables import Table


@dataclass(frozen=True)
class FleetReport:
    """What a person needs to decide whether a fleet may be deployed. Its size depends little on the number of customers.

    Attributes:
        manifest: that of the data version; `version`, `source`, `rows`, `customers`, `floor`, `ceiling` and `gathered_at`
            are read.
        manifest_before: that of the champion's data; None where there is no champion, or its data are gone.
        lineage: what the package was made from and by whom, in the order to show; https URLs become links.
        examples: the worst customers with readings and forecast, worst first.
        costs: of each job, by what it did.
    """

    model: Model
    evaluation: FleetEvaluation
    manifest: Mapping[str, Any]
    manifest_before: Mapping[str, Any] | None
    lineage: Mapping[str, str]
    examples: Sequence[Example]
    costs: Mapping[str, Cost]

    def html(self) -> str:
        """One self-contained page, which its own content policy forbids to fetch anything."""
        evaluation = self.evaluation
        return render(
            "fleet.html.jinja",
            model=self.model,
            verdict=evaluation.verdict,
            consequence=wording.consequence(evaluation),
            facts=wording.facts(evaluation, self.costs),
            metrics=tables.metrics_table(evaluation),
            rivals=tables.rivals_table(evaluation),
            note=wording.metrics_note(evaluation, self.model.target),
            figures=fleet_figures(evaluation),
            worst=tables.worst_table(evaluation),
            worst_note=wording.worst_note(evaluation),
            examples=self._examples(),
            customers=tables.customers_table(evaluation),
            reasons=tables.reasons_table(evaluation),
            data=tables.data_table(self.manifest, self.manifest_before),
            data_source=wording.data_source(self.manifest),
            costs=tables.cost_table(self.costs),
            cost_note=wording.cost_note(self.costs),
            lineage=self.lineage,
        )

    def summary(self) -> str:
        """The same in Markdown, without plots."""
        evaluation = self.evaluation
        parts: dict[str, Table | None] = {
            "": tables.metrics_table(evaluation),
            "Rivals": tables.rivals_table(evaluation),
            "Customers": tables.customers_table(evaluation),
            "Set aside": tables.reasons_table(evaluation),
            "The worst": tables.worst_table(evaluation),
            "Data": tables.data_table(self.manifest, self.manifest_before),
            "Cost": tables.cost_table(self.costs),
            "Lineage": Table(("what", "value"), tuple(self.lineage.items())),
        }
        lines = opening(self.model.name, evaluation.verdict, wording.consequence(evaluation))
        for heading, table in parts.items():
            if table is not None:
                lines += ["", f"## {heading}"] if heading else []
                lines += ["", *table.markdown()]
        return "\n".join([*lines, ""])

    def junit(self) -> str:
        """The gate's checks as test cases, for CircleCI's `store_test_results`."""
        return junit(self.model.name, self.evaluation.verdict)

    def _examples(self) -> list[Figure]:
        told = {row[0]: row for row in tables.worst_table(self.evaluation).rows}
        rival = "the champion's" if self.evaluation.figures.champion is not None else "the naive forecast's"
        captions = {
            customer: f"MAE {mae}, {rival} {its}: a ratio of {ratio}. MASE {mase}; {covered} of the readings covered."
            for customer, mae, its, ratio, mase, covered in told.values()
        }
        return [example_figure(each, self.model.target, captions[each.customer]) for each in self.examples]
