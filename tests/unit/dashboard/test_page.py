"""The dashboard's page, from facts alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.dashboard.facts import Facts, ModelFacts
from common.dashboard.page import dashboard_page
from common.deployment.live import Live
from common.monitoring.declare import Monitor
from common.operations.cost import Running
from common.registry import APPROVED, PENDING, REJECTED
from common.steps.due import Due
from tests.dashboards import CHURN, TRAP, abalone, churn, dashboard, energy, findings, full, package, served, window
from tests.pages import Page

TEXT = st.text(max_size=30)
NUMBERS = st.one_of(st.sampled_from(["2.5", "-0", "1e300", "-1e300", "5e-324", "inf", "nan", "", "much"]), TEXT)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "rmse": NUMBERS, "branch": TEXT, "commit": TEXT, "gate": TEXT, "approved_by": TEXT, "approved_at": TEXT,
        "approved_in": st.one_of(TEXT, st.just("https://ci/1")), "deployed_in": TEXT, "rolled_back_at": TEXT,
        "deployed_at": st.one_of(TEXT, st.sampled_from(["2026-11-20T07:30:00+00:00", "2020-01-01", "9999-12-31T23:59:59-01:00"])),
        "build_url": st.one_of(TEXT, st.just("javascript:alert(1)")), "pipeline": TEXT,
    },
)  # fmt: skip


def words(facts: Facts) -> str:
    """The text of the page, on one line."""
    return " ".join(Page(dashboard_page(facts)).text.split())


def of(model: ModelFacts) -> str:
    return words(dashboard(model))


def test_the_page_is_well_formed_fetches_nothing_and_escapes_what_it_is_told() -> None:
    html = dashboard_page(full())
    page = Page(html)
    assert page.open == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "use", "image"})
    assert "url(" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == html.count("alert(1)") == 3  # gate, rollback, alarm
    assert "&lt;b&gt;in rings&lt;/b&gt; &amp; years" in html
    assert all(link.startswith(("https://", "#")) for link in page.links)


def test_the_first_line_says_whether_anybody_has_to_do_anything() -> None:
    fine = replace(churn(), running=())
    assert of(fine).startswith("✓ Every model is in step with main, and nothing waits for anybody")
    assert words(full()).startswith("✗ 2 of 3 models want somebody's attention: abalone, energy")
    waits = replace(fine, packages=(package(2), *fine.packages))
    assert of(waits).startswith("! 1 of 1 models wants somebody's attention: churn")
    assert words(replace(dashboard(fine), other_alarms=full().other_alarms)).startswith("✗ An alarm fires of what")
    assert words(dashboard()).startswith("! This checkout has no models")


def test_what_waits_for_a_click_leads_to_its_workflow() -> None:
    model = replace(churn(), packages=(package(3), package(2, pipeline=""), *churn().packages))
    html = dashboard_page(dashboard(model))
    workflow = "https://app.circleci.com/pipelines/workflows/00000000-3"
    assert Page(html).links.count(workflow) == 2  # what is to be known, and the table
    assert "Version 2 waits for a click." in of(model)


def test_a_version_that_nobody_clicked_before_what_serves_waits_for_nobody() -> None:
    serving = served(5)
    model = replace(churn(), packages=(serving, package(4), package(3, APPROVED)), serving=serving)
    assert model.waiting == model.ready == ()
    assert of(replace(model, running=())).startswith("✓")


def test_an_approved_version_that_was_never_deployed_is_told() -> None:
    model = replace(churn(), packages=(package(2, APPROVED), *churn().packages))
    assert "Version 2 is approved and was never deployed." in of(model)


def test_who_approved_rejected_deployed_and_took_back_what_and_when() -> None:
    rejected = package(
        3,
        REJECTED,
        rejected_by="arn:aws:sts::123456789012:assumed-role/dev/ada",
        rejected_at="2026-11-01T08:00:00+00:00",
    )
    back = served(2, rolled_back_at="2026-10-09T10:00:00+00:00", rolled_back_by="ada", rolled_back_reason="too old")
    rejected = replace(
        rejected, reason="Rejected by arn:aws:sts::123456789012:assumed-role/dev/ada: the unit was wrong"
    )
    model = replace(churn(), packages=(rejected, back, served(1)))
    told = of(model)
    assert "rejected by assumed-role/dev/ada, 2026-11-01 08:00: the unit was wrong" in told
    assert "rolled back at 2026-10-09T10:00:00+00:00 by ada: too old" in told
    assert "approved by CircleCI user 7d3f" in told
    assert {"https://circleci.com/gh/acme/models/9", "https://circleci.com/gh/acme/models/10"} <= set(
        Page(dashboard_page(dashboard(model))).links
    )


def test_a_hold_is_told_and_counts_as_in_step() -> None:
    held = replace(churn(), held="held since 2026-11-20T00:00:00 by ada: we measure", running=())
    told = of(held)
    assert told.startswith("! 1 of 1 models wants somebody's attention")
    assert "What serves is kept as it is: held since 2026-11-20T00:00:00 by ada: we measure." in told
    assert "in step with main 1 of 1" in told


@pytest.mark.parametrize(
    ("live", "serving", "told"),
    [
        (None, None, "unknown"),
        (Live(), None, "nothing"),
        (Live(status="InService", configuration="x"), None, "no version of the registry"),
        (Live(status="InService", configuration="x"), served(3), "version 3"),
    ],
)
def test_what_serves_is_named_also_where_that_is_nothing(live: Live | None, serving: object, told: str) -> None:
    model = replace(churn(), live=live, serving=serving, problem="p")  # type: ignore[arg-type]
    assert re.search(rf"churn {told} ✗ no", of(model))


def test_a_deleted_endpoint_leaves_the_history_and_ends_the_line_of_what_was_deployed() -> None:
    gone = replace(abalone(), live=Live(), serving=None, problem="version 12 is not deployed: there is no endpoint")
    assert "there is no endpoint" in of(gone)
    assert "abalone: RMSE by version" in of(gone)


def test_drift_is_told_in_the_monitors_words_with_the_window() -> None:
    found = replace(churn(), windows=(window(0, 1, findings(0.4)), window(1, 1, findings())))
    assert (
        "! What comes in is not what the model was trained on: Length is about 1.3 times what it was. Higher than it was. "
        "(in the window 2026-11-20)" in of(found)
    )
    assert "length, predictions" in of(found)
    quiet = replace(churn(), windows=(window(0, 1, findings()), window(1, 1, findings(0.4))))
    assert "What comes in" not in of(quiet).partition("What came in")[0]  # it is over


def test_a_loss_of_quality_and_broken_records_are_told_first() -> None:
    told = of(replace(churn(), windows=(window(0, 1, findings(0.4, 2.9, broken=True)),)))
    order = [
        told.index(part)
        for part in ("not what the model declares", "The predictions got worse: RMSE is 2.9", "trained on:")
    ]
    assert order == sorted(order)


def test_whether_it_is_due_to_be_trained_again_is_told_with_the_reason() -> None:
    due = replace(churn(), windows=(window(0, 1, findings()),), due=Due(CHURN, "data had drifted in 3 windows", ""))
    assert "! It is due to be trained again: data had drifted in 3 windows." in of(due)
    not_due = replace(due, due=Due(CHURN, "", "1 of the last 5 windows; 3 of 5 are a reason"), running=())
    assert "Not due to be trained again: 1 of the last 5 windows; 3 of 5 are a reason." in of(not_due)
    assert of(not_due).startswith("✓")


def test_the_newest_rows_are_open_and_the_others_a_click_away() -> None:
    html = dashboard_page(dashboard(abalone()))
    assert re.findall(r"<summary>(.*?)</summary>", html) == ["3 older", "4 older", "10 older"]
    assert "400 older ones are not listed" in html
    assert "12 earlier windows are not listed" in html
    assert "4 earlier partitions are not listed" in html


def test_five_hundred_versions_make_a_page_that_a_browser_likes() -> None:
    many = replace(churn(), metric="rmse", packages=tuple(served(version) for version in range(500, 0, -1)))
    html = dashboard_page(dashboard(many))
    assert len(html) < 500_000
    assert "490 older" in html


def test_costs_are_added_up_and_what_has_no_price_is_said() -> None:
    assert "cost at least 0.345 US$ an hour" in words(full())
    assert "fraud" in words(full()).partition("Cost by the hour")[2]
    assert "cost 0.000 US$ an hour" in words(dashboard(energy()))
    free = replace(energy(), running=(Running("energy", "endpoint energy", "Host", "ml.unlisted", 1),))
    assert "cost not listed US$ an hour" in words(dashboard(free))


def test_every_number_says_where_it_is_from() -> None:
    told = words(full())
    for source in (
        "Source: the model registry, package group abalone",
        "Source: s3://models/abalone/monitoring/, a findings.json for each window",
        "Source: s3://models/abalone/batch/output/, a _manifest.json for each partition",
        "Prices are those of common/report/prices.csv",
    ):
        assert source in told


@given(
    statuses=st.lists(st.tuples(st.sampled_from([PENDING, APPROVED, REJECTED]), METADATA), max_size=12),
    serves=st.integers(-1, 12), metric=st.sampled_from(["rmse", "mase", TRAP]), problem=TEXT, held=TEXT,
)  # fmt: skip
@settings(max_examples=60)
def test_whatever_the_registry_holds_there_is_a_well_formed_page(
    statuses: list[tuple[str, dict[str, str]]], serves: int, metric: str, problem: str, held: str
) -> None:
    packages = tuple(
        replace(package(len(statuses) - turn, status), metadata=metadata)
        for turn, (status, metadata) in enumerate(statuses)
    )
    serving = packages[serves] if 0 <= serves < len(packages) else None
    model = replace(churn(), metric=metric, packages=packages, serving=serving, problem=problem, held=held)
    page = Page(dashboard_page(dashboard(model)))
    assert page.open == []
    assert all(link.startswith(("https://", "#")) for link in page.links)


@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.none() | st.floats(-1e6, 1e6), st.booleans(), st.integers(0, 400)), max_size=12
    )
)
@settings(max_examples=40)
def test_whatever_was_found_there_is_a_well_formed_page(found: list[tuple[float, float | None, bool, int]]) -> None:
    windows = tuple(window(day, 1, findings(shift, loss, broken=broken)) for shift, loss, broken, day in found)
    page = Page(dashboard_page(dashboard(replace(churn(), windows=windows, monitor=Monitor()))))
    assert page.open == []
    assert "nan" not in page.text
