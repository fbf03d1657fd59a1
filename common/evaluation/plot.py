"""Predicted against true values as an inline SVG, whose size does not grow with the rows."""

import math
from dataclasses import dataclass

import numpy as np

from common.evaluation.metrics import Values

SIZE = 320
"""Width and height of the plotting area in SVG units."""
_CELLS = 64


@dataclass(frozen=True)
class Cell:
    """Test rows of about the same true and predicted value."""

    x: float
    y: float
    side: float
    opacity: float


@dataclass(frozen=True)
class Tick:
    """A value on both axes, and how far it lies from their origin."""

    label: str
    position: float


@dataclass(frozen=True)
class Plot:
    """Predicted (upwards) against true (rightwards) values on the same scale."""

    cells: tuple[Cell, ...]
    ticks: tuple[Tick, ...]
    size: int = SIZE


def predicted_against_true(truth: Values, predictions: Values) -> Plot:
    """Count rows in a square grid over the range of both; opacity grows with the root of a cell's count."""
    low = float(min(truth.min(), predictions.min()))
    high = float(max(truth.max(), predictions.max()))
    high = high if high > low else low + 1
    counts, _, _ = np.histogram2d(truth, predictions, bins=_CELLS, range=[[low, high], [low, high]])
    side = SIZE / _CELLS
    cells = tuple(
        Cell(
            x=int(column) * side,
            y=SIZE - (int(row) + 1) * side,
            side=side,
            opacity=round(0.2 + 0.8 * math.sqrt(counts[column, row] / counts.max()), 2),
        )
        for column, row in np.argwhere(counts)
    )
    ticks = tuple(
        Tick(f"{value:g}", round((value - low) / (high - low) * SIZE, 1)) for value in _round_values(low, high)
    )
    return Plot(cells, ticks)


def _round_values(low: float, high: float) -> list[float]:
    """Four to ten multiples of 1, 2 or 5 times a power of ten between the bounds."""
    magnitude = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = max(factor * magnitude for factor in (1, 2, 5) if factor * magnitude <= (high - low) / 4)
    return [round(i * step, 12) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
