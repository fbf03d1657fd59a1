"""What others can name – columns, categories, branches, reasons, customers, models – stays text on every page."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from common.dashboard.page import dashboard_page
from common.evaluation.fleet import FleetChampion, assess_fleet
from common.model import Model
from common.monitoring.findings import Part
from common.monitoring.formats import Violation
from common.monitoring.report import monitoring_report
from common.report.report import Report
from tests.dashboards import churn as churn_facts
from tests.dashboards import dashboard, package
from tests.fleets import GATE, entry, fleet_report, parts_of
from tests.reports import TUNING, churn_report
from tests.unit.monitoring.test_report import DRIFTED, QUIET, RETRAIN, TEST, categories, looked, numbers

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" onfocus="alert(1)" autofocus x="',
    "javascript:alert(1)",
    "</title></style></svg><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "<!-- --><iframe src=//evil.example>",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
)
TEMPLATES = Path(__file__).parents[2] / "common"
ACTIVE = {
    "script",
    "iframe",
    "object",
    "embed",
    "img",
    "image",
    "use",
    "foreignobject",
    "base",
    "form",
    "animate",
    "set",
}


class Dangers(HTMLParser):
    """What of a page a browser would run, or fetch, or follow to where no report leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ACTIVE:
            self.found.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("autofocus", "srcdoc", "formaction"):
                self.found.append(f"{tag} {name}")
            if name in ("href", "src", "xlink:href", "action") and not (value or "").startswith(("https://", "#")):
                self.found.append(f"{tag} {name}={value}")
            if name == "style" and re.search(r"url\s*\(|expression|@import", value or "", re.IGNORECASE):
                self.found.append(f"{tag} {name}={value}")


@cache
def sample() -> Report:
    return churn_report()


def report(text: str) -> str:
    """A report whose every name is that text."""
    given = sample()
    records = given.records.rename(columns={"State": text}).assign(**{f"{text} ": text})
    assert given.data_change is not None
    columns = tuple(
        replace(column, name=f"{text} {number}", new=(text,), vanished=(text, "b"))
        for number, column in enumerate(given.data_change.columns)
    )
    return replace(
        given,
        model=Model("churn", text, given.model.target, "binary_classification"),
        lineage={"branch": text, "build": text, text: text},
        manifest={**given.manifest, "source": text, "features": [text], "warnings": [text]},
        records=records,
        importance={text: 52.0, f"{text} ": 1.0},
        data_change=replace(given.data_change, columns=columns, added=(text,), removed=(text,)),
        tuning=replace(TUNING, job=text, metric=text, ranges={text: text}),
        because=text,
    ).html()


def fleet_page(text: str) -> str:
    """A fleet with customers of that name: the worst, one that is set aside, and one that is gone."""
    maes = {text: 9.0} | {str(number): 1.0 + number / 100 for number in range(40)}
    entries = {customer: entry(mae, 1.0) for customer, mae in maes.items()}
    parts = parts_of(entries, {f"{text} ": text})
    champion = FleetChampion(text, customers={*entries, f"{text}  "})
    evaluation = assess_fleet(GATE, 0.02, parts, champion)
    assert text in evaluation.worst
    given = fleet_report(evaluation)
    return replace(given, lineage={"branch": text, "build": text}, manifest={**given.manifest, "source": text}).html()


def window(text: str) -> str:
    findings = replace(
        DRIFTED,
        violations=(Violation(text, "baseline_drift_check", text),),
        tests=(replace(TEST, feature=text, words=text), replace(TEST, feature=f"{text} ", kind="unseen")),
        joint=replace(DRIFTED.joint, parts=(Part((text, text), 0.4, text),)) if DRIFTED.joint else None,
        notes=(text,),
    )
    each = looked(findings, id=text)
    before = {"features": [numbers(5, 3), {**categories(), "name": text}, {**categories(**{text: 3}), "name": text}]}
    decision = replace(RETRAIN, words=text)
    return monitoring_report(
        Model("churn", text, "Churn?", "binary_classification"), each, [looked(QUIET), each], decision, before, before
    ).html()


def everybody(text: str) -> str:
    metadata = dict.fromkeys(
        ("branch", "commit", "build_url", "pipeline", "approved_by", "gate", "customers", "reason"), text
    )
    packages = (package(2, **metadata), package(1, "Rejected", **metadata))
    return dashboard_page(dashboard(replace(churn_facts(), packages=packages, problem=text, held=text)))


PAGES = {"report": report, "fleet": fleet_page, "window": window, "dashboard": everybody}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_that_is_named_in_a_page_is_run_fetched_or_followed(page: str) -> None:
    for payload in PAYLOADS:
        html = PAGES[page](payload)
        assert Dangers(html).found == [], payload
        assert "alert(1)" in html or "alert" not in payload
        assert "{{ 7 * 7 }}" in html or "7 * 7" not in payload
        assert "default-src 'none'" in html


@pytest.mark.parametrize("payload", PAYLOADS[:4] + PAYLOADS[5:6])
def test_a_page_that_escaped_nothing_would_be_seen(payload: str) -> None:
    assert Dangers(f'<p title="{payload}">{payload}</p>' + f"<p title='{payload}'></p>").found


def test_templates_escape_all_that_they_are_given() -> None:
    raw = {
        (path.name, found)
        for path in TEMPLATES.rglob("*.jinja")
        for found in re.findall(r"\{\{[^}]*\|\s*safe[^}]*\}\}|\{%\s*autoescape[^%]*%\}", path.read_text())
    }
    assert raw == {("base.html.jinja", "{{ css | safe }}")}
    environments = [path.read_text() for path in TEMPLATES.rglob("*.py") if "FileSystemLoader" in path.read_text()]
    assert len(environments) == 2
    assert all("autoescape=True" in text for text in environments)
