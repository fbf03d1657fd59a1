"""The dashboard as Chromium shows it: on a desk, on a phone, in the dark, on paper, and to a keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from common.dashboard.page import dashboard_page
from tests.browser import BOXES, CONTRAST, Browser, browser, chromium_missing
from tests.dashboards import full

pytestmark = pytest.mark.skipif(bool(chromium_missing()), reason=chromium_missing())

PHONE, DESK = 360, 1100
FOCUSED = (
    "const e = document.activeElement; return [e.tagName, e.textContent.trim(), e.getAttribute('aria-label') ?? ''];"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    page = tmp_path_factory.mktemp("page") / "dashboard.html"
    page.write_text(dashboard_page(full()), encoding="utf-8")
    return page.as_uri()


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_fetched_nothing_complains_and_nothing_runs_over_the_page(
    chromium: Browser, url: str, width: int
) -> None:
    chromium.open(url, width=width)
    assert chromium.requests() == [url]
    assert chromium.complaints() == []
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    boxes = chromium.run(BOXES)
    assert len(boxes) == 4  # three of abalone, one of churn
    for box in boxes:
        assert min(box["width"], box["height"]) > 40
        assert box["marks"] > 0
        assert min(box["left"], box["textLeft"]) >= 0
        assert max(box["right"], box["textRight"]) <= width


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_background_also_what_is_folded(chromium: Browser, url: str, dark: bool) -> None:
    chromium.open(url, width=DESK, dark=dark)
    chromium.run("document.querySelectorAll('details').forEach(e => e.open = true)")
    contrasts = chromium.run(CONTRAST)
    assert len(contrasts) > 300
    assert [pair for pair in contrasts if pair[1] < 4.5] == []


def test_the_keyboard_reaches_every_table_and_link_and_unfolds_older_versions(chromium: Browser, url: str) -> None:
    chromium.open(url, width=PHONE)
    reached = []
    for _ in range(100):
        chromium.press(Keys.TAB)
        tag, text, label = chromium.run(FOCUSED)
        reached.append(label or text)
        assert chromium.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
        if tag == "SUMMARY":
            break
    assert reached[0] == "All models"
    assert {"abalone", "its workflow in CircleCI", "abalone: Versions", "3 older"} <= set(reached)
    chromium.press(Keys.ENTER)
    assert chromium.run("return document.querySelector('details').open") is True
    chromium.press(Keys.TAB)
    assert chromium.run(FOCUSED)[2] == "abalone: older Versions"


def test_a_models_name_leads_to_its_section(chromium: Browser, url: str) -> None:
    chromium.open(url, width=PHONE)
    chromium.press(Keys.TAB, Keys.TAB, Keys.ENTER)
    top = "return document.querySelector('#abalone').getBoundingClientRect().top"
    assert abs(chromium.run(top)) < 5


def test_the_printed_page_is_white_and_clips_nothing(chromium: Browser, url: str) -> None:
    chromium.open(url, width=DESK, dark=True)
    assert len(re.findall(rb"/Type\s*/Page\b", chromium.pdf())) in range(3, 12)
    paper = 680  # A4 less its margins, in CSS pixels
    chromium.emulate(width=paper, dark=True, media="print")
    assert chromium.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.run("return document.documentElement.scrollWidth") <= paper
