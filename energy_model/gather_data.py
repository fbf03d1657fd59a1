"""The readings of an energy provider's customers: where they come from, and what they have to look like."""

from datetime import date

from common.data.extract import Readings
from common.data.sources import FromEnvironment
from common.steps import gather_series
from energy_model import MODEL
from energy_model.consumers import HIGHEST, Generated

QUERY = """\
SELECT customer_id, timestamp, consumption
FROM readings
WHERE timestamp >= :floor AND timestamp < :ceiling
"""
"""What a warehouse is asked, with the dates as bound parameters; its table may be in another order and have other columns."""

DATA = Readings(
    source=FromEnvironment("ENERGY_SOURCE", default=Generated(), query=QUERY),
    customer="customer_id",
    timestamp="timestamp",
    value="consumption",
    floor=date(2023, 1, 1),
    ceiling_days_ago=2,  # meters report late
    at_least=0,
    at_most=HIGHEST,
)

if __name__ == "__main__":
    gather_series(MODEL, DATA)
