"""A customer's archive: small, the same for the same model, and never mistaken."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from common.forecasting.artifacts import (
    CustomerModel,
    DamagedModel,
    load_model,
    pack_model,
    pack_results,
    read_results,
    unpack_model,
)
from tests.archives import archive

MODEL = CustomerModel("8", 20_453.25, "0123abcd", {"level": 51.25, "seasons": [1.5, -2.0]})


def test_a_model_comes_back_from_its_archive_which_any_tar_reads(tmp_path: Path) -> None:
    archive = pack_model(MODEL)
    assert unpack_model(archive) == MODEL
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getnames() == ["model.json"]
        tar.extractall(tmp_path, filter="data")
    assert load_model(tmp_path) == MODEL


def test_the_order_of_the_parameters_does_not_change_the_bytes() -> None:
    turned = CustomerModel("8", 20_453.25, "0123abcd", dict(reversed(MODEL.parameters.items())))
    assert pack_model(turned) == pack_model(MODEL)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (pack_model(MODEL)[:-9], "truncated"),
        (b"no gzip", "damaged"),
        (b"", "truncated"),
        (archive({"other.json": b"{}"}), "not found"),
        (archive({"model.json": b"[1]"}), "is no model"),
        (archive({"model.json": b'{"customer": "8"}'}), "is no model"),
        (archive({"model.json": b" " * 2_000_000}), "more than 1,000,000 bytes"),
    ],
)
def test_what_is_no_model_is_refused(archive: bytes, message: str) -> None:
    with pytest.raises(DamagedModel, match=message):
        unpack_model(archive)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedModel, match=r"no model\.json"):
        load_model(tmp_path)


def test_results_come_back_and_damaged_ones_are_refused() -> None:
    results = {"part": "part-00000", "customers": {"8": {"rows": 3}}}
    packed = pack_results(results)
    assert read_results(packed) == results
    for damaged in (packed[:-5], b"", b"x", packed[:20] + b"x" + packed[21:]):
        with pytest.raises(DamagedModel, match="results of a part are damaged"):
            read_results(damaged)
