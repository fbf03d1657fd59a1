import hashlib
import json
import statistics
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.dataset import (
    SETS,
    Dataset,
    Prepared,
    check_training_csv,
    fit_encoder,
    from_csv,
    read_records,
    to_csv,
    to_records,
    write_records,
)
from common.data.schema import Category, Columns, Ignored, Number, Ratio
from common.errors import DataError
from common.serving.inference import Encoder

Numbers = npt.NDArray[np.float64]


class Memory:
    """A source that holds its data itself."""

    def __init__(self, content: bytes, description: str = "memory") -> None:
        self.content = content
        self.description = description

    def read(self) -> bytes:
        return self.content


COLUMNS = Columns((Category("sex", ("F", "M")), Number("length"), Number("rings")), label="rings")


def animals(count: int = 100) -> bytes:
    return "".join(f"{'FM'[i % 2]},{(100 + i) / 1000},{i % 20 + 1}\n" for i in range(count)).encode()


DATASET = Dataset(Memory(animals()), COLUMNS)


def prepared(dataset: Dataset = DATASET) -> Prepared:
    return dataset.prepare(dataset.read())


def encoded(result: Prepared) -> dict[str, Numbers]:
    """The encoded rows of each set: rows × (label, features…)."""
    return {name: from_csv(result.files[f"{name}/{name}.csv"]) for name in SETS}


def records(result: Prepared, name: str, numbers: tuple[str, ...] = ("length", "rings")) -> pd.DataFrame:
    return read_records(result.files[f"records/{name}.csv"], numbers)


def encoder(result: Prepared) -> Encoder:
    return Encoder.from_state(json.loads(result.files["encoder.json"]))


def test_files_hold_every_row_once_with_the_label_first_and_numbers_only() -> None:
    rows = np.vstack(list(encoded(prepared()).values()))
    assert rows.shape == (100, 4)
    expected = [[i % 20 + 1, 1 - i % 2, i % 2, (100 + i) / 1000] for i in range(100)]
    assert sorted(rows.tolist()) == sorted(expected)


def test_the_manifest_says_what_the_files_are() -> None:
    result = prepared()
    manifest = json.loads(json.dumps(result.manifest))
    assert manifest["label"] == "rings"
    assert manifest["features"] == ["sex=F", "sex=M", "length"]
    assert manifest["rows"] == {name: result.files[f"{name}/{name}.csv"].count(b"\n") for name in SETS}
    assert manifest["sha256"] == {name: hashlib.sha256(content).hexdigest() for name, content in result.files.items()}
    assert manifest["version"] == result.version
    assert manifest["source"] == "memory"
    assert manifest["classes"] == []


def test_the_version_does_not_depend_on_the_order_of_the_rows() -> None:
    shuffled = DATASET.prepare(DATASET.read().sample(frac=1, random_state=0))
    assert shuffled.files == prepared().files
    assert shuffled.version == prepared().version


def test_rows_that_share_their_inputs_are_ordered_by_what_they_hold() -> None:
    content = animals() + animals().replace(b",5\n", b",9\n")
    dataset = Dataset(Memory(content), COLUMNS)
    assert dataset.prepare(dataset.read().iloc[::-1]).files == prepared(dataset).files


def test_the_version_does_not_depend_on_where_the_data_come_from() -> None:
    elsewhere = Dataset(Memory(animals(), "another place"), COLUMNS)
    assert prepared(elsewhere).version == prepared().version


def test_another_value_or_another_name_of_a_column_is_another_version() -> None:
    changed = Dataset(Memory(animals().replace(b"0.15,", b"0.151,")), COLUMNS)
    renamed = Columns((Category("gender", ("F", "M")), *COLUMNS.columns[1:]), label="rings")
    versions = {prepared().version, prepared(changed).version, prepared(Dataset(Memory(animals()), renamed)).version}
    assert len(versions) == 3


def test_rows_may_be_numbered_like_others() -> None:
    frame = DATASET.read()
    twice = DATASET.prepare(pd.concat([frame.iloc[:50], frame.iloc[50:].set_axis(frame.index[:50])]))
    assert twice.files == prepared().files


def test_a_corrected_label_moves_no_row() -> None:
    corrected = encoded(prepared(Dataset(Memory(animals().replace(b"0.15,11", b"0.15,12")), COLUMNS)))
    for name, rows in encoded(prepared()).items():
        assert corrected[name][:, 1:].tolist() == rows[:, 1:].tolist()


