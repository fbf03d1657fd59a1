import pytest

from common.data.formats import parse
from common.data.schema import Category, Columns, Ignored, Number
from common.errors import DataError

COLUMNS = Columns(
    (Category("sex", ("F", "I", "M"), codes={1: "M", 2: "F", 3: "I"}), Number("length"), Number("rings")), label="rings"
)


def test_csv_without_a_header_takes_the_columns_in_declared_order() -> None:
    frame = parse(b"M,0.455,15\nF,0.53,9\n", COLUMNS)
    assert frame.to_dict("list") == {"sex": ["M", "F"], "length": ["0.455", "0.53"], "rings": ["15", "9"]}
    assert frame.index.tolist() == [1, 2]
    assert frame.index.name == "line"


def test_csv_with_a_header_takes_the_columns_by_name() -> None:
    frame = parse(b"rings,sex,length\n15,M,0.455\n", COLUMNS)
    assert frame.loc[2].to_dict() == {"rings": "15", "sex": "M", "length": "0.455"}


def test_a_header_of_foreign_names_is_no_row() -> None:
    frame = parse(b"Sex,Length,Rings\nM,0.455,15\n", COLUMNS)
    assert list(frame) == ["Sex", "Length", "Rings"]
    assert len(frame) == 1


def test_libsvm_gives_categories_for_codes_and_zero_for_what_is_left_out() -> None:
    frame = parse(b"15 1:1 2:0.455\n7 1:3 # an infant\n\n9 2:0.53 1:2.0\n", COLUMNS)
    assert frame.to_dict("list") == {
        "sex": ["M", "I", "F"],
        "length": ["0.455", "0", "0.53"],
        "rings": ["15", "7", "9"],
    }
    assert frame.index.tolist() == [1, 2, 4]


def test_an_unknown_libsvm_code_is_left_for_the_schema_to_name() -> None:
    with pytest.raises(DataError, match="none of F, I, M in 1 of 2 rows: '4' at line 1"):
        COLUMNS.check(parse(b"15 1:4 2:0.455\n7 1:3 2:0.33\n", COLUMNS))


@pytest.mark.parametrize("index", ["0", "3", "x"])
def test_a_libsvm_index_without_a_feature_is_refused(index: str) -> None:
    with pytest.raises(DataError, match=f"Line 2 has index '{index}'; the features are 1 to 2"):
        parse(f"15 1:1 2:0.455\n7 1:3 {index}:0.33\n".encode(), COLUMNS)


def test_byte_order_mark_carriage_returns_blank_lines_and_quotes_are_no_data() -> None:
    frame = parse('\ufeffsex,length,rings\r\n\r\n"M", 0.455 ,15\r\n'.encode(), COLUMNS)
    assert frame.loc[3].to_dict() == {"sex": "M", "length": "0.455", "rings": "15"}


def test_lines_of_another_width_are_all_named() -> None:
    with pytest.raises(DataError, match="2 lines do not have the 3 values of a row: line 2 has 2; line 4 has 4"):
        parse(b"M,0.455,15\nF,0.53\nI,0.3,7\nI,0.3,7,1\n", COLUMNS)


def test_a_quote_that_never_closes_is_named_with_its_line() -> None:
    with pytest.raises(DataError, match="Line 2 is no CSV"):
        parse(b'M,0.455,15\nF,"0.53,9\n', COLUMNS)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataError, match="not UTF-8 text"):
        parse(b"\x1f\x8b\x08\x00\xff", COLUMNS)


def test_an_empty_file_has_no_rows_but_the_declared_columns() -> None:
    with pytest.raises(DataError) as caught:
        COLUMNS.check(parse(b"\n", COLUMNS))
    assert caught.value.what == "The data are not what the model declares:\n  - there are no rows"


def test_an_ignored_column_keeps_its_place_in_a_file_without_a_header() -> None:
    columns = Columns((Ignored("id"), *COLUMNS.columns), label="rings")
    assert parse(b"7,M,0.455,15\n", columns).loc[1].to_dict() == {
        "id": "7",
        "sex": "M",
        "length": "0.455",
        "rings": "15",
    }
