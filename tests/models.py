"""The tests' table: for each model a request, and what a trained model answers to it.

Tests go through every model of the repository by it; one that is missing fails a test that says what to add. `models new`
and `models remove` write the entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A raw record of a model; the prediction, or the probability of the positive label, is from `low` to `high`.

    Of a fleet of forecasting models: a request for one customer, of whose forecast every day is from `low` to `high`.
    """

    record: Mapping[str, object]
    low: float
    high: float
    customer: str = ""


MODELS: dict[str, Example] = {
    "abalone": Example(
        {
            "sex": "M",
            "length": 0.44,
            "diameter": 0.365,
            "height": 0.125,
            "whole_weight": 0.516,
            "shucked_weight": 0.2155,
            "viscera_weight": 0.114,
            "shell_weight": 0.155,
        },
        low=8,
        high=12,
    ),
    "churn": Example(
        {
            "State": "OH",
            "Account Length": 90,
            "Area Code": "657",
            "Int'l Plan": "yes",
            "VMail Plan": "no",
            "VMail Message": 0,
            "Day Mins": 11.0,
            "Day Calls": 4,
            "Eve Mins": 5.0,
            "Eve Calls": 3,
            "Night Mins": 4.0,
            "Night Calls": 200,
            "Intl Mins": 5.0,
            "Intl Calls": 4,
            "CustServ Calls": 6,
        },
        low=0.5,
        high=1,
    ),
    "energy": Example(
        {"period": 7},
        low=270,  # this customer of the generator can be expected to use 310 a day in the first days of January
        high=350,
        customer="3",
    ),
}
