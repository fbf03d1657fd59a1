"""The three files, against the schemas that the SageMaker developer guide documents, with values in them."""

from typing import Any

import pytest

from common.monitoring.formats import (
    Constraints,
    Numerical,
    Statistics,
    Text,
    Violation,
    read_violations,
    violations_json,
)

# "Schema for Statistics (statistics.json file)": every member of it, in its order.
STATISTICS: dict[str, Any] = {
    "version": 0,
    "dataset": {"item_count": 2333},
    "features": [
        {
            "name": "Account Length",
            "inferred_type": "Integral",
            "numerical_statistics": {
                "common": {"num_present": 2330, "num_missing": 3},
                "mean": 101.27,
                "sum": 235959.1,
                "std_dev": 39.55,
                "min": 1.0,
                "max": 243.0,
                "distribution": {
                    "kll": {
                        "buckets": [
                            {"lower_bound": 1.0, "upper_bound": 122.0, "count": 1600.0},
                            {"lower_bound": 122.0, "upper_bound": 243.0, "count": 730.0},
                        ],
                        "sketch": {
                            "parameters": {"c": 0.64, "k": 2048.0},
                            "data": [[119.0, 100.0, 111.0, 181.0], [95.0, 104.0], [70.0, 120.0]],
                        },
                    }
                },
            },
        },
        {
            "name": "State",
            "inferred_type": "String",
            "string_statistics": {
                "common": {"num_present": 2333, "num_missing": 0},
                "distinct_count": 51.0,
                "distribution": {
                    "categorical": {"buckets": [{"value": "WV", "count": 74}, {"value": "MN", "count": 61}]}
                },
            },
        },
    ],
}
# "Schema for Constraints (constraints.json file)".
CONSTRAINTS: dict[str, Any] = {
    "version": 0,
    "features": [
        {
            "name": "Account Length",
            "inferred_type": "Integral",
            "completeness": 1.0,
            "num_constraints": {"is_non_negative": True},
        },
        {
            "name": "State",
            "inferred_type": "String",
            "completeness": 0.98,
            "string_constraints": {"domains": ["list of", "observed values", "for small cardinality"]},
            "monitoringConfigOverrides": {},
        },
        {"name": "Comment", "inferred_type": "Unknown", "completeness": 0.0},
    ],
    "monitoring_config": {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 0.1,
        "domain_content_threshold": 0.1,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.1,
            "comparison_method": "Simple",
            "categorical_comparison_threshold": 0.1,
            "categorical_drift_method": "LInfinity",
        },
    },
}
# "Schema for Violations (constraint_violations.json file)": every type of check.
VIOLATIONS: dict[str, Any] = {
    "violations": [
        {
            "feature_name": "State_MI",
            "constraint_check_type": "data_type_check",
            "description": "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
            "Observed: Only 99.71751412429379% of data is Integral.",
        },
        *(
            {"feature_name": "string", "constraint_check_type": check, "description": "string"}
            for check in (
                "completeness_check",
                "baseline_drift_check",
                "missing_column_check",
                "extra_column_check",
                "categorical_values_check",
            )
        ),
    ]
}


def test_documented_statistics_come_back_as_they_were() -> None:
    assert Statistics.from_json(STATISTICS).to_json() == STATISTICS


def test_documented_statistics_are_understood() -> None:
    length, state = Statistics.from_json(STATISTICS).features
    assert isinstance(length.values, Numerical)
    assert (length.values.mean, length.values.num_missing, len(length.values.buckets)) == (101.27, 3, 2)
    assert isinstance(state.values, Text)
    assert state.values.categories == (("WV", 74), ("MN", 61))


def test_documented_constraints_come_back_as_they_were() -> None:
    assert Constraints.from_json(CONSTRAINTS).to_json() == CONSTRAINTS


def test_documented_violations_come_back_as_they_were() -> None:
    assert violations_json(read_violations(VIOLATIONS)) == VIOLATIONS


def test_members_that_another_container_added_are_passed_over() -> None:
    document = {**STATISTICS, "more": 1, "features": [{**STATISTICS["features"][1], "entropy": 3.2}]}
    assert Statistics.from_json(document).features[0].name == "State"
    told = {"violations": [{**VIOLATIONS["violations"][1], "metric_name": "m"}]}
    assert read_violations(told) == (Violation("string", "completeness_check", "string"),)


@pytest.mark.parametrize("document", [{}, {"violations": [{"feature_name": "a"}]}, {"violations": 3}])
def test_what_is_no_file_of_violations_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no constraint_violations\.json"):
        read_violations(document)


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(ValueError, match="'bias_check' is none of the checks data_type_check, "):
        read_violations(
            {"violations": [{"feature_name": "a", "constraint_check_type": "bias_check", "description": "b"}]}
        )


@pytest.mark.parametrize("document", [{}, {**STATISTICS, "features": [{"name": "a"}]}, {"features": 3}])
def test_what_is_no_file_of_statistics_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no statistics\.json"):
        Statistics.from_json(document)


def test_what_is_no_file_of_constraints_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no constraints\.json"):
        Constraints.from_json({"version": 0, "features": [{"name": "a", "inferred_type": "String"}]})


def test_an_unknown_type_is_refused() -> None:
    feature = {**CONSTRAINTS["features"][0], "inferred_type": "Boolean"}
    with pytest.raises(ValueError, match="'Boolean' is none of the types"):
        Constraints.from_json({**CONSTRAINTS, "features": [feature]})
