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
