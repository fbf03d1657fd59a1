"""A small chart kit: lines, bands, areas, points, dots, densities and horizontal bars as SVG.

Colours, dashes and fonts come from `chart.css`, so that a chart follows the reader's light or dark mode and prints. What is
drawn is bounded: a line has at most `MOST_POINTS` points and a density `CELLS` × `CELLS` cells, whatever the rows. Only dots
are all drawn, each in a dozen bytes: the caller decides from how many on a density says more.

    chart = LineChart("RMSE by version", (Series("RMSE", [1, 2, 3], [2.4, 2.2, 2.1]),), "version", "RMSE")
    page = f"<style>{CSS}</style>{chart.svg()}"
    Path("history.svg").write_text(standalone(chart))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.environment import TemplateModule
from markupsafe import Markup

Numbers = Sequence[float] | npt.NDArray[np.float64]
Range = tuple[float, float]
Style = Literal["model", "champion", "reference", "good", "bad"]
"""Whom a series speaks of; `chart.css` gives each a colour and a dash of its own."""
Shape = Literal["line", "band", "steps", "area", "points", "dots", "density"]

WIDTH = 360
"""Width of every chart in SVG units; a phone shows them at about one pixel each."""
MOST_POINTS = 240
CELLS = 48
CSS = (Path(__file__).parent / "chart.css").read_text(encoding="utf-8")
_CHARACTER = 6.1  # the mean width of a digit or letter at the font size of chart.css
_LEGEND_ROW = 17
_BAR_ROW = 22


class Chart(Protocol):
    """Whatever can draw itself."""

    def svg(self) -> Markup:
        """The chart as an SVG element for a page that has `CSS`."""


@dataclass(frozen=True)
class Figure:
    """A chart with the sentence that says how to read it."""

    chart: Chart
    caption: str


@dataclass(frozen=True)
class Series:
    """Values to draw in one style.

    Attributes:
        label: its name in the legend; empty: it is not listed.
        shape: `steps` and `area` hold each y until the next x, as histograms do; a `density` counts points in cells; a
            `band` is a line with its spread shaded.
        spread: for each point (low, high) of a vertical whisker, or of a band, e.g. a confidence interval.
        notes: for each point a few characters to print beside it.
    """

    label: str
    xs: Numbers
    ys: Numbers
    style: Style = "model"
    shape: Shape = "line"
    spread: Sequence[Range] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, values in (("ys", self.ys), ("spread", self.spread), ("notes", self.notes)):
            if len(values) != len(self.xs) and (name == "ys" or len(values)):
                raise ValueError(f"{len(self.xs)} xs and {len(values)} {name}")


@dataclass(frozen=True)
class Tick:
    """A label on an axis, at a position in SVG units."""

    label: str
    position: float


@dataclass(frozen=True)
class _Scale:
    """Maps values within `low` and `high` to SVG units, and clips the others to them."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, given: Sequence[tuple[float, str]] | None = None) -> list[Tick]:
        labels = _numbered(round_values(self.low, self.high)) if given is None else given
        return [Tick(label, self(value)) for value, label in labels if self.low <= value <= self.high]


@dataclass(frozen=True)
class LineChart:
    """Series over a numeric x axis.

    Attributes:
        x_range, y_range: the ends of the axes; by default those of the values. What lies outside is drawn at the edge.
        x_ticks, y_ticks: (value, label) where numbers say little, e.g. versions, dates or logarithms.
        height: of the plotting area, in SVG units.
    """

    title: str
    series: Sequence[Series]
    x_label: str
    y_label: str
    x_range: Range | None = None
    y_range: Range | None = None
    x_ticks: Sequence[tuple[float, str]] | None = None
    y_ticks: Sequence[tuple[float, str]] | None = None
    height: int = 220

    def svg(self) -> Markup:
        """The chart as an SVG element for a page that has `CSS`."""
        legend, top = _legend(self.series)
        bottom, right = top + self.height, WIDTH - 14
        heights = [(*series.ys, *(end for ends in series.spread for end in ends)) for series in self.series]
        y = _Scale(*_ends(self.y_range, heights, margin=0.04), bottom, top)
        y_ticks = y.ticks(self.y_ticks)
        left = round(24 + _CHARACTER * max((len(tick.label) for tick in y_ticks), default=0))
        x = _Scale(*_ends(self.x_range, [series.xs for series in self.series], margin=0), left, right)
        return _render(
            "line_chart",
            title=self.title,
            alt=f"{self.title}: {self.y_label} by {self.x_label}",
            frame={"left": left, "right": right, "top": top, "bottom": bottom},
            width=WIDTH,
            legend=legend,
            x_ticks=x.ticks(self.x_ticks),
            y_ticks=y_ticks,
            x_label=self.x_label,
            y_label=self.y_label,
            drawings=[_drawing(series, x, y) for series in self.series],
        )


