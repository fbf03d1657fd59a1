import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.report.plots.chart import (
    CELLS,
    MOST_POINTS,
    WIDTH,
    Bar,
    BarChart,
    Chart,
    LineChart,
    Series,
    round_values,
    standalone,
)
from common.report.plots.importance import importance_figure

SVG = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg())  # noqa: S314 – our own output


def texts(chart: Chart) -> list[str]:
    return [element.text or "" for element in drawn(chart).iter(f"{SVG}text")]


def line(xs: list[float], ys: list[float], **options: object) -> LineChart:
    return LineChart("Title", [Series("one", xs, ys)], "x", "y", **options)  # type: ignore[arg-type]


def path(chart: Chart, kind: str) -> str:
    """The drawn path of that kind; the last, since the legend's samples come first."""
    return str([e.get("d") for e in drawn(chart).iter(f"{SVG}path") if e.get("class") == kind][-1])


def test_a_chart_says_what_it_shows_to_those_who_cannot_see_it() -> None:
    svg = drawn(line([0, 1], [0, 1]))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Title: y by x"
    assert [element.text for element in svg.iter(f"{SVG}title")] == ["Title: y by x"]


def test_labels_are_escaped() -> None:
    chart = LineChart("<b>", [Series("a&b", [0, 1], [0, 1])], "<i>", "y")
    assert {"<b>", "a&b", "<i>"} <= set(texts(chart))


def test_values_lie_where_the_axes_say() -> None:
    chart = line([0, 10], [0, 1], x_range=(0, 10), y_range=(0, 1))
    (x0, y0), (x1, y1) = [tuple(map(float, pair.split())) for pair in path(chart, "line")[1:].split("L")]
    frame = next(e for e in drawn(chart).iter(f"{SVG}rect") if e.get("class") == "frame")
    left, top, width, height = (float(frame.get(key, "nan")) for key in ("x", "y", "width", "height"))
    assert (x0, x1) == (left, left + width)
    assert (y0, y1) == (top + height, top)


def test_every_dot_is_drawn_once_where_the_points_of_a_line_would_lie() -> None:
    xs, ys = [0.0, 5.0, 5.0, 10.0], [0.0, 1.0, 1.0, 0.5]
    dots = path(LineChart("Title", [Series("one", xs, ys, shape="dots")], "x", "y"), "dots")
    assert dots.count("h0") == 3
    assert set(re.findall(r"M([\d. ]+)h0", dots)) == set(path(line(xs, ys), "line")[1:].split("L"))


def test_a_band_is_closed_around_its_line() -> None:
    spread = [(0.0, 2.0), (1.0, 3.0)]
    chart = LineChart("t", [Series("", [0, 1], [1, 2], shape="band", spread=spread)], "x", "y", y_range=(0, 3))
    corners = [tuple(map(float, corner.split())) for corner in path(chart, "spread")[1:-1].split("L")]
    middle = [tuple(map(float, corner.split())) for corner in path(chart, "band")[1:].split("L")]
    assert [x for x, _ in corners] == [middle[0][0], middle[1][0], middle[1][0], middle[0][0]]
    lower, upper = [y for _, y in corners[:2]], [y for _, y in corners[:1:-1]]
    assert all(high < y < low for low, (_, y), high in zip(lower, middle, upper, strict=True))
    assert path(chart, "spread").endswith("Z")


def test_what_lies_outside_of_the_given_range_is_drawn_at_the_edge() -> None:
    inside, outside = (path(line([0, 1], [0, high], y_range=(0, 1)), "line") for high in (1, 100))
    assert inside == outside


def test_steps_hold_each_value_until_the_next() -> None:
    chart = LineChart("t", [Series("", [0, 1, 2], [5, 7, 7], shape="steps")], "x", "y")
    assert re.fullmatch(r"M[\d.]+ [\d.]+(H[\d.]+V[\d.]+){2}", path(chart, "steps"))


@pytest.mark.parametrize("shape", ["line", "steps", "area", "points"])
def test_a_series_of_many_points_is_thinned_to_its_ends_and_some_between(shape: str) -> None:
    xs = list(range(100_000))
    chart = LineChart("t", [Series("", xs, xs, shape=shape)], "x", "y")  # type: ignore[arg-type]
    assert len(chart.svg()) < MOST_POINTS * 80
    if shape == "line":
        points = path(chart, "line")[1:].split("L")
        assert len(points) == MOST_POINTS
        assert points[-1].split()[0] == f"{WIDTH - 14}"


