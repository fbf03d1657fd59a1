"""What the templates leave open, by the kind of model."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["classification", "regression"]

WORDS: Mapping[Kind, dict[str, str]] = {
    "classification": {
        "question": "Will a delivery be late?",
        "description": "Whether a delivery is late, from what is sent, how and where to (an example).",
        "problem": "binary_classification",
        "target": "late",
        "label": 'Category("late", ("no", "yes"))',
        "objective": "binary:logistic",
        "gate": 'metric="roc_auc", at_least=0.85, may_lose_to_champion_by=0.02',
        "low": "0.8",
        "high": "1",
    },
    "regression": {
        "question": "How many days will a delivery take?",
        "description": "Days that a delivery takes, from what is sent, how and where to (an example).",
        "problem": "regression",
        "target": "days",
        "label": 'Number("days", at_least=0, at_most=60)',
        "objective": "reg:squarederror",
        "gate": 'metric="rmse", at_most=0.8, may_lose_to_champion_by=0.05',
        "low": "4.5",
        "high": "7",
    },
}
