"""What the fit job of a fleet leaves of each customer, as arrays: its scores on the last weeks that it was not fitted on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.archives import ArchiveError, gunzip
from common.errors import ArtifactError
from common.evaluation.metrics import Values


@dataclass(frozen=True)
class Parts:
    """The customers of a fit job.

    Attributes:
        customers: of each that was fitted: `digest` and `md5` of its artifact, `bytes`, `rows`, `first` and `last` day,
            `holdout`, `champion`, and `before`, the parameters that were fitted without the holdout.
        set_aside: why each other customer has no new model.
    """

    customers: Mapping[str, Mapping[str, Any]]
    set_aside: Mapping[str, str]


def read_parts(files: Iterable[tuple[str, bytes]]) -> Parts:
    """Unite the part files of a fit job.

    Args:
        files: (name, content) of each; the name is for messages only.

    Raises:
        ArtifactError: a file is damaged, or a customer is in two of them.
    """
    customers: dict[str, Mapping[str, Any]] = {}
    set_aside: dict[str, str] = {}
    for name, content in files:
        part = _read(name, content)
        twice = sorted(part["customers"].keys() & customers.keys())
        if twice:
            raise ArtifactError(
                f"{name} and a part before it both hold customer {twice[0]} ({len(twice)} such customers).",
                "Gather again with --refresh, so that the customers are cut into parts anew.",
            )
        for customer, entry in part["customers"].items():
            # The final parameters are in the customer's own archive; those of 100,000 customers fill half a gigabyte.
            customers[customer] = {field: value for field, value in entry.items() if field != "parameters"}
        set_aside |= part["set_aside"]
    return Parts(customers, {c: reason for c, reason in set_aside.items() if c not in customers})


def _read(name: str, content: bytes) -> dict[str, Any]:
    try:
        part = json.loads(gunzip(content))
        return {"customers": dict(part["customers"]), "set_aside": dict(part["set_aside"])}
    except (ArchiveError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(
            f"{name} is no part of a fleet: {error}.",
            "Restore the object from the bucket's versions; the fit job of the same source and data has already run.",
        ) from error


@dataclass(frozen=True)
class Scores:
    """The holdout of each customer that has one. Arrays of one length, in the order of the customers' names.

    Attributes:
        rows: readings in the holdout.
        mae: mean absolute error, in units of the readings.
        mase: `mae` over the in-sample MAE of the seasonal naive forecast, the same weekday of the week before
            (Hyndman and Koehler, Another look at measures of forecast accuracy, 2006); NaN where that MAE is 0.
        naive: MAE of the seasonal naive forecast on the holdout.
        champion: MAE of the champion's model on the holdout; NaN where the customer could not be compared.
        coverage80, coverage95: the shares of the readings that lie in the prediction intervals.
    """

    customers: tuple[str, ...]
    rows: Values
    mae: Values
    mase: Values
    naive: Values
    champion: Values
    coverage80: Values
    coverage95: Values

    def __len__(self) -> int:
        return len(self.customers)


def scores_of(parts: Parts, *, compared: bool) -> Scores:
    """The scores of every customer with a holdout.

    Args:
        compared: whether the champion's scores in the parts are those of the champion that counts.
    """
    scored = {name: entry for name, entry in sorted(parts.customers.items()) if entry["holdout"]}
    holdouts = [entry["holdout"] for entry in scored.values()]
    rivals = [(entry.get("champion") or {}).get("mae") if compared else None for entry in scored.values()]
    columns = {ours: "naive_mae" if ours == "naive" else ours for ours in ("mae", "mase", "naive")}
    columns |= {"rows": "n", "coverage80": "coverage80", "coverage95": "coverage95"}
    return Scores(
        customers=tuple(scored),
        champion=_numbers(rivals),
        **{ours: _numbers([holdout[theirs] for holdout in holdouts]) for ours, theirs in columns.items()},
    )


def _numbers(values: list[float | None]) -> Values:
    return np.array([np.nan if value is None else value for value in values], dtype=float)