@dataclass(frozen=True)
class Bar:
    """A horizontal bar from 0 to a value that is not negative, and the text that says it."""

    label: str
    value: float
    text: str
    style: Style = "model"


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars with a common origin, in the given order from above."""

    title: str
    bars: Sequence[Bar]

    def svg(self) -> Markup:
        """The chart as an SVG element for a page that has `CSS`."""
        left = round(min(22, max((len(bar.label) for bar in self.bars), default=0)) * _CHARACTER) + 12
        room = WIDTH - left - 14 - _CHARACTER * max((len(bar.text) for bar in self.bars), default=0)
        longest = max((bar.value for bar in self.bars), default=0) or 1
        rows = [
            {
                "bar": bar, "short": bar.label if len(bar.label) <= 22 else f"{bar.label[:21]}…",
                "y": 30 + _BAR_ROW * i, "length": round(max(room * bar.value / longest, 1), 1),
            }
            for i, bar in enumerate(self.bars)
        ]  # fmt: skip
        return _render(
            "bar_chart", title=self.title, width=WIDTH, height=36 + _BAR_ROW * len(rows), left=left, rows=rows
        )


def standalone(chart: Chart) -> str:
    """The chart as the text of an SVG file of its own."""
    start, rest = chart.svg().split(">", 1)
    return f"{start}><style>{CSS} svg {{ background: var(--paper); }}</style>{rest}"


def round_values(low: float, high: float) -> list[float]:
    """Four to ten multiples of 1, 2 or 5 times a power of ten between the bounds, which must differ."""
    magnitude = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = max(factor * magnitude for factor in (1, 2, 5) if factor * magnitude <= (high - low) / 4)
    return [float(f"{i * step:.12g}") + 0.0 for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _numbered(values: Sequence[float]) -> list[tuple[float, str]]:
    """Each value with a label; all labels have as many decimals as the longest needs."""
    if not 1e-4 <= max(map(abs, values), default=1) < 1e9:
        return [(value, f"{value:g}") for value in values]
    decimals = max((len(f"{value:.10f}".rstrip("0").partition(".")[2]) for value in values), default=0)
    return [(value, f"{value:,.{decimals}f}") for value in values]


@dataclass(frozen=True)
class _Note:
    text: str
    x: float
    y: float
    anchor: Literal["start", "end"]


@dataclass(frozen=True)
class _Drawing:
    """A series in SVG units."""

    style: Style
    shape: Shape
    path: str = ""
    marks: Sequence[tuple[float, float]] = ()
    whiskers: Sequence[tuple[float, float, float]] = ()
    notes: Sequence[_Note] = ()
    shades: Sequence[tuple[float, str]] = ()
    band: str = ""


def _drawing(series: Series, x: _Scale, y: _Scale) -> _Drawing:
    if series.shape == "density":
        return _density(series, x, y)
    if series.shape == "dots":
        return _Drawing(series.style, series.shape, _dots(series, x, y))
    kept = np.unique(np.linspace(0, len(series.xs) - 1, min(len(series.xs), MOST_POINTS)).round().astype(int))
    points = [(x(series.xs[i]), y(series.ys[i])) for i in kept]
    whiskers = [(x(series.xs[i]), y(series.spread[i][0]), y(series.spread[i][1])) for i in kept if len(series.spread)]
    if series.shape == "band":
        edge = [(at, low) for at, low, _ in whiskers] + [(at, high) for at, _, high in reversed(whiskers)]
        return _Drawing(series.style, series.shape, _path(points, "line", y.start), band=f"{_path(edge, 'line', 0)}Z")
    notes = [_note(*point, series.notes[i], x, y) for i, point in zip(kept, points, strict=True) if len(series.notes)]
    path = "" if series.shape == "points" or not points else _path(points, series.shape, y.start)
    marks = points if series.shape == "points" or len(series.spread) else []
    return _Drawing(series.style, series.shape, path, marks, whiskers, notes)


def _note(at: float, height: float, text: str, x: _Scale, y: _Scale) -> _Note:
    """Below the point and to the right of it, unless that is outside of the plotting area."""
    right = at + 6 + _CHARACTER * len(text) < x.end
    return _Note(text, at + 6 if right else at - 6, min(height + 12, y.start - 3), "start" if right else "end")


def _path(points: Sequence[tuple[float, float]], shape: Shape, floor: float) -> str:
    if shape == "line":
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    stairs = f"M{points[0][0]:g} {points[0][1]:g}" + "".join(f"H{x:g}V{y:g}" for x, y in points[1:])
    return stairs if shape == "steps" else f"M{points[0][0]:g} {floor:g}L{stairs[1:]}V{floor:g}Z"


def _dots(series: Series, x: _Scale, y: _Scale) -> str:
    """A line without length for each distinct place; its round ends are the dot."""
    places = dict.fromkeys((x(at), y(height)) for at, height in zip(series.xs, series.ys, strict=True))
    return "".join(f"M{at:g} {height:g}h0" for at, height in places)


def _density(series: Series, x: _Scale, y: _Scale) -> _Drawing:
    """Points counted in a grid; the opacity of a cell grows with the root of its count, in a few shades."""
    xs, ys = np.clip(series.xs, x.low, x.high), np.clip(series.ys, y.low, y.high)
    counts, _, _ = np.histogram2d(xs, ys, bins=CELLS, range=[[x.low, x.high], [y.low, y.high]])
    width, height = (x.end - x.start) / CELLS, (y.start - y.end) / CELLS
    paths: dict[float, str] = {}
    for column, row in np.argwhere(counts).tolist():
        shade = round(0.2 + 0.8 * math.sqrt(counts[column, row] / counts.max()), 1)
        left, top = x.start + column * width, y.start - (row + 1) * height
        paths[shade] = paths.get(shade, "") + f"M{left:.1f} {top:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"
    return _Drawing(series.style, series.shape, shades=sorted(paths.items()))


_LEAST_RANGE = 1e-300
"""Of values that differ by less a quarter or a tenth cannot be told from nothing: they are drawn as equal."""


def _ends(given: Range | None, values: Sequence[Numbers], margin: float) -> Range:
    """The given ends, or those of all values with a margin (a share of their range) that keeps marks off the frame."""
    if given is None:
        every = [float(value) for part in values for value in part] or [0.0, 1.0]
        given = (min(every), max(every))
        room = margin * (given[1] - given[0])
        given = (given[0] - room, given[1] + room)
    low, high = given
    room = max(0.5, abs(low) / 100)  # one half would be lost in a large number
    return (low, high) if high - low > _LEAST_RANGE else (low - room, low + room)


def _legend(series: Sequence[Series]) -> tuple[list[dict[str, object]], int]:
    """Where each label stands, in rows below the title, and where the plotting area begins."""
    entries: list[dict[str, object]] = []
    x, row = 0.0, 0
    for one in series:
        if one.label:
            width = 28 + _CHARACTER * len(one.label) + 12
            if x and x + width > WIDTH:
                x, row = 0.0, row + 1
            y = 34 + row * _LEGEND_ROW
            entries.append({"label": one.label, "style": one.style, "shape": one.shape, "x": round(x, 1), "y": y})
            x += width
    return entries, 32 + (row + 1) * _LEGEND_ROW if entries else 28


def _render(macro: str, **values: object) -> Markup:
    return Markup(getattr(_macros(), macro)(**values))  # noqa: S704 – the template escapes what it is given


@cache
def _macros() -> TemplateModule:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("chart.svg.jinja").module
