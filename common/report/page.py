"""What the reports of a model and of a fleet have in common: how a page is made, and how the gate's checks become JUnit XML."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from common.evaluation.gate import Verdict
from common.report.plots.chart import CSS


def render(template: str, **values: Any) -> str:
    """One self-contained page, which its own content policy forbids to fetch anything."""
    return _environment().get_template(template).render(css=CSS, **values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def junit(model: str, verdict: Verdict) -> str:
    """The gate's checks as test cases, for CircleCI's `store_test_results`."""
    checks = verdict.checks
    failures = str(sum(not check.passed for check in checks))
    suite = ElementTree.Element("testsuite", name=f"{model} gate", tests=str(len(checks)), failures=failures)
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=f"{model}.gate", name=check.name)
        if not check.passed:
            ElementTree.SubElement(case, "failure", message=check.detail).text = check.detail
    return ElementTree.tostring(suite, encoding="unicode")


def opening(model: str, verdict: Verdict, consequence: str) -> list[str]:
    """The first lines of the Markdown summary: the verdict, what a click changes, and every check."""
    lines = [f"# {model}: {'passed' if verdict.passed else 'refused'}", "", consequence, ""]
    return lines + [f"- {'✓' if check.passed else '✗'} {check.name}: {check.detail}" for check in verdict.checks]
