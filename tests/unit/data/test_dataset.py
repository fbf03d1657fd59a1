import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.dataset import Dataset, Prepared, check_training_csv, from_csv, to_csv
from common.data.schema import Category, Columns, Number
from common.errors import DataError


class Memory:
    """A source that holds its data itself."""

    def __init__(self, content: bytes, description: str = "memory") -> None:
        self.content = content
        self.description = description

    def read(self) -> bytes:
        return self.content


COLUMNS = Columns((Category("sex", ("F", "M")), Number("length"), Number("rings")), label="rings")


def features(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"length": rows["length"], "male": rows["sex"] == "M"})


def animals(count: int = 100) -> bytes:
    return "".join(f"{'FM'[i % 2]},{(100 + i) / 1000},{i % 20 + 1}\n" for i in range(count)).encode()


DATASET = Dataset(Memory(animals()), COLUMNS, features)


def prepared(dataset: Dataset = DATASET) -> Prepared:
    return dataset.prepare(dataset.read())


def test_files_hold_every_row_once_with_the_label_first_and_numbers_only() -> None:
    rows = np.vstack([from_csv(content) for content in prepared().files.values()])
    assert rows.shape == (100, 3)
    expected = [[i % 20 + 1, (100 + i) / 1000, i % 2] for i in range(100)]
    assert sorted(rows.tolist()) == sorted(expected)


def test_the_manifest_says_what_the_files_are() -> None:
    result = prepared()
    manifest = json.loads(json.dumps(result.manifest))
    assert manifest["label"] == "rings"
    assert manifest["features"] == ["length", "male"]
    assert manifest["rows"] == {name: content.count(b"\n") for name, content in result.files.items()}
    assert manifest["sha256"] == {name: hashlib.sha256(content).hexdigest() for name, content in result.files.items()}
    assert manifest["version"] == result.version
    assert manifest["source"] == "memory"


def test_the_version_does_not_depend_on_the_order_of_the_rows() -> None:
    shuffled = DATASET.prepare(DATASET.read().sample(frac=1, random_state=0))
    assert shuffled.files == prepared().files
    assert shuffled.version == prepared().version


def test_the_version_does_not_depend_on_where_the_data_come_from() -> None:
    elsewhere = Dataset(Memory(animals(), "another place"), COLUMNS, features)
    assert prepared(elsewhere).version == prepared().version


def test_another_value_or_another_name_of_a_feature_is_another_version() -> None:
    changed = Dataset(Memory(animals().replace(b"0.15,", b"0.151,")), COLUMNS, features)
    renamed = Dataset(Memory(animals()), COLUMNS, lambda rows: features(rows).rename(columns={"male": "is_male"}))
    assert len({prepared().version, prepared(changed).version, prepared(renamed).version}) == 3


def test_a_corrected_label_moves_no_row() -> None:
    corrected = prepared(Dataset(Memory(animals().replace(b"0.15,11", b"0.15,12")), COLUMNS, features))
    for name, content in prepared().files.items():
        assert from_csv(corrected.files[name])[:, 1:].tolist() == from_csv(content)[:, 1:].tolist()


def test_rows_of_one_key_share_a_set() -> None:
    columns = Columns((Number("customer"), Number("usage"), Number("rings")), label="rings")
    content = "".join(f"{i % 30},{i},{i % 20}\n" for i in range(300)).encode()
    result = prepared(Dataset(Memory(content), columns, lambda rows: rows, key=("customer",)))
    customers = [set(from_csv(content)[:, 1]) for content in result.files.values()]
    assert sum(map(len, customers)) == len(set.union(*customers)) == 30


def test_a_set_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="The validation set cannot be trained from:\n  - 0 rows are too few"):
        prepared(Dataset(Memory(animals(5)), COLUMNS, features))


def test_encoding_a_record_gives_the_very_numbers_that_were_trained_on() -> None:
    raw = DATASET.read()
    trained = {tuple(row[1:]) for content in prepared().files.values() for row in from_csv(content).tolist()}
    encoded = DATASET.encode(raw.drop(columns="rings").iloc[[5]])
    assert tuple(encoded.iloc[0]) in trained
    assert to_csv(encoded) == b"0.105,1\n"


def test_a_record_out_of_bounds_is_refused() -> None:
    with pytest.raises(DataError, match="none of F, M"):
        DATASET.encode(pd.DataFrame({"sex": ["X"], "length": [0.1]}))


def test_features_that_need_other_rows_are_refused() -> None:
    with pytest.raises(DataError, match="depend on the rows beside it"):
        prepared(Dataset(Memory(animals()), COLUMNS, lambda rows: pd.get_dummies(rows, columns=["sex"])))
    with pytest.raises(DataError, match="depend on the rows beside it"):
        prepared(Dataset(Memory(animals()), COLUMNS, lambda rows: rows[["length"]] - rows["length"].mean()))


def test_features_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="what is no number"):
        prepared(Dataset(Memory(animals()), COLUMNS, lambda rows: rows))
    with pytest.raises(DataError, match="missing or infinite values in length"):
        prepared(Dataset(Memory(animals()), COLUMNS, lambda rows: rows[["length"]].where(rows["length"] > 0.15)))


def test_features_that_lose_rows_are_refused() -> None:
    with pytest.raises(DataError, match="lost or reordered rows"):
        prepared(Dataset(Memory(animals()), COLUMNS, lambda rows: features(rows)[rows["length"] > 0.15]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_read_back_exactly(numbers: list[float]) -> None:
    assert from_csv(to_csv(pd.DataFrame({"x": numbers})))[:, 0].tolist() == numbers


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


def test_a_good_file_passes_and_a_test_set_may_have_one_label() -> None:
    check_training_csv(b"9,0.1\n7,0.2\n")
    check_training_csv(b"9,0.1\n9,0.2\n", "test")
