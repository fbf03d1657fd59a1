import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from common.evaluation.document import Champion, assess
from common.evaluation.gate import Gate
from common.evaluation.plot import SIZE, predicted_against_true
from common.evaluation.report import Report
from common.model import Model

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.uniform(0, 10, 80)
ROWS = np.column_stack([FEATURES + RANDOM.normal(0, 1, 80), FEATURES])
TRAIN, TEST = ROWS[:50], ROWS[50:]
TRUTH = TEST[:, 0]
MANIFEST = {
    "version": "0123456789abcdef",
    "source": "<script>alert(1)</script>",
    "features": ["length", "height"],
    "rows": {"train": 50, "validation": 10, "test": 30},
    "warnings": ["3 rows repeat another row"],
}
LINEAGE = {"branch": "feature|<b>&", "build": "https://app.circleci.com/1", "trap": "javascript:alert(1)"}


def report(*, error: float = 0.5, champion: Champion | None = None) -> Report:
    model = Model("abalone", "Age of abalones.", "rings", "regression")
    rival = champion or Champion("abalone version 6", TRUTH + 1)
    evaluation = assess("regression", Gate("rmse", at_most=2), TRAIN, TEST, TRUTH + error, rival)
    return Report(model, evaluation, TRUTH, TRUTH + error, MANIFEST, LINEAGE)


class Page(HTMLParser):
    """The text and the links of a page; fails on tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_opens_with_the_verdict_and_what_a_click_changes() -> None:
    text = " ".join(Page(report().html()).text.split("}")[-1].split())
    assert text.startswith(
        "✓ abalone: passed Approving lets this model replace abalone version 6: RMSE 0.500 instead of 1.000, better by 0.500."
    )


def test_a_refused_model_says_why_and_offers_no_click() -> None:
    page = Page(report(error=3).html())
    assert "✗ abalone: refused" in page.text
    assert "Nothing to approve: the gate refused this model (rmse is 3.0000, at most 2 is wanted" in page.text


def test_the_first_package_says_that_it_has_no_rival() -> None:
    first = report(champion=Champion(reason="nothing is deployed yet"))
    assert "No champion: nothing is deployed yet." in Page(first.html()).text
    assert "Approving lets this model be deployed with RMSE 0.500." in first.summary()
    assert "| 30 test rows | this model | linear regression | mean |" in first.summary()


def test_the_page_is_well_formed_and_fetches_nothing() -> None:
    page = Page(report().html())
    assert page.open == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe"})
    assert page.links == ["https://app.circleci.com/1"]


def test_values_from_outside_are_escaped() -> None:
    html = report().html()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "feature|&lt;b&gt;&amp;" in html


def test_every_figure_of_the_evaluation_is_in_page_and_summary() -> None:
    subject = report()
    text, summary = Page(subject.html()).text, subject.summary()
    for values in subject.evaluation.metrics.values():
        for value in values.values():
            assert f"{value:.3f}" in text
            assert f"{value:.3f}" in summary


def test_the_summary_is_markdown_whose_tables_survive_odd_values() -> None:
    summary = report().summary()
    assert summary.startswith("# abalone: passed\n")
    assert "| branch | feature\\|<b>& |" in summary
    for line in filter(lambda line: line.startswith("|"), summary.splitlines()):
        assert line.endswith(" |")


def test_the_gates_checks_are_junit_test_cases() -> None:
    suite = ElementTree.fromstring(report(error=3).junit())  # noqa: S314 – our own output
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert [case.get("name") for case in suite] == ["rmse at most 2", "rmse against the champion"]
    assert suite[0][0].get("message") == "rmse is 3.0000, at most 2 is wanted"
    passed = ElementTree.fromstring(report().junit())  # noqa: S314 – our own output
    assert passed.get("failures") == "0"
    assert not passed.findall(".//failure")


def test_the_plot_does_not_grow_with_the_rows() -> None:
    few, many = (predicted_against_true(*RANDOM.normal(10, 3, (2, rows))) for rows in (10, 100_000))
    assert len(few.cells) <= 10
    assert len(many.cells) <= 64 * 64


def test_the_plot_puts_exact_predictions_on_the_diagonal() -> None:
    for cell in predicted_against_true(TRUTH, TRUTH).cells:
        assert cell.x + cell.y + cell.side == pytest.approx(SIZE)


@pytest.mark.parametrize(("low", "high"), [(1, 29), (0, 1), (-0.003, 0.002), (1e6, 3e6), (5, 5)])
def test_the_axes_have_a_few_round_ticks_within_the_frame(low: float, high: float) -> None:
    ticks = predicted_against_true(np.array([low, high], dtype=float), np.array([high, low], dtype=float)).ticks
    assert 3 <= len(ticks) <= 11
    assert all(0 <= tick.position <= SIZE for tick in ticks)
    assert all(re.fullmatch(r"-?[\d.]+(e[+-]\d+)?", tick.label) for tick in ticks)
