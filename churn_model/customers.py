"""SYNTHETIC customers of a mobile operator, of whom is known with what probability they churn.

Columns, their order, the forms of their values and their ranges are those of the `churn.txt` that AWS publishes, which is
synthetic itself. The signal is our own. What makes a customer leave adds up on the logistic scale:

- calls to customer service count from the seventh on, each as much again; less so for those who call much by day
- much calling by day makes those leave who have no voice mail plan, and nobody else
- an international plan makes those leave who make few international calls, and keeps those who make many
- new accounts are at risk, which fades within two months
- few minutes in the evening together with few calls at night announce a leave; neither does alone
- states differ, and a rival advertises in three area codes

Whether a customer leaves is then drawn: 14 % do. So even the probabilities themselves err, and no model can be better
than they are: ROC AUC 0.92, log loss 0.23 (`ceiling`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Customers = Mapping[str, NDArray[Any]]
"""By column, in the published order, the value of each customer."""

_STATES = [
    "AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL", "IN", "KS", "KY", "LA",
    "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR",
    "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT", "WA", "WI", "WV", "WY",
]  # fmt: skip
_AREA_CODES = [
    "657", "658", "659", "676", "677", "678", "686", "707", "716", "727", "736", "737", "758", "766", "776", "777",
    "778", "786", "787", "788", "797", "798", "806", "827", "836", "847", "848", "858", "866", "868", "876", "877",
    "878",
]  # fmt: skip
_ADVERTISED = ("777", "836", "878")
_STATE_EFFECTS = dict(zip(_STATES, np.random.default_rng(51).normal(0, 0.4, len(_STATES)), strict=True))


@dataclass(frozen=True)
class Generated:
    """Customers as the bytes of a `churn.txt`; the same seed makes the same ones."""

    rows: int = 5000
    seed: int = 2015

    @property
    def description(self) -> str:
        return f"{self.rows:,} SYNTHETIC customers that churn_model/customers.py makes up (seed {self.seed})"

    def read(self) -> bytes:
        customers = draw(self.rows, self.seed)
        churned = churn(probabilities(customers), self.seed)
        return to_text({**customers, "Churn?": np.where(churned, "True.", "False.")})


def draw(rows: int, seed: int) -> Customers:
    """Customers without their label."""
    random = np.random.default_rng(seed)

    def measured(mean: float, deviation: float) -> Values:
        return np.abs(random.normal(mean, deviation, rows))

    def counted(mean: float, deviation: float) -> NDArray[np.int64]:
        return np.rint(measured(mean, deviation)).astype(np.int64)

    voice_mail = random.random(rows) < 0.5
    phones = random.integers((100, 1000), (1000, 10000), (rows, 2)).tolist()
    columns: dict[str, NDArray[Any]] = {
        "State": random.choice(_STATES, rows),
        "Account Length": random.integers(1, 201, rows),
        "Area Code": random.choice(_AREA_CODES, rows),
        "Phone": np.array([f"{exchange}-{line}" for exchange, line in phones]),
        "Int'l Plan": np.where(random.random(rows) < 0.5, "yes", "no"),
        "VMail Plan": np.where(voice_mail, "yes", "no"),
        "VMail Message": np.where(voice_mail, 100 * counted(4.5, 2.2), 0),
    }
    usage = {
        "Day": (measured(5.2, 3.8), counted(3.5, 1.7), 0.92),
        "Eve": (measured(5.0, 2.1), counted(2.6, 2.9), 0.95),
        "Night": (measured(4.0, 1.6), 50 * counted(4.5, 1.9), 1.2),
        "Intl": (measured(5.0, 1.0), counted(5.5, 1.9), 0.86),
    }
    for when, (minutes, calls, tariff) in usage.items():
        columns |= {f"{when} Mins": minutes, f"{when} Calls": calls, f"{when} Charge": minutes * tariff}
    return columns | {"CustServ Calls": counted(5.5, 2.0)}


def probabilities(customers: Customers) -> Values:
    """The true probability of each customer to churn."""
    day, service = customers["Day Mins"], customers["CustServ Calls"]
    complaints = 1.3 * np.maximum(0, service - 6) * (1 - 0.6 * _logistic(2 * (day - 6)))
    no_voice_mail = np.where(customers["VMail Plan"] == "no", 3.6 * _logistic(2 * (day - 8)), 0)
    few = customers["Intl Calls"] <= 4
    international = np.where(customers["Int'l Plan"] == "yes", np.where(few, 3.0, -1.2), 0)
    new = 2 * np.exp(-customers["Account Length"] / 25)
    quiet = 2.6 * ((customers["Eve Mins"] < 4) & (customers["Night Calls"] <= 150))
    place = np.vectorize(_STATE_EFFECTS.get, otypes=[float])(customers["State"])
    place += 0.8 * np.isin(customers["Area Code"], _ADVERTISED)
    return _logistic(-4.65 + complaints + no_voice_mail + international + new + quiet + place)


def churn(chances: Values, seed: int) -> NDArray[np.bool_]:
    """Who leaves, drawn from the probabilities; independent of what `draw` draws with the same seed."""
    return np.random.default_rng((seed, 1)).random(len(chances)) < chances


def ceiling(chances: Values) -> dict[str, float]:
    """What the probabilities themselves can be expected to reach on such customers: `roc_auc` and `log_loss`.

    No prediction from the customers' columns can be expected to do better. The AUC is the expected number of pairs in
    which the one who leaves has the higher probability, over the expected number of pairs.
    """
    ordered = np.sort(chances)
    staying = np.cumsum(1 - ordered) - (1 - ordered)
    pairs = chances.sum() * (1 - chances).sum() - (chances * (1 - chances)).sum()
    entropy = -(chances * np.log(chances) + (1 - chances) * np.log1p(-chances))
    return {"roc_auc": float((ordered * staying).sum() / pairs), "log_loss": float(entropy.mean())}


def to_text(customers: Customers) -> bytes:
    """CSV with a header as published: no quotes, decimal numbers with all their digits, lines end with a line feed."""
    texts = [map(repr if values.dtype.kind in "if" else str, values.tolist()) for values in customers.values()]
    return "".join(f"{','.join(line)}\n" for line in (customers, *zip(*texts, strict=True))).encode()


def _logistic(values: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-values)))
