"""The report of one trained model: an HTML page, a Markdown summary for the job's log, and the gate's checks as JUnit XML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common.evaluation.document import Evaluation
from common.evaluation.gate import HIGHER_IS_BETTER
from common.evaluation.metrics import Values
from common.evaluation.plot import predicted_against_true
from common.model import Model

_METRICS = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}
_PREDICTORS = {"model": "this model", "champion": "champion", "linear": "linear regression", "mean": "mean"}


@dataclass(frozen=True)
class Report:
    """What a person needs to decide whether the package may be deployed.

    Attributes:
        evaluation: metrics and verdict.
        truth, predictions: labels of the test rows and what the model predicts for them.
        manifest: that of the data version (see `Prepared.manifest`).
        lineage: what the package was made from and by whom, in the order to show; https URLs become links.
    """

    model: Model
    evaluation: Evaluation
    truth: Values
    predictions: Values
    manifest: Mapping[str, Any]
    lineage: Mapping[str, str]

    def html(self) -> str:
        """One self-contained page, which its own content policy forbids to fetch anything."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("report.html.jinja").render(
            model=self.model,
            verdict=self.evaluation.verdict,
            consequence=self._consequence(),
            header=self._table_header(),
            table=self._table(),
            unit=self.model.target,
            plot=predicted_against_true(self.truth, self.predictions),
            manifest=self.manifest,
            lineage=self.lineage,
            no_champion=self.evaluation.no_champion,
        )

    def summary(self) -> str:
        """The same in Markdown, without the plot."""
        verdict = self.evaluation.verdict
        lines = [f"# {self.model.name}: {'passed' if verdict.passed else 'refused'}", "", self._consequence(), ""]
        lines += [f"- {'✓' if check.passed else '✗'} {check.name}: {check.detail}" for check in verdict.checks]
        lines += ["", *_markdown_table([self._table_header(), *self._table()])]
        if self.evaluation.no_champion:
            lines += ["", f"No champion: {self.evaluation.no_champion}."]
        rows = ", ".join(f"{count} {name}" for name, count in self.manifest["rows"].items())
        facts = {"data": f"{self.manifest['version']} ({self.manifest['source']})", "rows": rows, **self.lineage}
        return "\n".join([*lines, "", *_markdown_table([["what", "value"], *map(list, facts.items())]), ""])

    def junit(self) -> str:
        """The gate's checks as test cases, for CircleCI's `store_test_results`."""
        checks = self.evaluation.verdict.checks
        failures = str(sum(not check.passed for check in checks))
        suite = ElementTree.Element(
            "testsuite", name=f"{self.model.name} gate", tests=str(len(checks)), failures=failures
        )
        for check in checks:
            case = ElementTree.SubElement(suite, "testcase", classname=f"{self.model.name}.gate", name=check.name)
            if not check.passed:
                ElementTree.SubElement(case, "failure", message=check.detail).text = check.detail
        return ElementTree.tostring(suite, encoding="unicode")

    def _consequence(self) -> str:
        """What a click would change, in one sentence."""
        if not self.evaluation.verdict.passed:
            return f"Nothing to approve: the gate refused this model ({self.evaluation.verdict.reason})."
        metrics, metric = self.evaluation.metrics, self.evaluation.metric
        value = metrics["model"][metric]
        if "champion" not in metrics:
            return f"Approving lets this model be deployed with {_METRICS[metric]} {value:.3f}."
        rival = metrics["champion"][metric]
        better = (value > rival) == HIGHER_IS_BETTER[metric]
        change = "unchanged" if value == rival else f"{'better' if better else 'worse'} by {abs(value - rival):.3f}"
        return (
            f"Approving lets this model replace {self.evaluation.champion}: "
            f"{_METRICS[metric]} {value:.3f} instead of {rival:.3f}, {change}."
        )

    def _table_header(self) -> list[str]:
        columns = [_PREDICTORS[name] for name in _PREDICTORS if name in self.evaluation.metrics]
        return [f"{self.evaluation.rows['test']} test rows", *columns]

    def _table(self) -> list[list[str]]:
        metrics = self.evaluation.metrics
        shown = [name for name in _PREDICTORS if name in metrics]
        return [[_METRICS[key], *(f"{metrics[name][key]:.3f}" for name in shown)] for key in metrics["model"]]


def _markdown_table(rows: list[list[str]]) -> list[str]:
    cells = [[re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in row] for row in rows]
    cells.insert(1, ["---"] * len(rows[0]))
    return [f"| {' | '.join(row)} |" for row in cells]
