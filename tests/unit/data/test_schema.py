import pandas as pd
import pytest

from common.data.schema import Category, Columns, Ignored, Number
from common.errors import DataError

COLUMNS = Columns(
    (
        Category("sex", ("F", "I", "M")),
        Number("height", at_least=0, at_most=2, decimals=3),
        Number("rings", at_least=1, integer=True),
    ),
    label="rings",
)


def rows(**changes: list[object]) -> pd.DataFrame:
    columns = {"sex": ["F", "M", "I"], "height": ["0.1", "0.2", "0.3"], "rings": ["9", "7", "4"]} | changes
    return pd.DataFrame(columns, dtype=object, index=pd.Index([2, 3, 4], name="line"))


def complaint(frame: pd.DataFrame, columns: Columns = COLUMNS) -> str:
    with pytest.raises(DataError) as caught:
        columns.check(frame)
    return str(caught.value)


def test_text_becomes_numbers_and_keeps_its_lines() -> None:
    frame = COLUMNS.check(rows()).frame
    assert frame["height"].tolist() == [0.1, 0.2, 0.3]
    assert frame["rings"].tolist() == [9.0, 7.0, 4.0]
    assert frame.index.tolist() == [2, 3, 4]


def test_checked_rows_pass_again_unchanged() -> None:
    once = COLUMNS.check(rows()).frame
    pd.testing.assert_frame_equal(COLUMNS.check(once).frame, once)


def test_columns_come_out_in_declared_order() -> None:
    assert list(COLUMNS.check(rows()[["rings", "sex", "height"]]).frame) == ["sex", "height", "rings"]


def test_numbers_are_rounded_to_the_digits_that_were_measured() -> None:
    assert COLUMNS.check(rows(height=["0.10099999999999999", "0.2", "0.3"])).frame["height"].tolist()[0] == 0.101


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("height", ["0.1", "", "0.3"], "column 'height': missing in 1 of 3 rows: '' at line 3"),
        ("height", ["0.1", None, "0.3"], "column 'height': missing in 1 of 3 rows: 'None' at line 3"),
        ("height", ["0.1", "nan", "0.3"], "column 'height': missing in 1 of 3 rows: 'nan' at line 3"),
        ("height", ["0.1", "inf", "0.3"], "column 'height': infinite in 1 of 3 rows: 'inf' at line 3"),
        ("height", ["tall", "0.2", "short"], "column 'height': no number in 2 of 3 rows: 'tall', 'short' at line 2, 4"),
        ("height", ["1_0", "0.2", "0.3"], "column 'height': no number in 1 of 3 rows: '1_0' at line 2"),
        ("height", ["0.1", "0.2", "2.5"], "column 'height': above 2 in 1 of 3 rows: '2.5' at line 4"),
        ("height", ["-0.1", "0.2", "0.3"], "column 'height': below 0 in 1 of 3 rows: '-0.1' at line 2"),
        ("height", ["True", "False.", "0.3"], "column 'height': a boolean where a number is wanted in 2 of 3 rows"),
        ("height", [True, False, True], "column 'height': a boolean where a number is wanted in 3 of 3 rows"),
        ("rings", ["9", "7.5", "4"], "column 'rings': not whole in 1 of 3 rows: '7.5' at line 3"),
        ("sex", ["F", "m", "I"], "column 'sex': none of F, I, M in 1 of 3 rows: 'm' at line 3"),
        ("sex", ["F", "", "I"], "column 'sex': missing in 1 of 3 rows: '' at line 3"),
        ("rings", ["9", "9", "9"], "the label 'rings' is 9.0 in every row"),
    ],
)
def test_a_bad_value_is_named_with_its_line(column: str, values: list[object], fault: str) -> None:
    assert fault in complaint(rows(**{column: values}))


def test_every_problem_is_told_at_once() -> None:
    frame = rows(sex=["F", "X", "I"], height=["0.1", "0.2", "9"]).drop(columns="rings").assign(colour="red")
    assert complaint(frame).splitlines()[:-1] == [
        "The data are not what the model declares:",
        "  - missing columns: rings",
        "  - unexpected columns: colour",
        "  - column 'sex': none of F, I, M in 1 of 3 rows: 'X' at line 3",
        "  - column 'height': above 2 in 1 of 3 rows: '9' at line 4",
    ]


def test_a_value_with_several_faults_is_told_once() -> None:
    assert complaint(rows(rings=["9", "7", "-inf"])).count("column 'rings'") == 1


def test_many_bad_values_are_counted_but_not_all_shown() -> None:
    frame = pd.concat([rows(height=["a", "b", "c"]), rows(height=["d", "e", "f"])], ignore_index=True)
    assert "no number in 6 of 6 rows: 'a', 'b', 'c' at row 0, 1, 2, …" in complaint(frame)


