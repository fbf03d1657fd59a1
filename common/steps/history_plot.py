"""The history of a model as a plot: the decisive metric over time, and what became of each package or tuning job."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from pathlib import Path

from common.errors import RegistryError, UsageError
from common.report.plots.chart import CSS, LineChart, Series, Style, standalone
from common.report.tables import METRICS
from common.steps.history import History, Point

STYLES: dict[str, Style] = {
    "deployed ▲": "champion",
    "approved ✓": "good",
    "waiting for approval ?": "model",
    "rejected ✗": "bad",
    "rolled back ↩": "bad",
    "cold": "model",
    "TransferLearning": "good",
    "IdenticalDataAndAlgorithm": "champion",
    "test run": "reference",
}
"""How what became of a package or tuning job is drawn."""
MOST_NOTES = 20
"""So many points can have notes that do not cover each other."""
_TICKS = 4
_MARGIN = 0.08
_PAGE_CSS = """
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; font: 14px system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
.chart { max-width: 38rem; }
div { overflow-x: auto; } table { border-collapse: collapse; margin-top: 2rem; white-space: nowrap; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
"""


def write_plot(history: History, file: Path) -> None:
    """Write the chart as an SVG file, or with the table as an HTML page; neither needs anything from elsewhere.

    Raises:
        RegistryError: there is nothing to plot.
        UsageError: the file cannot be written.
    """
    if not history.points:
        raise RegistryError(f"{history.title}: there is nothing to plot yet.", "Train the model first.")
    drawn = standalone(_chart(history)) if file.suffix == ".svg" else _page(history)
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}.", "Name a file in a folder that exists."
        ) from error


def _chart(history: History) -> LineChart:
    points = sorted(history.points, key=lambda point: point.time)
    seconds = [point.time.timestamp() for point in points]
    margin = _MARGIN * (seconds[-1] - seconds[0]) or 1
    metric = METRICS.get(history.metric, history.metric)
    return LineChart(
        f"{history.title}: {metric}",
        [
            Series("", seconds, [point.value for point in points], "reference"),
            *(_marks(kind, points) for kind in STYLES if any(point.kind == kind for point in points)),
        ],
        "created (UTC)",
        metric,
        x_range=(seconds[0] - margin, seconds[-1] + margin),
        x_ticks=date_ticks(seconds[0], seconds[-1]),
    )


def _marks(kind: str, points: list[Point]) -> Series:
    own = [point for point in points if point.kind == kind]
    return Series(
        kind,
        [point.time.timestamp() for point in own],
        [point.value for point in own],
        STYLES[kind],
        "points",
        notes=[point.note for point in own] if len(points) <= MOST_NOTES else (),
    )


def date_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Dates at equal distances, or times of the day where the dates would be the same."""
    if first == last:
        return [(first, f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M}")]
    step = (last - first) / (_TICKS - 1)
    layout = "%Y-%m-%d" if step > 86400 else "%m-%d %H:%M" if step > 60 else "%H:%M:%S"
    times = [first + step * i for i in range(_TICKS)]
    return [(time, f"{datetime.fromtimestamp(time, UTC):{layout}}") for time in times]


def _page(history: History) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(history.title)}</title>
<style>{CSS}{_PAGE_CSS}</style>
</head>
<body>
{_chart(history).svg()}
<div><table>
<thead>{_row(history.header, "th")}</thead>
<tbody>
{"".join(_row(row, "td") for row in history.rows)}
</tbody>
</table></div>
</body>
</html>
"""


def _row(cells: tuple[str, ...], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
