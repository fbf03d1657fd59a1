"""What is wrong with sets of rows that are each right by themselves: they tell the label, or each other."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.data.schema import Category, Column, Columns, Number
from common.errors import DataError

_MAY_EXPLAIN_CLASS, _MAY_EXPLAIN_NUMBER = 0.8, 0.98
"""The share of the label's variance from which one column is no honest feature. A number may be foretold well, e.g. by its
value of the day before; a class of 14 % is explained to 80 % only where the column is wrong in less than 1 row of 40."""
_FEWEST_ROWS, _FEWEST_SHARE = 10, 0.1
"""A column is refused on the evidence of that many rows of the rarer class, and of that share of the held-out rows."""
_MAY_REPEAT = 0.1
_BINS = 100
_SHOWN = 5

Groups = NDArray[np.intp]
Label = NDArray[np.floating[Any]]


def check_sets(columns: Columns, sets: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Warnings about the sets beside each other: rows that training rows repeat, and categories that none of them has.

    Args:
        sets: checked rows of `train` and of those that are held out from training.

    Raises:
        DataError: a single column (almost) tells the label of rows that training does not see, which no honest feature
            does, or more than a tenth of those rows repeat training rows.
    """
    train = sets["train"]
    warnings: list[str] = []
    fresh: list[pd.DataFrame] = []
    for name, rows in sets.items():
        if name != "train":
            repeats = _repeats(columns, train, rows)
            warnings += _tell_repeats(name, repeats) + _tell_unseen(columns, train, name, rows)
            # A repeated row would let each of its columns look like a leak.
            fresh.append(rows[~repeats])
    _refuse_leaks(columns, train, pd.concat(fresh, ignore_index=True))
    return tuple(warnings)


def _repeats(columns: Columns, train: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Of each row, whether a training row has the same inputs."""
    inputs = [column.name for column in columns.inputs]
    known, held_out = (pd.util.hash_pandas_object(part[inputs], index=False) for part in (train, rows))
    return np.isin(held_out, known)


def _tell_repeats(name: str, repeats: NDArray[np.bool_]) -> list[str]:
    if not repeats.any():
        return []
    told = f"{repeats.sum()} of {len(repeats)} rows of {name} repeat the inputs of a training row"
    if repeats.mean() > _MAY_REPEAT:
        raise DataError(
            f"{told}: a model that learns them by heart would look good.",
            "Leave `key` away in gather_data.py, so that equal rows share a set, or remove the repeated rows.",
        )
    return [told]


def _tell_unseen(columns: Columns, train: pd.DataFrame, name: str, rows: pd.DataFrame) -> list[str]:
    warnings = []
    for column in columns.inputs:
        if isinstance(column, Category):
            counts = rows[column.name][~rows[column.name].isin(train[column.name])].value_counts().sort_index()
            if len(counts):
                more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
                unseen = ", ".join(value or "empty" for value in counts.index[:_SHOWN]) + more
                how = "by an indicator that training never saw set" if column.values else "as none of the known ones"
                warnings.append(
                    f"{column.name}: no training row is {unseen}; {counts.sum()} rows of {name} are, and are encoded {how}"
                )
    return warnings


def _refuse_leaks(columns: Columns, train: pd.DataFrame, held_out: pd.DataFrame) -> None:
    limit = _MAY_EXPLAIN_CLASS if columns.classes else _MAY_EXPLAIN_NUMBER
    rows = pd.concat([train, held_out], ignore_index=True)
    # Ranks, so that a label with a long tail is explained by more than its tail.
    label: Label = columns.targets(rows).rank(pct=True).to_numpy()
    leaks = []
    for column in columns.inputs:
        groupings = _groupings(column, rows[column.name], len(train))
        explained, told = max(_explained(groups, label, len(train)) for groups in groupings)
        if explained > limit:
            leaks.append(f"{column.name}: at least {explained:.0%} of the label, in {told} of {len(held_out)} rows")
    if leaks:
        raise DataError(
            "\n  - ".join(["One column alone tells the label of rows that are held out from training:", *leaks]),
            "Declare it as Ignored if it is known only after the outcome, follows from the label or numbers the rows; name "
            "it in `key` if it says whose the rows are. If it is honest, that column predicts the label without a model.",
        )


def _groupings(column: Column, values: "pd.Series[Any]", trained: int) -> Iterator[Groups]:
    """Ways to group all rows by a column; the first `trained` of them are training rows."""
    equal = pd.factorize(values, use_na_sentinel=False)[0]
    yield equal
    # Values that training rows have once or never are one group: a date of cancellation differs from row to row.
    yield np.where(np.bincount(equal[:trained], minlength=equal.max() + 1)[equal] > 1, equal + 1, 0)
    if isinstance(column, Number) and values[:trained].notna().any():
        # Quantiles find what rises, falls, or does neither.
        shares = np.linspace(0, 1, max(2, min(_BINS, trained // 10)) + 1)[1:-1]
        edges = np.unique(np.nanquantile(values[:trained], shares))
        yield np.where(values.isna(), len(edges) + 1, np.searchsorted(edges, values))


def _explained(groups: Groups, label: Label, trained: int) -> tuple[float, int]:
    """The share of the held-out label's variance that the groups' training means explain, and in how many rows.

    It is the lower end of an interval of two standard errors (delta method). Rows of a group without training rows do not
    count; where too few are left to tell, the share is 0.
    """
    size = groups.max() + 1
    counts = np.bincount(groups[:trained], minlength=size)
    sums = np.bincount(groups[:trained], label[:trained], minlength=size)
    told = counts[groups[trained:]] > 0
    known, truth = groups[trained:][told], label[trained:][told]
    commonest = np.unique(truth, return_counts=True)[1].max(initial=0)
    if len(truth) - commonest < _FEWEST_ROWS or len(truth) < _FEWEST_SHARE * len(told):
        return 0.0, len(truth)
    errors = (truth - sums[known] / counts[known]) ** 2
    spread = (truth - truth.mean()) ** 2
    unexplained = errors.mean() / spread.mean()
    doubt = np.std(errors - unexplained * spread) / spread.mean() / len(truth) ** 0.5
    return float(1 - unexplained - 2 * doubt), len(truth)
