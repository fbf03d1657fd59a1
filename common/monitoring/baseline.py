"""Statistics and constraints of raw records, in SageMaker's formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from .checks import Column


def statistics(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[str, Any]:
    """The content of `statistics.json`."""
    features = [{"name": column.name} for column in columns if column.name in frame]
    return {"version": 0.0, "dataset": {"item_count": len(frame)}, "features": features}


def constraints(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[str, Any]:
    """The content of `constraints.json`."""
    features = [{"name": column.name} for column in columns if column.name in frame]
    return {"version": 0.0, "features": features}
