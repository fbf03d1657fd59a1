"""Golden predictions: a few rows and what the trained model answered, to recognise it again wherever it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

GOLDEN_ROWS = 10
# The endpoint computes in 32 bits and prints decimal digits; two builds of XGBoost differ in the last of them.
_RELATIVE_TOLERANCE = 1e-4


def write_golden(rows: NDArray[numpy.float64], predictions: NDArray[numpy.float64]) -> bytes:
    """CSV: the features of each row, then the prediction, without a header; numbers read back exactly."""
    lines = [
        ",".join(repr(float(value)) for value in (*row, prediction))
        for row, prediction in zip(rows, predictions, strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def read_golden(golden: bytes) -> tuple[list[list[float]], list[float]]:
    """(features, predictions) of a golden CSV."""
    numbers = [[float(value) for value in line.split(",")] for line in golden.decode().splitlines()]
    return [line[:-1] for line in numbers], [line[-1] for line in numbers]


def mismatch(expected: list[float], answered: list[float]) -> str:
    """What differs between the golden predictions and the answers, in words; empty when they agree."""
    if len(answered) != len(expected):
        return f"{len(answered)} answers to {len(expected)} rows"
    wrong = [
        (row, a, b)
        for row, (a, b) in enumerate(zip(expected, answered, strict=True), start=1)
        if not abs(a - b) <= _RELATIVE_TOLERANCE * max(1.0, abs(a))  # also true of NaN
    ]
    if not wrong:
        return ""
    row, a, b = wrong[0]
    return f"{len(wrong)} of {len(expected)} rows differ; row {row}: expected {a:.6g}, answered {b:.6g}"
