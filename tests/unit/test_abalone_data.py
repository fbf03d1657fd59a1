import pandas as pd
import pytest

from abalone_model.gather_data import COLUMNS, DATA
from common.data.dataset import SETS, fit_encoder, from_csv, to_records
from common.data.formats import parse
from common.data.sources import Bundled
from common.errors import DataError

PUBLISHED_LIBSVM = b"""\
15 1:1 2:0.455 3:0.365 4:0.095 5:0.514 6:0.2245 7:0.101 8:0.15
7 1:3 2:0.33 3:0.255 4:0.08 5:0.205 6:0.0895 7:0.0395 8:0.055
16 1:2 2:0.545 3:0.425 4:0.125 5:0.768 6:0.294 7:0.1495 8:0.26
"""
CODES = {"M": 1, "F": 2, "I": 3}


@pytest.fixture(scope="module")
def animals() -> pd.DataFrame:
    return COLUMNS.check(parse(Bundled("abalone").read(), COLUMNS)).frame


def version(content: bytes) -> str:
    return DATA.prepare(parse(content, COLUMNS)).version


def test_all_4177_published_rows_are_admitted_as_they_are(animals: pd.DataFrame) -> None:
    prepared = DATA.prepare(animals)
    assert sum(len(from_csv(prepared.files[f"{name}/{name}.csv"])) for name in SETS) == 4177
    assert prepared.manifest["rows"] == {"train": 2951, "validation": 638, "test": 588}
    assert prepared.manifest["warnings"] == []


def test_the_data_version_is_the_same_on_every_machine(animals: pd.DataFrame) -> None:
    assert DATA.prepare(animals).version == "835bcd513a787785"


def test_every_published_form_of_the_rows_is_the_same_data_version(animals: pd.DataFrame) -> None:
    uci = animals.astype({"rings": int}).to_csv(header=False, index=False).encode()
    libsvm = "".join(
        f"{rings:.0f} 1:{CODES[sex]} "
        + " ".join(f"{i}:{value:g}" for i, value in enumerate(measures, 2) if value)
        + "\n"
        for sex, *measures, rings in animals.itertuples(index=False)
    ).encode()
    assert uci.startswith(b"M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15\n")
    assert version(uci) == version(libsvm) == version(Bundled("abalone").read())


def test_the_published_libsvm_rows_are_the_animals_of_that_sex(animals: pd.DataFrame) -> None:
    published = COLUMNS.check(parse(PUBLISHED_LIBSVM, COLUMNS)).frame
    assert published["sex"].tolist() == ["M", "I", "F"]
    assert len(published.merge(animals)) == 3


def test_sex_becomes_three_features_of_which_one_is_set(animals: pd.DataFrame) -> None:
    encoder = fit_encoder(COLUMNS, (), animals)
    assert encoder.names[:3] == ["sex=F", "sex=I", "sex=M"]
    rows = encoder.encode(to_records(animals))
    assert (rows[:, :3].sum(axis=1) == 1).all()
    assert (rows[:, 1] == 1).tolist() == (animals["sex"] == "I").tolist()


def test_one_animal_without_its_rings_can_be_encoded(animals: pd.DataFrame) -> None:
    record = {"sex": "M", "length": 0.455, "diameter": 0.365, "height": 0.095, "whole_weight": 0.514,
              "shucked_weight": 0.2245, "viscera_weight": 0.101, "shell_weight": 0.15}  # fmt: skip
    encoded = fit_encoder(COLUMNS, (), animals).encode([record])
    assert encoded.tolist() == [[0, 0, 1, 0.455, 0.365, 0.095, 0.514, 0.2245, 0.101, 0.15]]


def test_lengths_in_millimetres_are_refused() -> None:
    in_mm = b"M,91,73,19,0.514,0.2245,0.101,0.15,15\nF,106,84,27,0.677,0.2565,0.1415,0.21,9\n"
    with pytest.raises(DataError, match=r"column 'length': above 1\.5 in 2 of 2 rows"):
        DATA.prepare(parse(in_mm, COLUMNS))
