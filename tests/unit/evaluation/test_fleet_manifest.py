import gzip
from dataclasses import replace

import pytest

from common.errors import ArtifactError
from common.evaluation.fleet_manifest import FleetManifest
from common.evaluation.golden import FleetGolden

MANIFEST = FleetManifest(
    model="energy",
    source="0123456789abcdef",
    data_version="fedcba9876543210",
    code={"uri": "s3://bucket/code.tar.gz", "digest": "ab"},
    fleet="s3://bucket/models/",
    customers={"8": {"etag": "e8", "bytes": 700}, "9": {"etag": "e9", "bytes": 710, "kept_from": "a-b"}},
    set_aside={"9": "one reading only"},
)
LISTING = {"8": ("e8", 700), "9": ("e9", 710)}


def test_a_manifest_reads_back_and_is_the_same_bytes_always() -> None:
    archive = MANIFEST.to_archive()
    assert FleetManifest.from_archive(archive) == MANIFEST
    shuffled = replace(MANIFEST, customers=dict(reversed(list(MANIFEST.customers.items()))))
    assert shuffled.to_archive() == archive


@pytest.mark.parametrize(
    "archive",
    [b"", b"x", MANIFEST.to_archive()[:-20], gzip.compress(b"no tar"), gzip.compress(bytes(10240))],
    ids=["empty", "no gzip", "truncated", "no tar", "empty tar"],  # bytes in the names would differ between workers
)
def test_an_archive_without_a_manifest_is_refused(archive: bytes) -> None:
    with pytest.raises(ArtifactError, match="holds no manifest of a fleet"):
        FleetManifest.from_archive(archive)


def test_the_listing_of_the_registered_artifacts_does_not_differ_and_an_added_customer_is_no_difference() -> None:
    assert MANIFEST.differs(LISTING) == ""
    assert MANIFEST.differs(LISTING | {"new": ("e", 1)}) == ""


def test_missing_and_changed_artifacts_are_counted_and_the_first_is_named() -> None:
    assert MANIFEST.differs({"8": ("other", 700)}) == (
        "1 of 2 artifacts are missing (the first: 9.tar.gz); "
        "1 of 2 artifacts are not those that were registered (the first: 8.tar.gz)"
    )
    assert MANIFEST.differs(LISTING | {"8": ("e8", 701)}).startswith("1 of 2 artifacts are not those")


DAY = {"ds": "2026-01-01", "yhat": 120.0, "yhat_lower": 110.0, "yhat_upper": 130.0}
GOLDEN = FleetGolden({"8": {"request": {"period": 1}, "answer": [DAY]}})


def test_golden_answers_of_a_fleet_read_back_and_agree_with_themselves() -> None:
    assert FleetGolden.from_json(GOLDEN.to_json()) == GOLDEN
    assert GOLDEN.mismatch("8", [DAY | {"yhat": 120.001}]) == ""


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        ([], "customer 8: the 0 answered days are not the 1 expected ones"),
        ([DAY | {"ds": "2026-01-02"}], "the 1 answered days are not the 1 expected ones"),
        ([DAY | {"yhat_upper": 131.0}], "customer 8, 2026-01-01: expected yhat_upper 130, answered 131"),
        ([DAY | {"yhat": float("nan")}], "expected yhat 120, answered nan"),
        ([{"ds": "2026-01-01"}], "expected yhat 120, answered nan"),
    ],
)
def test_another_answer_is_told(answered: list[dict[str, object]], message: str) -> None:
    assert message in GOLDEN.mismatch("8", answered)
