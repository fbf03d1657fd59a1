from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from common.evaluation.fleet import FleetChampion, assess_fleet
from common.evaluation.fleet_duel import compare
from common.report.cost import training_cost
from common.report.fleet import FleetReport
from common.report.plots.chart import standalone
from common.report.plots.fleet import MOST_DOTS, Example, example_figure, fleet_figures
from common.report.tables import interval, number
from tests.fleets import GATE, entry, example, fleet, fleet_report, parts_of
from tests.pages import Page

REPORT = fleet_report()
FIRST = fleet_report(champion=False)


def words(report: FleetReport) -> str:
    """The text of the page, on one line."""
    return " ".join(Page(report.html()).text.split())


def test_the_page_opens_with_the_verdict_and_what_a_click_changes() -> None:
    assert words(REPORT).startswith(
        "✓ energy: passed Approving lets 399 models replace version 6: a customer's error is 1.0 % greater on average, "
        "which chance explains. Of these, 1 stay as they are. 1 customers lose their model."
    )


def test_a_fleet_that_is_surely_better_is_called_so() -> None:
    better = fleet_report(fleet(worse=0.8))
    assert "a customer's error is 19.2 % smaller on average. Of these" in better.summary()


def test_a_refused_fleet_says_why_and_offers_no_click() -> None:
    refused = fleet_report(fleet(worse=1.4))
    assert words(refused).startswith("✗ energy: refused Nothing to approve: the gate refused this fleet (")
    assert "customers lose to their champion" in refused.summary()


def test_the_first_fleet_says_that_it_has_no_rival() -> None:
    text = words(FIRST)
    assert "Approving lets 398 models be deployed, with a median MASE of 0.69" in text
    assert "No champion: no package of the registry is deployed." in text
    assert "against its champion" not in text
    assert "| against | customers |" in FIRST.summary()
    assert "champion (" not in FIRST.summary()


def test_a_champion_that_could_not_be_compared_is_still_what_a_click_replaces() -> None:
    evaluation = replace(
        FIRST.evaluation, champion="version 6", no_champion="the results of its fit are gone from s3://b/parts/"
    )
    lost = replace(FIRST, evaluation=evaluation)
    told = (
        "replace version 6, with which they could not be compared: the results of its fit are gone from s3://b/parts/."
    )
    for text in (words(lost), lost.summary()):
        assert told in text
    assert "Not compared with version 6: the results of its fit are gone" in words(lost)


@pytest.mark.parametrize("report", [REPORT, FIRST], ids=["with a champion", "first"])
def test_the_page_is_well_formed_and_fetches_nothing(report: FleetReport) -> None:
    page = Page(report.html())
    assert page.open == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "use", "image"})
    assert page.links == ["https://app.circleci.com/1"]
    assert "url(" not in report.html()


def test_values_from_outside_are_escaped() -> None:
    evil = "<img src=x>|"
    parts = parts_of({"a": entry(1.0)}, {"b": evil})
    report = fleet_report(assess_fleet(GATE, 1, parts, FleetChampion()))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in report.html()
    assert "&lt;img src=x&gt;|" in report.html()
    assert "<img src=x>\\|" in report.summary()


@pytest.mark.parametrize("report", [REPORT, FIRST], ids=["with a champion", "first"])
def test_every_figure_of_the_evaluation_is_in_page_and_summary(report: FleetReport) -> None:
    figures, text, summary = report.evaluation.figures, words(report), report.summary()
    told = [number(value) for value in figures.metrics.values()]
    told += [interval(spread.low, spread.high) for spread in figures.intervals.values()]
    for duel in filter(None, (figures.naive, figures.champion)):
        told += [number(duel.mae), number(duel.rival_mae), f"{duel.losers:,}", f"{duel.winners:,}"]
        told += [f"{number(duel.ratio)} ({interval(duel.spread.low, duel.spread.high)})"]
    for figure in told:
        assert figure in text
        assert figure in summary


def test_the_report_shows_all_that_a_person_decides_from() -> None:
    text = words(REPORT)
    for part in (
        "Each customer against its champion",
        "Each customer against the seasonal naive forecast",
        "Coverage of the 80 % interval",
        "set aside, and keep the champion's model 1 7",
        "new since the champion 1 1",
        "had a model, and have none any more 1 gone",
        "no reading is finite 1 7",
        "rows 731,000 719,000",
        "before 2026-01-01 2025-12-01",
        "fit 0.0428 USD 60 s × 10 ml.m5.xlarge; spot saved 70 %",
        "0.257 USD an hour on demand for training (as of",
        "gathered 2026-01-02T03:04:05+00:00.",
    ):
        assert part in text
    assert "0.0457 USD" in text, "both jobs"


def test_the_worst_customers_are_plotted_each_with_its_figures_in_words() -> None:
    text = words(REPORT)
    worst = REPORT.evaluation.worst
    assert len(worst) == 20
    for customer in worst:
        assert f"Customer {customer}: consumption by date (UTC)" in text
    scores, first = REPORT.evaluation.scores, worst[0]
    place = scores.customers.index(first)
    mae, its = scores.mae[place], scores.champion[place]
    assert f"MAE {number(mae)}, the champion's {number(its)}: a ratio of {number(mae / its)}." in text


