"""What is made of the bucket's documents: facts that can be shown, or an error."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.batch.manifest import Manifest
from common.dashboard.facts import Scored, Window
from common.dashboard.page import dashboard_page
from common.monitoring.declare import Monitor
from common.monitoring.findings import Joint, Part
from common.monitoring.looked import Looked
from tests.dashboards import churn, dashboard, findings
from tests.pages import Page

SINCE, UNTIL = "2026-11-20T00:00:00+00:00", "2026-11-21T00:00:00+00:00"
LOOKED = Looked(
    "live-20261120T00-20261121T00", "live", UNTIL, 900, 1, "0f", {"since": SINCE, "until": UNTIL},
    replace(findings(0.4, 2.9), joint=Joint(0.7, 0.001, True, (900, 900), (Part(("length",), 0.5, "longer"),))),
)  # fmt: skip
MANIFEST = Manifest(
    "dt=2026-11-20", 1, "arn", "0f", {"keys": ["id"]}, "0e", 9000, 7, {"no number": 5, "too long": 2},
    ({"name": "a.csv"},), ({"name": "part-00000.parquet"},), {"join": "j"}, "2026-11-21T02:10:00+00:00",
)  # fmt: skip
STRANGE = st.sampled_from(
    [
        None,
        "x",
        "",
        "</td>",
        "0001-01-01T00:00:00+01:00",
        -1,
        0,
        1e308,
        float("nan"),
        float("inf"),
        [],
        ["x"],
        {},
        {"x": 1},
        True,
    ]
)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a JSON document."""
    for key in list(document) if isinstance(document, dict) else range(len(document)):
        yield document, key
        if isinstance(document[key], dict | list):
            yield from places(document[key])


def damaged(document: Any, draw: st.DataObject) -> Any:
    """The document with one value replaced or, of an object, taken away."""
    other = copy.deepcopy(document)
    container, key = draw.draw(st.sampled_from(list(places(other))))
    if isinstance(container, dict) and draw.draw(st.booleans()):
        del container[key]
    else:
        container[key] = draw.draw(STRANGE)
    return other


@pytest.mark.parametrize(
    ("window", "name"),
    [
        ({"since": SINCE, "until": UNTIL}, "2026-11-20"),
        ({"since": "2026-11-20T06:00:00+00:00", "until": UNTIL}, "2026-11-20 06:00 to 2026-11-21 00:00"),
        ({"since": "2026-11-20T02:00:00+02:00", "until": "2026-11-21T02:00:00+02:00"}, "2026-11-20"),
        ({"partition": "dt=2026-11-20"}, "batch dt=2026-11-20"),
    ],
)
def test_a_window_is_named_as_a_person_would(window: dict[str, Any], name: str) -> None:
    found = Window.of(replace(LOOKED, window=window), "s3://models/x")
    assert (found.name, found.end, found.looked.rows) == (name, datetime(2026, 11, 21, tzinfo=UTC), 900)


def test_a_batch_is_told_with_the_most_frequent_reason() -> None:
    found = Scored.of(MANIFEST, "s3://models/x")
    assert (found.partition, found.version, found.rows, found.rejected) == ("dt=2026-11-20", 1, 9000, 7)
    assert found.reason == "no number"


@given(st.data())
@settings(max_examples=80)
def test_damaged_findings_are_an_error_or_can_be_shown(draw: st.DataObject) -> None:
    document = damaged(json.loads(json.dumps(LOOKED.to_json())), draw)
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        windows = (Window.of(Looked.from_json(document), "s3://models/x/findings.json"),)
    if "windows" in locals():
        model = replace(churn(), windows=windows, monitor=Monitor())
        assert Page(dashboard_page(dashboard(model))).open == []


@given(st.data())
@settings(max_examples=30)
def test_a_damaged_manifest_is_an_error_or_can_be_shown(draw: st.DataObject) -> None:
    document = damaged(json.loads(json.dumps(MANIFEST.to_json())), draw)
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        batches = (Scored.of(Manifest.from_json(document), "s3://models/x/_manifest.json"),)
    if "batches" in locals():
        assert Page(dashboard_page(dashboard(replace(churn(), batches=batches)))).open == []
