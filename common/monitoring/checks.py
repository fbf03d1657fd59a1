"""What is compared, and what counts: columns, samples, and the declared thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from common.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

LEAST_RATE = 0.005
"""The joint test gets a fifth of the declared rate, and its p-value is a thousandth at least."""
Metric = Literal["rmse", "mae", "log_loss", "brier", "roc_auc"]
"""What model quality is measured by; the first two for regressions, the others for classifications."""


@dataclass(frozen=True)
class Column:
    """A raw column that predictions are made from.

    Attributes:
        values: the declared values of a category; empty where they are learnt from the training rows.
        at_least, at_most: inclusive bounds of a number; None where there is none.
        optional: whether it may be empty.
    """

    name: str
    kind: Literal["number", "category"]
    values: tuple[str, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    integer: bool = False
    optional: bool = False

    @classmethod
    def described(cls, columns: Iterable[Mapping[str, Any]], label: str) -> tuple[Column, ...]:
        """The columns of a data version's manifest (`manifest["columns"]`), without the label and those that are ignored."""
        known = ("name", "kind", "at_least", "at_most", "integer", "optional")
        return tuple(
            cls(**{key: each[key] for key in known if key in each}, values=tuple(each.get("values", ())))
            for each in columns
            if each["kind"] != "ignored" and each["name"] != label
        )


@dataclass(frozen=True)
class Outcomes:
    """Predictions whose truth has become known, pair by pair; 0 or 1 is the truth in a classification."""

    predictions: NDArray[np.float64]
    truth: NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What is known of one side: of the training set, or of a window of production.

    The three parts need not be of the same rows: of the training set, `frame` holds the training records, and the
    predictions are those for the test records. In a window, truth arrives late: `outcomes` are the pairs that have become
    known by now, whenever the predictions were made.

    Attributes:
        frame: raw records, text or typed; missing values as None, NaN or what a caller writes for them.
        predictions: a value or the probability of the positive class; NaN where a record got no answer.
        outcomes: None where no truth is known.
    """

    frame: pd.DataFrame
    predictions: NDArray[np.float64] | None = None
    outcomes: Outcomes | None = None


@dataclass(frozen=True)
class Checks:
    """The declared thresholds. A difference is found where chance hardly explains it *and* it is large enough to matter.

    Attributes:
        false_discovery_rate: of the differences that are found in a window, the share that chance made; where nothing has
            changed, the share of windows in which anything is found. One night in a hundred, by default.
        least_distance: of Kolmogorov and Smirnov, for numbers and predictions, the total variation distance for categories:
            the share of rows that are elsewhere now. Smaller differences do not matter, however certain.
        least_share: of rows with a missing, faulty or unseen value (more than there were) that matters.
        least_auc: how well a classifier must tell the window from the training set for a joint difference to matter.
        least_loss: of the quality of the model, by how much worse, relative to the baseline's, matters.
        ignored: columns that are meant to change, e.g. a counter: they are described, but not compared. Also those that
            callers send along, and that no training record has.
    """

    false_discovery_rate: float = 0.01
    least_distance: float = 0.1
    least_share: float = 0.01
    least_auc: float = 0.55
    least_loss: float = 0.1
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shares = {
            "false_discovery_rate": self.false_discovery_rate,
            "least_distance": self.least_distance,
            "least_share": self.least_share,
            "least_auc": self.least_auc,
        }
        for name, value in shares.items():
            if not 0 <= value <= 1:
                raise UsageError(f"Checks({name}={value:g}) is no share.", "Declare a number between 0 and 1.")
        if self.false_discovery_rate < LEAST_RATE:
            raise UsageError(
                f"A false discovery rate of {self.false_discovery_rate:g} cannot be kept: "
                "the joint test's p-values are not that fine.",
                f"Declare false_discovery_rate of {LEAST_RATE:g} or more.",
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Checks:
        return cls(**{**document, "ignored": tuple(document["ignored"])})
