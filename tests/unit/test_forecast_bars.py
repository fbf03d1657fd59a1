"""A forecast as lines of text, all on one scale."""

from common.steps.forecast import bars


def day(low: float, middle: float, high: float) -> dict[str, object]:
    return {"ds": "2026-01-01", "yhat": middle, "yhat_lower": low, "yhat_upper": high}


def test_each_day_shows_where_its_interval_lies_on_the_scale_of_all_days() -> None:
    first, second = bars([day(0, 10, 20), day(20, 40, 47)])
    assert first == "├─────────●─────────┤"
    assert second == " " * 20 + "├───────────────────●──────┤"


def test_a_forecast_without_any_doubt_is_one_point() -> None:
    assert bars([day(5, 5, 5)]) == ["●"]
