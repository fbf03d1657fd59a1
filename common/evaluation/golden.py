"""Golden predictions: a few records and what the trained model answered, to recognise it again wherever it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GOLDEN_ROWS = 10
# The endpoint computes in 32 bits; two builds of XGBoost differ in the last digits.
_RELATIVE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Golden:
    """Raw records, and the answer to each: a predicted value, or a probability and a label."""

    records: Sequence[Mapping[str, Any]]
    answers: Sequence[Mapping[str, Any]]

    def to_json(self) -> bytes:
        """The content of `golden.json`; numbers read back exactly."""
        return json.dumps({"records": list(self.records), "answers": list(self.answers)}, indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Golden:
        return cls(**json.loads(content))

    def mismatch(self, answered: Sequence[Mapping[str, Any]]) -> str:
        """What differs between the golden answers and others, in words; empty when they agree.

        The numbers decide: a label may tip over where its probability is the threshold itself.
        """
        if len(answered) != len(self.answers):
            return f"{len(answered)} answers to {len(self.answers)} records"
        pairs = [(score(a), score(b)) for a, b in zip(self.answers, answered, strict=True)]
        wrong = [
            (number, a, b)
            for number, (a, b) in enumerate(pairs, start=1)
            if not abs(a - b) <= _RELATIVE_TOLERANCE * max(1.0, abs(a))  # also true of NaN
        ]
        if not wrong:
            return ""
        number, a, b = wrong[0]
        return f"{len(wrong)} of {len(pairs)} records differ; record {number}: expected {a:.6g}, answered {b:.6g}"


def score(answer: Mapping[str, Any]) -> float:
    """The number in a model's answer: the predicted value, or the probability."""
    return float(answer["prediction"] if "prediction" in answer else answer["probability"])


@dataclass(frozen=True)
class FleetGolden:
    """What some models of a fleet answered: by customer, `request` (a JSON value) and `answer` (the forecast days)."""

    answers: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> bytes:
        """The content of `golden.json`; numbers read back exactly."""
        return json.dumps({"answers": dict(self.answers)}, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> FleetGolden:
        return cls(**json.loads(content))

    def mismatch(self, customer: str, answered: Sequence[Mapping[str, Any]]) -> str:
        """What differs between a customer's golden answer and another, in words; empty when they agree."""
        expected = self.answers[customer]["answer"]
        if [day["ds"] for day in expected] != [day.get("ds") for day in answered]:
            return f"customer {customer}: the {len(answered)} answered days are not the {len(expected)} expected ones"
        for day, other in zip(expected, answered, strict=True):
            for name in ("yhat", "yhat_lower", "yhat_upper"):
                a, b = float(day[name]), float(other.get(name, "nan"))
                if not abs(a - b) <= _RELATIVE_TOLERANCE * max(1.0, abs(a)):  # also true of NaN
                    return f"customer {customer}, {day['ds']}: expected {name} {a:.6g}, answered {b:.6g}"
        return ""
