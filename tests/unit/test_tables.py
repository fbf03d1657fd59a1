from common.tables import text_table


def test_columns_are_as_wide_as_their_widest_cell_and_rows_are_never_wrapped() -> None:
    assert text_table(["model", "why"], [["a", "x" * 200], ["abalone", ""]]).splitlines() == [
        "model    why",
        "───────  " + "─" * 200,
        "a        " + "x" * 200,
        "abalone",
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert text_table(["model", "why"], []) == "model  why\n─────  ───"