def test_rows_of_one_key_share_a_set() -> None:
    columns = Columns((Number("customer"), Number("usage"), Number("rings")), label="rings")
    content = "".join(f"{i % 30},{i},{i % 20}\n" for i in range(300)).encode()
    result = prepared(Dataset(Memory(content), columns, key=("customer",)))
    customers = [set(rows[:, 1]) for rows in encoded(result).values()]
    assert sum(map(len, customers)) == len(set.union(*customers)) == 30


def test_a_set_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="The validation set cannot be trained from:\n  - 0 rows are too few"):
        prepared(Dataset(Memory(animals(5)), COLUMNS))


def test_encoding_a_record_gives_the_very_numbers_that_were_trained_on() -> None:
    result = prepared()
    for name, rows in encoded(result).items():
        raw = [{"sex": sex, "length": str(length)} for sex, length, _ in records(result, name).to_numpy().tolist()]
        assert encoder(result).encode(raw).tolist() == rows[:, 1:].tolist()


def test_records_are_the_checked_rows_in_the_order_of_the_encoded_ones() -> None:
    result = prepared()
    for name, rows in encoded(result).items():
        raw = records(result, name)
        assert raw["rings"].tolist() == rows[:, 0].tolist()
        assert raw["length"].tolist() == rows[:, 3].tolist()
        assert (raw["sex"] == "F").tolist() == rows[:, 1].tolist()


def test_an_ignored_column_is_neither_stored_nor_used() -> None:
    columns = Columns((Ignored("phone"), *COLUMNS.columns), label="rings")
    content = b"".join(b"555-0199," + line for line in animals().splitlines(keepends=True))
    assert prepared(Dataset(Memory(content), columns)).files == prepared().files


def test_a_label_of_two_names_is_0_and_1_where_it_is_trained_on_and_itself_in_the_records() -> None:
    columns = Columns((Number("length"), Category("left", ("no", "yes"))), label="left")
    content = "".join(f"{i},{'yes' if i % 3 else 'no'}\n" for i in range(100)).encode()
    result = prepared(Dataset(Memory(content), columns))
    assert result.manifest["classes"] == ["no", "yes"]
    for name, rows in encoded(result).items():
        names = records(result, name, ("length",))["left"]
        assert [["no", "yes"][int(label)] for label in rows[:, 0]] == names.tolist()


def test_a_ratio_is_a_further_feature() -> None:
    columns = Columns((Number("minutes"), Number("calls"), Number("rings")), label="rings")
    content = "".join(f"{i},{i % 5},{i % 7}\n" for i in range(100)).encode()
    result = prepared(Dataset(Memory(content), columns, derived=(Ratio("minutes", "calls"),)))
    assert result.manifest["features"] == ["minutes", "calls", "minutes / calls"]
    for rows in encoded(result).values():
        assert [m / c if c else 0 for _, m, c, _ in rows.tolist()] == rows[:, 3].tolist()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"key": ("customer",)}, "`key` names customer, which `columns` does not have"),
        (
            {"derived": (Ratio("length", "weight"),)},
            "`derived` names weight, which `columns` does not have as a number",
        ),
        ({"derived": (Ratio("length", "sex"),)}, "`derived` names sex, which"),
        ({"derived": (Ratio("length", "rings"),)}, "`derived` names rings, which"),
    ],
)
def test_a_name_that_is_no_column_is_refused_where_it_is_declared(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset(Memory(animals()), COLUMNS, **declared)


OPEN = Columns((Category("place"), Number("size", optional=True), Number("rings")), label="rings")
ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.none() | st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=20
)


def table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["place", "size", "rings"], dtype=object)
    return frame.astype({"size": float, "rings": float})


