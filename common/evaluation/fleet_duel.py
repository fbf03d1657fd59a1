"""One fleet against a rival, customer by customer, on the same readings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from common.evaluation.intervals import Interval, around, resamples
from common.evaluation.metrics import Values

_FARTHEST = math.log(100)
"""What an error a hundred times the rival's counts for in a mean, and every greater one, such as that against an error of 0."""


@dataclass(frozen=True)
class Duel:
    """How a fleet does against a rival.

    Attributes:
        customers: how many could be compared.
        losers, winners: those whose error is greater, or smaller, by more than the margin.
        mae, rival_mae: over all readings of their holdouts, in units of the readings.
        ratio: the geometric mean of the customers' ratios of errors, below 1 where the fleet is better (Davydenko and
            Fildes, Measuring forecasting accuracy: the case of judgmental adjustments to SKU-level demand forecasts, 2013).
        spread: where `ratio` lies in 95 % of the resamples of the customers.
    """

    customers: int
    losers: int
    winners: int
    mae: float
    rival_mae: float
    ratio: float
    spread: Interval

    @property
    def losers_share(self) -> float:
        return self.losers / max(1, self.customers)

    @property
    def excess(self) -> float:
        """By how much the share of losers exceeds that of winners."""
        return (self.losers - self.winners) / max(1, self.customers)

    def excess_at_least(self, deviations: float) -> float:
        """The bound that the excess is above, with the confidence of so many standard errors.

        It is that for matched pairs by Agresti and Min (Simple improved confidence intervals for comparing matched
        proportions, 2005): Wald's, after half a customer is added to each of the four outcomes, which makes it hold with few
        customers, too.
        """
        lose, win = (self.losers + 0.5) / (self.customers + 2), (self.winners + 0.5) / (self.customers + 2)
        variance = (lose + win - (lose - win) ** 2) / (self.customers + 2)
        return lose - win - deviations * math.sqrt(variance)

    def losers_at_least(self, deviations: float) -> float:
        """The bound that the share of losers is above, with the confidence of so many standard errors (Wilson, 1927)."""
        if not self.customers:
            return math.nan
        n, share, z = self.customers, self.losers_share, deviations
        centre = share + z**2 / (2 * n)
        return (centre - z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)


def compare(mae: Values, rival: Values, rows: Values, margin: float) -> Duel | None:
    """Compare the errors of customers with those of a rival; None where none can be compared.

    Args:
        mae, rival: mean absolute errors by customer; NaN where there is none.
        rows: readings of each customer's holdout.
    """
    both = np.isfinite(mae) & np.isfinite(rival)
    if not both.any():
        return None
    mae, rival, rows = mae[both], rival[both], rows[both]
    ratios = log_ratios(mae, rival)
    means = np.concatenate([counts @ ratios for counts in resamples(len(ratios))]) / len(ratios)
    return Duel(
        customers=len(mae),
        losers=int((mae > (1 + margin) * rival).sum()),
        winners=int((rival > (1 + margin) * mae).sum()),
        mae=float(np.average(mae, weights=rows)),
        rival_mae=float(np.average(rival, weights=rows)),
        ratio=float(np.exp(ratios.mean())),
        spread=Interval(*around(np.exp(means))),
    )


def log_ratios(mae: Values, rival: Values) -> Values:
    """The logarithm of each ratio of errors, within ±ln 100; 0 where both errors are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where((mae == 0) & (rival == 0), 0.0, np.log(mae) - np.log(rival))
    return np.asarray(np.clip(ratios, -_FARTHEST, _FARTHEST))
