"""Statistics and constraints of records."""

import json

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from common.monitoring.baseline import constraints, statistics
from common.monitoring.checks import Column
from common.monitoring.formats import Constraints, Numerical, Statistics, Text

NUMBER, NAME = Column("height", "number", at_least=0.0), Column("sex", "category")
numbers = st.lists(st.floats(-1e30, 1e30) | st.none(), min_size=1, max_size=40)
names = st.lists(st.sampled_from(["F", "M", "I", "", "NA"]), min_size=1, max_size=40)


@given(numbers)
def test_statistics_of_numbers_agree_with_the_numbers(values: list[float | None]) -> None:
    frame = pd.DataFrame({"height": pd.Series(values, dtype=float)})
    document = json.loads(json.dumps(statistics(frame, [NUMBER]), allow_nan=False))
    (feature,) = Statistics.from_json(document).features
    present = np.array([value for value in values if value is not None])
    if not len(present):
        assert feature.inferred_type == "Unknown"
        return
    told = feature.values
    assert isinstance(told, Numerical)
    assert told.num_present + told.num_missing == len(values) == document["dataset"]["item_count"]
    assert (told.min, told.max) == (present.min(), present.max())
    assert sum(bucket.count for bucket in told.buckets) == len(present)
    assert (told.buckets[0].lower_bound, told.buckets[-1].upper_bound) == (told.min, told.max)
    for bucket in told.buckets[:-1]:
        inside = (present >= bucket.lower_bound) & (present < bucket.upper_bound)
        assert bucket.count == inside.sum()
    assert feature.inferred_type == ("Integral" if (present % 1 == 0).all() else "Fractional")
    assert Statistics.from_json(document).to_json() == document


@given(names)
def test_statistics_of_names_count_them(values: list[str]) -> None:
    document = statistics(pd.DataFrame({"sex": values}), [NAME])
    (feature,) = Statistics.from_json(document).features
    present = [value for value in values if value not in ("", "NA")]
    if present:
        assert isinstance(feature.values, Text)
        assert dict(feature.values.categories) == {name: present.count(name) for name in present}
        assert feature.values.num_missing == len(values) - len(present)
    else:
        assert feature.inferred_type == "Unknown"


def test_a_hundred_of_many_categories_are_told_and_no_domain_is_made_of_them() -> None:
    frame = pd.DataFrame({"sex": [f"c{number}" for number in range(150)] + ["c7"] * 5})
    (feature,) = Statistics.from_json(statistics(frame, [NAME])).features
    assert isinstance(feature.values, Text)
    counts = dict(feature.values.categories)
    assert (feature.values.distinct_count, len(counts)) == (150, 100)
    assert (max(counts, key=counts.__getitem__), max(counts.values())) == ("c7", 6)
    (constraint,) = Constraints.from_json(constraints(frame, [NAME])).features
    assert constraint.domains == ()


def test_constraints_are_what_the_records_and_the_declaration_say() -> None:
    frame = pd.DataFrame({"height": ["1", "2", "", "4"], "sex": ["F", "M", "M", "M"]})
    height, sex = Constraints.from_json(constraints(frame, [NUMBER, NAME])).features
    assert (height.inferred_type, height.completeness, height.is_non_negative) == ("Integral", 0.75, True)
    assert (sex.inferred_type, sex.completeness, sex.domains) == ("String", 1.0, ("F", "M"))
    declared = Column("sex", "category", values=("F", "I", "M"))
    (sex,) = Constraints.from_json(constraints(frame, [declared])).features
    assert sex.domains == ("F", "I", "M")


def test_numbers_below_zero_are_allowed_where_records_have_them_and_no_bound_forbids_them() -> None:
    frame = pd.DataFrame({"height": [-1.0, 2.0]})
    free = Column("height", "number")
    assert Constraints.from_json(constraints(frame, [free])).features[0].is_non_negative is False
    assert Constraints.from_json(constraints(frame, [NUMBER])).features[0].is_non_negative is True


def test_a_column_that_the_records_lack_has_no_statistics() -> None:
    assert statistics(pd.DataFrame({"sex": ["F"]}), [NUMBER, NAME])["features"][0]["name"] == "sex"
