import csv
import datetime

import pytest

from common.report.cost import PRICES, find_price, training_cost


def test_the_cost_is_seconds_times_instances_times_the_price() -> None:
    cost = training_cost("us-east-1", "ml.m5.large", instances=2, seconds=1800)
    assert cost.usd == pytest.approx(0.115)
    assert cost.saved == 0


def test_what_spot_saved_is_the_share_of_training_time_that_was_not_billed() -> None:
    cost = training_cost("us-east-1", "ml.m5.large", instances=1, seconds=100, training_seconds=500)
    assert cost.saved == pytest.approx(0.8)


@pytest.mark.parametrize(("region", "instance"), [("us-east-1", "ml.unheard.large"), ("mars-1", "ml.m5.large")])
def test_an_instance_without_a_listed_price_costs_an_unknown_sum(region: str, instance: str) -> None:
    assert find_price(region, instance) is None
    assert training_cost(region, instance, instances=1, seconds=60).usd is None


def test_hosting_has_prices_of_its_own() -> None:
    assert find_price("us-east-1", "ml.m5.large", "Host") != find_price("us-east-1", "ml.m5.large")
    assert find_price("us-east-1", "ml.g5.2xlarge", "Host") is None


def test_every_listed_price_is_of_one_instance_and_says_when_and_where_it_was_read() -> None:
    with PRICES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({(row["region"], row["instance_type"], row["use"]) for row in rows}) == len(rows)
    for row in rows:
        assert 0 < float(row["usd_per_hour"]) < 200
        assert row["instance_type"].startswith("ml.")
        assert datetime.date.fromisoformat(row["as_of"]) < datetime.date(2100, 1, 1)
        assert row["source"]