def test_a_job_without_a_listed_price_makes_the_whole_cost_unknown() -> None:
    unlisted = training_cost("eu-west-1", "ml.unlisted.large", instances=1, seconds=61)
    report = replace(REPORT, costs={**REPORT.costs, "split": unlisted})
    text = words(report)
    assert "cost of the jobs unknown" in text
    assert "ml.unlisted.large: no price listed" in text


def test_the_page_hardly_grows_with_the_customers_and_the_dots_become_a_density() -> None:
    random = np.random.default_rng(0)
    customers = {
        f"customer-{i:07}": entry(mae, mae * ratio)
        for i, (mae, ratio) in enumerate(
            zip(random.lognormal(0, 0.5, 5000), random.lognormal(0, 0.2, 5000), strict=True)
        )
    }
    aside = {f"aside-{i:05}": f"reason {chr(65 + i % 40)}" for i in range(3000)}
    evaluation = assess_fleet(
        GATE,
        1,
        parts_of(customers, aside),
        FleetChampion("version 6", [*customers, *(f"gone-{i}" for i in range(4000))]),
    )
    html = fleet_report(evaluation).html()
    assert len(html) < 300_000
    assert "15 further kinds of reasons" in html
    assert 'class="cell"' in html
    assert len(customers) > MOST_DOTS


def test_few_customers_are_dots_in_three_groups() -> None:
    chart = fleet_figures(REPORT.evaluation)[2].chart.svg()
    duel = REPORT.evaluation.figures.champion
    assert duel is not None
    dots = {
        style: part.count("h0")
        for style in ("model", "bad", "good")
        for part in chart.split('<g class="')
        if part.startswith(f'{style}"') and 'class="dots"' in part
    }
    # Dots of the same place are one.
    assert 0.97 * duel.losers <= dots["bad"] <= duel.losers
    assert 0.97 * duel.winners <= dots["good"] <= duel.winners
    assert 0 <= duel.customers - sum(dots.values()) < 0.05 * duel.customers


def test_a_fleet_of_one_customer_and_one_of_perfect_forecasts_can_be_drawn() -> None:
    perfect = entry(0.0, 0.0, naive=0.0)
    perfect["holdout"]["mase"] = None
    for customers in ({"a": entry(1.0)}, {"a": perfect}, {"a": perfect, "b": entry(0.0, 0.0)}):
        champion = FleetChampion("version 1", ["a"])
        assert Page(fleet_report(assess_fleet(GATE, 0, parts_of(customers), champion)).html()).open == []


def test_a_history_with_gaps_has_few_dates_on_its_axis() -> None:
    short = replace(example("8", 0), days=np.array([20441.0, 20442.0]), values=np.array([1.0, 2.0]))
    sparse = replace(example("9", 0), days=np.array([18000.0, 20442.0]), values=np.array([1.0, 2.0]))
    for one, ticks in ((short, 1), (sparse, 4)):
        report = replace(REPORT, examples=[replace(one, customer=REPORT.evaluation.worst[0])])
        chart = report.html().split("Customer ")[-2]
        assert chart.count('text-anchor="middle">') - 2 <= ticks


def test_a_customer_of_whom_nothing_was_read_yet_has_its_forecast_drawn() -> None:
    none, days = np.empty(0), np.array([20453.0, 20454.0])
    for forecast_days in (days, days[:1]):
        level = np.full(len(forecast_days), 3.0)
        drawn = Example("new", none, none, 20453.0, forecast_days, level, level - 1, level + 1)
        chart = standalone(example_figure(drawn, "kWh", "").chart)
        assert "2025-12-31" in chart or "Jan 2026" in chart
        assert "nan" not in chart.lower()


def test_ids_that_no_id_should_have_neither_steer_a_terminal_nor_fill_the_page() -> None:
    evil = {"\x1b[2Jgone": "its id", "x" * 5_000: "its id"}
    report = fleet_report(assess_fleet(GATE, 1, parts_of({"a": entry(1.0)}, evil), FleetChampion()))
    assert "\x1b" not in report.summary() + report.html()
    assert r"'\x1b[2Jgone'" in report.summary()
    assert "x" * 100 not in report.summary()


def test_the_summary_is_markdown_whose_tables_survive_odd_values() -> None:
    summary = REPORT.summary()
    assert summary.startswith("# energy: passed\n")
    assert "| branch | feature\\|<b>& |" in summary
    for heading in ("Rivals", "Customers", "Set aside", "The worst", "Data", "Cost", "Lineage"):
        assert summary.count(f"\n## {heading}\n") == 1
    for line in filter(lambda line: line.startswith("|"), summary.splitlines()):
        assert line.endswith(" |")


def test_the_gates_checks_are_junit_test_cases() -> None:
    suite = ElementTree.fromstring(fleet_report(fleet(worse=1.4)).junit())  # noqa: S314 – our own output
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("energy gate", "6", "2")
    failed = {str(case.get("name")): str(case[0].get("message")) for case in suite if len(case)}
    assert set(failed) == {"customers against the champion", "customers against the naive forecast"}
    assert "lose to their champion" in failed["customers against the champion"]


def test_nothing_to_compare_is_none() -> None:
    assert compare(np.array([1.0]), np.array([np.nan]), np.ones(1), 0.1) is None
