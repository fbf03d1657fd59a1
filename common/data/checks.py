"""What is wrong with sets of rows that are each right by themselves."""

from collections.abc import Mapping

import pandas as pd

from common.data.schema import Category, Columns


def check_sets(columns: Columns, sets: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Warnings about the sets beside each other: categories that no training row has."""
    warnings = []
    for column in columns.inputs:
        if isinstance(column, Category):
            known = set(sets["train"][column.name])
            for name, rows in sets.items():
                if unseen := sorted(set(rows[column.name]) - known):
                    warnings.append(f"{column.name}: no training row is {', '.join(unseen)}, but rows of {name} are")
    return tuple(warnings)
