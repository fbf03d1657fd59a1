"""The demo predicts for animals that no model has seen."""

from abalone_model.gather_data import DATA
from common.data.split import assign, digests
from common.local.demo import ABALONES


def test_the_demos_abalones_are_the_first_rows_of_the_test_set_with_their_true_rings() -> None:
    rows = DATA.columns.check(DATA.read()).frame
    sets = assign(digests(rows.drop(columns="rings")), DATA.fractions)
    first = rows[sets == "test"].head(len(ABALONES))
    assert first.to_dict("records") == [{**record, "rings": rings} for record, rings in ABALONES]
