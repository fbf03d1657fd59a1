"""The report as Chromium shows it: on a desk, on a phone, in the dark and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.report.fleet import FleetReport
from common.report.plots.chart import LineChart, Series, standalone
from common.report.report import Report
from common.report.tables import METRICS, interval, number
from tests.browser import BOXES, CONTRAST, Browser, browser, chromium_missing
from tests.fleets import fleet, fleet_report
from tests.reports import abalone_report, churn_report

pytestmark = pytest.mark.skipif(bool(chromium_missing()), reason=chromium_missing())

PHONE, DESK = 360, 1100
REPORTS: dict[str, Report | FleetReport] = {
    "classification": churn_report(),
    "regression": abalone_report(),
    "refused": churn_report(at_most=0.1),
    "first": churn_report(champion=False),
    "fleet": fleet_report(),
    "great fleet": fleet_report(fleet(customers=3000, worse=1.2)),
}
TABLE = """
return [...document.querySelectorAll("table.metrics tr")].map(row => [...row.cells].map(cell => cell.textContent.trim()));
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(params=list(REPORTS))
def report(request: pytest.FixtureRequest) -> Report | FleetReport:
    return REPORTS[request.param]


@pytest.fixture
def url(report: Report | FleetReport, tmp_path: Path) -> str:
    page = tmp_path / "report.html"
    page.write_text(report.html(), encoding="utf-8")
    return page.as_uri()


def test_the_page_asks_for_nothing_but_itself_and_the_console_is_silent(chromium: Browser, url: str) -> None:
    chromium.open(url, width=DESK)
    assert chromium.requests() == [url]
    assert chromium.complaints() == []


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_every_plot_is_visible_and_nothing_runs_over_the_page(chromium: Browser, url: str, width: int) -> None:
    chromium.open(url, width=width)
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    boxes = chromium.run(BOXES)
    assert len(boxes) >= 4
    for box in boxes:
        assert min(box["width"], box["height"]) > 40
        assert box["marks"] > 0
        assert min(box["left"], box["textLeft"]) >= 0
        assert max(box["right"], box["textRight"]) <= width


def test_wide_tables_scroll_inside_the_page_of_a_phone(chromium: Browser, url: str) -> None:
    chromium.open(url, width=PHONE)
    metrics = chromium.run(
        "const box = document.querySelector('table.metrics').parentElement; return [box.scrollWidth, box.clientWidth];"
    )
    assert metrics[0] > metrics[1]
    assert metrics[1] <= PHONE


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_background(chromium: Browser, url: str, dark: bool) -> None:
    chromium.open(url, width=DESK, dark=dark)
    contrasts = chromium.run(CONTRAST)
    assert len(contrasts) > 100
    assert [pair for pair in contrasts if pair[1] < 4.5] == []


def test_dark_is_dark_and_paper_is_white_all_the_same(chromium: Browser, url: str) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    chromium.open(url, width=DESK, dark=True)
    assert chromium.run(colour) == "rgb(13, 17, 23)"
    chromium.emulate(width=DESK, dark=True, media="print")
    assert chromium.run(colour) == "rgb(255, 255, 255)"


def test_the_printed_page_clips_no_plot(chromium: Browser, url: str) -> None:
    chromium.open(url, width=DESK)
    assert len(re.findall(rb"/Type\s*/Page\b", chromium.pdf())) in range(2, 10)
    paper = 680  # A4 less its margins, in CSS pixels
    chromium.emulate(width=paper, media="print")
    assert chromium.run("return document.documentElement.scrollWidth") <= paper
    for box in chromium.run(BOXES):
        assert max(box["right"], box["textRight"]) <= paper
    styles = "return [...document.querySelectorAll('figure')].map(f => getComputedStyle(f).breakInside)"
    assert set(chromium.run(styles)) == {"avoid"}


@pytest.mark.parametrize("report", ["fleet", "great fleet"], indirect=True)
def test_the_figures_of_a_fleets_page_are_those_of_the_evaluation(
    chromium: Browser, url: str, report: FleetReport
) -> None:
    chromium.open(url, width=DESK)
    header, *rows = chromium.run(TABLE)
    figures = report.evaluation.figures
    assert header == [f"{figures.scored:,} customers", "this fleet", "95 % interval"]
    for name, row in zip(figures.metrics, rows, strict=True):
        spread = figures.intervals[name]
        assert row[1:] == [number(figures.metrics[name]), interval(spread.low, spread.high)]


@pytest.mark.parametrize("report", ["classification", "regression", "refused", "first"], indirect=True)
def test_the_figures_of_the_page_are_those_of_the_evaluation(chromium: Browser, url: str, report: Report) -> None:
    chromium.open(url, width=DESK)
    header, *rows = chromium.run(TABLE)
    evaluation = report.evaluation
    assert header[0] == f"{evaluation.rows['test']} test rows"
    assert [row[0] for row in rows] == [METRICS[name] for name in evaluation.metrics["model"]]
    names = {"this model": "model", "champion": "champion", "linear regression": "linear", "mean": "mean",
             "logistic regression": "logistic", "base rate": "prior"}  # fmt: skip
    for metric, row in zip(evaluation.metrics["model"], rows, strict=True):
        cells = dict(zip(header, row, strict=True))
        for column, predictor in names.items():
            assert cells.get(column) == (
                number(evaluation.metrics[predictor][metric]) if predictor in evaluation.metrics else None
            )
        spread, gain = evaluation.intervals[metric], evaluation.comparisons.get(metric)
        assert cells["95 % interval"] == interval(spread.low, spread.high)
        if gain is not None:
            told = f"{number(gain.difference, sign=True)} ({interval(gain.low, gain.high, sign=True)})"
            assert cells["gain (95 %)"] == told


def test_the_verdict_is_the_first_thing_to_see(chromium: Browser, url: str, report: Report | FleetReport) -> None:
    chromium.open(url, width=PHONE)
    heading = chromium.run(
        "const h = document.querySelector('h1'); return [h.innerText, h.getBoundingClientRect().top]"
    )
    assert heading[0].endswith("passed" if report.evaluation.verdict.passed else "refused")
    assert heading[1] < 100


def test_a_chart_of_its_own_is_shown_in_the_readers_colours(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "history.svg"
    file.write_text(
        standalone(LineChart("RMSE", [Series("RMSE", [1, 2], [2.4, 2.1])], "version", "RMSE")), encoding="utf-8"
    )
    strokes = []
    for dark in (False, True):
        chromium.open(file.as_uri(), width=DESK, dark=dark)
        assert chromium.complaints() == []
        strokes.append(chromium.run("return getComputedStyle(document.querySelector('.line')).stroke"))
    assert strokes == ["rgb(5, 80, 174)", "rgb(121, 192, 255)"]
