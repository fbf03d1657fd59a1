from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from common.evaluation.intervals import Comparison
from common.report import wording
from common.report.data_change import DataChange
from common.report.report import Report
from common.report.tables import number
from tests.pages import Page
from tests.reports import abalone_report, churn_report

REPORTS = {"classification": churn_report(), "regression": abalone_report()}


def words(report: Report) -> str:
    """The text of the page, on one line."""
    return " ".join(Page(report.html()).text.split())


@pytest.fixture(params=list(REPORTS))
def report(request: pytest.FixtureRequest) -> Report:
    return REPORTS[request.param]


def test_the_page_opens_with_the_verdict_and_what_a_click_changes() -> None:
    assert words(abalone_report()).startswith(
        "✓ abalone: passed Approving lets this model replace version 6: RMSE 2.106 instead of 2.425, better by 0.319."
    )


def test_a_gain_that_chance_explains_is_called_one() -> None:
    subject = REPORTS["regression"]
    gains = {name: Comparison(0.01, -0.02, 0.04, at_best=0.03) for name in subject.evaluation.comparisons}
    unsure = replace(subject, evaluation=replace(subject.evaluation, comparisons=gains))
    assert "better by 0.010, which 800 test rows cannot tell from chance." in unsure.summary()


def test_a_refused_model_says_why_and_offers_no_click() -> None:
    text = words(abalone_report(error=3))
    assert text.startswith("✗ abalone: refused Nothing to approve: the gate refused this model (rmse is 3.")


def test_the_first_package_says_that_it_has_no_rival() -> None:
    first = abalone_report(champion=False)
    assert "No champion: nothing is deployed." in words(first)
    assert "Approving lets this model be deployed with RMSE 2.106." in first.summary()
    assert "| 800 test rows | this model | 95 % interval | linear regression | mean |" in first.summary()
    assert "champion" not in " ".join(Page(first.html()).text.split("On the test rows")[1].split())


def test_a_champion_that_could_not_be_compared_is_still_what_a_click_replaces() -> None:
    first = abalone_report(champion=False)
    lost = replace(first, evaluation=replace(first.evaluation, champion="version 6", no_champion="it is damaged"))
    told = "lets this model, with RMSE 2.106, replace version 6, with which it could not be compared: it is damaged."
    for text in (words(lost), lost.summary()):
        assert told in text
        assert "Not compared with version 6: it is damaged." in text
        assert "No champion" not in text


def test_a_retraining_says_why_on_page_and_in_the_summary() -> None:
    again = replace(abalone_report(), because="data had drifted in 2 of the last 3 windows: <live>")
    for text in (words(again), again.summary()):
        assert "Trained again because data had drifted in 2 of the last 3 windows: <live>." in text
    assert "Trained again" not in words(abalone_report()) + abalone_report().summary()


def test_the_page_is_well_formed_and_fetches_nothing(report: Report) -> None:
    page = Page(report.html())
    assert page.open == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "use", "image"})
    assert page.links == ["https://app.circleci.com/1"]
    assert "url(" not in report.html()


def test_values_from_outside_are_escaped(report: Report) -> None:
    html = report.html()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "feature|&lt;b&gt;&amp;" in html


def test_every_figure_of_the_evaluation_is_in_page_and_summary(report: Report) -> None:
    evaluation, text, summary = report.evaluation, words(report), report.summary()
    figures = [value for values in evaluation.metrics.values() for value in values.values()]
    figures += [end for spread in evaluation.intervals.values() for end in (spread.low, spread.high)]
    gains = [figure for gain in evaluation.comparisons.values() for figure in (gain.difference, gain.low, gain.high)]
    for figure in [*map(number, figures), *(number(gain, sign=True) for gain in gains)]:
        assert figure in text
        assert figure in summary


def test_the_report_shows_all_that_a_person_decides_from() -> None:
    text = words(REPORTS["classification"])
    for part in (
        "Where the two models disagree most",
        "difference this model champion true Churn? Day Mins CustServ Calls",
        "Importance of the columns",
        "large drift in State",
        "AK",
        "8 Bayesian training jobs, 6 completed; the best is number 7 with validation:logloss 0.2551.",
        "Warm-started (TransferLearning) from churn-aaaaaaaaaaaa-01234567.",
        "churn-bbbbbbbbbbbb-01234567: its range of max_depth was continuous",
        "eta 0.0375 0.01 to 0.3, logarithmic",
        "0.0077 USD: 240 s billed × 1 ml.m5.large; spot saved 70 %, at 0.115 USD an hour on demand (as of 2026-08-11",
    ):
        assert part in text


def test_what_is_not_known_is_left_out_or_said() -> None:
    text = words(abalone_report())
    for part in ("Tuning", "Since the champion"):
        assert part not in text
    assert "unknown: 61 s billed × 1 ml.unlisted.large, no price listed." in text


def test_the_same_data_are_said_to_be_the_same() -> None:
    subject = churn_report()
    assert subject.data_change is not None
    same = replace(subject, data_change=replace(subject.data_change, versions=("0123456789abcdef",) * 2))
    assert "The champion was trained on the same data version 0123456789abcdef." in words(same)
    assert "stability index" not in words(same)


def test_the_page_does_not_grow_with_the_rows(report: Report) -> None:
    random = np.random.default_rng(0)
    truth = np.resize(report.truth, 200_000)
    predictions, rivals = (
        np.clip(truth + random.normal(0, 0.3, 200_000), 0, 1 if max(truth) == 1 else 99) for _ in "ab"
    )
    records = report.records.iloc[np.resize(np.arange(len(report.records)), 200_000)]
    many = replace(report, truth=truth, predictions=predictions, champion_predictions=rivals, records=records)
    assert len(many.html()) < 600_000


def test_the_summary_is_markdown_whose_tables_survive_odd_values(report: Report) -> None:
    summary = report.summary()
    assert summary.startswith(f"# {report.model.name}: passed\n")
    assert "| branch | feature\\|<b>& |" in summary
    for line in filter(lambda line: line.startswith("|"), summary.splitlines()):
        assert line.endswith(" |")


def test_the_summary_has_data_tuning_and_cost_in_a_line_each() -> None:
    lines = REPORTS["classification"].summary().splitlines()
    for start in ("Data: 0123456789abcdef", "Tuning: 8 Bayesian", "Cost: 0.0077 USD"):
        assert sum(line.startswith(start) for line in lines) == 1


def test_the_gates_checks_are_junit_test_cases() -> None:
    suite = ElementTree.fromstring(abalone_report(error=3).junit())  # noqa: S314 – our own output
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert [case.get("name") for case in suite] == ["rmse at most 2.6", "rmse against the champion"]
    assert str(suite[0][0].get("message")).endswith("at most 2.6 is wanted")
    passed = ElementTree.fromstring(abalone_report().junit())  # noqa: S314 – our own output
    assert passed.get("failures") == "0"
    assert not passed.findall(".//failure")


@pytest.mark.parametrize(
    ("now", "told"), [(120, "+20 rows since the champion (data"), (100, "As many rows as the champion (data")]
)
def test_what_became_of_the_rows_is_told(now: int, told: str) -> None:
    change = DataChange(("old", "new"), {"train": (100, now)}, columns=(), added=("b",), removed=("c",))
    words = wording.data_change(change)
    assert words.startswith(told)
    assert words.endswith("; new columns: b; columns that are gone: c.")
