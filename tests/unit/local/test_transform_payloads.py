"""How objects become the bodies of requests."""

import gzip
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.local.jobs.inputs import InputObject
from common.local.transform.objects import target_key
from common.local.transform.payloads import BadInput, payloads
from common.local.transform.settings import Settings, as_the_container_asks, environment, settings

PLAIN = Settings(True, False, 20, 1, b"", False, {}, 600, 3)
LINES = st.lists(st.text("ab,\r é", max_size=8).map(str.encode), max_size=12)


def cut(content: bytes, size: int) -> list[bytes]:
    edges = [*range(0, len(content), size), len(content)]
    return [content[low:high] for low, high in pairwise(edges)]


@given(LINES, st.integers(1, 9), st.booleans())
def test_every_record_is_in_exactly_one_payload_however_the_parts_are_cut(
    lines: list[bytes], size: int, ends: bool
) -> None:
    content = b"\n".join(lines) + b"\n" * ends
    records = [line.strip(b"\r") for line in lines if line.strip(b"\r")]
    batches = list(payloads(cut(content, size), PLAIN))
    assert [line.strip(b"\r") for body in batches for line in body.split(b"\n") if line.strip(b"\r")] == records
    assert all(0 < len(body) <= 20 for body in batches)
    for first, second in pairwise(batches):  # as many as fit: the next record would have been too much
        assert len(first) + 1 + len(second.split(b"\n")[0]) > 20 - 2 * content.count(b"\r") - content.count(b"\n\n")
    singles = list(payloads(cut(content, size), replace(PLAIN, single=True)))
    assert [line.strip(b"\r") for line in singles] == records


@given(st.binary(max_size=18), st.integers(1, 9))
def test_an_object_that_is_not_split_is_one_payload_and_gzip_is_undone(content: bytes, size: int) -> None:
    whole = replace(PLAIN, by_line=False, gzip=True)
    packed = gzip.compress(content[:7]) + gzip.compress(content[7:])  # several members are one stream
    assert b"".join(payloads(cut(packed, size), whole)) == content


@pytest.mark.parametrize("kind", [PLAIN, replace(PLAIN, single=True), replace(PLAIN, by_line=False)])
def test_what_is_larger_than_a_payload_fails(kind: Settings) -> None:
    assert list(payloads([b"x" * 20], kind)) == [b"x" * 20]
    for content in ([b"x" * 21], [b"a\n" + b"x" * 21 + b"\nb"], [b"x" * 11, b"x" * 11]):
        with pytest.raises(BadInput, match="Too much data for max payload size"):
            list(payloads(content, kind))


@pytest.mark.parametrize("content", [b"1,2\n", gzip.compress(b"1,2\n" * 99, mtime=0)[:-9], b""])
def test_what_is_no_gzip_fails(content: bytes) -> None:
    with pytest.raises(BadInput, match="is no gzip"):
        list(payloads([content], replace(PLAIN, gzip=True)))


@pytest.mark.parametrize(
    ("prefix", "key", "target"),
    [
        ("in/", "in/a.csv", "out/a.csv.out"),
        ("in", "in/below/a.csv", "out/below/a.csv.out"),
        ("in/a.csv", "in/a.csv", "out/a.csv.out"),
        ("in/a", "in/a-1.csv", "out/a-1.csv.out"),
        ("", "in/a.csv", "out/in/a.csv.out"),
    ],
)
def test_an_output_lies_where_its_input_lay_below_the_prefix(prefix: str, key: str, target: str) -> None:
    assert target_key("out/", f"s3://bucket/{prefix}", True, InputObject("bucket", key, "")) == target
    assert target_key("", "s3://bucket/manifest", False, InputObject("bucket", key, "x/y")) == "x/y.out"


def test_the_container_fills_in_what_the_request_leaves_open() -> None:
    job = {"TransformInput": {"SplitType": "Line"}, "TransformOutput": {"AssembleWith": "Line"}}
    asked = b'{"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}'
    filled = as_the_container_asks(asked, settings(job), job)
    assert filled.described == "MaxConcurrentTransforms=8, MaxPayloadInMB=2, BatchStrategy=SINGLE_RECORD"
    assert environment(job) == {"SAGEMAKER_BATCH": "true"}
    said = job | {"MaxConcurrentTransforms": 3, "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 5}
    kept = as_the_container_asks(asked, settings(said), said)
    assert kept.described == "MaxConcurrentTransforms=3, MaxPayloadInMB=5, BatchStrategy=MULTI_RECORD"
    assert environment(said | {"Environment": {"OWN": "1"}}) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "5",
        "OWN": "1",
    }
    assert settings(job).described == "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
