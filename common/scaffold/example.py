"""Made-up deliveries: what a new model is trained on until it gets data of its own."""

import csv
import io
import math
import random
from collections.abc import Iterator

ROWS = 1000
_KM_PER_DAY = {"bike": 120, "van": 350, "truck": 500}
_EXTRA_DAYS = {"north": 0.0, "south": 0.3, "east": 0.0, "west": 0.6, "islands": 2.5}


def example(target: str) -> str:
    """The deliveries as CSV with a header, the target last: `days` that each took, or whether it was `late` (no, yes).

    Always the same rows. Days grow with the distance, and how fast depends on the carrier; bikes suffer from weight, and
    islands have ferries. A delivery is late when it is drawn so, the sooner the more than four days it is expected to take.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["weight_kg", "distance_km", "parcels", "carrier", "region", target])
    writer.writerows(_rows(target))
    return out.getvalue()


def _rows(target: str) -> Iterator[tuple[object, ...]]:
    chance = random.Random(7)  # noqa: S311 - an example, not a secret
    for _ in range(ROWS):
        weight, distance = round(chance.uniform(0.1, 30), 1), chance.randint(5, 800)
        parcels, carrier, region = chance.randint(1, 9), chance.choice([*_KM_PER_DAY]), chance.choice([*_EXTRA_DAYS])
        expected = 0.5 + distance / _KM_PER_DAY[carrier] + _EXTRA_DAYS[region] + 0.1 * parcels
        expected += 0.08 * weight * (carrier == "bike")
        late = chance.random() < 1 / (1 + math.exp(2 * (4 - expected)))
        days = max(0.1, round(chance.gauss(expected, 0.5), 1))
        yield weight, distance, parcels, carrier, region, {"days": days, "late": "yes" if late else "no"}[target]