@given(ROWS.filter(lambda rows: any(row[1] is not None for row in rows)))
def test_the_encoder_knows_the_categories_and_the_median_of_the_rows_it_is_fitted_on(
    rows: list[tuple[Any, ...]],
) -> None:
    fitted = fit_encoder(OPEN, (), table(rows))
    assert fitted.categories == {"place": tuple(sorted({place for place, _, _ in rows}))}
    assert fitted.medians == {"size": statistics.median(size for _, size, _ in rows if size is not None)}


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_nothing_that_held_out_rows_hold_changes_how_rows_are_encoded(random: Random) -> None:
    """The key decides the set, so that the other values can be changed without moving a row."""
    columns = Columns((Number("id"), *OPEN.columns), label="rings")
    dataset = Dataset(Memory(b""), columns, key=("id",))
    rows = [(i, "abcd"[i % 4], i % 9 or None, i % 20) for i in range(100)]
    first = dataset.prepare(pd.DataFrame(rows, columns=columns.names, dtype=object))
    trained = set(records(first, "train", ("id", "size", "rings"))["id"])
    drawn = [
        row
        if row[0] in trained
        else (row[0], random.choice("abcdefgh"), random.choice([None, random.random()]), row[3])
        for row in rows
    ]
    changed = dataset.prepare(pd.DataFrame(drawn, columns=columns.names, dtype=object))
    for name in ("encoder.json", "train/train.csv", "records/train.csv"):
        assert changed.files[name] == first.files[name]
    assert changed.files["records/test.csv"] != first.files["records/test.csv"]


def test_an_optional_number_that_no_training_row_has_is_refused() -> None:
    with pytest.raises(DataError, match="'size' is empty in every training row"):
        fit_encoder(OPEN, (), table([("a", None, 1), ("b", None, 2)]))


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8).map(str.strip)


@given(st.lists(st.tuples(TEXT, st.floats(allow_infinity=False, allow_nan=False) | st.none()), min_size=1))
def test_records_read_back_exactly(rows: list[tuple[str, float | None]]) -> None:
    frame = pd.DataFrame(rows, columns=["place", "size"]).astype({"place": object, "size": float})
    pd.testing.assert_frame_equal(read_records(write_records(frame), ["size"]), frame, check_dtype=False)
    assert to_records(read_records(write_records(frame), ["size"])) == to_records(frame)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_read_back_exactly(numbers: list[float]) -> None:
    assert from_csv(to_csv(np.array(numbers)[:, None]))[:, 0].tolist() == numbers


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"rings,length\n9,0.1\n7,0.2\n", r"line 1 is a header \(rings,length\)"),
        (b"True,0.1\nFalse,0.2\n", "line 1 holds 'True', a textual boolean"),
        (b"1,0.1\n0,tall\n", "line 2 holds 'tall', no finite number"),
        (b"1,0.1\n0,nan\n", "line 2 holds 'nan', no finite number"),
        (b"1,0.1\n0,\n", "line 2 holds '', no finite number"),
        (b"1,0.1\n0,0.2,0.3\n", "line 2 has other than the 2 values of line 1"),
        (b"1,0.1\n1,0.2\n", "the label is 1 in every row"),
        (b"1\n2\n", "no feature beside the label"),
        (b"", "0 rows are too few"),
        (b"1,0.1\n", "1 rows are too few"),
    ],
)
def test_a_file_that_xgboost_would_learn_nonsense_from_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        check_training_csv(content)


def test_a_header_hides_no_other_problem() -> None:
    with pytest.raises(DataError) as caught:
        check_training_csv(b"rings,length\n9,0.1\n7,True\n")
    assert "header" in caught.value.what
    assert "line 3 holds 'True', a textual boolean (1 such values)" in caught.value.what


def test_a_good_file_passes_and_a_test_set_of_one_label_could_measure_nothing() -> None:
    check_training_csv(b"9,0.1\n7,0.2\n")
    with pytest.raises(DataError, match=r"(?s)The test set .* the label is 9 in every row"):
        check_training_csv(b"9,0.1\n9,0.2\n", "test")


def test_a_key_may_be_an_ignored_column_which_keeps_its_rows_in_one_set() -> None:
    columns = Columns((Ignored("customer"), Number("x"), Number("y")), label="y")
    labels = np.random.default_rng(1).integers(9, size=600)
    frame = pd.DataFrame({"customer": [f"c{i % 60}" for i in range(600)], "x": range(600), "y": labels}, dtype=str)
    dataset = Dataset(Memory(b""), columns, key=("customer",))
    made = dataset.prepare(frame)
    sets = {name: read_records(made.files[f"records/{name}.csv"], {"x", "y"})["x"] % 60 for name in SETS}
    assert sum(customers.nunique() for customers in sets.values()) == 60
    assert b"customer" not in made.files["records/train.csv"]
    with pytest.raises(DataError, match="have no column customer, which `key` names"):
        dataset.prepare(frame.drop(columns="customer"))