def test_a_header_in_the_midst_of_the_rows_is_found_and_not_blamed_on_every_column() -> None:
    message = complaint(rows(sex=["F", "sex", "I"], height=["0.1", "height", "0.3"], rings=["9", "rings", "4"]))
    assert "the header is repeated among the data at line 3" in message
    assert "column '" not in message


def test_no_rows_is_a_problem() -> None:
    assert "there are no rows" in complaint(rows().iloc[:0])


def test_a_column_that_comes_twice_is_a_problem() -> None:
    frame = pd.concat([rows(), rows()[["height"]]], axis=1)
    assert "repeated columns: height" in complaint(frame)


def test_repeated_rows_are_a_warning() -> None:
    frame = pd.concat([rows(), rows()])
    assert COLUMNS.check(frame).warnings == ("3 rows repeat another row",)
    assert COLUMNS.check(rows()).warnings == ()


def test_an_ignored_column_may_be_there_or_not_and_hold_anything() -> None:
    columns = Columns((Ignored("id"), *COLUMNS.columns), label="rings")
    assert columns.check(rows()).frame.equals(COLUMNS.check(rows()).frame)
    assert columns.check(rows(id=["", None, "x"])).frame.equals(COLUMNS.check(rows()).frame)
    assert "unexpected columns: colour" in complaint(rows(colour=["red"] * 3), columns)


def test_an_optional_value_may_be_missing_and_is_kept_as_missing() -> None:
    optional = (Category("sex", ("F", "I", "M"), optional=True), Number("height", optional=True), COLUMNS.columns[2])
    frame = Columns(optional, label="rings").check(rows(sex=["F", "?", "I"], height=["0.1", None, "n/a"])).frame
    assert frame["sex"].tolist() == ["F", "", "I"]
    assert frame["height"].isna().tolist() == [False, True, True]


def test_a_category_without_declared_values_takes_any_but_none_that_is_missing() -> None:
    columns = Columns((Category("sex"), *COLUMNS.columns[1:]), label="rings")
    assert columns.check(rows(sex=["F", "hermaphrodite", 415.0])).frame["sex"].tolist() == ["F", "hermaphrodite", "415"]
    assert "column 'sex': missing in 1 of 3 rows: '' at line 3" in complaint(rows(sex=["F", "", "I"]), columns)


def test_a_label_of_two_names_is_1_for_the_second() -> None:
    columns = Columns((Number("height"), Category("left", ("no", "yes"))), label="left")
    frame = columns.check(pd.DataFrame({"height": [1, 2, 3], "left": ["yes", "no", "yes"]})).frame
    assert columns.targets(frame).tolist() == [1.0, 0.0, 1.0]
    assert (columns.classes, COLUMNS.classes) == (("no", "yes"), ())


@pytest.mark.parametrize(
    "label",
    [
        Number("left", optional=True),
        Category("left"),
        Category("left", ("yes",)),
        Category("left", ("no", "perhaps", "yes")),
        Category("left", ("no", "yes"), optional=True),
    ],
)
def test_a_label_that_nothing_could_be_learnt_from_is_refused_where_it_is_declared(label: Number | Category) -> None:
    with pytest.raises(DataError, match="must be a number or a category of two values, and never be empty"):
        Columns((Number("height"), label), label="left")


def test_an_ignored_column_cannot_be_the_label() -> None:
    with pytest.raises(DataError, match="The label 'rings' is none of the columns"):
        Columns((Number("height"), Ignored("rings")), label="rings")


def test_a_label_that_is_no_column_is_refused_where_it_is_declared() -> None:
    with pytest.raises(DataError, match="The label 'age' is none of the columns height"):
        Columns((Number("height"),), label="age")


def test_a_column_declared_twice_is_refused_where_it_is_declared() -> None:
    with pytest.raises(DataError, match="declared twice"):
        Columns((Number("height"), Number("height")), label="height")


@pytest.mark.parametrize("name", ["1", "-0.5", "1e3"])
def test_a_column_that_is_called_like_a_value_is_refused_where_it_is_declared(name: str) -> None:
    with pytest.raises(DataError, match=f"called {name}: a line of values could be taken for a header"):
        Columns((Number(name), Number("height")), label="height")


def test_the_description_holds_bounds_of_zero_and_leaves_out_what_is_not_declared() -> None:
    assert COLUMNS.describe() == [
        {"kind": "category", "name": "sex", "values": ("F", "I", "M")},
        {"kind": "number", "name": "height", "at_least": 0, "at_most": 2, "decimals": 3},
        {"kind": "number", "name": "rings", "at_least": 1, "integer": True},
    ]