def test_a_density_has_no_more_cells_than_its_grid_and_the_fullest_is_opaque() -> None:
    xs, ys = np.random.default_rng(0).normal(size=(2, 100_000))
    chart = LineChart("t", [Series("", xs, ys, shape="density")], "x", "y")
    shades = [element for element in drawn(chart).iter() if element.get("class") == "cell"]
    assert 100 < sum(str(shade.get("d")).count("M") for shade in shades) <= CELLS**2
    assert max(float(shade.get("fill-opacity", "0")) for shade in shades) == 1


def test_a_density_shows_a_point_where_the_axes_say() -> None:
    cloud = Series("", [1.0], [1.0], shape="density")
    cell = path(LineChart("t", [cloud], "x", "y", x_range=(0, 1), y_range=(0, 1)), "cell")
    found = re.match(r"M([\d.]+) ([\d.]+)h([\d.]+)", cell)
    assert found is not None
    left, top, width = map(float, found.groups())
    assert left + width == pytest.approx(WIDTH - 14, abs=0.2)
    assert top == pytest.approx(28, abs=0.2)


def test_whiskers_and_notes_belong_to_their_points() -> None:
    series = Series("", [1, 2], [5, 6], spread=[(4, 7), (5, 8)], notes=["n = 10", "n = 20"])
    chart = LineChart("t", [series], "x", "y")
    assert sum(e.get("class") == "whisker" for e in drawn(chart).iter()) == 2
    assert {"n = 10", "n = 20"} <= set(texts(chart))
    assert {"4", "8"} <= set(texts(chart))  # the axis reaches to the ends of the whiskers


def test_only_named_series_are_in_the_legend() -> None:
    chart = LineChart("t", [Series("named", [0, 1], [0, 1]), Series("", [0, 1], [1, 0])], "x", "y")
    assert sum(e.get("class") == "line" for e in drawn(chart).iter()) == 3


def test_a_legend_that_is_too_long_goes_on_in_the_next_row() -> None:
    chart = LineChart("t", [Series(f"a rather long name {i}", [0, 1], [0, 1]) for i in range(4)], "x", "y")
    labels = [e for e in drawn(chart).iter(f"{SVG}text") if "rather" in (e.text or "")]
    assert len({e.get("y") for e in labels}) == 2


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0], [1e17, 1e17], [-0.0, 5e-324], [1e-300, 1e-310]])
def test_too_few_or_equal_values_make_a_chart_all_the_same(values: list[float]) -> None:
    assert "nan" not in line(values, values).svg()


def test_series_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 xs and 1 ys"):
        Series("", [1, 2], [1])
    with pytest.raises(ValueError, match="2 xs and 1 notes"):
        Series("", [1, 2], [1, 2], notes=["a"])


def test_ticks_can_be_named() -> None:
    chart = line([0, 1], [5, 6], x_ticks=[(0, "version 1"), (1, "version 2"), (9, "outside")])
    assert {"version 1", "version 2"} <= set(texts(chart))
    assert "outside" not in texts(chart)


def test_labels_of_an_axis_have_the_same_decimals() -> None:
    assert {"2.00", "2.05", "2.10"} <= set(texts(line([0, 1], [1.9, 2.2])))
    assert {"1,000,000", "3,000,000"} <= set(texts(line([0, 1], [1e6, 3e6])))
    assert "4e-09" in texts(line([0, 1], [0, 1e-8]))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_axes_have_a_few_round_values_within_their_ends(low: float, width: float) -> None:
    values = round_values(low, low + width)
    assert 3 <= len(values) <= 11
    assert all(low - 1e-6 * width <= value <= low + width * (1 + 1e-6) for value in values)


def test_bars_are_as_long_as_their_values_and_long_names_are_cut() -> None:
    chart = BarChart("t", [Bar("a column with a very long name", 4, "4 %"), Bar("b", 2, "2 %"), Bar("c", 0, "0 %")])
    lengths = [float(e.get("width", "0")) for e in drawn(chart).iter(f"{SVG}rect")]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.2)
    assert lengths[2] == 1
    assert "a column with a very …" in texts(chart)
    assert {"a column with a very long name"} <= {e.text for e in drawn(chart).iter(f"{SVG}title")}


def test_a_chart_can_be_a_file_of_its_own() -> None:
    svg = standalone(line([0, 1], [0, 1]))
    root = ElementTree.fromstring(svg)  # noqa: S314 – our own output
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "--model" in str(style.text)


def test_importance_is_shown_as_shares_and_the_tail_together() -> None:
    figure = importance_figure({f"c{i:02}": 20.0 - i for i in range(20)})
    shown = texts(figure.chart)
    assert shown[1] == "c00"
    assert shown[-2:] == ["5 others", f"{100 * 15 / 210:.1f} %"]
