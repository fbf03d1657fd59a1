"""What the page and the metrics of a window say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from common.aws import Aws
from common.model import Model
from common.monitoring import findings as found
from common.monitoring.findings import PREDICTION, Estimate, Findings, Joint, Measured, Part, Quality
from common.monitoring.formats import Violation
from common.monitoring.looked import Looked
from common.monitoring.metrics import metrics, put_metrics
from common.monitoring.report import distribution, monitoring_report, verdict
from common.monitoring.rules import Decision
from tests.pages import Page

MODEL = Model("churn", "Who leaves", "Churn?", "binary_classification")
QUIET = Findings((3256, 1500), (), (), None, None, drifted=False, degraded=False, broken=False)
TEST = found.Test(
    "Day Mins", "values", "Kolmogorov–Smirnov", 0.28, 1e-9, 2e-9, 0.28, found=True, words="'Day Mins' is higher."
)
MEASURED = Measured(Estimate(0.25, 0.22, 0.28), Estimate(0.4, 0.35, 0.45))
QUALITY = Quality("log_loss", Estimate(0.15, 0.1, 0.2), 1e-6, True, 600, {"log_loss": MEASURED}, "Worse by 0.15.")
DRIFTED = replace(
    QUIET,
    violations=(Violation("Day Mins", "baseline_drift_check", "<b>'Day Mins'</b> is higher."),),
    tests=(
        TEST,
        replace(TEST, feature=PREDICTION, found=True),
        replace(TEST, feature="State", kind="unseen", found=False),
    ),
    joint=Joint(0.739, 0.001, True, (2500, 1500), (Part(("Day Mins", "State"), 0.4, "they go together otherwise"),)),
    quality=QUALITY,
    drifted=True,
    degraded=True,
    notes=("3 captured requests cannot be read as records, and are left out.",),
)
WAIT = Decision(False, "", (), "1 of the last 5 windows; 3 of 5 are a reason")
RETRAIN = Decision(True, "drift", ("a", "b", "c"), "data had drifted in 3 of the last 5 windows: a, b, c")


def numbers(*counts: int) -> dict[str, Any]:
    buckets = [{"lower_bound": i, "upper_bound": i + 1, "count": count} for i, count in enumerate(counts)]
    return {"name": "Day Mins", "numerical_statistics": {"distribution": {"kll": {"buckets": buckets}}}}


def categories(**counts: int) -> dict[str, Any]:
    buckets = [{"value": value, "count": count} for value, count in counts.items()]
    return {"name": "State", "string_statistics": {"distribution": {"categorical": {"buckets": buckets}}}}


def looked(findings: Findings, **changes: Any) -> Looked:
    window = {"since": "2026-11-20T00:00:00+00:00", "until": "2026-11-21T00:00:00+00:00"}
    one = Looked("live-1", "live", "2026-11-21T00:00:00+00:00", 1500, 7, "digest", window, findings)
    return replace(one, **changes)


def page(findings: Findings, decision: Decision = WAIT, **changes: Any) -> tuple[Page, str]:
    """The page, and what the terminal shows."""
    each = looked(findings, **changes)
    before, now = {"features": [numbers(5, 3, 1)]}, {"features": [numbers(1, 3, 5)]}
    report = monitoring_report(MODEL, each, [looked(QUIET, id="live-0"), each], decision, before, now)
    return Page(report.html()), report.text()


def test_a_page_says_what_differs_how_certain_that_is_and_what_follows() -> None:
    shown, text = page(DRIFTED, RETRAIN)
    for said in (
        "churn, calls from 2026-11-20 00:00 to 2026-11-21 00:00 UTC",
        "the data have drifted, and the predictions have become worse",
        "A reason to retrain: data had drifted in 3 of the last 5 windows",
        "<b>'Day Mins'</b> is higher.",
        "3 captured requests cannot be read",
        "Day Mins and State",
        "they go together otherwise",
        "0.250", "0.220 to 0.280", "0.400", "Worse by 0.15.",
        "nothing has changed",
    ):  # fmt: skip
        assert said in shown.text, said
        assert said in text, said
    assert "svg" in shown.tags
    assert "State" not in [line.split("  ")[0] for line in text.partition("Column by column")[2].splitlines()]


def test_a_quiet_window_says_that_nothing_follows() -> None:
    shown, _ = page(QUIET)
    assert "nothing has changed" in shown.text
    assert "No reason to retrain: 1 of the last 5 windows" in shown.text
    assert "svg" not in shown.tags


def test_broken_records_are_to_be_mended_and_not_learnt_from() -> None:
    shown, _ = page(replace(DRIFTED, broken=True, degraded=False))
    assert "the records are not what the model was made for" in shown.text
    assert "Somebody has to mend where the records come from" in shown.text


def test_a_batch_is_called_by_its_partition() -> None:
    shown, _ = page(QUIET, kind="batch", window={"partition": "dt=2026-11-20"})
    assert "churn, batch dt=2026-11-20: nothing has changed" in shown.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ("nothing has changed", "good")),
        ({"violations": DRIFTED.violations}, ("something is odd", "soft")),
        ({"drifted": True}, ("the data have drifted", "bad")),
        ({"degraded": True}, ("the predictions have become worse", "bad")),
        ({"drifted": True, "broken": True}, ("the records are not what the model was made for", "bad")),
    ],
)
def test_the_verdict_in_a_few_words(changes: dict[str, Any], said: tuple[str, str]) -> None:
    assert verdict(replace(QUIET, **changes)) == said


def test_distributions_are_drawn_where_both_sides_have_one() -> None:
    drawn = distribution("Day Mins", numbers(5, 3), numbers(1, 9))
    assert drawn is not None
    assert "this window" in drawn.chart.svg()
    bars = distribution("State", categories(CA=3, NY=1), categories(CA=1, PR=1))
    assert bars is not None
    assert all(said in bars.chart.svg() for said in ("PR, now", "50.0 %", "CA, training", "75.0 %"))
    for before, now in ((numbers(), numbers(1)), (numbers(0), numbers(1)), (numbers(1), categories(CA=1)),
                        (categories(), categories(CA=1)), ({"name": "x"}, numbers(1))):  # fmt: skip
        assert distribution("x", before, now) is None


def test_the_metrics_are_what_an_alarm_would_go_by() -> None:
    assert metrics(looked(DRIFTED)) == {
        "Rows": (1500, "Count"),
        "DriftedColumns": (1, "Count"),
        "SmallestQ": (2e-9, "None"),
        "Quality": (0.4, "None"),
        "Outcomes": (600, "Count"),
    }
    assert metrics(looked(QUIET)) == {"Rows": (1500, "Count"), "DriftedColumns": (0, "Count")}


def test_columns_that_only_go_together_differently_are_columns_that_differ() -> None:
    joint = replace(DRIFTED, tests=(replace(TEST, found=False),), quality=None)
    assert metrics(looked(joint))["DriftedColumns"] == (2, "Count")
    assert "Day Mins, State" in page(joint)[1]


def test_cloudwatch_is_not_asked_to_take_what_it_refuses_for_its_age() -> None:
    old = looked(QUIET, ends="2020-01-01T00:00:00+00:00")
    assert not put_metrics(cast(Aws, None), "churn", old)


def test_what_was_looked_at_reads_back() -> None:
    one = looked(DRIFTED)
    again = Looked.from_json(one.to_json())
    assert again.findings == one.findings
    assert replace(again, window={}) == replace(one, window={})
    assert again.window["since"] == one.window["since"]
