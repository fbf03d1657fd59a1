"""Splitting rows into training, validation and test sets by what they say, not by where they stand.

A row's digest decides its set. So a row stays in its set when the data are reordered or grow, repeated rows share a set,
and a challenger is tested on rows that its champion was not trained on.
"""

import hashlib
import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.errors import DataError


class Fractions(NamedTuple):
    """The expected share of the rows in each set; they sum to 1."""

    train: float = 0.7
    validation: float = 0.15
    test: float = 0.15


def digests(keys: pd.DataFrame) -> "pd.Series[int]":
    """A uniform 64-bit number for each row, the same for equal values on every machine and in every release.

    15, 15.0 and -0.0, 0.0 are equal. SHA-256 of the row as a JSON array, its first eight bytes.
    """
    plain = keys.astype(object).to_numpy()
    rows = ([float(v) + 0.0 if isinstance(v, int | float | np.number) else str(v) for v in row] for row in plain)
    hashes = (hashlib.sha256(json.dumps(row).encode()).digest() for row in rows)
    return pd.Series([int.from_bytes(h[:8], "big") for h in hashes], index=keys.index, dtype="uint64")


def assign(keys: "pd.Series[int]", fractions: Fractions) -> "pd.Series[str]":
    """`test`, `validation` or `train` for each digest.

    The test set takes the lowest digests, validation the next: another share of validation rows moves no test row.

    Raises:
        DataError: a share is not within (0, 1), or they do not sum to 1.
    """
    if any(not 0 < share < 1 for share in fractions) or abs(sum(fractions) - 1) > 1e-9:
        raise DataError(f"{fractions} are no shares of one whole.", "Declare three fractions above 0 that sum to 1.")
    position = keys.to_numpy() / 2**64
    below_test = position < fractions.test
    below_validation = position < fractions.test + fractions.validation
    names = np.where(below_test, "test", np.where(below_validation, "validation", "train"))
    return pd.Series(names, index=keys.index, dtype=object)
